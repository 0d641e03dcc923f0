"use strict";
// Draws what one attribute of one entity was over a day.
//
// In the address of the page:
//   id         the entity
//   attribute  a name of the core context, of `context`, or a whole URI
//   day        as 2024-01-11; today if it is not said
//   zone       in which the day begins and ends, as Asia/Tokyo; the browser's if it is not said
//   property   observedAt (if it is not said) or modifiedAt
//   gap        minutes without a value after which the line is broken; three times the usual
//              distance of two values if it is not said
//   broker     where the broker is; http://127.0.0.1:1026 if it is not said
//   tenant, context, token   as in live.js
//
// The values come as `temporalValues`. An answer that is too long is cut by the broker, which says so
// (206) and how far it reaches (Content-Range); the page then asks for the rest. The means of the hours
// come as `aggregatedValues`, in the hours of the zone.
(() => {
  const given = new URLSearchParams(location.search);
  const names = ["id", "attribute", "day", "zone", "property", "gap", "broker", "tenant", "context", "token"];
  const settings = Object.fromEntries(names.map((name) => [name, given.get(name) ?? ""]));
  settings.broker = (settings.broker || "http://127.0.0.1:1026").replace(/\/+$/, "");
  settings.zone ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
  settings.property ||= "observedAt";

  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  /** The chart's inside, in the units of its view box. */
  const [LEFT, TOP, RIGHT, BOTTOM] = [56, 16, 944, 320];
  const COLORS = ["#0b63ce", "#c2410c", "#15803d", "#7e22ce", "#a16207"];

  const byId = (id) => document.getElementById(id);
  const detail = (text) => { byId("detail").textContent = text; };

  function state(name, text) {
    byId("state").dataset.state = name;
    byId("state").textContent = text;
  }

  /** What a clock in the zone shows, as if it were UTC. */
  function onTheWall(time) {
    const format = new Intl.DateTimeFormat("en-u-hc-h23", {
      timeZone: settings.zone, year: "numeric", month: "numeric", day: "numeric",
      hour: "numeric", minute: "numeric", second: "numeric",
    });
    const part = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
  }

  /** When a day begins in the zone. */
  function beginning(day) {
    const wanted = Date.parse(day + "T00:00:00Z");
    if (Number.isNaN(wanted) || date(wanted) !== day) throw new Error(`a day is written as 2024-01-11, and "${day}" is not`);
    let time = wanted;
    // The first guess may lie on the other side of a change of the clocks.
    for (let i = 0; i < 3; i += 1) time -= onTheWall(time) - wanted;
    return time;
  }

  const date = (wall) => new Date(wall).toISOString().slice(0, 10);
  const utc = (time) => new Date(time).toISOString();

  function headers() {
    const link = `<${settings.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`;
    return {
      ...(settings.token && { Authorization: "Bearer " + settings.token }),
      ...(settings.tenant && { "NGSILD-Tenant": settings.tenant }),
      ...(settings.context && { Link: link }),
    };
  }

  async function evolution(parameters) {
    const path = "/ngsi-ld/v1/temporal/entities/" + encodeURIComponent(settings.id);
    const query = new URLSearchParams({
      attrs: settings.attribute, timerel: "between", timeproperty: settings.property, ...parameters,
    });
    const answer = await fetch(`${settings.broker}${path}?${query}`, { headers: headers() });
    // There is no such entity, or nothing of it in this stretch.
    if (answer.status === 404) return { found: [], answer };
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail || `the broker answered ${answer.status}`);
    }
    const entity = await answer.json();
    // One object, or one for each data set.
    const found = [entity[settings.attribute] ?? []].flat();
    return { found, answer };
  }

  /** A moment to the microsecond, as one text however many zeros it was written with. */
  const exactly = (at) => at.replace(/\.(\d*?)0*Z$/, (_, digits) => (digits ? `.${digits}Z` : "Z"));

  /** The values of a day by data set: lists of [milliseconds, number]. Says so if these are not all. */
  async function values(from, to) {
    const lines = new Map();
    const notes = [];
    for (let start = utc(from); start;) {
      const { found, answer } = await evolution({ format: "temporalValues", timeAt: start, endTimeAt: utc(to) });
      const begins = exactly(start);
      // What was seen of the moment with which this answer begins comes again, all of it.
      for (const line of lines.values()) while (line.at(-1)?.[2] === begins) line.pop();
      for (const part of found) {
        const name = part.datasetId ?? "";
        const line = lines.get(name) ?? [];
        lines.set(name, line);
        for (const [value, at] of part.values ?? []) {
          const isNumber = typeof value === "number" || typeof value === "boolean";
          line.push([Date.parse(at), isNumber ? Number(value) : null, exactly(at)]);
        }
      }
      // What there is until this moment is complete; the moment itself comes again.
      const range = /^date-time .*Z-(.*Z)\//.exec(answer.headers.get("Content-Range") ?? "");
      const next = range && exactly(range[1]) !== begins ? range[1] : null;
      if (answer.status === 206 && !next) {
        notes.push(`incomplete: nothing after ${start} is drawn; a moment has more values than an answer of the broker may have`);
      }
      start = answer.status === 206 ? next : null;
    }
    const all = [...lines.values()].flat().length;
    for (const [name, line] of lines) lines.set(name, line.filter(([, value]) => value !== null));
    const others = all - [...lines.values()].flat().length;
    if (others > 0) notes.push(`${others} values are no numbers and are left out`);
    if (notes.length > 0) detail(notes.join("; "));
    return lines;
  }

  /** The mean of each hour: lists of [from, to, mean]. */
  async function means(from, to) {
    const { found } = await evolution({
      format: "aggregatedValues", aggrMethods: "avg", aggrPeriodDuration: "PT1H", timezone: settings.zone,
      timeAt: utc(from), endTimeAt: utc(to),
    });
    const all = found.flatMap((part) => part.avg ?? []);
    return all.map(([mean, start, end]) => [Date.parse(start), Date.parse(end), Number(mean)]);
  }

  /** Cuts a line where two values are further apart than usual. */
  function pieces(line) {
    const steps = line.slice(1).map(([time], i) => time - line[i][0]).sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] ?? 0;
    const longest = settings.gap ? Number(settings.gap) * MINUTE : Math.max(3 * usual, MINUTE);
    const all = [];
    for (const point of line) {
      const piece = all.at(-1);
      if (piece && point[0] - piece.at(-1)[0] <= longest) piece.push(point);
      else all.push([point]);
    }
    return all;
  }

  function drawn(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(from, to, lines, hours) {
    const chart = byId("chart");
    chart.replaceChildren();
    const numbers = [...lines.values()].flat().map(([, value]) => value);
    const least = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    const most = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    const margin = (most - least || 1) * 0.05;
    const [low, high] = numbers.length ? [least - margin, most + margin] : [0, 1];
    const x = (time) => LEFT + ((time - from) / (to - from)) * (RIGHT - LEFT);
    const y = (value) => BOTTOM - ((value - low) / (high - low)) * (BOTTOM - TOP);

    for (let i = 0; i <= 4; i += 1) {
      const value = low + ((high - low) * i) / 4;
      chart.append(drawn("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value) }));
      chart.append(drawn("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(4)));
    }
    // A day has 23 or 25 hours where the clocks change.
    for (let time = from; time <= to; time += 3 * HOUR) {
      const wall = utc(onTheWall(time)).slice(11, 16);
      chart.append(drawn("line", { class: "grid", x1: x(time), x2: x(time), y1: TOP, y2: BOTTOM }));
      chart.append(drawn("text", { x: x(time), y: BOTTOM + 18, "text-anchor": "middle" }, wall));
    }
    for (const [start, end, mean] of hours) {
      const line = { class: "line mean", stroke: COLORS[0], x1: x(start), x2: x(Math.min(end, to)), y1: y(mean), y2: y(mean) };
      const shown = drawn("line", line);
      shown.append(drawn("title", {}, `mean ${mean}`));
      chart.append(shown);
    }
    [...lines].forEach(([name, line], index) => {
      for (const piece of pieces(line)) {
        const points = piece.map(([time, value]) => `${x(time).toFixed(2)},${y(value).toFixed(2)}`);
        // A value alone is a dot.
        if (points.length === 1) points.push(points[0]);
        const shown = drawn("polyline", { class: "line piece", stroke: COLORS[index % COLORS.length], points: points.join(" ") });
        shown.dataset.dataset = name;
        shown.dataset.values = piece.length;
        shown.dataset.first = utc(piece[0][0]);
        shown.dataset.last = utc(piece.at(-1)[0]);
        shown.append(drawn("title", {}, `${name || settings.attribute}, ${piece.length} values`));
        chart.append(shown);
      }
    });
    state("drawn", numbers.length ? `${numbers.length} values` : "nothing was recorded on this day");
  }

  async function start() {
    state("reading", "reading");
    const day = settings.day || date(onTheWall(Date.now()));
    const from = beginning(day);
    const to = beginning(date(Date.parse(day + "T00:00:00Z") + 24 * HOUR));
    byId("title").textContent = `${settings.attribute} of ${settings.id}, ${day} (${settings.zone})`;
    const lines = await values(from, to);
    const numbers = [...lines.values()].some((line) => line.length > 0);
    draw(from, to, lines, numbers ? await means(from, to) : []);
  }

  const form = document.querySelector("form");
  for (const name of ["broker", "id", "attribute", "day", "zone"]) form.elements[name].value = settings[name];
  if (settings.id && settings.attribute) {
    start().catch((error) => {
      state("failed", "not drawn");
      detail(error.message);
    });
  }
})();
