"use strict";
// Shows /openapi.json of the server that serves this page. Whatever the document says is put in
// as text, never as markup.
(() => {
  const METHODS = ["get", "post", "put", "patch", "delete"];
  const byId = (id) => document.getElementById(id);
  let api;

  /** An element with properties and children; a string becomes text. */
  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter((child) => child !== undefined && child !== ""));
    return made;
  }

  function resolve(node) {
    let found = node;
    for (let depth = 0; found && found.$ref && depth < 8; depth += 1) {
      found = found.$ref.slice(2).split("/").reduce((at, key) => at && at[key], api);
    }
    return found || {};
  }

  const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const schemaName = (schema) => ((schema && schema.$ref) || "").split("/").pop();

  function schemaLink(schema) {
    const name = schemaName(schema);
    return name ? element("a", { href: "#schema-" + name }, name) : "";
  }

  function typeOf(schema) {
    const found = resolve(schema);
    if (found.enum) return found.enum.join(", ");
    if (found.items) return (resolve(found.items).enum || [typeOf(found.items)]).join(", ");
    const least = found.minimum === undefined ? "" : " ≥ " + found.minimum;
    const most = found.maximum === undefined ? "" : " ≤ " + found.maximum;
    return [].concat(found.type || "any").join(" or ") + least + most;
  }

  function copyButton(text) {
    const button = element("button", { type: "button" }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy by hand";
      }
    });
    return button;
  }

  /** The field of a parameter, with what it means. */
  function field(parameter, id, first) {
    const schema = resolve(parameter.schema);
    const choices = schema.enum || (schema.type === "boolean" ? ["true", "false"] : undefined);
    const input = choices
      ? element("select", { id }, element("option", { value: "" }, "–"),
          ...choices.map((choice) => element("option", { value: String(choice) }, String(choice))))
      : element("input", { id, autocomplete: "off", spellcheck: false,
          placeholder: parameter.example === undefined ? "" : String(parameter.example) });
    if (first !== undefined) input.value = String(first);
    const place = parameter.in === "query" ? "" : " (" + parameter.in + ")";
    const label = element("label", { htmlFor: id }, element("code", {}, parameter.name), place,
      element("br", {}), element("small", {}, typeOf(parameter.schema)));
    const about = element("div", {}, input, element("small", {}, parameter.description || ""));
    return { input, row: element("div", { className: "parameter" }, label, about) };
  }

  /** The request as the fields say. */
  function request(operation) {
    let path = operation.path;
    const query = [];
    const headers = [];
    for (const { parameter, input } of operation.fields) {
      const value = input.value;
      if (parameter.in === "path") {
        path = path.replace("{" + parameter.name + "}", encodeURIComponent(value).replaceAll("%3A", ":"));
      } else if (value !== "" && parameter.in === "query") {
        query.push(encodeURIComponent(parameter.name) + "=" + encodeURIComponent(value).replaceAll("%2C", ","));
      } else if (value !== "") {
        headers.push([parameter.name, value]);
      }
    }
    const body = operation.body ? operation.body.value : undefined;
    if (body !== undefined) headers.push(["Content-Type", operation.media]);
    const url = location.origin + path + (query.length ? "?" + query.join("&") : "");
    return { method: operation.method.toUpperCase(), url, headers, body };
  }

  function curl({ method, url, headers, body }) {
    const lines = ["curl -s -i" + (method === "GET" ? "" : " -X " + method) + " " + quoted(url)];
    for (const [name, value] of headers) lines.push("-H " + quoted(name + ": " + value));
    if (body !== undefined) lines.push("-d " + quoted(body));
    return lines.join(" \\\n  ");
  }

  async function send(operation, out) {
    const { method, url, headers, body } = request(operation);
    if (method === "DELETE" && !window.confirm("Really " + method + " " + url + "?")) return;
    out.hidden = false;
    out.textContent = "…";
    try {
      operation.stop?.();
      const answer = await fetch(url, { method, headers, body, redirect: "error", cache: "no-store" });
      const head = [...answer.headers].map(([name, value]) => name + ": " + value).join("\n");
      const show = (text) => { out.textContent = answer.status + " " + answer.statusText + "\n" + head + "\n\n" + text; };
      if ((answer.headers.get("content-type") || "").startsWith("text/event-stream")) {
        await follow(operation, answer, show);
        return;
      }
      const text = await answer.text();
      let shown = text;
      try { shown = pretty(JSON.parse(text)); } catch { /* It is no JSON. */ }
      show(shown);
    } catch (error) {
      out.textContent = "No answer came: " + error.message;
    }
  }

  /** Shows an answer that goes on, as it comes, until it is asked for anew or there is much of it. */
  async function follow(operation, answer, show) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    operation.stop = () => reader.cancel();
    let text = "";
    show(text);
    while (text.length < 100000) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      show(text);
    }
    await reader.cancel();
  }

  function bodyPart(operation, description) {
    const content = resolve(description.requestBody).content;
    const [media, { schema, examples }] = Object.entries(content)[0];
    const all = Object.entries(examples || {});
    const first = all.length ? resolve(all[0][1]).value : {};
    const text = element("textarea", { id: operation.id + "-body", value: pretty(first), spellcheck: false });
    text.setAttribute("aria-label", "Body");
    operation.body = text;
    operation.media = media;
    const choices = element("div", { className: "row" });
    if (all.length > 1) {
      for (const [, example] of all) {
        const { summary, value } = resolve(example);
        const button = element("button", { type: "button" }, summary);
        button.addEventListener("click", () => {
          text.value = pretty(value);
          text.dispatchEvent(new Event("input", { bubbles: true }));
        });
        choices.append(button);
      }
    }
    const types = Object.keys(content).join(", ");
    return [element("h3", {}, "Body"), element("p", {}, types + ": ", schemaLink(schema)), choices, text];
  }

  function answers(description) {
    const rows = Object.entries(description.responses).map(([status, reference]) => {
      const answer = resolve(reference);
      const content = Object.entries(answer.content || {});
      const row = element("div", { className: "answer" }, element("code", {}, status), " ", answer.description || "");
      const headers = Object.keys(answer.headers || {});
      if (headers.length) row.append(" ", element("small", {}, "Headers: " + headers.join(", ")));
      if (content.length && Number(status) < 300) {
        const types = content.map(([type]) => type).join(", ");
        row.append(element("br", {}), element("small", {}, types + ": "), schemaLink(content[0][1].schema));
        for (const [type, { examples }] of content) {
          for (const example of Object.values(examples || {})) {
            const { summary, value } = resolve(example);
            row.append(element("details", {}, element("summary", {}, summary + " · " + type),
              element("div", {}, element("pre", {}, pretty(value)))));
          }
        }
      }
      return row;
    });
    return [element("h3", {}, "Answers"), ...rows];
  }

  /** What is inside of an operation, made when it is opened for the first time. */
  function inside(operation, description) {
    operation.fields = [];
    const parts = [];
    if (description.description) parts.push(element("p", {}, description.description));
    const tries = description["x-try"] || {};
    const parameters = (description.parameters || []).map(resolve);
    if (parameters.length) parts.push(element("h3", {}, "Parameters"));
    for (const parameter of parameters) {
      const first = parameter.in === "path" ? parameter.example : tries[parameter.name];
      const { input, row } = field(parameter, operation.id + "-" + parameter.in + "-" + parameter.name, first);
      operation.fields.push({ parameter, input });
      parts.push(row);
    }
    if (description.requestBody) parts.push(...bodyPart(operation, description));
    const command = element("pre", { tabIndex: 0 });
    const out = element("pre", { hidden: true, tabIndex: 0 });
    out.setAttribute("role", "status");
    const sender = element("button", { type: "button" }, "Send from here");
    sender.addEventListener("click", () => send(operation, out));
    parts.push(element("h3", {}, "With curl"), command,
      element("div", { className: "row" }, copyButton(() => command.textContent), sender), out,
      ...answers(description));
    const box = element("div", {}, ...parts);
    const update = () => { command.textContent = curl(request(operation)); };
    box.addEventListener("input", update);
    update();
    return box;
  }

  function operationCard(path, method, description) {
    const operation = { id: description.operationId, path, method };
    const card = element("details", { id: operation.id },
      element("summary", {}, element("span", { className: "method " + method }, method.toUpperCase()),
        element("code", {}, path), " ", element("span", { className: "about" }, description.summary || "")));
    const names = (description.parameters || []).map((parameter) => resolve(parameter).name);
    card.dataset.words = [operation.id, method, path, description.summary, description.description, ...names]
      .join(" ").toLowerCase();
    card.addEventListener("toggle", () => {
      if (card.open && card.children.length === 1) card.append(inside(operation, description));
    });
    return card;
  }

  function group(tag, cards) {
    const id = "group-" + tag.name;
    byId("groups").append(element("a", { href: "#" + id }, tag.name));
    return element("section", { id }, element("h2", {}, tag.name), element("p", {}, tag.description || ""), ...cards);
  }

  /** A schema as text in which the names of others are links. */
  function schemaCard([name, schema]) {
    const text = element("pre", { tabIndex: 0 });
    for (const piece of pretty(schema).split(/("#\/components\/schemas\/\w+")/)) {
      const other = piece.match(/^"#\/components\/schemas\/(\w+)"$/);
      text.append(other ? element("a", { href: "#schema-" + other[1] }, piece) : piece);
    }
    const card = element("details", { id: "schema-" + name }, element("summary", {}, element("code", {}, name), " ",
      element("span", { className: "about" }, schema.description || "")), element("div", {}, text));
    card.dataset.words = (name + " " + (schema.description || "")).toLowerCase();
    return card;
  }

  function search() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of document.querySelectorAll("section")) {
      let any = false;
      for (const card of section.querySelectorAll(":scope > details")) {
        card.hidden = !words.every((word) => card.dataset.words.includes(word));
        any = any || !card.hidden;
        count += card.hidden ? 0 : 1;
      }
      section.hidden = !any;
    }
    byId("found").textContent = words.length ? count + " found" : "";
  }

  /** Opens what the address names. */
  function jump() {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden || (target.closest("section") || {}).hidden) {
      byId("search").value = "";
      search();
    }
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView();
  }

  function show() {
    const cards = new Map(api.tags.map((tag) => [tag.name, []]));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS.filter((method) => item[method])) {
        cards.get(item[method].tags[0]).push(operationCard(path, method, item[method]));
      }
    }
    byId("version").textContent = api.info.summary + " · " + api.info.version + " · " + api.info.description;
    byId("state").remove();
    byId("operations").append(...api.tags.map((tag) => group(tag, cards.get(tag.name))),
      group({ name: "Data", description: "What bodies hold." }, Object.entries(api.components.schemas).map(schemaCard)));
    byId("search").addEventListener("input", search);
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
        event.preventDefault();
        byId("search").focus();
      }
    });
    document.addEventListener("toggle", (event) => {
      if (event.target.open && event.target.id) history.replaceState(null, "", "#" + event.target.id);
    }, true);
    window.addEventListener("hashchange", jump);
    jump();
  }

  fetch("/openapi.json").then(async (answer) => {
    if (!answer.ok) throw new Error("the answer is " + answer.status);
    api = await answer.json();
    show();
  }).catch((error) => {
    byId("state").className = "problem";
    byId("state").textContent = "/openapi.json cannot be shown: " + error.message;
  });
})();
