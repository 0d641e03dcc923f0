#!/usr/bin/env python3
"""A walk through the API with requests: shelters and bicycle stations of a small town.

    python3 walk.py [http://127.0.0.1:1026]

Every step says what it expects, and the walk ends with an error where the broker answers something
else. All of it happens in a tenant of its own, which is emptied at the end, so it may be walked
against a broker that is in use. Needs Python 3.9 and the package requests.
"""

import json
import os
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests

BASE = (sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MUSUBI_URL", "http://127.0.0.1:1026")).rstrip("/")
ENTITIES = "/ngsi-ld/v1/entities"
SUBSCRIPTIONS = "/ngsi-ld/v1/subscriptions"
SHELTER = "urn:ngsi-ld:EvacuationShelter:musubi-01"
SUBSCRIPTION = "urn:ngsi-ld:Subscription:walk"

broker = requests.Session()
broker.trust_env = False  # The broker is near: no proxy.
# A tenant keeps its entities apart from those of all others.
broker.headers["NGSILD-Tenant"] = "walk"
# The short names (EvacuationShelter, occupancy, ...) stand for URIs. This context says for which;
# the broker serves it itself. Without it, names are those of the core context.
broker.headers["Link"] = (
    f'<{BASE}/musubi/v1/contexts/musubi.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
)


def ask(expected, method, path, **more):
    """Sends a request and checks the status. `json=` is a body, `params=` are query parameters."""
    answer = broker.request(method, BASE + path, timeout=30, **more)
    print(method, answer.url.removeprefix(BASE), "->", answer.status_code)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert answer.status_code in expected, f"expected {expected}, and the answer was {answer.text}"
    return answer


def shelter(number, scope, japanese, english, position, **more):
    """A shelter in the concise form: a value alone is a Property, a geometry alone a GeoProperty."""
    return {
        "id": f"urn:ngsi-ld:EvacuationShelter:musubi-{number}", "type": "EvacuationShelter", "scope": scope,
        "name": {"languageMap": {"ja": japanese, "en": english}},
        "location": {"type": "Point", "coordinates": position}, **more,
    }


def dock(name, label, position, bikes):
    return {
        "id": f"urn:ngsi-ld:BikeHireDockingStation:musubi-{name}", "type": "BikeHireDockingStation", "name": label,
        "location": {"type": "Point", "coordinates": position}, "availableBikeNumber": bikes,
    }


def receiver():
    """A web hook on a free port: gives its address and the queue of what arrives."""
    arrived = queue.Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/notify", arrived


print("# 0. What an earlier walk may have left. A tenant that is not there yet is not found.")
ask((204, 404), "DELETE", ENTITIES, params={"type": "EvacuationShelter,BikeHireDockingStation"})
ask((204, 404), "DELETE", f"{SUBSCRIPTIONS}/{SUBSCRIPTION}")

print("# 1. Create a shelter.")
school = shelter("01", "/musubi/north", "むすび町立北小学校", "Musubi North Primary School", [136.967, 37.043],
                 status="open", capacity=300, occupancy={"value": 120, "observedAt": "2026-01-10T09:30:00Z"})
created = ask(201, "POST", ENTITIES, json=school)
assert created.headers["Location"] == f"{ENTITIES}/{SHELTER}"

print("# 2. Many at once: an upsert creates what is new and replaces what is there.")
ask(201, "POST", "/ngsi-ld/v1/entityOperations/upsert", json=[
    shelter("02", "/musubi/south", "むすび町民体育館", "Musubi Gymnasium", [136.951, 37.021],
            status="open", capacity=500, occupancy=40),
    shelter("03", "/musubi/north", "北公民館", "North Community Hall", [136.969, 37.046],
            status="closed", capacity=80, occupancy=0),
    dock("ekimae", "むすび駅前", [136.968, 37.041], 7),
    dock("minato", "むすび港", [136.981, 37.055], 0),
])

print("# 3. Read one: in full, and with nothing but values.")
full = ask(200, "GET", f"{ENTITIES}/{SHELTER}").json()
assert full["occupancy"] == {"type": "Property", "value": 120, "observedAt": "2026-01-10T09:30:00Z"}
simple = ask(200, "GET", f"{ENTITIES}/{SHELTER}", params={"format": "simplified", "pick": "occupancy"}).json()
assert simple == {"occupancy": 120}

print("# 4. Ask for those that are open and more than a third full.")
crowded = ask(200, "GET", ENTITIES, params={"type": "EvacuationShelter", "q": 'status=="open";occupancy>=100'}).json()
assert [one["id"] for one in crowded] == [SHELTER]

print("# 5. Ask for what is within 1,500 m of the station, whatever its type. Longitude comes first.")
near = ask(200, "GET", ENTITIES, params={
    "georel": "near;maxDistance==1500", "geometry": "Point", "coordinates": "[136.968,37.041]"}).json()
assert len(near) == 3, near

print("# 6. The same town as a layer for a map: any GIS reads it.")
layer = ask(200, "GET", ENTITIES, params={"type": "EvacuationShelter", "format": "simplified", "lang": "ja"},
            headers={"Accept": "application/geo+json"}).json()
assert layer["type"] == "FeatureCollection" and len(layer["features"]) == 3
assert layer["features"][0]["geometry"] == {"type": "Point", "coordinates": [136.967, 37.043]}

print("# 7. Only the members that an app needs, the texts in the language of its user.")
names = ask(200, "GET", ENTITIES, params={
    "type": "EvacuationShelter", "pick": "id,name,capacity", "lang": "en", "format": "simplified",
    "scopeQ": "/musubi/north"}).json()
assert names[0] == {"id": SHELTER, "name": "Musubi North Primary School", "capacity": 300}, names

print("# 8. Tell a web hook when a shelter fills up.")
address, arrived = receiver()
ask(201, "POST", SUBSCRIPTIONS, json={
    "id": SUBSCRIPTION, "type": "Subscription", "entities": [{"type": "EvacuationShelter"}],
    "watchedAttributes": ["occupancy"], "q": "occupancy>=200",
    "notification": {"format": "simplified", "endpoint": {"uri": address}}})

print("# 9. A new count. Whoever reads after the 204 sees it, and the web hook is told.")
ask(204, "PATCH", f"{ENTITIES}/{SHELTER}/attrs",
    json={"occupancy": {"value": 210, "observedAt": "2026-01-10T10:00:00Z"}})
assert ask(200, "GET", f"{ENTITIES}/{SHELTER}", params={"format": "simplified"}).json()["occupancy"] == 210
notification = arrived.get(timeout=60)
assert notification["subscriptionId"] == SUBSCRIPTION and notification["data"][0]["id"] == SHELTER

print("# 10. Page by page. With after= the pages stay stable while others write; follow the next link.")
path, pages, found = f"{ENTITIES}?type=*&local=true&limit=2&after=", 0, []
while path:
    page = ask(200, "GET", path)
    pages, found = pages + 1, found + [one["id"] for one in page.json()]
    path = page.links.get("next", {}).get("url")
assert pages == 3 and len(set(found)) == 5, (pages, found)

print("# 11. Errors say what is wrong and where.")
problem = ask(400, "GET", ENTITIES, params={"type": "EvacuationShelter", "colour": "red"}).json()
assert problem["type"].endswith("/InvalidRequest") and "colour" in problem["detail"], problem
ask(409, "POST", ENTITIES, json=school)
print(ask(404, "GET", f"{ENTITIES}/urn:ngsi-ld:EvacuationShelter:nowhere").json()["detail"])

print("# 12. Tidy up: delete the subscription, and all that a query finds.")
ask(204, "DELETE", f"{SUBSCRIPTIONS}/{SUBSCRIPTION}")
ask(204, "DELETE", ENTITIES, params={"type": "EvacuationShelter,BikeHireDockingStation"})
assert ask(200, "GET", ENTITIES, params={"type": "*", "local": "true"}).json() == []
print("# The walk is done.")
