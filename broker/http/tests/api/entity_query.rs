//! Queries in a body, over a real socket.

use serde_json::{Value, json};

use crate::socket::Server;
use crate::support::{JSON, LD_JSON, LINK};

const QUERY: &str = "/ngsi-ld/v1/entityOperations/query";

/// Six sensors along a street, of which the last is a gate, and a town that all are in.
async fn server() -> Server {
    let mut entities: Vec<Value> = (0..6_u32)
        .map(|number| {
            json!({
                "id": format!("urn:ngsi-ld:Sensor:{number}"),
                "type": if number == 5 { "Gate" } else { "Sensor" },
                "scope": if number < 3 { "/Aichi" } else { "/Ishikawa" },
                "level": [
                    { "type": "Property", "value": number },
                    { "type": "Property", "value": 100, "datasetId": "urn:d:1" },
                ],
                "kind": { "type": "VocabProperty", "vocab": "deep" },
                "words": { "type": "LanguageProperty", "languageMap": { "en": "yes", "ja": "はい" } },
                "in": { "type": "Relationship", "object": "urn:ngsi-ld:Town:1" },
                "location": {
                    "type": "GeoProperty",
                    "value": { "type": "Point", "coordinates": [137.0 + f64::from(number) / 100.0, 35.0] },
                },
            })
        })
        .collect();
    entities.push(json!({
        "id": "urn:ngsi-ld:Town:1",
        "type": "Town",
        "title": { "type": "Property", "value": "Nanao" },
    }));
    Server::with(&entities).await
}

fn numbers(body: &Value) -> String {
    let number = |one: &Value| one["id"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    body.as_array().unwrap().iter().map(number).collect()
}

fn query(members: &Value) -> Value {
    let mut query = json!({ "type": "Query" });
    for (key, value) in members.as_object().unwrap() {
        query[key] = value.clone();
    }
    query
}

#[tokio::test]
async fn every_condition_narrows_the_answer() {
    let server = server().await;
    let all = json!([{ "type": "Sensor,Gate" }]);
    for (members, expected) in [
        (json!({ "entities": [{ "type": "Sensor" }] }), "01234"),
        (json!({ "entities": [{ "type": "Sensor", "id": "urn:ngsi-ld:Sensor:2" }] }), "2"),
        (
            json!({ "entities": [{ "type": "Sensor",
                "id": ["urn:ngsi-ld:Sensor:3", "urn:ngsi-ld:Sensor:1", "urn:ngsi-ld:Sensor:5"] }] }),
            "13",
        ),
        (json!({ "entities": [{ "type": "Sensor", "idPattern": "[34]$" }] }), "34"),
        (
            json!({ "entities": [{ "type": "Sensor", "id": "urn:ngsi-ld:Sensor:1", "idPattern": "2$" }] }),
            "1",
        ),
        (
            json!({ "entities": [{ "type": "Gate" },
                { "type": "Sensor", "idPattern": "0$" }] }),
            "05",
        ),
        (json!({ "entities": [{ "type": "*" }] }), "0123451"),
        (json!({ "entities": all, "q": "level==3|level==4" }), "34"),
        (json!({ "q": "level==3" }), "3"),
        (json!({ "attrs": ["title", "nothing"] }), "1"),
        (json!({ "entities": all, "scopeQ": "/Aichi" }), "012"),
        (json!({ "entities": all, "csf": "registrationName" }), "012345"),
        (
            json!({ "geoQ": { "georel": "near;maxDistance==1000", "geometry": "Point",
                "coordinates": [137.02, 35.0] } }),
            "123",
        ),
        (
            json!({ "geoQ": { "georel": "near;maxDistance==1000", "geometry": "Point",
                "coordinates": "[137.02,35.0]", "geoproperty": "location" } }),
            "123",
        ),
        (json!({ "entities": all, "q": "kind==deep" }), ""),
        (json!({ "entities": all, "q": "kind==deep", "expandValues": "kind" }), "012345"),
        (json!({ "entities": all, "q": "kind==deep", "jsonKeys": "kind" }), ""),
        (
            json!({ "entities": all, "q": "in{title}==\"Nanao\"", "join": "inline", "joinLevel": 1 }),
            "012345",
        ),
        (
            json!({ "entities": all, "ordering": { "orderBy": ["level;asc", "id;desc"] }, "q": "level<3" }),
            "012",
        ),
        (
            json!({ "entities": all, "ordering": { "orderBy": ["location;dist-desc"],
                "coordinates": [137.0, 35.0], "geometry": "Point" } }),
            "543210",
        ),
        (
            json!({ "entities": all, "ordering": { "orderBy": ["scope", "id;desc"], "collation": "ja" } }),
            "210543",
        ),
        (json!({ "entities": all, "splitEntities": true, "entityMap": false }), "012345"),
    ] {
        let answer = server.post(QUERY, &query(&members)).await;
        assert_eq!(answer.status, 200, "{members}: {}", answer.body);
        assert_eq!(numbers(&answer.value()), expected, "{members}");
    }
}

#[tokio::test]
async fn members_say_how_entities_look() {
    let server = server().await;
    let one = async |members: Value, parameters: &str| {
        let mut members = query(&members);
        members["entities"] = json!([{ "type": "Gate" }]);
        let answer = server.post(&format!("{QUERY}?{parameters}"), &members).await;
        assert_eq!(answer.status, 200, "{members}: {}", answer.body);
        answer.value()[0].clone()
    };
    let found =
        one(json!({ "pick": ["id", "level"], "datasetId": ["urn:d:1"] }), "options=keyValues")
            .await;
    assert_eq!(found, json!({ "id": "urn:ngsi-ld:Sensor:5", "level": 100 }));
    let found = one(
        json!({ "omit": ["type", "level", "in{title}"], "join": "inline" }),
        "format=simplified",
    )
    .await;
    assert!(found.get("type").is_none() && found.get("level").is_none());
    assert_eq!(found["in"], json!({ "id": "urn:ngsi-ld:Town:1", "type": "Town" }));
    let found = one(json!({ "attrs": ["words"], "lang": "ja" }), "sysAttrs=true").await;
    assert_eq!(found["words"]["value"], "はい");
    assert!(found.get("createdAt").is_some() && found.get("level").is_none());
    let members =
        json!({ "join": "inline", "joinLevel": 1, "containedBy": ["urn:ngsi-ld:Town:1"] });
    assert!(one(members, "").await["in"].get("entity").is_none());
}

#[tokio::test]
async fn the_media_type_and_the_context_are_chosen_as_elsewhere() {
    let server = server().await;
    let body = query(&json!({ "entities": [{ "type": "Gate" }] }));
    let headers = [("content-type", JSON), ("accept", "application/geo+json")];
    let path = format!("{QUERY}?geometryProperty=location");
    let features = server.ask("POST", &path, &headers, &body.to_string()).await.value();
    assert_eq!(features["features"][0]["geometry"]["coordinates"], json!([137.05, 35.0]));
    let mut with_property = body.clone();
    with_property["geometryProperty"] = json!("nowhere");
    let features = server.ask("POST", QUERY, &headers, &with_property.to_string()).await.value();
    assert_eq!(features["features"][0]["geometry"], Value::Null);
    // In another context, these are other types.
    let shelters = query(&json!({ "entities": [{ "type": "Shelter" }] })).to_string();
    let headers = [("content-type", JSON), ("link", LINK)];
    let answer = server.ask("POST", QUERY, &headers, &shelters).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[]"));
    assert!(answer.header("link").contains("town.jsonld"));
    let mut own = body.clone();
    own["@context"] = json!({ "Tor": "https://uri.etsi.org/ngsi-ld/default-context/Gate" });
    own["entities"] = json!([{ "type": "Tor" }]);
    let headers = [("content-type", LD_JSON), ("accept", LD_JSON)];
    let found = server.ask("POST", QUERY, &headers, &own.to_string()).await.value();
    assert_eq!(found[0]["type"], "Tor");
    let headers = [("content-type", JSON), ("accept", "text/html")];
    let answer = server.ask("POST", QUERY, &headers, &body.to_string()).await;
    answer.is_problem(406, "InvalidRequest");
}

#[tokio::test]
async fn pages_point_at_each_other() {
    let server = server().await;
    let body = query(&json!({ "entities": [{ "type": "Sensor" }], "q": "level" }));
    let mut path = format!("{QUERY}?limit=2&count=true&options=keyValues");
    let mut seen = String::new();
    for _ in 0..3 {
        let answer = server.post(&path, &body).await;
        assert_eq!(answer.header("ngsild-results-count"), "5");
        seen += &numbers(&answer.value());
        let links = answer.headers("link");
        let Some(next) = links.iter().find(|link| link.contains("rel=\"next\"")) else { break };
        path = next[1..next.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen, "01234");
    assert_eq!(path, format!("{QUERY}?count=true&limit=2&offset=4&options=keyValues"));
    let answer = server.post(&format!("{QUERY}?limit=0&count=true"), &body).await;
    assert_eq!((answer.body.as_str(), answer.header("ngsild-results-count")), ("[]", "5"));
}

/// Bodies that are no query, each with a word that names what is wrong.
type Refusals = Vec<(Value, &'static str)>;

fn with_mistakes_in_conditions() -> Refusals {
    let all = json!([{ "type": "Sensor" }]);
    vec![
        (json!({ "entities": all }), "type"),
        (json!({ "type": "NotQuery", "entities": all }), "type"),
        (query(&json!({})), "wide"),
        (query(&json!({ "scopeQ": "/Aichi" })), "wide"),
        (query(&json!({ "datasetId": ["urn:d:1"] })), "wide"),
        (query(&json!({ "entities": [] })), "entities"),
        (query(&json!({ "entities": {} })), "entities"),
        (query(&json!({ "entities": ["Sensor"] })), "entities/0"),
        (query(&json!({ "entities": [{ "id": "urn:a:1" }] })), "entities/0/type"),
        (query(&json!({ "entities": [{ "type": 5 }] })), "entities/0/type"),
        (query(&json!({ "entities": [{ "type": "(A" }] })), "entities/0/type"),
        (query(&json!({ "entities": [{ "type": "A", "id": "not a uri" }] })), "entities/0/id"),
        (query(&json!({ "entities": [{ "type": "A", "id": ["urn:a:1", 5] }] })), "entities/0/id/1"),
        (query(&json!({ "entities": [{ "type": "A", "id": [] }] })), "entities/0/id"),
        (
            query(&json!({ "entities": [{ "type": "A", "idPattern": "(" }] })),
            "entities/0/idPattern",
        ),
        (query(&json!({ "entities": [{ "type": "A", "name": "b" }] })), "entities/0/name"),
        (query(&json!({ "entities": vec![json!({ "type": "A" }); 101] })), "entities"),
        (query(&json!({ "entities": all, "attrs": [] })), "attrs"),
        (query(&json!({ "entities": all, "attrs": "level" })), "attrs"),
        (query(&json!({ "entities": all, "attrs": ["level", 5] })), "attrs/1"),
        (query(&json!({ "entities": all, "pick": [] })), "pick"),
        (query(&json!({ "entities": all, "omit": ["a{"] })), "omit"),
        (query(&json!({ "entities": all, "q": 42 })), "q"),
        (query(&json!({ "entities": all, "q": "level==" })), "q"),
        (query(&json!({ "entities": all, "q": "in{title}" })), "join"),
        (query(&json!({ "entities": all, "scopeQ": "//" })), "scopeQ"),
        (query(&json!({ "entities": all, "csf": "(" })), "csf"),
    ]
}

fn with_other_mistakes() -> Refusals {
    let all = json!([{ "type": "Sensor" }]);
    vec![
        (query(&json!({ "entities": all, "lang": ["en"] })), "lang"),
        (query(&json!({ "entities": all, "datasetId": ["nothing"] })), "datasetId"),
        (query(&json!({ "entities": all, "join": "inline", "joinLevel": 0 })), "joinLevel"),
        (query(&json!({ "entities": all, "join": "inline", "joinLevel": 1.5 })), "joinLevel"),
        (query(&json!({ "entities": all, "joinLevel": 1 })), "joinLevel"),
        (query(&json!({ "entities": all, "containedBy": ["urn:a:1"] })), "containedBy"),
        (query(&json!({ "entities": all, "geoQ": [] })), "geoQ"),
        (query(&json!({ "entities": all, "geoQ": { "georel": "near" } })), "geoQ/geometry"),
        (
            query(&json!({ "entities": all, "geoQ": { "georel": "beside", "geometry": "Point",
                "coordinates": [1, 2] } })),
            "georel",
        ),
        (
            query(&json!({ "entities": all, "geoQ": { "georel": "within", "geometry": "Point",
                "coordinates": 5 } })),
            "geoQ/coordinates",
        ),
        (query(&json!({ "entities": all, "ordering": {} })), "ordering/orderBy"),
        (query(&json!({ "entities": all, "ordering": { "orderBy": "id" } })), "ordering/orderBy"),
        (query(&json!({ "entities": all, "ordering": { "orderBy": ["id;up"] } })), "orderBy"),
        (
            query(
                &json!({ "entities": all, "ordering": { "orderBy": ["id"], "collation": "not a tag!!" } }),
            ),
            "collation",
        ),
        (
            query(&json!({ "entities": all, "ordering": { "orderBy": ["id"], "geometry": 5 } })),
            "ordering/geometry",
        ),
        (
            query(&json!({ "entities": all, "ordering": { "orderBy": ["location;dist-asc"],
                "coordinates": "8,40" } })),
            "ordering/coordinates",
        ),
        (
            query(&json!({ "entities": all, "ordering": { "orderBy": ["location;dist-asc"] } })),
            "orderFrom",
        ),
        (query(&json!({ "entities": all, "temporalQ": { "timerel": "after" } })), "temporalQ"),
        (query(&json!({ "entities": all, "aggrParams": {} })), "aggrParams"),
        (query(&json!({ "entities": all, "filter": "level" })), "filter"),
        (query(&json!({ "entities": all, "entityMapLifetime": "PT1H" })), "entityMapLifetime"),
        (query(&json!({ "entities": all, "splitEntities": "yes" })), "splitEntities"),
    ]
}

#[tokio::test]
async fn what_is_no_query_is_refused_by_the_name_of_its_member() {
    let server = server().await;
    for (body, word) in with_mistakes_in_conditions().into_iter().chain(with_other_mistakes()) {
        let answer = server.post(QUERY, &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        answer.is_problem(400, "BadRequestData");
        let detail = answer.value()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{body}: {detail}");
    }
}

#[tokio::test]
async fn what_contradicts_the_url_is_refused() {
    let server = server().await;
    let all = json!([{ "type": "Sensor" }]);
    let wide = query(&json!({ "entities": [{ "type": "*" }] }));
    server.post(&format!("{QUERY}?local=false"), &wide).await.is_problem(400, "BadRequestData");
    let narrow = query(&json!({ "entities": all }));
    server.post(&format!("{QUERY}?type=Gate"), &narrow).await.is_problem(400, "InvalidRequest");
    server.post(QUERY, &json!([narrow])).await.is_problem(400, "InvalidRequest");
    let twice = query(&json!({ "entities": all, "geometryProperty": "location" }));
    let path = format!("{QUERY}?geometryProperty=location");
    server.post(&path, &twice).await.is_problem(400, "BadRequestData");
    let cursor = query(&json!({ "entities": all, "ordering": { "orderBy": ["id"] } }));
    server.post(&format!("{QUERY}?after="), &cursor).await.is_problem(400, "BadRequestData");
}
