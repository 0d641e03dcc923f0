//! Entity maps: made, used and shown. The clock of these tests goes on by a second whenever
//! somebody looks at it.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, CONTEXT, ENTITIES, JSON, LD_JSON, LINK, request};
use crate::temporal::{EVOLUTIONS, QUERY as TEMPORAL_QUERY};

const MAPS: &str = "/ngsi-ld/v1/entityMaps";
const TEMPORAL_MAPS: &str = "/ngsi-ld/v1/temporal/entityMaps";
const QUERY: &str = "/ngsi-ld/v1/entityOperations/query";
const EVER: &str = "timerel=after&timeAt=2000-01-01T00:00:00Z&timeproperty=createdAt";
const UNKNOWN: &str = "urn:ngsi-ld:EntityMap:b8f6a1e2-57c9-4d0f-9a52-0d6f3c1b7e44";

fn id(number: u32) -> String {
    format!("urn:ngsi-ld:Vehicle:{number}")
}

/// Vehicles 5 down to 1, in this order, with the speed of their number.
async fn town() -> Api {
    let api = Api::new();
    for number in (1..6).rev() {
        api.create(&json!({ "id": id(number), "type": "Vehicle", "speed": number })).await;
    }
    api
}

/// Where the map of an answer is.
#[track_caller]
fn place(answer: &Answer) -> String {
    let place = answer.header("ngsild-entitymap");
    assert!(place.starts_with("/ngsi-ld/v1/entityMaps/urn:ngsi-ld:EntityMap:"), "{place:?}");
    place.to_owned()
}

/// Where a new map of this query is.
async fn made(api: &Api, query: &str) -> String {
    let answer = api.get(&format!("{MAPS}?{query}")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    place(&answer)
}

/// The answer to a query that names a map.
async fn of(api: &Api, path: &str, map: &str) -> Answer {
    api.get_with(path, &[("NGSILD-EntityMap", map)]).await
}

/// The numbers of the vehicles in a list.
#[track_caller]
fn numbers(answer: &Answer) -> String {
    let listed = answer.value();
    let listed = listed.as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    listed.iter().map(|one| number(one["id"].as_str().unwrap())).collect()
}

/// The numbers of the vehicles in a map.
async fn listed(api: &Api, place: &str) -> String {
    let answer = api.get(place).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    mapped(&answer.value())
}

fn mapped(map: &Value) -> String {
    map["entityMap"].as_object().unwrap().keys().map(|id| number(id)).collect()
}

fn number(id: &str) -> &str {
    id.strip_prefix("urn:ngsi-ld:Vehicle:").unwrap()
}

#[tokio::test]
async fn a_map_lists_what_a_query_finds_in_its_order() {
    let api = town().await;
    let answer = api.get(&format!("{MAPS}?type=Vehicle&q=speed%3C5&limit=1")).await;
    assert_eq!(answer.status, 201);
    let place = place(&answer);
    let map = answer.value();
    let id = place.rsplit('/').next().unwrap();
    let members: Vec<&String> = map.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "type", "expiresAt", "entityMap", "linkedMaps"]);
    assert_eq!((&map["id"], &map["type"]), (&json!(id), &json!("EntityMap")));
    assert_eq!(map["linkedMaps"], json!({}));
    assert_eq!(map["entityMap"]["urn:ngsi-ld:Vehicle:4"], json!(["@none"]));
    assert_eq!(mapped(&map), "4321");
    assert_eq!(api.get(&place).await.value(), map);
    let ordered = api.get(&format!("{MAPS}?type=Vehicle&orderBy=speed")).await;
    assert_eq!(mapped(&ordered.value()), "12345");
    let none = api.get(&format!("{MAPS}?type=Bus")).await;
    assert_eq!((none.status, mapped(&none.value())), (201, String::new()));
}

#[tokio::test]
async fn a_map_is_shown_as_the_reader_likes() {
    let api = town().await;
    let place = made(&api, "type=Vehicle").await;
    let plain = api.get(&place).await;
    assert_eq!(plain.header("content-type"), JSON);
    assert!(plain.header("link").contains("json-ld#context"), "{}", plain.header("link"));
    let linked = api.get_with(&place, &[("accept", LD_JSON)]).await;
    assert_eq!(linked.header("content-type"), LD_JSON);
    assert_eq!(linked.header("link"), "");
    assert!(linked.value()["@context"].is_string(), "{}", linked.body);
    let geo = [("accept", "application/geo+json")];
    assert_eq!(api.get_with(&place, &geo).await.status, 406);
    assert_eq!(api.get_with(&format!("{MAPS}?type=Vehicle"), &geo).await.status, 406);
}

#[tokio::test]
async fn the_same_query_in_a_body_makes_the_same_map() {
    let api = town().await;
    let query = json!({
        "type": "Query",
        "entities": [{ "type": "Vehicle" }],
        "q": "speed>2",
        "entityMapLifetime": "PT10M",
    });
    let answer = api.post(MAPS, &query).await;
    assert_eq!((answer.status, mapped(&answer.value())), (201, "543".to_owned()));
    let page = of(&api, &format!("{ENTITIES}?type=Vehicle&q=speed%3E2"), &place(&answer)).await;
    assert_eq!((page.status, numbers(&page)), (200, "543".to_owned()));
    let query = json!({
        "type": "Query",
        "entities": [{ "type": "Vehicle" }],
        "temporalQ": { "timerel": "after", "timeAt": "2000-01-01T00:00:00Z", "timeproperty": "createdAt" },
    });
    let answer = api.post(TEMPORAL_MAPS, &query).await;
    assert_eq!((answer.status, mapped(&answer.value())), (201, "12345".to_owned()));
}

#[tokio::test]
async fn a_query_is_told_the_map_that_was_made_for_it() {
    let api = town().await;
    let path = format!("{ENTITIES}?type=Vehicle&entityMap=true&limit=2&count=true");
    let first = api.get(&path).await;
    assert_eq!((first.status, numbers(&first)), (201, "54".to_owned()));
    assert_eq!(first.header("ngsild-results-count"), "5");
    let place = place(&first);
    assert_eq!(listed(&api, &place).await, "54321");
    let again = of(&api, &path, &place).await;
    assert_eq!((again.status, numbers(&again)), (200, "54".to_owned()));
    assert_eq!(again.header("ngsild-entitymap"), place);
    let query = json!({ "type": "Query", "entities": [{ "type": "Vehicle" }], "entityMap": true });
    let posted = api.post(QUERY, &query).await;
    assert_eq!((posted.status, numbers(&posted)), (201, "54321".to_owned()));
    let headers = [("content-type", JSON), ("ngsild-entitymap", place.as_str())];
    let again = api.send(request(Method::POST, QUERY, &headers, query.to_string())).await;
    assert_eq!((again.status, again.header("ngsild-entitymap")), (200, place.as_str()));
    let altered = [("prefer", "ngsi-ld=1.3")];
    let answer = api.get_with(&format!("{ENTITIES}?type=Vehicle&entityMap=true"), &altered).await;
    assert!(answer.status == 201 || answer.status == 203, "{}", answer.status);
    assert!(!answer.header("ngsild-entitymap").is_empty());
    assert_eq!(api.get(&format!("{ENTITIES}?type=Vehicle")).await.header("ngsild-entitymap"), "");
}

#[tokio::test]
async fn a_map_that_is_not_there_is_made_anew() {
    let api = town().await;
    let path = format!("{ENTITIES}?type=Vehicle");
    let short = made(&api, "type=Vehicle&entityMapLifetime=PT1S").await;
    for gone in [UNKNOWN, "urn:a:1", "no map at all", &short, &format!("{MAPS}/{UNKNOWN}")] {
        let answer = of(&api, &path, gone).await;
        assert_eq!(answer.status, 201, "{gone}");
        let place = place(&answer);
        assert!(!place.contains(gone), "{place}");
        assert_eq!(listed(&api, &place).await, "54321");
    }
    let twice = [("ngsild-entitymap", UNKNOWN), ("ngsild-entitymap", UNKNOWN)];
    api.get_with(&path, &twice).await.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn pages_are_cut_from_what_a_map_lists_and_is_left() {
    let api = town().await;
    let map = made(&api, "type=Vehicle").await;
    api.create(&json!({ "id": id(6), "type": "Vehicle", "speed": 6 })).await;
    let page =
        |limit: u32, offset: u32| format!("{ENTITIES}?type=Vehicle&limit={limit}&offset={offset}");
    let first = of(&api, &page(2, 0), &map).await;
    assert_eq!(numbers(&first), "54");
    assert!(first.headers("link").iter().any(|link| link.contains("offset=2")), "{first:?}");
    assert!(!first.header("link").contains("urn:ngsi-ld:Vehicle"));
    let last = of(&api, &page(2, 4), &map).await;
    assert_eq!(numbers(&last), "1");
    assert!(!last.headers("link").iter().any(|link| link.contains("next")), "{last:?}");
    assert_eq!(api.delete(&format!("{ENTITIES}/{}", id(4))).await.status, 204);
    let filled = of(&api, &page(3, 0), &map).await;
    assert_eq!(numbers(&filled), "532");
    assert_eq!(listed(&api, &map).await, "5321", "what is gone has left");
    let counted = of(&api, &format!("{}&count=true", page(1, 0)), &map).await;
    assert_eq!(counted.header("ngsild-results-count"), "4");
    api.create(&json!({ "id": id(4), "type": "Vehicle", "speed": 4 })).await;
    assert_eq!(numbers(&of(&api, &page(9, 0), &map).await), "5321", "and does not come back");
    let cursor = of(&api, &format!("{ENTITIES}?type=Vehicle&limit=2&after="), &map).await;
    let next = cursor.headers("link").into_iter().find(|link| link.contains("next")).unwrap();
    let next = next.split(['<', '>']).nth(1).unwrap();
    assert_eq!(numbers(&cursor) + &numbers(&of(&api, next, &map).await), "5321");
}

#[tokio::test]
async fn what_satisfies_the_conditions_no_longer_leaves_the_map() {
    let api = town().await;
    let query = "type=Vehicle&q=speed%3E2";
    let map = made(&api, query).await;
    let attributes = format!("{ENTITIES}/{}/attrs", id(4));
    assert_eq!(api.patch(&attributes, &json!({ "speed": 1 })).await.status, 204);
    assert_eq!(listed(&api, &map).await, "543", "nobody has looked yet");
    let narrowed = format!("{ENTITIES}?{query}&id={}", id(5));
    assert_eq!(numbers(&of(&api, &narrowed, &map).await), "5");
    assert_eq!(listed(&api, &map).await, "543", "who asks for some says nothing of the others");
    assert_eq!(numbers(&of(&api, &format!("{ENTITIES}?{query}"), &map).await), "53");
    assert_eq!(listed(&api, &map).await, "53");
}

#[tokio::test]
async fn a_map_goes_with_its_conditions_and_its_context_alone() {
    let api = town().await;
    let map = made(&api, "type=Vehicle&q=speed%3E2").await;
    for same in [
        "type=Vehicle&q=speed%3E2&limit=1&offset=1&count=true",
        "type=Vehicle&q=speed%3E2&id=urn:ngsi-ld:Vehicle:3,urn:ngsi-ld:Vehicle:1",
        "q=speed%3E2&type=Vehicle&format=simplified&sysAttrs=true&pick=speed&local=true",
        "type=Vehicle&q=speed%3E2&orderBy=speed;desc",
        "type=https%3A%2F%2Furi.etsi.org%2Fngsi-ld%2Fdefault-context%2FVehicle&q=speed%3E2",
    ] {
        let answer = of(&api, &format!("{ENTITIES}?{same}"), &map).await;
        assert_eq!(answer.status, 200, "{same}: {}", answer.body);
    }
    for other in [
        "type=Vehicle",
        "type=Vehicle&q=speed%3E3",
        "type=Bus&q=speed%3E2",
        "q=speed%3E2",
        "type=Vehicle&q=speed%3E2&attrs=speed",
        "type=Vehicle&q=speed%3E2&idPattern=Vehicle",
        "type=Vehicle&q=speed%3E2&scopeQ=/a",
    ] {
        let answer = of(&api, &format!("{ENTITIES}?{other}"), &map).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains("NGSILD-EntityMap"), "{}", answer.body);
    }
    let headers = [("ngsild-entitymap", map.as_str()), ("link", LINK)];
    let same = format!("{ENTITIES}?type=Vehicle&q=speed%3E2");
    let answer = api.get_with(&same, &headers).await;
    answer.is_problem(400, "BadRequestData");
    assert!(answer.body.contains("@context"), "{}", answer.body);
    let one = format!("{ENTITIES}/{}", id(3));
    api.get_with(&one, &headers).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_map_of_another_context_is_used_in_that_context() {
    let api = town().await;
    let shelter = json!({ "id": "urn:a:1", "type": "https://example.jp/terms#Shelter" });
    api.create(&shelter).await;
    let made = api.get_with(&format!("{MAPS}?type=Shelter"), &[("link", LINK)]).await;
    assert_eq!(made.value()["entityMap"], json!({ "urn:a:1": ["@none"] }));
    let map = place(&made);
    let query = json!({
        "@context": CONTEXT,
        "type": "Query",
        "entities": [{ "type": "Shelter", "id": "urn:a:1" }],
    });
    let headers = [("content-type", LD_JSON), ("ngsild-entitymap", map.as_str())];
    let answer = api.send(request(Method::POST, QUERY, &headers, query.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.value().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_retrieval_is_of_a_map_that_lists_the_entity() {
    let api = town().await;
    let one = format!("{ENTITIES}/{}", id(3));
    let first = api.get(&format!("{one}?entityMap=true")).await;
    assert_eq!((first.status, &first.value()["id"]), (200, &json!(id(3))));
    let map = place(&first);
    assert_eq!(listed(&api, &map).await, "3");
    let again = of(&api, &one, &map).await;
    assert_eq!((again.status, again.header("ngsild-entitymap")), (200, map.as_str()));
    let unchanged = [("ngsild-entitymap", map.as_str()), ("if-none-match", first.header("etag"))];
    let unchanged = api.get_with(&one, &unchanged).await;
    assert_eq!((unchanged.status, unchanged.header("ngsild-entitymap")), (304, map.as_str()));
    let other = of(&api, &format!("{ENTITIES}/{}", id(2)), &map).await;
    other.is_problem(404, "ResourceNotFound");
    assert!(other.body.contains("entity map"), "{}", other.body);
    let anew = of(&api, &one, UNKNOWN).await;
    assert_eq!(anew.status, 200);
    assert_ne!(place(&anew), map);
    let missing = api.get(&format!("{ENTITIES}/urn:a:9?entityMap=true")).await;
    missing.is_problem(404, "ResourceNotFound");
    assert_eq!(missing.header("ngsild-entitymap"), "");
    assert_eq!(api.get(&one).await.header("ngsild-entitymap"), "");
}

#[tokio::test]
async fn queries_for_what_was_are_of_maps_too() {
    let api = town().await;
    let narrow = format!("{EVOLUTIONS}?type=Vehicle&id={}&{EVER}&entityMap=true", id(2));
    let first = api.get(&narrow).await;
    assert_eq!((first.status, numbers(&first)), (201, "2".to_owned()));
    let map = place(&first);
    let wide = format!("{EVOLUTIONS}?type=Vehicle&{EVER}");
    let again = of(&api, &wide, &map).await;
    assert_eq!((again.status, numbers(&again)), (200, "2".to_owned()));
    assert_eq!(again.header("ngsild-entitymap"), map);
    let anew = of(&api, &format!("{wide}&limit=2"), UNKNOWN).await;
    assert_eq!((anew.status, numbers(&anew)), (201, "12".to_owned()));
    let map = place(&anew);
    assert_eq!(listed(&api, &map).await, "12345");
    let backwards = of(&api, &format!("{wide}&orderBy=id;desc&limit=2&offset=1"), &map).await;
    assert_eq!(numbers(&backwards), "43");
    let other = of(&api, &format!("{EVOLUTIONS}?type=Bus&{EVER}"), &map).await;
    other.is_problem(400, "BadRequestData");
    let now = of(&api, &format!("{ENTITIES}?type=Vehicle"), &map).await;
    assert_eq!((now.status, numbers(&now)), (200, "54321".to_owned()), "in the order of what is");
    let body = json!({
        "type": "Query",
        "entities": [{ "type": "Vehicle" }],
        "temporalQ": { "timerel": "before", "timeAt": "2100-01-01T00:00:00Z", "timeproperty": "modifiedAt" },
    });
    let headers = [("content-type", JSON), ("ngsild-entitymap", map.as_str())];
    let posted = api.send(request(Method::POST, TEMPORAL_QUERY, &headers, body.to_string())).await;
    assert_eq!((posted.status, numbers(&posted)), (200, "12345".to_owned()));
}

#[tokio::test]
async fn what_has_no_past_any_more_leaves_the_map_and_another_time_takes_nothing_out() {
    let api = town().await;
    let made = api.get(&format!("{TEMPORAL_MAPS}?type=Vehicle&{EVER}")).await;
    let map = place(&made);
    let long_ago = "timerel=before&timeAt=2000-01-01T00:00:00Z&timeproperty=createdAt";
    let none = of(&api, &format!("{EVOLUTIONS}?type=Vehicle&{long_ago}"), &map).await;
    assert_eq!((none.status, numbers(&none)), (200, String::new()));
    assert_eq!(listed(&api, &map).await, "12345");
    for number in [2, 4] {
        assert_eq!(api.delete(&format!("{ENTITIES}/{}", id(number))).await.status, 204);
    }
    let now = of(&api, &format!("{ENTITIES}?type=Vehicle"), &map).await;
    assert_eq!(numbers(&now), "531");
    assert_eq!(listed(&api, &map).await, "12345", "what is does not judge what was");
    assert_eq!(api.delete(&format!("{EVOLUTIONS}/{}", id(2))).await.status, 204);
    let page = of(&api, &format!("{EVOLUTIONS}?type=Vehicle&{EVER}"), &map).await;
    assert_eq!(numbers(&page), "1345");
    assert_eq!(listed(&api, &map).await, "1345");
}

#[tokio::test]
async fn a_retrieval_of_what_was_is_of_a_map_that_lists_the_entity() {
    let api = town().await;
    let one = format!("{EVOLUTIONS}/{}?{EVER}", id(3));
    let first = api.get(&format!("{one}&entityMap=true")).await;
    assert_eq!(first.status, 200);
    let map = place(&first);
    assert_eq!(listed(&api, &map).await, "3");
    assert_eq!(of(&api, &one, &map).await.header("ngsild-entitymap"), map);
    let other = of(&api, &format!("{EVOLUTIONS}/{}?{EVER}", id(2)), &map).await;
    other.is_problem(404, "ResourceNotFound");
    assert_ne!(place(&of(&api, &one, UNKNOWN).await), map);
}

#[tokio::test]
async fn a_map_is_updated_and_deleted() {
    let api = town().await;
    let map = made(&api, "type=Vehicle").await;
    let expiry = async || api.get(&map).await.value()["expiresAt"].as_str().unwrap().to_owned();
    let before = expiry().await;
    let ignored = json!({
        "type": "EntityMap",
        "entityMap": { "urn:ngsi-ld:Vehicle:9": ["@none"] },
        "linkedMaps": { "urn:a:1": "urn:a:2" },
    });
    assert_eq!(api.patch(&map, &ignored).await.status, 204);
    assert_eq!((expiry().await, listed(&api, &map).await), (before.clone(), "54321".to_owned()));
    assert_eq!(api.patch(&map, &json!({ "expiresAt": "2099-01-01T00:00:00Z" })).await.status, 204);
    let after = expiry().await;
    assert!(before < after && *after < *"2023-11-16", "{after}");
    for (wrong, kind) in [
        (json!({ "expiresAt": "tomorrow" }), "BadRequestData"),
        (json!({ "expiresAt": 5 }), "BadRequestData"),
        (json!({ "expiresAt": null }), "BadRequestData"),
        (json!({ "type": "Entity" }), "BadRequestData"),
        (json!({ "id": UNKNOWN }), "BadRequestData"),
        (json!({ "id": 5 }), "BadRequestData"),
        (json!({ "speed": 5 }), "BadRequestData"),
        (json!([]), "InvalidRequest"),
    ] {
        api.patch(&map, &wrong).await.is_problem(400, kind);
    }
    let own = map.rsplit('/').next().unwrap();
    assert_eq!(api.patch(&map, &json!({ "id": own })).await.status, 204);
    let deleted = api.delete(&map).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    api.get(&map).await.is_problem(404, "ResourceNotFound");
    api.delete(&map).await.is_problem(404, "ResourceNotFound");
    api.patch(&map, &json!({})).await.is_problem(404, "ResourceNotFound");
    let ended = made(&api, "type=Vehicle").await;
    assert_eq!(
        api.patch(&ended, &json!({ "expiresAt": "2000-01-01T00:00:00Z" })).await.status,
        204
    );
    api.get(&ended).await.is_problem(404, "ResourceNotFound");
}

#[tokio::test]
async fn what_makes_no_map_is_refused() {
    let api = town().await;
    let wide = format!("{MAPS}?id={}", id(1));
    api.get(&wide).await.is_problem(400, "BadRequestData");
    api.get(&format!("{TEMPORAL_MAPS}?type=Vehicle")).await.is_problem(400, "BadRequestData");
    for lifetime in ["1hour", "", "-PT1H", "300"] {
        for path in [
            format!("{MAPS}?type=Vehicle"),
            format!("{TEMPORAL_MAPS}?type=Vehicle&{EVER}"),
            format!("{ENTITIES}?type=Vehicle&entityMap=true"),
            format!("{ENTITIES}/{}?entityMap=true", id(1)),
            format!("{EVOLUTIONS}/{}?entityMap=true", id(1)),
        ] {
            let separator = if path.contains('?') { '&' } else { '?' };
            let answer = api.get(&format!("{path}{separator}entityMapLifetime={lifetime}")).await;
            answer.is_problem(400, "BadRequestData");
            assert!(answer.body.contains("entityMapLifetime"), "{}", answer.body);
        }
    }
    for id in ["not%20a%20uri", "name"] {
        let path = format!("{MAPS}/{id}");
        api.get(&path).await.is_problem(400, "BadRequestData");
        api.delete(&path).await.is_problem(400, "BadRequestData");
        api.patch(&path, &json!({})).await.is_problem(400, "BadRequestData");
    }
    for id in ["urn:a:1", UNKNOWN] {
        let path = format!("{MAPS}/{id}");
        api.get(&path).await.is_problem(404, "ResourceNotFound");
        api.delete(&path).await.is_problem(404, "ResourceNotFound");
        api.patch(&path, &json!({})).await.is_problem(404, "ResourceNotFound");
    }
    let nobody = [("ngsild-tenant", "nobody")];
    let path = format!("{MAPS}?type=Vehicle");
    api.get_with(&path, &nobody).await.is_problem(404, "NonexistentTenant");
    let without = Api::without_history();
    without.create(&json!({ "id": id(1), "type": "Vehicle" })).await;
    let past = without.get(&format!("{TEMPORAL_MAPS}?type=Vehicle&{EVER}")).await;
    past.is_problem(422, "OperationNotSupported");
}

#[tokio::test]
async fn a_map_ends_when_it_was_told_to_at_the_latest_in_four_hours() {
    let api = town().await;
    let expiry = async |lifetime: &str| {
        let answer = api.get(&format!("{MAPS}?type=Vehicle{lifetime}")).await;
        let end: musubi_model::Timestamp =
            answer.value()["expiresAt"].as_str().unwrap().parse().unwrap();
        end.as_micros() / 1_000_000 - 1_700_000_000
    };
    let near = |seconds: i64, expected: i64| (expected..expected + 100).contains(&seconds);
    assert!(near(expiry("").await, 300));
    assert!(near(expiry("&entityMapLifetime=PT1H").await, 3_600));
    assert!(near(expiry("&entityMapLifetime=P3650D").await, 14_400));
    assert!(near(expiry("&entityMapLifetime=PT0S").await, 1));
}
