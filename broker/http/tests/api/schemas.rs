//! `/musubi/v1/schemas` and what it does to writes, over a real socket.

use musubi_http::{HttpOptions, router};
use serde_json::{Value, json};

use crate::socket::Server;
use crate::support::{Answer, Api, ENTITIES, JSON, LD_JSON, LINK, broker};

const SCHEMAS: &str = "/musubi/v1/schemas";
const SHELTER: &str = "https%3A%2F%2Fexample.jp%2Fterms%23Shelter";
const BATCH: &str = "/ngsi-ld/v1/entityOperations";
const OWN_TYPE: &str = "urn:musubi:ns:EvacuationShelter";

fn schema() -> Value {
    json!({
        "properties": {
            "type": { "const": "Shelter" },
            "capacity": { "type": "integer", "minimum": 0, "description": "People who can stay." },
            "name": { "type": "string", "maxLength": 10 }
        },
        "required": ["capacity"]
    })
}

fn shelter(id: &str, capacity: &Value) -> Value {
    json!({
        "id": id,
        "type": "Shelter",
        "capacity": { "type": "Property", "value": capacity },
        "name": { "type": "Property", "value": "山の上" }
    })
}

/// A broker whose shelters have a schema.
struct Town(Server);

impl Town {
    async fn with(mode: &str) -> Self {
        let town = Self(Server::with(&[]).await);
        let answer = town.register(mode, &schema()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        town
    }

    async fn register(&self, mode: &str, schema: &Value) -> Answer {
        let body = json!({ "mode": mode, "schema": schema });
        self.send("PUT", &format!("{SCHEMAS}/Shelter"), &body).await
    }

    /// Sends a body whose terms are those of the town's context.
    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", JSON), ("link", LINK)];
        self.0.ask(method, path, &headers, &body.to_string()).await
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.0.ask(method, path, &[("link", LINK)], "").await
    }

    async fn metric(&self, mode: &str) -> u64 {
        let metrics = self.0.get("/metrics").await.body;
        let name = format!("schema_violations_total{{mode=\"{mode}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

#[tokio::test]
async fn a_schema_is_registered_shown_replaced_and_deleted() {
    let town = Town::with("warn").await;
    let put = town.register("enforce", &json!({ "type": "object" })).await;
    assert_eq!((put.status, put.body.as_str()), (204, ""));
    let shown = town.ask("GET", &format!("{SCHEMAS}/Shelter")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let expected = json!({
        "type": "https://example.jp/terms#Shelter",
        "term": "Shelter",
        "mode": "enforce",
        "@context": [
            "http://contexts.example/town.jsonld",
            "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
        ],
        "schema": { "type": "object" }
    });
    assert_eq!(shown.value(), expected);
    let by_iri = town.0.get(&format!("{SCHEMAS}/{SHELTER}")).await;
    assert_eq!(by_iri.value(), expected);
    let all = town.0.get(SCHEMAS).await.value();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["mode"], "enforce");
    assert_eq!(all[0]["schema"], Value::Null);
    assert_eq!(town.ask("DELETE", &format!("{SCHEMAS}/Shelter")).await.status, 204);
    town.ask("GET", &format!("{SCHEMAS}/Shelter")).await.is_problem(404, "ResourceNotFound");
    town.ask("DELETE", &format!("{SCHEMAS}/Shelter")).await.is_problem(404, "ResourceNotFound");
    assert_eq!(town.0.get(SCHEMAS).await.value(), json!([]));
    let answer = town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-1))).await;
    assert_eq!((answer.status, answer.header("musubi-schema-warning")), (201, ""));
}

#[tokio::test]
async fn the_location_of_a_schema_leads_to_it() {
    let server = Server::with(&[]).await;
    let headers = [("content-type", LD_JSON)];
    let body = json!({ "schema": {}, "@context": "http://contexts.example/town.jsonld" });
    let put = server.ask("PUT", &format!("{SCHEMAS}/Shelter"), &headers, &body.to_string()).await;
    assert_eq!(put.status, 201, "{}", put.body);
    let shown = server.get(put.header("location")).await;
    assert_eq!(shown.value()["term"], "Shelter");
    assert_eq!(shown.value()["mode"], "warn", "that is the mode that nobody has to ask for");
}

#[tokio::test]
async fn an_enforced_schema_refuses_and_names_the_attribute_its_iri_and_what_was_expected() {
    let town = Town::with("enforce").await;
    let answer = town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-3))).await;
    answer.is_problem(400, "BadRequestData");
    let detail = answer.value()["detail"].as_str().unwrap().to_owned();
    assert_eq!(
        detail,
        "entity urn:s:1 does not follow the schema of Shelter: \
         capacity (https://example.jp/terms#capacity): -3 is less than the minimum of 0 \
         (People who can stay)"
    );
    assert_eq!(answer.header("musubi-schema-warning"), "");
    town.ask("GET", &format!("{ENTITIES}/urn:s:1")).await.is_problem(404, "ResourceNotFound");

    let mut two = shelter("urn:s:1", &json!("many"));
    two["name"]["value"] = json!("a name that is too long");
    let detail = town.send("POST", ENTITIES, &two).await.value()["detail"].to_string();
    assert!(detail.contains("capacity (") && detail.contains("name ("), "{detail}");

    let mut none = shelter("urn:s:1", &json!(1));
    none.as_object_mut().unwrap().remove("capacity");
    let detail = town.send("POST", ENTITIES, &none).await.value()["detail"].to_string();
    assert!(detail.contains("capacity (https://example.jp/terms#capacity)"), "{detail}");
    assert!(detail.contains("required"), "{detail}");

    assert_eq!(town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(20.0))).await.status, 201);
    assert_eq!(town.metric("enforce").await, 4);
    assert_eq!(town.metric("warn").await, 0);
}

#[tokio::test]
async fn many_violations_are_listed_in_part() {
    let town = Town::with("enforce").await;
    let names: Vec<String> = (0..15).map(|number| format!("a{number}")).collect();
    let properties: Value =
        names.iter().map(|name| (name.clone(), json!({ "type": "boolean" }))).collect();
    let schema = json!({ "properties": properties });
    assert_eq!(town.register("enforce", &schema).await.status, 204);
    let mut entity = json!({ "id": "urn:s:1", "type": "Shelter" });
    for name in &names {
        entity[name] = json!({ "type": "Property", "value": 1 });
    }
    let detail = town.send("POST", ENTITIES, &entity).await.value()["detail"].to_string();
    assert_eq!(detail.matches("boolean").count(), 10, "{detail}");
    assert!(detail.ends_with("and 5 more\""), "{detail}");
}

#[tokio::test]
async fn every_operation_that_brings_a_wrong_value_is_refused() {
    let town = Town::with("enforce").await;
    town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(5))).await;
    let one = format!("{ENTITIES}/urn:s:1");
    let bad = json!({ "capacity": { "type": "Property", "value": -1 } });
    for (method, path) in [
        ("POST", format!("{one}/attrs")),
        ("PATCH", format!("{one}/attrs")),
        ("PATCH", one.clone()),
    ] {
        let answer = town.send(method, &path, &bad).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains("capacity (https://"), "{method} {path}: {}", answer.body);
    }
    for method in ["PATCH", "PUT"] {
        let path = format!("{one}/attrs/capacity");
        let answer = town.send(method, &path, &bad["capacity"]).await;
        answer.is_problem(400, "BadRequestData");
    }
    let answer = town.send("PUT", &one, &shelter("urn:s:1", &json!(-1))).await;
    answer.is_problem(400, "BadRequestData");
    let kept = town.ask("GET", &one).await.value();
    assert_eq!(kept["capacity"]["value"], 5);
}

#[tokio::test]
async fn what_is_required_is_missed_by_what_brings_an_entity_as_a_whole_alone() {
    let town = Town::with("enforce").await;
    town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(5))).await;
    let one = format!("{ENTITIES}/urn:s:1");
    let name = json!({ "name": { "type": "Property", "value": "川の上" } });
    let whole = json!({ "id": "urn:s:1", "type": "Shelter", "name": name["name"] });
    town.send("PUT", &one, &whole).await.is_problem(400, "BadRequestData");
    let answer = town.send("POST", &format!("{BATCH}/upsert"), &json!([whole])).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let answer =
        town.send("POST", &format!("{BATCH}/upsert?options=update"), &json!([whole])).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(town.send("PATCH", &format!("{one}/attrs"), &name).await.status, 204);
    assert_eq!(town.send("PATCH", &one, &name).await.status, 204);
    assert_eq!(town.ask("DELETE", &format!("{one}/attrs/capacity")).await.status, 204);
    assert_eq!(town.send("POST", &format!("{one}/attrs"), &name).await.status, 204);
}

#[tokio::test]
async fn what_was_wrong_before_is_not_held_against_who_changes_something_else() {
    let town = Town::with("off").await;
    town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-5))).await;
    assert_eq!(town.register("enforce", &schema()).await.status, 204);
    let attributes = format!("{ENTITIES}/urn:s:1/attrs");
    let of = |name: &str, value: Value| json!({ name: { "type": "Property", "value": value } });
    let renamed = town.send("PATCH", &attributes, &of("name", json!("谷"))).await;
    assert_eq!(renamed.status, 204, "{}", renamed.body);
    let again = town.send("PATCH", &attributes, &of("capacity", json!(-6))).await;
    again.is_problem(400, "BadRequestData");
    assert_eq!(town.send("PATCH", &attributes, &of("capacity", json!(6))).await.status, 204);
}

#[tokio::test]
async fn in_a_batch_the_entity_that_is_wrong_is_an_error_and_the_others_are_written() {
    let town = Town::with("enforce").await;
    let bodies = json!([shelter("urn:s:1", &json!(1)), shelter("urn:s:2", &json!(-1))]);
    for operation in ["create", "upsert"] {
        let answer = town.send("POST", &format!("{BATCH}/{operation}"), &bodies).await;
        assert_eq!(answer.status, 207, "{}", answer.body);
        let result = answer.value();
        let wrong = result["errors"].as_array().unwrap();
        let wrong = wrong.iter().find(|error| error["entityId"] == "urn:s:2").unwrap();
        assert_eq!(wrong["error"]["status"], 400);
        let detail = wrong["error"]["detail"].as_str().unwrap();
        assert!(detail.contains("capacity (https://example.jp/terms#capacity)"), "{detail}");
    }
    let merge = json!([{ "id": "urn:s:1", "capacity": { "type": "Property", "value": 1.5 } }]);
    for operation in ["merge", "update"] {
        let answer = town.send("POST", &format!("{BATCH}/{operation}"), &merge).await;
        assert_eq!(answer.status, 207, "{operation}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_warning_lets_the_write_through_and_says_what_is_wrong_without_the_value() {
    let town = Town::with("warn").await;
    let answer = town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-31337))).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let warnings = answer.headers("musubi-schema-warning");
    assert_eq!(warnings, ["urn:s:1 capacity: the value is less than the minimum of 0"]);
    let good = town.send("POST", ENTITIES, &shelter("urn:s:2", &json!(3))).await;
    assert_eq!(good.headers("musubi-schema-warning"), Vec::<&str>::new());
    let read = town.ask("GET", &format!("{ENTITIES}/urn:s:1")).await;
    assert_eq!(read.headers("musubi-schema-warning"), Vec::<&str>::new());
    let batch: Vec<Value> =
        (10..30).map(|number| shelter(&format!("urn:s:{number}"), &json!("x"))).collect();
    let answer = town.send("POST", &format!("{BATCH}/create"), &json!(batch)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let warnings = answer.headers("musubi-schema-warning");
    assert_eq!(warnings.len(), 9);
    assert_eq!(warnings[8], "and 12 more");
    assert_eq!(town.metric("warn").await, 21);
    assert_eq!(town.metric("enforce").await, 0);
}

#[tokio::test]
async fn a_write_that_fails_for_another_reason_is_not_warned_of() {
    let town = Town::with("warn").await;
    town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(1))).await;
    let answer = town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-1))).await;
    answer.is_problem(409, "AlreadyExists");
    assert_eq!(answer.header("musubi-schema-warning"), "");
    assert_eq!(town.metric("warn").await, 0);
}

#[tokio::test]
async fn a_schema_that_is_off_does_nothing() {
    let town = Town::with("off").await;
    let answer = town.send("POST", ENTITIES, &shelter("urn:s:1", &json!(-3))).await;
    assert_eq!((answer.status, answer.header("musubi-schema-warning")), (201, ""));
    assert_eq!(town.ask("GET", &format!("{SCHEMAS}/Shelter")).await.value()["mode"], "off");
}

#[tokio::test]
async fn a_schema_is_of_one_tenant_and_of_one_type() {
    let town = Town::with("enforce").await;
    let headers = [("content-type", JSON), ("link", LINK), ("ngsild-tenant", "other")];
    let body = shelter("urn:s:1", &json!(-3)).to_string();
    assert_eq!(town.0.ask("POST", ENTITIES, &headers, &body).await.status, 201);
    let mut other = shelter("urn:s:2", &json!(-3));
    other["type"] = json!("Depot");
    assert_eq!(town.send("POST", ENTITIES, &other).await.status, 201);
    // A type that an entity has among others counts as well, and so does one that it is given.
    other["id"] = json!("urn:s:3");
    other["type"] = json!(["Depot", "Shelter"]);
    town.send("POST", ENTITIES, &other).await.is_problem(400, "BadRequestData");
    let merge = json!({ "type": "Shelter" });
    let answer = town.send("PATCH", &format!("{ENTITIES}/urn:s:2"), &merge).await;
    assert_eq!(answer.status, 204, "what it has it had before: {}", answer.body);
}

#[tokio::test]
async fn a_model_is_read_in_the_projects_own_context() {
    let server = Server::with(&[]).await;
    let body = json!({ "mode": "enforce", "model": "EvacuationShelter" }).to_string();
    let path = format!("{SCHEMAS}/EvacuationShelter");
    let put = server.ask("PUT", &path, &[("content-type", JSON)], &body).await;
    assert_eq!(put.status, 201, "{}", put.body);
    let shown = server.get(&path).await.value();
    assert_eq!(shown["type"], OWN_TYPE);
    assert_eq!(shown["model"], "EvacuationShelter");
    assert_eq!(shown["schema"]["title"], "EvacuationShelter");
    assert_eq!(shown["@context"], "/musubi/v1/contexts/musubi.jsonld");
    let entity = |occupancy: i64| {
        json!({
            "id": "urn:s:1", "type": OWN_TYPE,
            "urn:musubi:ns:occupancy": { "type": "Property", "value": occupancy },
            "status": { "type": "Property", "value": "open" }
        })
    };
    let refused = server.post(ENTITIES, &entity(-1)).await;
    refused.is_problem(400, "BadRequestData");
    assert!(refused.body.contains("occupancy (urn:musubi:ns:occupancy)"), "{}", refused.body);
    assert_eq!(server.post(ENTITIES, &entity(1)).await.status, 201);
    let unknown = json!({ "model": "Castle" }).to_string();
    let answer = server.ask("PUT", &path, &[("content-type", JSON)], &unknown).await;
    answer.is_problem(400, "BadRequestData");
    assert!(answer.body.contains("WeatherObserved"), "{}", answer.body);
    assert_eq!(server.ask("DELETE", &path, &[], "").await.status, 204);
}

#[tokio::test]
async fn a_body_that_registers_nothing_usable_is_refused_with_its_place() {
    let town = Town::with("warn").await;
    for (body, place) in [
        (json!({}), "missing"),
        (json!({ "mode": "strict", "schema": {} }), "/mode"),
        (json!({ "schema": {}, "model": "Event" }), "not both"),
        (json!({ "schema": {}, "version": 2 }), "/version"),
        (json!({ "schema": true }), "object"),
        (json!({ "model": 5 }), "/model"),
        (
            json!({ "schema": { "properties": { "a": { "minimum": "x" } } } }),
            "/properties/a/minimum",
        ),
        (json!({ "schema": { "$ref": "https://example.org/x" } }), "/$ref"),
        (json!({ "schema": { "$ref": "#" } }), "back to itself"),
    ] {
        let answer = town.send("PUT", &format!("{SCHEMAS}/Shelter"), &body).await;
        answer.is_problem(400, "BadRequestData");
        assert!(answer.body.contains(place), "{body}: {}", answer.body);
    }
    let shown = town.ask("GET", &format!("{SCHEMAS}/Shelter")).await.value();
    assert_eq!(shown["schema"], schema(), "what there was stays");
    let answer = town.send("PUT", &format!("{SCHEMAS}/a%20b"), &json!({ "schema": {} })).await;
    answer.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_tenant_has_no_more_than_a_hundred_schemas() {
    let api = Api::new();
    let body = json!({ "schema": {} });
    for number in 0..100 {
        let path = format!("{SCHEMAS}/T{number}");
        assert_eq!(api.json(http::Method::PUT, &path, &body).await.status, 201);
    }
    let more = api.json(http::Method::PUT, &format!("{SCHEMAS}/T100"), &body).await;
    more.is_problem(400, "BadRequestData");
    assert!(more.body.contains("100"), "{}", more.body);
    let old = api.json(http::Method::PUT, &format!("{SCHEMAS}/T99"), &body).await;
    assert_eq!(old.status, 204);
}

#[tokio::test]
async fn schemas_outlive_the_process() {
    let api = Api::new();
    let body = json!({ "mode": "enforce", "schema": schema() });
    let path = format!("{SCHEMAS}/Shelter");
    assert_eq!(api.json(http::Method::PUT, &path, &body).await.status, 201);
    let again = broker(api.store.clone(), None);
    again.load_schemas().await.unwrap();
    let again = Api { router: router(again, HttpOptions::default()), store: api.store };
    assert_eq!(again.get(&path).await.value()["schema"], schema());
    let mut wrong = shelter("urn:s:1", &json!(-1));
    again.post(ENTITIES, &wrong).await.is_problem(400, "BadRequestData");
    wrong["capacity"]["value"] = json!(1);
    assert_eq!(again.post(ENTITIES, &wrong).await.status, 201);
}

#[tokio::test]
async fn schemas_of_a_tenant_that_is_not_there_are_not_found() {
    let server = Server::with(&[]).await;
    let answer = server.get_with(SCHEMAS, &[("ngsild-tenant", "nobody")]).await;
    answer.is_problem(404, "NonexistentTenant");
}
