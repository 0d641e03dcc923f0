"""What the run knows beyond the document: values that lead further than random text does.

Random text is nearly always refused at the door. So most requests get, in the place of some of
their values, one that is right or nearly right. What is put where depends on the request alone, so a
run with the same seed is the same run.
"""

import random

import schemathesis

SHELTER = "urn:ngsi-ld:EvacuationShelter:musubi-01"
DOCK = "urn:ngsi-ld:BikeHireDockingStation:musubi-ekimae"

IDS = [SHELTER, DOCK, "urn:避難所:1", "urn:ngsi-ld:EvacuationShelter:musubi-02"]
NAMES = ["occupancy", "name", "location", "status", "capacity", "nearestShelter", "占有", "scope", "id", "type", "createdAt"]
POINTS = ["[136.967,37.043]", "[-180,90]", "[180,-90]", "[1e308,0]", "[[136,37],[137,37],[137,38],[136,37]]",
          "[[[136,37],[137,37],[137,38],[136,37]]]", "[]", "[[]]", "null", "[136.967,37.043,10,11]"]

POOL = {
    "id": IDS + [",".join(IDS), SHELTER + ",", ","],
    "type": ["EvacuationShelter", "BikeHireDockingStation", "*", "(EvacuationShelter;BikeHireDockingStation)", "避難所",
             "EvacuationShelter,BikeHireDockingStation", "(((", "EvacuationShelter|", "urn:x:y"],
    "idPattern": [".*", "^urn:", "(a+)+$", "[", "musubi-0[12]", "(?i)MUSUBI", "\\p{Han}", "a{1000}{1000}"],
    "q": ["occupancy", "!occupancy", "occupancy>100", "occupancy==1..200", "name~=^む", "(occupancy>1|capacity<2);status", "status==\"open\"",
          "name[ja]==\"北\"", "occupancy.observedAt>2026-01-01T00:00:00Z", "nearestShelter{EvacuationShelter:occupancy>1}",
          "occupancy==", ";", "((((occupancy", "a==1,2,3", "occupancy>\"", "name[*]~=.*", "location[type]==\"Point\"", "a~=(", "createdAt"],
    "georel": ["near;maxDistance==2000", "near;minDistance==0", "within", "intersects", "disjoint", "equals", "overlaps", "contains",
               "near;maxDistance==-1", "near;maxDistance==1e400", "near"],
    "geometry": ["Point", "Polygon", "LineString", "MultiPoint", "MultiPolygon", "MultiLineString", "Circle"],
    "coordinates": POINTS,
    "geoproperty": NAMES,
    "geometryProperty": NAMES,
    "scopeQ": ["/musubi/north", "/musubi/#", "/+/north", "/a,/b", "(/a;/b)", "/#", "musubi", "//", "/musubi/#/x"],
    "attrs": NAMES + ["occupancy,name", ",", "a b"],
    "pick": NAMES + ["id,type", "id,nearestShelter{name}", "nearestShelter{id,occupancy}", "a{b{c{d}}}", "{", "id|name", "id,id"],
    "omit": NAMES + ["nearestShelter{name}", "id,type,occupancy,name"],
    "keep": NAMES + ["occupancy,name"],
    "drop": NAMES + ["occupancy,name", "id"],
    "lang": ["ja", "en;q=0.5,ja", "*", "ja-Hira-JP", "ja;q=", "zz"],
    "orderBy": ["occupancy;desc", "name,occupancy;asc", "id", "createdAt;desc", "name;sideways", "location", "name[ja]", ","],
    "collation": ["ja", "und-u-ks-identic", "de-u-co-phonebk", "x", "ja-JP-u-ka-shifted"],
    "limit": ["0", "1", "2", "1000", "1001", "-1", "18446744073709551616"],
    "offset": ["0", "1", "18446744073709551615", "99999999"],
    "after": ["", "0", "1", "18446744073709551615", "-1", "x"],
    "count": ["true"],
    "join": ["inline", "flat", "@none"],
    "joinLevel": ["1", "2", "10", "11"],
    "containedBy": IDS + [",".join(IDS)],
    "datasetId": ["@none", "urn:ngsi-ld:Dataset:1", "@none,urn:x:1"],
    "expandValues": NAMES,
    "jsonKeys": NAMES,
    "core": ["1.9", "1.0", "1.10"],
    "observedAt": ["2026-01-10T09:30:00Z", "9999-12-31T23:59:59.999999Z", "0000-01-01T00:00:00Z"],
}

VALUES = [1, -0.0, 1e308, "open", "", "urn:ngsi-ld:null", True, ["a", 1, {"b": None}], {"type": "Point", "coordinates": [136.967, 37.043]},
          {"value": 1, "observedAt": "2026-01-10T09:30:00Z"}, {"object": DOCK}, {"languageMap": {"ja": "北", "en": "north"}}, None,
          {"type": "Property", "value": "x", "unitCode": "CEL", "of": {"type": "Property", "value": 2}}, {"json": {"@id": 1}},
          [{"value": 1, "datasetId": "urn:x:1"}, {"value": 2}], {"vocab": "open"}, {"valueList": [1, 2]}, {"objectList": [DOCK]},
          {"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [[[136, 37], [137, 37], [137, 38], [136, 37]]]}},
          {"value": 3, "expiresAt": "2020-01-01T00:00:00Z"}, {"type": "Relationship", "object": [SHELTER, DOCK]}]


def chooser(*seen):
    """Chooses by what is seen of the request."""
    return random.Random(repr(seen))


def nudge(context, body):
    """A body that is about something that is there, with a member that is worth a try."""
    choice = chooser(context.operation.path, body)
    if isinstance(body, list):
        return [nudge(context, item) for item in body]
    if not isinstance(body, dict) or choice.random() < 0.3 or "/entit" not in context.operation.path:
        return body
    body = dict(body)
    if choice.random() < 0.5:
        body["id"], body["type"] = choice.choice(IDS), choice.choice(["EvacuationShelter", "避難所", ["A", "B"]])
    if "/query" not in context.operation.path:
        for _ in range(choice.randrange(3)):
            body[choice.choice(NAMES[:7])] = choice.choice(VALUES)
    return body


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    choice = chooser(context.operation.path, path_parameters)
    if path_parameters and choice.random() < 0.7:
        path_parameters = dict(path_parameters)
        if "/entities/" in context.operation.path:
            path_parameters["id"] = choice.choice(IDS)
        if "attribute" in path_parameters:
            path_parameters["attribute"] = choice.choice(NAMES)
        if "type" in path_parameters:
            path_parameters["type"] = choice.choice(["EvacuationShelter", "BikeHireDockingStation", "避難所"])
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    choice = chooser(context.operation.path, query)
    if not query or choice.random() < 0.2:
        return query
    query = {name: value for name, value in query.items() if choice.random() < 0.6}
    for name in list(query):
        if name in POOL and choice.random() < 0.85:
            query[name] = choice.choice(POOL[name])
    if context.operation.path.endswith("/entities") and choice.random() < 0.7:
        query["type"] = choice.choice(POOL["type"][:4])
        if choice.random() < 0.2:
            query.update(georel=choice.choice(POOL["georel"]), geometry=choice.choice(POOL["geometry"]), coordinates=choice.choice(POINTS))
    return query


@schemathesis.hook
def map_headers(context, headers):
    choice = chooser(context.operation.path, headers)
    if not headers:
        return headers
    return {name: value for name, value in headers.items() if choice.random() < 0.25}


@schemathesis.hook
def map_body(context, body):
    return nudge(context, body)


@schemathesis.check
def a_problem_says_what_is_wrong(context, response, case):
    """Every error has a body that names the problem, but for those that come without one."""
    bare = case.method.upper() == "HEAD" or response.status_code in (411, 415)
    if response.status_code < 400 or bare:
        return
    problem = response.json()
    for member in ("type", "title", "detail"):
        assert problem.get(member), f"the problem has no {member}: {response.text}"
    assert problem["status"] == response.status_code, response.text
