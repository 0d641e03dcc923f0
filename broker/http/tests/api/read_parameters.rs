//! Every parameter of retrieval and query, over a real socket: what it does, and what of it is
//! refused.

use serde_json::{Value, json};

use crate::socket::Server;
use crate::support::ENTITIES;

fn building(name: &str, extra: &Value) -> Value {
    let mut entity = json!({
        "id": format!("urn:ngsi-ld:Building:{name}"),
        "type": "Building",
        "scope": "/Nanao",
        "title": { "type": "Property", "value": name },
    });
    for (key, value) in extra.as_object().unwrap() {
        entity[key] = value.clone();
    }
    entity
}

fn point(longitude: f64) -> Value {
    json!({ "type": "GeoProperty", "value": { "type": "Point", "coordinates": [longitude, 37.0] } })
}

/// Three buildings, of which one stands in another, that in the third, and that in the first.
async fn server() -> Server {
    let of = |name: &str| json!({ "type": "Relationship", "object": format!("urn:ngsi-ld:Building:{name}") });
    let labels = json!([
        { "type": "LanguageProperty", "languageMap": { "ja": "市", "en": "city" } },
        { "type": "LanguageProperty", "languageMap": { "fr": "ville" }, "datasetId": "urn:d:fr" },
    ]);
    let levels = json!([
        { "type": "Property", "value": 1 },
        { "type": "Property", "value": 2, "datasetId": "urn:d:1" },
    ]);
    let kind = json!({ "type": "VocabProperty", "vocab": "shelter" });
    let raw = json!({ "type": "JsonProperty", "json": { "a": { "b": 5 } } });
    let places = json!([
        { "type": "GeoProperty", "value": { "type": "Point", "coordinates": [1.0, 1.0] } },
        { "type": "GeoProperty", "value": { "type": "Point", "coordinates": [2.0, 2.0] }, "datasetId": "urn:d:1" },
    ]);
    Server::with(&[
        building(
            "b",
            &json!({ "in": of("a"), "rank": { "type": "Property", "value": 2 }, "location": point(136.2),
                "label": labels, "level": levels, "kind": kind }),
        ),
        building(
            "a",
            &json!({ "in": of("c"), "rank": { "type": "Property", "value": 10 }, "location": point(136.1),
                "raw": raw, "entrance": places }),
        ),
        building("c", &json!({ "in": of("b"), "location": point(136.0) })),
    ])
    .await
}

fn names(body: &Value) -> String {
    let name = |one: &Value| one["id"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    body.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn an_order_is_followed() {
    let server = server().await;
    for (query, expected) in [
        ("", "bac"),
        ("orderBy=title", "abc"),
        ("orderBy=title;desc", "cba"),
        ("orderBy=id", "abc"),
        ("orderBy=rank", "bac"),
        ("orderBy=rank;desc", "abc"),
        ("orderBy=createdAt;desc", "cab"),
        ("orderBy=location;dist-asc&orderFrom=%5B136,37%5D", "cab"),
        ("orderBy=location;dist-desc&orderFrom=%5B136,37%5D&orderGeometry=Point", "bac"),
        ("orderBy=title&collation=ja", "abc"),
        ("orderBy=title&local=true&limit=1&offset=1", "b"),
    ] {
        let answer = server.get(&format!("{ENTITIES}?type=Building&{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        assert_eq!(names(&answer.value()), expected, "{query}");
    }
}

#[tokio::test]
async fn texts_are_in_the_order_of_their_collation() {
    let named = |name: &str, title: &str| {
        building(name, &json!({ "title": { "type": "Property", "value": title } }))
    };
    let server =
        Server::with(&[named("1", "カ"), named("2", "á"), named("3", "か"), named("4", "b")]).await;
    for (collation, expected) in
        [("", "4231"), ("&collation=und", "2431"), ("&collation=ja", "2413")]
    {
        let query = format!("{ENTITIES}?type=Building&orderBy=title{collation}");
        let answer = server.get(&query).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        assert_eq!(names(&answer.value()), expected, "{query}");
    }
}

#[tokio::test]
async fn conditions_look_into_values_and_linked_entities() {
    let server = server().await;
    for (query, expected) in [
        ("q=in%7Btitle%7D==%22a%22&join=inline", "b"),
        ("q=in%7Bin%7Btitle%7D%7D==%22c%22&join=inline&joinLevel=2", "b"),
        ("q=kind==shelter", ""),
        ("q=kind==shelter&expandValues=kind", "b"),
        ("q=raw%5Ba.b%5D==5&jsonKeys=raw", "a"),
        ("csf=registrationName==%22x%22", "bac"),
        ("splitEntities=true", "bac"),
        ("splitEntities=false&local=false", "bac"),
        ("entityMap=false", "bac"),
        ("geoproperty=location", "bac"),
        ("scopeQ=/Nanao", "bac"),
    ] {
        let answer = server.get(&format!("{ENTITIES}?type=Building&{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        assert_eq!(names(&answer.value()), expected, "{query}");
    }
}

#[tokio::test]
async fn instances_are_chosen_by_their_data_set() {
    let server = server().await;
    let get = async |query: &str| {
        let answer = server.get(&format!("{ENTITIES}/urn:ngsi-ld:Building:b?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        answer.value()
    };
    let one = get("datasetId=urn:d:1").await;
    assert_eq!(one["level"], json!({ "type": "Property", "value": 2, "datasetId": "urn:d:1" }));
    assert!(one.get("label").is_none() && one.get("title").is_none());
    let default = get("datasetId=@none&options=keyValues").await;
    assert_eq!(default["level"], 1);
    assert_eq!(default["title"], "b");
    let both = get("datasetId=@none,urn:d:1&format=simplified").await;
    assert_eq!(both["level"], json!({ "dataset": { "@none": 1, "urn:d:1": 2 } }));
    assert_eq!(both["label"], json!({ "languageMap": { "ja": "市", "en": "city" } }));
    let none = get("datasetId=urn:d:9").await;
    assert_eq!(none.as_object().unwrap().len(), 3, "{none}");
    // An entity whose attribute has no such instance is found by it all the same.
    let query = format!("{ENTITIES}?attrs=level&datasetId=urn:d:9");
    let answer = server.get(&query).await;
    assert_eq!(names(&answer.value()), "b");
    assert!(answer.value()[0].get("level").is_none());
    // A data set alone says nothing about the entity.
    let wide = server.get(&format!("{ENTITIES}?datasetId=urn:d:1")).await;
    wide.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_data_set_chooses_the_geometry() {
    let server = server().await;
    let get = async |query: &str| {
        let path = format!("{ENTITIES}/urn:ngsi-ld:Building:a?geometryProperty=entrance&{query}");
        let geo = [("accept", "application/geo+json")];
        server.get_with(&path, &geo).await.value()["geometry"]["coordinates"].clone()
    };
    assert_eq!(get("").await, json!([1.0, 1.0]));
    assert_eq!(get("datasetId=urn:d:1").await, json!([2.0, 2.0]));
    assert_eq!(get("datasetId=urn:d:9").await, Value::Null);
}

#[tokio::test]
async fn languages_and_data_sets_go_together() {
    let server = server().await;
    let get = async |query: &str| {
        let path = format!("{ENTITIES}/urn:ngsi-ld:Building:b?pick=label&{query}");
        server.get(&path).await.value()["label"].clone()
    };
    let simplified = json!({ "dataset": { "@none": "city", "urn:d:fr": "ville" } });
    assert_eq!(get("lang=en&options=keyValues").await, simplified);
    assert_eq!(get("lang=*&datasetId=urn:d:fr&options=keyValues").await, "ville");
    let concise = json!({ "value": "ville", "lang": "fr", "datasetId": "urn:d:fr" });
    assert_eq!(get("lang=ja&datasetId=urn:d:fr&format=concise").await, concise);
}

#[tokio::test]
async fn entities_that_were_asked_for_stand_inside_others_too() {
    let server = server().await;
    let query = format!("{ENTITIES}?type=Building&join=inline&options=keyValues&pick=id,in");
    let body = server.get(&query).await.value();
    assert_eq!(body[0]["in"]["id"], "urn:ngsi-ld:Building:a");
    assert_eq!(body[2]["in"]["id"], "urn:ngsi-ld:Building:b");
    // Beside the others, each stands once.
    let query = format!("{ENTITIES}?type=Building&join=flat&joinLevel=3&pick=id,in");
    assert_eq!(names(&server.get(&query).await.value()), "bac");
}

#[tokio::test]
async fn entities_that_the_reader_has_met_are_not_answered_again() {
    let server = server().await;
    let path = format!("{ENTITIES}/urn:ngsi-ld:Building:b?options=keyValues&joinLevel=2");
    let get = async |query: &str| server.get(&format!("{path}&{query}")).await.value();
    let inner = get("join=inline").await;
    assert_eq!(inner["in"]["in"]["id"], "urn:ngsi-ld:Building:c");
    let inner = get("join=inline&containedBy=urn:ngsi-ld:Building:c,urn:x:1").await;
    assert_eq!(inner["in"]["in"], "urn:ngsi-ld:Building:c");
    let flat = get("join=flat&containedBy=urn:ngsi-ld:Building:c").await;
    assert_eq!(names(&flat), "ba");
    let alone = get("join=flat&containedBy=urn:ngsi-ld:Building:a").await;
    assert!(alone.is_object(), "{alone}");
}

#[tokio::test]
async fn linked_features_are_a_collection() {
    let server = server().await;
    let path = format!("{ENTITIES}/urn:ngsi-ld:Building:b?join=flat&joinLevel=1");
    let answer = server.get_with(&path, &[("accept", "application/geo+json")]).await;
    let body = answer.value();
    assert_eq!(body["type"], "FeatureCollection");
    assert_eq!(names(&body["features"]), "ba");
    assert!(body.get("@context").is_some() && body["features"][0].get("@context").is_none());
}

#[tokio::test]
async fn a_head_is_answered_like_a_get_without_the_body() {
    let server = server().await;
    for path in [
        format!("{ENTITIES}/urn:ngsi-ld:Building:b"),
        format!("{ENTITIES}?type=Building&limit=1&count=true"),
    ] {
        let get = server.get(&path).await;
        let head = server.ask("HEAD", &path, &[], "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        for name in ["content-type", "content-length", "link", "ngsild-results-count"] {
            assert_eq!(head.headers(name), get.headers(name), "{path}");
        }
    }
}

/// Parameters, the type of the problem that answers them, and a word that names what is wrong.
type Refusal = (&'static str, &'static str, &'static str);

const REFUSED_EVERYWHERE: &[Refusal] = &[
    ("local=yes", "InvalidRequest", "local"),
    ("sysAttrs=1", "InvalidRequest", "sysAttrs"),
    ("options=everything", "InvalidRequest", "everything"),
    ("options=keyValues,,", "InvalidRequest", "option"),
    ("format=xml", "InvalidRequest", "xml"),
    ("lang=e%20n", "BadRequestData", "lang"),
    ("pick=a,,b", "BadRequestData", "pick"),
    ("omit=a%7B", "BadRequestData", "omit"),
    ("pick=a&omit=a", "BadRequestData", "omit"),
    ("pick=a&attrs=a", "BadRequestData", "attrs"),
    ("attrs=a:b:c%20d", "BadRequestData", "attrs"),
    ("pick=in%7Btitle%7D", "BadRequestData", "join"),
    ("pick=in%7Bin%7Btitle%7D%7D&join=flat&joinLevel=1", "BadRequestData", "joinLevel"),
    ("datasetId=", "BadRequestData", "datasetId"),
    ("datasetId=urn:d:1,nothing", "BadRequestData", "nothing"),
    ("join=sideways", "InvalidRequest", "sideways"),
    ("joinLevel=1", "BadRequestData", "joinLevel"),
    ("join=@none&joinLevel=1", "BadRequestData", "joinLevel"),
    ("join=flat&joinLevel=0", "BadRequestData", "joinLevel"),
    ("join=flat&joinLevel=x", "BadRequestData", "joinLevel"),
    ("containedBy=urn:a:1", "BadRequestData", "containedBy"),
    ("join=flat&containedBy=a", "BadRequestData", "containedBy"),
    ("geometryProperty=location", "BadRequestData", "geometryProperty"),
    ("entityMap=maybe", "InvalidRequest", "entityMap"),
    ("entityMapLifetime=PT1H", "BadRequestData", "entityMapLifetime"),
    ("type=(A", "BadRequestData", "type"),
    ("unheardOf=1", "InvalidRequest", "unheardOf"),
    ("lang=en&lang=fr", "InvalidRequest", "lang"),
];

const REFUSED_BY_QUERIES: &[Refusal] = &[
    ("id=nothing", "BadRequestData", "nothing"),
    ("idPattern=(", "BadRequestData", "idPattern"),
    ("q=a==", "BadRequestData", "q:"),
    ("q=in%7Btitle%7D==1", "BadRequestData", "join"),
    ("q=in%7Bin%7Btitle%7D%7D==1&join=flat", "BadRequestData", "joinLevel"),
    ("csf=))bad((", "BadRequestData", "csf"),
    ("scopeQ=//", "BadRequestData", "scopeQ"),
    ("georel=near%3BmaxDistance==1", "BadRequestData", "coordinates"),
    ("expandValues=a%20b:c", "BadRequestData", "expandValues"),
    ("jsonKeys=,", "BadRequestData", "jsonKeys"),
    ("q=a&expandValues=a&jsonKeys=a", "BadRequestData", "jsonKeys"),
    ("splitEntities=perhaps", "InvalidRequest", "splitEntities"),
    ("orderBy=", "BadRequestData", "orderBy"),
    ("orderBy=title;upwards", "BadRequestData", "orderBy"),
    ("orderBy=title&collation=!!nope", "BadRequestData", "collation"),
    ("collation=ja", "BadRequestData", "orderBy"),
    ("orderFrom=%5B1,2%5D", "BadRequestData", "orderBy"),
    ("orderBy=location;dist-asc", "BadRequestData", "orderFrom"),
    ("orderBy=location;dist-asc&orderFrom=here", "BadRequestData", "orderFrom"),
    ("orderBy=title&after=", "BadRequestData", "orderBy"),
    ("limit=0", "BadRequestData", "count"),
    ("limit=many", "BadRequestData", "limit"),
    ("offset=-1", "BadRequestData", "offset"),
    ("count=all", "InvalidRequest", "count"),
    ("offset=1&after=", "BadRequestData", "cursor"),
    ("after=there", "BadRequestData", "there"),
];

async fn is_refused(server: &Server, path: &str, (_, kind, word): Refusal) {
    let answer = server.get(path).await;
    assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    answer.is_problem(400, kind);
    let detail = answer.value()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(word), "{path}: {detail}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let server = server().await;
    for refusal in REFUSED_EVERYWHERE {
        let path = format!("{ENTITIES}/urn:ngsi-ld:Building:b?{}", refusal.0);
        is_refused(&server, &path, *refusal).await;
        let separator = if refusal.0.starts_with("type") { "?local=true" } else { "?type=T" };
        let path = format!("{ENTITIES}{separator}&{}", refusal.0);
        is_refused(&server, &path, *refusal).await;
    }
    for refusal in REFUSED_BY_QUERIES {
        is_refused(&server, &format!("{ENTITIES}?type=T&{}", refusal.0), *refusal).await;
    }
}
