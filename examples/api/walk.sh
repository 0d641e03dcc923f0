#!/usr/bin/env bash
# A walk through the API with curl: shelters and bicycle stations of a small town.
#
#   bash walk.sh [http://127.0.0.1:1026]
#
# Every step says what it expects, and the walk ends with an error where the broker answers
# something else. All of it happens in a tenant of its own, which is emptied at the end, so it may
# be walked against a broker that is in use.
set -euo pipefail

BASE=${1:-${MUSUBI_URL:-http://127.0.0.1:1026}}
# A tenant keeps its entities apart from those of all others.
TENANT='NGSILD-Tenant: walk'
# The short names (EvacuationShelter, occupancy, ...) stand for URIs. This context says for which;
# the broker serves it itself. Without it, names are those of the core context.
LINK="Link: <$BASE/musubi/v1/contexts/musubi.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""

ANSWER=$(mktemp) HEADERS=$(mktemp)
trap 'rm -f "$ANSWER" "$HEADERS"' EXIT

# ask STATUS METHOD PATH [curl's own arguments]: sends a request and checks the status.
ask() {
    local expected=$1 method=$2 path=$3 status
    shift 3
    status=$(curl -sS -X "$method" "$BASE$path" -H "$TENANT" -H "$LINK" -D "$HEADERS" -o "$ANSWER" -w '%{http_code}' "$@")
    echo "$method $path -> $status"
    [[ $expected =~ $status ]] || { echo "expected $expected, and the answer was:"; cat "$ANSWER"; exit 1; } >&2
}

# has TEXT: the answer has to contain it.
has() { grep -qF -- "$1" "$ANSWER" || { echo "no $1 in:"; cat "$ANSWER"; exit 1; } >&2; }
# count TEXT: how often the answer contains it.
count() { { grep -oF -- "$1" "$ANSWER" || true; } | wc -l | tr -d ' '; }
equal() { [ "$1" = "$2" ] || { echo "expected $2, found $1"; cat "$ANSWER"; exit 1; } >&2; }

JSON='Content-Type: application/json'
ENTITIES=/ngsi-ld/v1/entities
SHELTER=urn:ngsi-ld:EvacuationShelter:musubi-01
SUBSCRIPTION=urn:ngsi-ld:Subscription:walk

echo '# 0. What an earlier walk may have left. A tenant that is not there yet is not found.'
ask '204 404' DELETE "$ENTITIES?type=EvacuationShelter,BikeHireDockingStation"
ask '204 404' DELETE "/ngsi-ld/v1/subscriptions/$SUBSCRIPTION"

echo '# 1. Create a shelter. "Concise" form: a value alone is a Property, a geometry alone a GeoProperty.'
ask 201 POST "$ENTITIES" -H "$JSON" -d '{
  "id": "urn:ngsi-ld:EvacuationShelter:musubi-01", "type": "EvacuationShelter", "scope": "/musubi/north",
  "name": {"languageMap": {"ja": "むすび町立北小学校", "en": "Musubi North Primary School"}},
  "location": {"type": "Point", "coordinates": [136.967, 37.043]},
  "status": "open", "capacity": 300, "occupancy": {"value": 120, "observedAt": "2026-01-10T09:30:00Z"}}'
grep -i '^location:' "$HEADERS" # where it is now

echo '# 2. Many at once: an upsert creates what is new and replaces what is there.'
ask 201 POST /ngsi-ld/v1/entityOperations/upsert -H "$JSON" -d '[
  {"id": "urn:ngsi-ld:EvacuationShelter:musubi-02", "type": "EvacuationShelter", "scope": "/musubi/south",
   "name": {"languageMap": {"ja": "むすび町民体育館", "en": "Musubi Gymnasium"}},
   "location": {"type": "Point", "coordinates": [136.951, 37.021]}, "status": "open", "capacity": 500, "occupancy": 40},
  {"id": "urn:ngsi-ld:EvacuationShelter:musubi-03", "type": "EvacuationShelter", "scope": "/musubi/north",
   "name": {"languageMap": {"ja": "北公民館", "en": "North Community Hall"}},
   "location": {"type": "Point", "coordinates": [136.969, 37.046]}, "status": "closed", "capacity": 80, "occupancy": 0},
  {"id": "urn:ngsi-ld:BikeHireDockingStation:musubi-ekimae", "type": "BikeHireDockingStation", "name": "むすび駅前",
   "location": {"type": "Point", "coordinates": [136.968, 37.041]}, "availableBikeNumber": 7},
  {"id": "urn:ngsi-ld:BikeHireDockingStation:musubi-minato", "type": "BikeHireDockingStation", "name": "むすび港",
   "location": {"type": "Point", "coordinates": [136.981, 37.055]}, "availableBikeNumber": 0}]'

echo '# 3. Read one: in full, and with nothing but values.'
ask 200 GET "$ENTITIES/$SHELTER"
has '"observedAt":"2026-01-10T09:30:00Z"'
ask 200 GET "$ENTITIES/$SHELTER?format=simplified&pick=occupancy"
equal "$(cat "$ANSWER")" '{"occupancy":120}'

echo '# 4. Ask for those that are open and more than a third full. -G puts the data into the URL, encoded.'
ask 200 GET "$ENTITIES" -G -d type=EvacuationShelter --data-urlencode 'q=status=="open";occupancy>=100'
equal "$(count '"id":')" 1

echo '# 5. Ask for what is within 1,500 m of the station, whatever its type. Longitude comes first.'
ask 200 GET "$ENTITIES" -G -d format=simplified --data-urlencode 'georel=near;maxDistance==1500' \
    -d geometry=Point --data-urlencode 'coordinates=[136.968,37.041]'
equal "$(count '"id":')" 3

echo '# 6. The same town as a layer for a map: any GIS reads it.'
ask 200 GET "$ENTITIES?type=EvacuationShelter&format=simplified&lang=ja" -H 'Accept: application/geo+json'
has '"type":"FeatureCollection"'
equal "$(count '"type":"Feature"')" 3

echo '# 7. Only the members that an app needs, the texts in the language of its user.'
ask 200 GET "$ENTITIES?type=EvacuationShelter&pick=id,name,capacity&lang=en&format=simplified&scopeQ=/musubi/north"
has 'Musubi North Primary School'
equal "$(count '"capacity":')" 2

echo '# 8. Tell a web hook when a shelter fills up. Nobody listens at port 9, so the broker keeps trying.'
ask 201 POST /ngsi-ld/v1/subscriptions -H "$JSON" -d "{
  \"id\": \"$SUBSCRIPTION\", \"type\": \"Subscription\", \"entities\": [{\"type\": \"EvacuationShelter\"}],
  \"watchedAttributes\": [\"occupancy\"], \"q\": \"occupancy>=200\",
  \"notification\": {\"format\": \"simplified\", \"endpoint\": {\"uri\": \"http://127.0.0.1:9/notify\"}}}"

echo '# 9. A new count. Whoever reads after the 204 sees it.'
ask 204 PATCH "$ENTITIES/$SHELTER/attrs" -H "$JSON" -d '{"occupancy": {"value": 210, "observedAt": "2026-01-10T10:00:00Z"}}'
ask 200 GET "$ENTITIES/$SHELTER?format=simplified"
has '"occupancy":210'
# The account of the subscription: due = delivered + pending + dead + suppressed.
for _ in $(seq 100); do
    ask 200 GET "/musubi/v1/subscriptions/$SUBSCRIPTION/ledger" >/dev/null
    grep -qF '"due":1' "$ANSWER" && break
    sleep 0.1
done
has '"due":1'

echo '# 10. Page by page. With after= the pages stay stable while others write; follow the next link.'
next="$ENTITIES?type=*&local=true&limit=2&after=" pages=0 found=0
while [ -n "$next" ]; do
    ask 200 GET "$next"
    pages=$((pages + 1)) found=$((found + $(count '"id":')))
    next=$(sed -n 's/^[Ll]ink: <\([^>]*\)>; rel="next".*/\1/p' "$HEADERS")
done
equal "$pages pages, $found entities" '3 pages, 5 entities'

echo '# 11. Errors say what is wrong and where.'
ask 400 GET "$ENTITIES?type=EvacuationShelter&colour=red"
has colour
ask 409 POST "$ENTITIES" -H "$JSON" -d "{\"id\": \"$SHELTER\", \"type\": \"EvacuationShelter\"}"
ask 404 GET "$ENTITIES/urn:ngsi-ld:EvacuationShelter:nowhere"
cat "$ANSWER" && echo

echo '# 12. Tidy up: delete the subscription, and all that a query finds.'
ask 204 DELETE "/ngsi-ld/v1/subscriptions/$SUBSCRIPTION"
ask 204 DELETE "$ENTITIES?type=EvacuationShelter,BikeHireDockingStation"
ask 200 GET "$ENTITIES?type=*&local=true"
equal "$(cat "$ANSWER")" '[]'
echo '# The walk is done.'
