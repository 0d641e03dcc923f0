//! How entities look.

use serde_json::{Value, json};

use crate::support::{Api, ENTITIES, LD_JSON, LINK};

const GEO_JSON: &str = "application/geo+json";

async fn api() -> Api {
    let api = Api::new();
    let city = |name: &str, next: &str| {
        json!({
            "id": format!("urn:ngsi-ld:City:{name}"),
            "type": "City",
            "label": { "type": "LanguageProperty", "languageMap": { "ja": "市", "en": "city" } },
            "sister": { "type": "Relationship", "object": format!("urn:ngsi-ld:City:{next}") },
            "location": {
                "type": "GeoProperty",
                "value": { "type": "Point", "coordinates": [137.0, 35.0] },
            },
            "people": [
                { "type": "Property", "value": 10 },
                { "type": "Property", "value": 11, "datasetId": "urn:d:1" },
            ],
        })
    };
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "nowhere")] {
        api.create(&city(name, next)).await;
    }
    api
}

async fn get(query: &str) -> Value {
    let answer = api().await.get(&format!("{ENTITIES}/urn:ngsi-ld:City:a{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.value()
}

#[tokio::test]
async fn simplified_and_concise_leave_out_what_can_be_inferred() {
    let simplified = json!({
        "id": "urn:ngsi-ld:City:a",
        "type": "City",
        "label": { "languageMap": { "ja": "市", "en": "city" } },
        "sister": "urn:ngsi-ld:City:b",
        "location": { "type": "Point", "coordinates": [137.0, 35.0] },
        "people": { "dataset": { "@none": 10, "urn:d:1": 11 } },
    });
    for query in [
        "options=keyValues",
        "options=simplified",
        "format=keyValues",
        "format=simplified&options=normalized",
    ] {
        assert_eq!(get(&format!("?{query}")).await, simplified, "{query}");
    }
    let concise = get("?format=concise").await;
    assert_eq!(concise["sister"], json!({ "object": "urn:ngsi-ld:City:b" }));
    let system = get("?options=keyValues,sysAttrs").await;
    assert!(system["createdAt"].is_string() && system["modifiedAt"].is_string());
}

#[tokio::test]
async fn attributes_are_projected() {
    assert_eq!(
        get("?attrs=sister&options=keyValues").await,
        json!({ "id": "urn:ngsi-ld:City:a", "type": "City", "sister": "urn:ngsi-ld:City:b" })
    );
    let picked = json!({ "id": "urn:ngsi-ld:City:a", "sister": "urn:ngsi-ld:City:b" });
    assert_eq!(get("?pick=id,sister&options=keyValues").await, picked);
    assert_eq!(get("?omit=type|label|location|people&options=keyValues").await, picked);
    let api = api().await;
    let path = format!("{ENTITIES}/urn:ngsi-ld:City:a");
    let check = async |query: &str| api.get(&format!("{path}?{query}")).await;
    check("pick=nothing").await.is_problem(404, "ResourceNotFound");
    check("attrs=nothing").await.is_problem(404, "ResourceNotFound");
    check("pick=id&omit=id").await.is_problem(400, "BadRequestData");
    check("pick=id&attrs=label").await.is_problem(400, "BadRequestData");
    check("pick=sister%7Bid%7D").await.is_problem(400, "BadRequestData");
    check("pick=id,,type").await.is_problem(400, "BadRequestData");
    check("options=nothing").await.is_problem(400, "InvalidRequest");
    check("format=nothing").await.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn a_language_is_chosen() {
    let label = get("?lang=en&attrs=label").await["label"].clone();
    assert_eq!(label, json!({ "type": "Property", "value": "city", "lang": "en" }));
    assert_eq!(get("?lang=ja&options=keyValues").await["label"], "市");
    let label = get("?lang=en&format=concise").await["label"].clone();
    assert_eq!(label, json!({ "value": "city", "lang": "en" }));
    // A page is treated the same.
    let answer = api().await.get(&format!("{ENTITIES}?type=City&lang=en&options=keyValues")).await;
    assert_eq!(answer.value()[3]["label"], "city");
}

#[tokio::test]
async fn linked_entities_stand_inside() {
    let city = get("?join=inline&pick=id,sister&joinLevel=2").await;
    let inner = &city["sister"]["entity"];
    assert_eq!(inner["id"], "urn:ngsi-ld:City:b");
    assert_eq!(inner["sister"]["entity"]["id"], "urn:ngsi-ld:City:c");
    assert!(inner["sister"]["entity"]["sister"].get("entity").is_none());
    // The circle is not gone round twice.
    let city = get("?join=inline&joinLevel=9&options=keyValues").await;
    assert_eq!(city["sister"]["sister"]["sister"], "urn:ngsi-ld:City:a");
    let api = api().await;
    let answer = api.get(&format!("{ENTITIES}/urn:ngsi-ld:City:d?join=inline")).await;
    assert!(answer.value()["sister"].get("entity").is_none());
    let city = get("?join=inline&pick=id,sister%7Bpeople%7D&options=keyValues").await;
    let expected = json!({ "people": { "dataset": { "@none": 10, "urn:d:1": 11 } } });
    assert_eq!(city["sister"], expected);
}

#[tokio::test]
async fn linked_entities_stand_beside() {
    let cities = get("?join=flat&joinLevel=5&options=keyValues").await;
    let ids: Vec<&str> =
        cities.as_array().unwrap().iter().map(|city| city["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["urn:ngsi-ld:City:a", "urn:ngsi-ld:City:b", "urn:ngsi-ld:City:c"]);
    let api = api().await;
    let answer = api.get(&format!("{ENTITIES}/urn:ngsi-ld:City:d?join=flat")).await;
    assert!(answer.value().is_object());
    let check =
        async |query: &str| api.get(&format!("{ENTITIES}/urn:ngsi-ld:City:a?{query}")).await;
    check("join=sideways").await.is_problem(400, "InvalidRequest");
    check("join=flat&joinLevel=11").await.is_problem(400, "BadRequestData");
    check("joinLevel=1").await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn entities_are_features() {
    let api = api().await;
    let geo = [("accept", GEO_JSON)];
    let path = format!("{ENTITIES}/urn:ngsi-ld:City:a");
    let answer = api.get_with(&format!("{path}?options=keyValues"), &geo).await;
    assert_eq!(answer.header("content-type"), GEO_JSON);
    let feature = answer.value();
    assert_eq!(feature["type"], "Feature");
    assert_eq!(feature["geometry"], json!({ "type": "Point", "coordinates": [137.0, 35.0] }));
    assert_eq!(feature["properties"]["type"], "City");
    assert!(feature["properties"].get("id").is_none() && feature.get("@context").is_some());
    let answer = api.get_with(&format!("{path}?geometryProperty=sister"), &geo).await;
    assert_eq!(answer.value()["geometry"], Value::Null);
    let prefer = [("accept", GEO_JSON), ("prefer", "body=json")];
    let answer = api.get_with(&path, &prefer).await;
    assert!(answer.value().get("@context").is_none() && !answer.header("link").is_empty());
    let answer = api.get_with(&format!("{ENTITIES}?type=City"), &geo).await;
    let collection = answer.value();
    assert_eq!(collection["type"], "FeatureCollection");
    assert_eq!(collection["features"].as_array().unwrap().len(), 4);
    assert!(collection["features"][0].get("@context").is_none());
    assert!(collection.get("@context").is_some());
    let answer = api.get(&format!("{path}?geometryProperty=location")).await;
    answer.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn every_entity_of_a_page_carries_its_context() {
    let api = api().await;
    let answer = api.get_with(&format!("{ENTITIES}?type=City"), &[("accept", LD_JSON)]).await;
    assert!(answer.value().as_array().unwrap().iter().all(|city| city.get("@context").is_some()));
    let query = format!("{ENTITIES}?type=City&omit=label");
    let answer = api.get_with(&query, &[("accept", LD_JSON)]).await;
    assert!(answer.value().as_array().unwrap().iter().all(|city| city.get("@context").is_some()));
    let answer = api.get_with(&query, &[("accept", "text/html")]).await;
    answer.is_problem(406, "InvalidRequest");
    assert!(answer.body.contains(LD_JSON), "{}", answer.body);
}

/// What was read of a request is kept for others, so it has to be that of their own headers.
#[tokio::test]
async fn a_request_is_answered_the_same_whatever_came_before() {
    let of = |path: &'static str, headers: &'static [(&'static str, &'static str)]| (path, headers);
    let pages = ["?type=City&limit=2", "?type=City&limit=2&offset=1", "?type=City&after=&limit=1"];
    let wrong = ["?type=City&limit=x", "?limit=2", "?type=City&nothing=1", "?type=City&type=City"];
    let others = ["/urn:ngsi-ld:City:a", "/urn:ngsi-ld:City:a?options=concise"];
    let patterns = ["?type=City&idPattern=%5Eurn", "?type=City&q=label~=cit.*"];
    let headers: [&[(&str, &str)]; 6] = [
        &[],
        &[("accept", LD_JSON)],
        &[("accept", GEO_JSON)],
        &[("accept", GEO_JSON), ("prefer", "body=json")],
        &[("link", LINK)],
        &[("accept", "text/html")],
    ];
    let paths = pages.into_iter().chain(wrong).chain(others).chain(patterns);
    let requests: Vec<_> =
        paths.flat_map(|path| headers.map(|headers| of(path, headers))).collect();
    let asked = async |api: &Api, (path, headers): (&str, &[(&str, &str)])| {
        let answer = api.get_with(&format!("{ENTITIES}{path}"), headers).await;
        // Where a page ends is sealed by each broker for itself.
        let links = answer.headers("link").into_iter();
        let links: Vec<String> =
            links.map(|link| link.split("after=").next().unwrap().to_owned()).collect();
        (answer.status, links, answer.header("content-type").to_owned(), answer.body)
    };
    let (once, twice) = (api().await, api().await);
    let mut alone = Vec::new();
    for request in &requests {
        let found = asked(&once, *request).await;
        assert_eq!(asked(&twice, *request).await, found, "{request:?}");
        alone.push(found);
    }
    for (request, found) in requests.iter().zip(&alone).rev() {
        let fresh = api().await;
        assert_eq!(asked(&fresh, *request).await, *found, "{request:?}");
        assert_eq!(asked(&twice, *request).await, *found, "{request:?}");
    }
}
