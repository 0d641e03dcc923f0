// A walk through the API with fetch: shelters and bicycle stations of a small town.
//
//   node walk.mjs [http://127.0.0.1:1026]
//
// Every step says what it expects, and the walk ends with an error where the broker answers
// something else. All of it happens in a tenant of its own, which is emptied at the end, so it may
// be walked against a broker that is in use. Needs Node.js 18 or newer and no packages.
import assert from "node:assert/strict";
import { createServer } from "node:http";

const BASE = (process.argv[2] ?? process.env.MUSUBI_URL ?? "http://127.0.0.1:1026").replace(/\/$/, "");
const ENTITIES = "/ngsi-ld/v1/entities";
const SUBSCRIPTIONS = "/ngsi-ld/v1/subscriptions";
const SHELTER = "urn:ngsi-ld:EvacuationShelter:musubi-01";
const SUBSCRIPTION = "urn:ngsi-ld:Subscription:walk";

const HEADERS = {
  // A tenant keeps its entities apart from those of all others.
  "NGSILD-Tenant": "walk",
  // The short names (EvacuationShelter, occupancy, ...) stand for URIs. This context says for
  // which; the broker serves it itself. Without it, names are those of the core context.
  Link: `<${BASE}/musubi/v1/contexts/musubi.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`,
};

/** Sends a request and checks the status: `query` are parameters, `body` is sent as JSON. */
async function ask(expected, method, path, { query, body, headers } = {}) {
  const target = path + (query ? "?" + new URLSearchParams(query) : "");
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(BASE + target, {
    method, headers: { ...HEADERS, ...type, ...headers }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  console.log(method, target, "->", answer.status);
  assert([expected].flat().includes(answer.status), `expected ${expected}, and the answer was ${text}`);
  return { headers: answer.headers, json: text && JSON.parse(text) };
}

/** A shelter in the concise form: a value alone is a Property, a geometry alone a GeoProperty. */
const shelter = (number, scope, ja, en, coordinates, more) => ({
  id: `urn:ngsi-ld:EvacuationShelter:musubi-${number}`, type: "EvacuationShelter", scope,
  name: { languageMap: { ja, en } }, location: { type: "Point", coordinates }, ...more,
});
const dock = (id, name, coordinates, availableBikeNumber) => ({
  id: `urn:ngsi-ld:BikeHireDockingStation:musubi-${id}`, type: "BikeHireDockingStation", name,
  location: { type: "Point", coordinates }, availableBikeNumber,
});

console.log("# 0. What an earlier walk may have left. A tenant that is not there yet is not found.");
const everything = { type: "EvacuationShelter,BikeHireDockingStation" };
await ask([204, 404], "DELETE", ENTITIES, { query: everything });
await ask([204, 404], "DELETE", `${SUBSCRIPTIONS}/${SUBSCRIPTION}`);

console.log("# 1. Create a shelter.");
const school = shelter("01", "/musubi/north", "むすび町立北小学校", "Musubi North Primary School", [136.967, 37.043],
  { status: "open", capacity: 300, occupancy: { value: 120, observedAt: "2026-01-10T09:30:00Z" } });
const created = await ask(201, "POST", ENTITIES, { body: school });
assert.equal(created.headers.get("Location"), `${ENTITIES}/${SHELTER}`);

console.log("# 2. Many at once: an upsert creates what is new and replaces what is there.");
await ask(201, "POST", "/ngsi-ld/v1/entityOperations/upsert", { body: [
  shelter("02", "/musubi/south", "むすび町民体育館", "Musubi Gymnasium", [136.951, 37.021],
    { status: "open", capacity: 500, occupancy: 40 }),
  shelter("03", "/musubi/north", "北公民館", "North Community Hall", [136.969, 37.046],
    { status: "closed", capacity: 80, occupancy: 0 }),
  dock("ekimae", "むすび駅前", [136.968, 37.041], 7),
  dock("minato", "むすび港", [136.981, 37.055], 0),
] });

console.log("# 3. Read one: in full, and with nothing but values.");
const full = (await ask(200, "GET", `${ENTITIES}/${SHELTER}`)).json;
assert.deepEqual(full.occupancy, { type: "Property", value: 120, observedAt: "2026-01-10T09:30:00Z" });
const simple = await ask(200, "GET", `${ENTITIES}/${SHELTER}`, { query: { format: "simplified", pick: "occupancy" } });
assert.deepEqual(simple.json, { occupancy: 120 });

console.log("# 4. Ask for those that are open and more than a third full.");
const crowded = await ask(200, "GET", ENTITIES, {
  query: { type: "EvacuationShelter", q: 'status=="open";occupancy>=100' } });
assert.deepEqual(crowded.json.map((one) => one.id), [SHELTER]);

console.log("# 5. Ask for what is within 1,500 m of the station, whatever its type. Longitude comes first.");
const near = await ask(200, "GET", ENTITIES, {
  query: { georel: "near;maxDistance==1500", geometry: "Point", coordinates: "[136.968,37.041]" } });
assert.equal(near.json.length, 3);

console.log("# 6. The same town as a layer for a map: any map library reads it.");
const layer = (await ask(200, "GET", ENTITIES, {
  query: { type: "EvacuationShelter", format: "simplified", lang: "ja" },
  headers: { Accept: "application/geo+json" } })).json;
assert.equal(layer.type, "FeatureCollection");
assert.deepEqual(layer.features[0].geometry, { type: "Point", coordinates: [136.967, 37.043] });

console.log("# 7. Only the members that an app needs, the texts in the language of its user.");
const names = await ask(200, "GET", ENTITIES, { query: {
  type: "EvacuationShelter", pick: "id,name,capacity", lang: "en", format: "simplified", scopeQ: "/musubi/north" } });
assert.deepEqual(names.json[0], { id: SHELTER, name: "Musubi North Primary School", capacity: 300 });

console.log("# 8. Tell a web hook when a shelter fills up: this one, on a free port.");
let told;
const notified = new Promise((resolve) => { told = resolve; });
const hook = createServer(async (request, response) => {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  response.writeHead(204).end();
  told(JSON.parse(text));
});
await new Promise((listening) => hook.listen(0, "127.0.0.1", listening));
await ask(201, "POST", SUBSCRIPTIONS, { body: {
  id: SUBSCRIPTION, type: "Subscription", entities: [{ type: "EvacuationShelter" }],
  watchedAttributes: ["occupancy"], q: "occupancy>=200",
  notification: { format: "simplified", endpoint: { uri: `http://127.0.0.1:${hook.address().port}/notify` } } } });

console.log("# 9. A new count. Whoever reads after the 204 sees it, and the web hook is told.");
await ask(204, "PATCH", `${ENTITIES}/${SHELTER}/attrs`, {
  body: { occupancy: { value: 210, observedAt: "2026-01-10T10:00:00Z" } } });
assert.equal((await ask(200, "GET", `${ENTITIES}/${SHELTER}`, { query: { format: "simplified" } })).json.occupancy, 210);
const late = setTimeout(() => { throw new Error("no notification came"); }, 60_000);
const notification = await notified;
clearTimeout(late);
assert.equal(notification.subscriptionId, SUBSCRIPTION);
assert.equal(notification.data[0].id, SHELTER);

console.log("# 10. Page by page. With after= the pages stay stable while others write; follow the next link.");
let pages = 0;
const found = new Set();
for (let path = `${ENTITIES}?type=*&local=true&limit=2&after=`; path; pages += 1) {
  const page = await ask(200, "GET", path);
  page.json.forEach((one) => found.add(one.id));
  path = /<([^>]*)>; rel="next"/.exec(page.headers.get("Link") ?? "")?.[1];
}
assert.deepEqual([pages, found.size], [3, 5]);

console.log("# 11. Errors say what is wrong and where.");
const problem = await ask(400, "GET", ENTITIES, { query: { type: "EvacuationShelter", colour: "red" } });
assert.match(problem.json.detail, /colour/);
await ask(409, "POST", ENTITIES, { body: school });
console.log((await ask(404, "GET", `${ENTITIES}/urn:ngsi-ld:EvacuationShelter:nowhere`)).json.detail);

console.log("# 12. Tidy up: delete the subscription, and all that a query finds.");
await ask(204, "DELETE", `${SUBSCRIPTIONS}/${SUBSCRIPTION}`);
await ask(204, "DELETE", ENTITIES, { query: everything });
assert.deepEqual((await ask(200, "GET", ENTITIES, { query: { type: "*", local: true } })).json, []);
// Connections that are kept alive would keep the program alive.
hook.close();
hook.closeAllConnections?.();
console.log("# The walk is done.");
