//! Queries for entities, and the list of types.

use serde_json::{Value, json};

use crate::support::{Api, ENTITIES, JSON, LD_JSON};

/// Ten sensors in a row along a street, two of which are gates.
async fn api() -> Api {
    let api = Api::new();
    for number in 0..10_u32 {
        let kind = if number % 5 == 0 { "Gate" } else { "Sensor" };
        api.create(&json!({
            "id": format!("urn:ngsi-ld:Sensor:{number}"),
            "type": kind,
            "scope": if number < 5 { "/Aichi/Nagoya" } else { "/Ishikawa/Nanao" },
            "level": { "type": "Property", "value": number },
            "location": {
                "type": "GeoProperty",
                "value": { "type": "Point", "coordinates": [137.0 + f64::from(number) / 100.0, 35.0] },
            },
        }))
        .await;
    }
    api
}

fn numbers(body: &Value) -> Vec<u32> {
    let number =
        |one: &Value| one["id"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    body.as_array().unwrap().iter().map(number).collect()
}

async fn check(query: &str, expected: &[u32]) {
    let answer = api().await.get(&format!("{ENTITIES}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    assert_eq!(numbers(&answer.value()), expected, "{query}");
}

#[tokio::test]
async fn every_condition_narrows_the_answer() {
    check("type=Gate", &[0, 5]).await;
    check("type=Gate|Sensor&limit=3", &[0, 1, 2]).await;
    check("type=Gate&id=urn:ngsi-ld:Sensor:5,urn:ngsi-ld:Sensor:6", &[5]).await;
    check("local=true&idPattern=Sensor:[12]$", &[1, 2]).await;
    check("q=level%3E7", &[8, 9]).await;
    check("q=level%3E7;level!=9", &[8]).await;
    check("attrs=level&limit=2", &[0, 1]).await;
    check("attrs=nothing", &[]).await;
    check("type=Gate&scopeQ=/Ishikawa/%23", &[5]).await;
    let near = "georel=near%3BmaxDistance%3D%3D1000&geometry=Point&coordinates=%5B137.02,35.0%5D";
    check(near, &[1, 2, 3]).await;
    let within = "georel=within&geometry=Polygon&coordinates=\
                  %5B%5B%5B136.995,34.9%5D,%5B137.015,34.9%5D,%5B137.015,35.1%5D,\
                  %5B136.995,35.1%5D,%5B136.995,34.9%5D%5D%5D";
    check(within, &[0, 1]).await;
    check("type=*&local=true&limit=1", &[0]).await;
    check("type=*&limit=1", &[0]).await;
}

#[tokio::test]
async fn a_query_that_says_nothing_is_too_wide() {
    let api = api().await;
    for query in [
        "",
        "?id=urn:ngsi-ld:Sensor:1",
        "?idPattern=.*",
        "?local=false",
        "?type=*&local=false",
        "?attrs=createdAt",
        "?q=modifiedAt%3E2020-01-01T00:00:00Z",
    ] {
        let answer = api.get(&format!("{ENTITIES}{query}")).await;
        answer.is_problem(400, "BadRequestData");
    }
}

#[tokio::test]
async fn pages_point_at_each_other() {
    let api = api().await;
    let answer = api.get(&format!("{ENTITIES}?type=Sensor,Gate&offset=4&limit=4&count=true")).await;
    assert_eq!(numbers(&answer.value()), [4, 5, 6, 7]);
    assert_eq!(answer.header("ngsild-results-count"), "10");
    let links = answer.headers("link");
    let next = "</ngsi-ld/v1/entities?count=true&limit=4&offset=8&type=Sensor%2CGate>; rel=\"next\"; \
                type=\"application/json\"";
    let prev = next.replace("offset=8", "offset=0").replace("next", "prev");
    assert_eq!(links[..2], [next, &prev]);
    let answer = api.get(&format!("{ENTITIES}?type=Sensor,Gate&offset=8&limit=4")).await;
    assert_eq!(numbers(&answer.value()), [8, 9]);
    assert!(!answer.headers("link").iter().any(|link| link.contains("rel=\"next\"")));
    assert_eq!(answer.header("ngsild-results-count"), "");
    let answer = api.get(&format!("{ENTITIES}?type=Gate&limit=0&options=count")).await;
    assert_eq!((answer.body.as_str(), answer.header("ngsild-results-count")), ("[]", "2"));
}

#[tokio::test]
async fn a_page_by_cursor_stays_where_it_is_while_others_write() {
    let api = api().await;
    let mut path = format!("{ENTITIES}?after=&limit=4&type=Sensor,Gate");
    let mut seen = Vec::new();
    loop {
        let answer = api.get(&path).await;
        let page = numbers(&answer.value());
        // With offsets, the deletion of what was seen would shift the next page.
        if let Some(first) = page.first() {
            let deleted = api.delete(&format!("{ENTITIES}/urn:ngsi-ld:Sensor:{first}")).await;
            assert_eq!(deleted.status, 204);
        }
        seen.extend(page);
        let links = answer.headers("link");
        let Some(next) = links.iter().find(|link| link.contains("rel=\"next\"")) else { break };
        assert!(next.contains("after="), "{next}");
        path = next[1..next.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen, (0..10).collect::<Vec<u32>>());
}

#[tokio::test]
async fn pages_have_bounds() {
    let api = api().await;
    let get = async |query: &str| api.get(&format!("{ENTITIES}?type=Sensor&{query}")).await;
    get("limit=1001").await.is_problem(403, "TooManyResults");
    get("limit=0").await.is_problem(400, "BadRequestData");
    get("limit=-1").await.is_problem(400, "BadRequestData");
    get("offset=1&after=").await.is_problem(400, "BadRequestData");
    get("after=abc").await.is_problem(400, "BadRequestData");
    assert_eq!(get("limit=1000").await.status, 200);
}

#[tokio::test]
async fn malformed_conditions_are_refused() {
    let api = api().await;
    for query in [
        "q=level%3D%3D",
        "q=(level",
        "type=(A",
        "id=nothing",
        "idPattern=(",
        "georel=near",
        "georel=near%3BmaxDistance%3D%3D1&geometry=Point&coordinates=x",
        "georel=beside&geometry=Point&coordinates=%5B1,2%5D",
        "scopeQ=//",
        "attrs=level,,a",
    ] {
        let answer = api.get(&format!("{ENTITIES}?local=true&{query}")).await;
        answer.is_problem(400, "BadRequestData");
    }
}

#[tokio::test]
async fn types_are_listed_with_their_attributes() {
    let api = api().await;
    let answer = api.get("/ngsi-ld/v1/types").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, JSON));
    let list = answer.value();
    assert_eq!(list["type"], "EntityTypeList");
    assert_eq!(list["typeList"], json!(["Gate", "Sensor"]));
    let ld_json = [("accept", LD_JSON)];
    let answer = api.get_with("/ngsi-ld/v1/types?details=true", &ld_json).await;
    let details = answer.value();
    assert_eq!(details[0]["typeName"], "Gate");
    assert_eq!(details[0]["attributeNames"], json!(["level", "location"]));
    assert!(details[0].get("@context").is_some());
}
