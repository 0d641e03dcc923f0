"use strict";
// Follows the entities of one type, and shows each with its last values.
//
// In the address of the page:
//   type          which entities; a name of the core context, of `context`, or a whole URI
//   broker        where the broker is; http://127.0.0.1:1026 if it is not said
//   tenant        whose entities; the default tenant's if it is not said
//   context       the address of the @context in which the names are meant
//   subscription  the id of a subscription that is there already and is to be followed
//   token         what the broker asks for, once it does
//
// The page asks for a subscription whose endpoint is `musubi:stream`: nothing is sent anywhere,
// who wants to know what is due follows the stream. An EventSource comes back by itself when the
// connection breaks, and says how far it was; the broker then tells what was missed.
(() => {
  const given = new URLSearchParams(location.search);
  const settings = Object.fromEntries(
    ["broker", "type", "tenant", "context", "subscription", "token"].map((name) => [name, given.get(name) ?? ""]),
  );
  settings.broker = (settings.broker || "http://127.0.0.1:1026").replace(/\/+$/, "");

  /** How many notifications the list shows, and how many ids are kept to tell repetitions. */
  const SEEN = 1000;
  /** Milliseconds between attempts when the browser itself has given up. */
  const [FIRST_PAUSE, LONGEST_PAUSE] = [1000, 15000];

  const byId = (id) => document.getElementById(id);
  const entities = new Map(); // id → { entity, row }
  const told = new Set(); // ids of notifications
  let cursor = ""; // the id of the last event
  let newer = new Set(); // what the stream has told since the entities were read
  let pause = FIRST_PAUSE;

  /** An element with children; a string becomes text, never markup. */
  function element(name, ...children) {
    const made = document.createElement(name);
    made.append(...children);
    return made;
  }

  function state(name, text) {
    byId("state").dataset.state = name;
    byId("state").textContent = text;
  }

  const detail = (text) => { byId("detail").textContent = text; };

  function url(path, parameters = {}) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
    return settings.broker + path + (query.size ? "?" + query : "");
  }

  function headers(more = {}) {
    const link = `<${settings.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`;
    return {
      ...(settings.token && { Authorization: "Bearer " + settings.token }),
      ...(settings.tenant && { "NGSILD-Tenant": settings.tenant }),
      ...(settings.context && { Link: link }),
      ...more,
    };
  }

  /** Tells texts apart (FNV-1a, twice over); no secret is kept by it. */
  function hash(text) {
    let parts = [0x811c9dc5, 0x01000193];
    for (const byte of new TextEncoder().encode(text)) parts = parts.map((part) => Math.imul(part ^ byte, 0x01000193));
    return parts.map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
  }

  async function refuse(answer) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `the broker answered ${answer.status}`);
  }

  /**
   * The subscription to follow. All pages that follow the same type share one; the same name in
   * another context is another type.
   */
  async function subscribe() {
    if (settings.subscription) return settings.subscription;
    const id = "urn:ngsi-ld:Subscription:live-" + hash(JSON.stringify([settings.type, settings.context]));
    const path = "/ngsi-ld/v1/subscriptions";
    const answer = await fetch(url(path), {
      method: "POST",
      headers: headers({ "Content-Type": "application/json" }),
      body: JSON.stringify({
        id,
        type: "Subscription",
        description: "What live.html shows",
        entities: [{ type: settings.type }],
        notificationTrigger: ["entityCreated", "entityUpdated", "entityDeleted"],
        notification: { format: "keyValues", endpoint: { uri: "musubi:stream" } },
      }),
    });
    if (answer.ok) return id;
    if (answer.status !== 409) await refuse(answer);
    // Another page, or this one earlier, has made it; somebody may have paused it since.
    const there = await fetch(url(`${path}/${encodeURIComponent(id)}`), { headers: headers() });
    if (!there.ok) await refuse(there);
    const { status } = await there.json();
    if (status !== "active") throw new Error(`the subscription ${id} is ${status}`);
    return id;
  }

  /** Shows a value on one line. */
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

  function show(entity, time) {
    if (entity.deletedAt) {
      entities.get(entity.id)?.row.remove();
      entities.delete(entity.id);
      return;
    }
    const { id, type, "@context": _, ...values } = entity;
    const list = element("dl");
    for (const [name, value] of Object.entries(values)) {
      list.append(element("dt", name), element("dd", text(value)));
    }
    const row = element("tr", element("td", id), element("td", list), element("td", time));
    row.dataset.id = id;
    row.className = "changed";
    const known = entities.get(id);
    if (known) known.row.replaceWith(row);
    else byId("entities").append(row);
    entities.set(id, { entity, row });
  }

  /** What is there already. What the stream tells meanwhile is newer, and stays. */
  async function readAll({ anew }) {
    if (!settings.type) return;
    if (anew) {
      entities.clear();
      byId("entities").replaceChildren();
    }
    const mine = new Set(entities.keys());
    newer = mine;
    let next = url("/ngsi-ld/v1/entities", { type: settings.type, format: "simplified", limit: "1000" }) + "&after=";
    // Another reading that began since then makes this one needless.
    while (next && newer === mine) {
      const answer = await fetch(next, { headers: headers() });
      // A tenant comes into being with its first entity.
      if (answer.status === 404) return;
      if (!answer.ok) throw new Error(`the broker answered ${answer.status}`);
      for (const entity of await answer.json()) if (!mine.has(entity.id)) show(entity, "");
      const link = /<([^>]*)>;[^,]*rel="next"/.exec(answer.headers.get("Link") ?? "");
      next = link && new URL(link[1], settings.broker).href;
    }
  }

  function remember(notification) {
    told.add(notification.id);
    if (told.size > SEEN) told.delete(told.values().next().value);
    const line = element("li", notification.data.map(text).join(" "));
    line.dataset.notification = notification.id;
    byId("seen").prepend(line);
    if (byId("seen").children.length > SEEN) byId("seen").lastChild.remove();
  }

  function notified(event) {
    cursor = event.lastEventId;
    pause = FIRST_PAUSE;
    const notification = JSON.parse(event.data);
    // The same id is the same notification once more.
    if (told.has(notification.id)) return;
    remember(notification);
    for (const entity of notification.data) {
      newer.add(entity.id);
      show(entity, new Date(notification.notifiedAt).toLocaleTimeString());
    }
  }

  /** Follows the stream, and again whenever it is lost. */
  function follow(subscription) {
    const { tenant, token } = settings;
    const path = "/musubi/v1/streams/" + encodeURIComponent(subscription);
    const source = new EventSource(url(path, { tenant, token, after: cursor }));
    source.addEventListener("open", () => {
      pause = FIRST_PAUSE;
      state("open", "connected");
      detail("following " + subscription);
    });
    source.addEventListener("notification", notified);
    source.addEventListener("gap", (event) => {
      cursor = event.lastEventId;
      detail("some changes were missed; everything is read anew");
      readAll({ anew: true }).catch((error) => detail(error.message));
    });
    source.addEventListener("end", (event) => {
      source.close();
      state("ended", "ended");
      detail("the subscription is " + JSON.parse(event.data).reason);
    });
    source.addEventListener("error", () => {
      state("waiting", "connecting again");
      if (source.readyState !== EventSource.CLOSED) return;
      // The browser has given up. What was told last is where to go on.
      setTimeout(() => follow(subscription), pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
    return new Promise((opened) => source.addEventListener("open", opened, { once: true }));
  }

  async function start() {
    state("connecting", "connecting");
    const subscription = await subscribe();
    // First the stream, then what is there: so nothing that happens in between is missed.
    await follow(subscription);
    await readAll({ anew: false });
  }

  const form = document.querySelector("form");
  for (const name of ["broker", "type", "tenant"]) form.elements[name].value = settings[name];
  if (settings.type || settings.subscription) {
    start().catch((error) => {
      state("failed", "not connected");
      detail(error.message);
    });
  }
})();
