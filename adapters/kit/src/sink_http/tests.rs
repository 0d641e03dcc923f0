//! The sink towards a broker that the test plays, and the files that it keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use musubi_model::{
    AttributeFragment, AttributeType, FragmentValue, InstanceFragment, Json, Patch, Timestamp,
    Value as Typed,
};
use parking_lot::Mutex;
use serde_json::json;
use smallvec::smallvec;
use tokio::task::JoinSet;

use super::*;
use crate::testing::ManualClock;
use crate::{DeadLetter, StateWrite};

/// What the broker was asked, in order.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    tenant: Option<String>,
    body: Value,
}

#[derive(Clone, Debug, Default)]
struct FakeBroker {
    asked: Arc<Mutex<Vec<Asked>>>,
    entities: Arc<Mutex<BTreeMap<String, Value>>>,
    /// Refused alone, in a 207.
    refused: Arc<Mutex<Vec<String>>>,
    /// Refused with the whole body, as a 400.
    spoils: Arc<Mutex<Vec<String>>>,
    away: Arc<Mutex<Option<StatusCode>>>,
}

impl FakeBroker {
    fn answer(
        &self,
        method: &Method,
        uri: &Uri,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> Response {
        if let Some(status) = *self.away.lock() {
            return status.into_response();
        }
        match (method.as_str(), uri.path()) {
            ("POST", "/ngsi-ld/v1/entityOperations/upsert") => self.upsert(body),
            ("GET", "/ngsi-ld/v1/entities") => self.query(query),
            ("DELETE", _) => StatusCode::NO_CONTENT.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn upsert(&self, body: &Value) -> Response {
        let ids = |list: &Value| -> Vec<String> {
            let items = list.as_array().unwrap().iter();
            items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        if ids(body).iter().any(|id| self.spoils.lock().contains(id)) {
            let problem = json!({ "type": "BadRequestData", "detail": "spoilt" });
            return (StatusCode::BAD_REQUEST, problem.to_string()).into_response();
        }
        let mut errors = Vec::new();
        for item in body.as_array().unwrap() {
            let id = item["id"].as_str().unwrap().to_owned();
            if self.refused.lock().contains(&id) {
                errors.push(json!({ "entityId": id, "error": { "status": 400, "detail": "no" } }));
            } else {
                self.entities.lock().insert(id, item.clone());
            }
        }
        if errors.is_empty() {
            return StatusCode::NO_CONTENT.into_response();
        }
        (StatusCode::MULTI_STATUS, json!({ "success": [], "errors": errors }).to_string())
            .into_response()
    }

    fn query(&self, query: &BTreeMap<String, String>) -> Response {
        let entities = self.entities.lock();
        let found: Vec<Value> = match (query.get("id"), query.get("idPattern")) {
            (Some(ids), _) => ids.split(',').filter_map(|id| entities.get(id).cloned()).collect(),
            (None, Some(pattern)) => {
                let pattern = regex::Regex::new(pattern).unwrap();
                let number = |name: &str| query[name].parse::<usize>().unwrap();
                let matching = entities.iter().filter(|(id, _)| pattern.is_match(id));
                let page = matching.skip(number("offset")).take(number("limit"));
                page.map(|(_, entity)| entity.clone()).collect()
            }
            (None, None) => return StatusCode::BAD_REQUEST.into_response(),
        };
        Value::Array(found).to_string().into_response()
    }
}

async fn serve(
    State(broker): State<FakeBroker>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&uri).unwrap();
    let tenant = headers.get("ngsild-tenant").map(|name| name.to_str().unwrap().to_owned());
    let asked = Asked { line: format!("{method} {uri}"), tenant, body: body.clone() };
    broker.asked.lock().push(asked);
    broker.answer(&method, &uri, &query, &body)
}

struct Fixture {
    broker: FakeBroker,
    sink: HttpSink,
    folder: tempfile::TempDir,
    base: Url,
    _tasks: JoinSet<()>,
}

impl Fixture {
    async fn new() -> Self {
        let broker = FakeBroker::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(serve).with_state(broker.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let sink = open(&base, folder.path()).unwrap();
        Self { broker, sink, folder, base, _tasks: tasks }
    }

    async fn write(
        &self,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Result<(), Rejection>>, SinkError> {
        self.sink.write(&Tenant::default(), "noise", deliveries).await
    }

    fn upserts(&self) -> Vec<Value> {
        let asked = self.broker.asked.lock();
        asked
            .iter()
            .filter(|one| one.line.starts_with("POST"))
            .map(|one| one.body.clone())
            .collect()
    }
}

fn open(base: &Url, folder: &Path) -> Result<HttpSink, SinkError> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
    HttpSink::open(Client::unguarded(), base.clone(), folder, clock)
}

fn attribute(term: &str, kind: AttributeType, value: &Value) -> AttributeFragment {
    let value = Typed { kind, json: Json::from(value) };
    AttributeFragment {
        name: format!("https://example.org/{term}").parse().unwrap(),
        instances: smallvec![InstanceFragment {
            value: Some(FragmentValue::Typed(value)),
            ..InstanceFragment::default()
        }],
    }
}

fn entity(number: usize, attributes: Vec<AttributeFragment>) -> EntityFragment {
    EntityFragment {
        id: Some(format!("urn:ngsi-ld:Noise:{number}").parse().unwrap()),
        types: vec!["https://example.org/Noise".parse().unwrap()],
        attributes,
        ..EntityFragment::default()
    }
}

fn delivery(number: usize) -> Delivery {
    let level = attribute("level", AttributeType::Property, &json!(number));
    Delivery { entities: vec![entity(number, vec![level])], ..Delivery::default() }
}

#[tokio::test]
async fn entities_go_out_normalized_with_expanded_names() {
    let fixture = Fixture::new().await;
    let mut level = attribute("level", AttributeType::Property, &json!(63));
    level.instances[0].observed_at = Patch::Set(Timestamp::from_seconds(1_700_000_000));
    level.instances[0].unit_code = Patch::Set("2N1".into());
    level.instances[0].attributes = vec![attribute("accuracy", AttributeType::Property, &json!(1))];
    let mut second = level.instances[0].clone();
    second.dataset_id = Some("urn:ds:1".parse().unwrap());
    level.instances.push(second);
    let neighbours = json!(["urn:a:1", "urn:a:2"]);
    let fragment = entity(
        1,
        vec![
            level,
            attribute("next", AttributeType::Relationship, &json!("urn:a:1")),
            attribute("all", AttributeType::ListRelationship, &neighbours),
        ],
    );
    let tenant: Tenant = "kyoto".parse().unwrap();
    let deliveries = vec![Delivery { entities: vec![fragment], ..Delivery::default() }];
    let results = fixture.sink.write(&tenant, "noise", deliveries).await.unwrap();
    assert_eq!(results, [Ok(())]);
    let asked = fixture.broker.asked.lock()[0].clone();
    assert_eq!(asked.line, "POST /ngsi-ld/v1/entityOperations/upsert?options=update");
    assert_eq!(asked.tenant.as_deref(), Some("kyoto"));
    let instance = json!({
        "type": "Property", "value": 63, "observedAt": "2023-11-14T22:13:20Z", "unitCode": "2N1",
        "https://example.org/accuracy": { "type": "Property", "value": 1 }
    });
    let mut of_dataset = instance.clone();
    of_dataset["datasetId"] = json!("urn:ds:1");
    let expected = json!([{
        "id": "urn:ngsi-ld:Noise:1", "type": "https://example.org/Noise",
        "https://example.org/level": [instance, of_dataset],
        "https://example.org/next": { "type": "Relationship", "object": "urn:a:1" },
        "https://example.org/all": { "type": "ListRelationship", "objectList":
            [{ "object": "urn:a:1" }, { "object": "urn:a:2" }] }
    }]);
    assert_eq!(asked.body, expected);
}

#[tokio::test]
async fn what_is_read_is_what_was_written() {
    let fixture = Fixture::new().await;
    let id: EntityId = "urn:ngsi-ld:Noise:7".parse().unwrap();
    fixture.broker.entities.lock().insert(id.to_string(), json!({
        "id": id.as_str(), "type": "https://example.org/Noise",
        "createdAt": "2024-01-01T00:00:00Z", "modifiedAt": "2024-01-02T00:00:00Z",
        "https://example.org/level": {
            "type": "Property", "value": { "createdAt": "kept" },
            "createdAt": "2024-01-01T00:00:00Z", "modifiedAt": "2024-01-03T00:00:00Z",
            "https://example.org/accuracy": {
                "type": "Property", "value": 1, "createdAt": "2024-01-01T00:00:00Z"
            }
        },
        "location": { "type": "GeoProperty", "value": { "type": "Point", "coordinates": [1, 2] } }
    }));
    let unknown: EntityId = "urn:ngsi-ld:Noise:8".parse().unwrap();
    let found = fixture.sink.read(&Tenant::default(), &[unknown, id]).await.unwrap();
    assert!(found[0].is_none());
    let entity = found[1].as_ref().unwrap();
    assert_eq!(entity.created_at.to_string(), "2024-01-01T00:00:00Z");
    let level = &entity.attributes[0].instances[0];
    assert_eq!(entity.attributes[0].name.as_str(), "https://example.org/level");
    assert_eq!(level.modified_at.to_string(), "2024-01-03T00:00:00Z");
    assert_eq!(level.value.json.to_value(), json!({ "createdAt": "kept" }));
    assert_eq!(level.attributes().len(), 1);
    assert_eq!(entity.attributes[1].name.as_str(), "https://uri.etsi.org/ngsi-ld/location");
}

#[tokio::test]
async fn a_refused_entity_refuses_its_delivery_and_no_other() {
    let fixture = Fixture::new().await;
    fixture.broker.refused.lock().push("urn:ngsi-ld:Noise:1".to_owned());
    let results = fixture.write(vec![delivery(0), delivery(1), delivery(2)]).await.unwrap();
    assert_eq!(results, [Ok(()), Err(Rejection { reason: "no".to_owned() }), Ok(())]);
    assert_eq!(fixture.upserts().len(), 1);

    fixture.broker.spoils.lock().push("urn:ngsi-ld:Noise:4".to_owned());
    let results = fixture.write(vec![delivery(3), delivery(4), delivery(5)]).await.unwrap();
    assert_eq!(results, [Ok(()), Err(Rejection { reason: "spoilt".to_owned() }), Ok(())]);
    assert_eq!(fixture.broker.entities.lock().len(), 4);
}

#[tokio::test]
async fn a_batch_is_bounded_and_holds_an_entity_once() {
    let fixture = Fixture::new().await;
    let many: Vec<Delivery> = (0..450).map(delivery).collect();
    assert_eq!(fixture.write(many).await.unwrap().len(), 450);
    let sizes = |upserts: &[Value]| -> Vec<usize> {
        upserts.iter().map(|body| body.as_array().unwrap().len()).collect()
    };
    assert_eq!(sizes(&fixture.upserts()), [200, 200, 50]);
    fixture.write(vec![delivery(1), delivery(2), delivery(1)]).await.unwrap();
    assert_eq!(sizes(&fixture.upserts())[3..], [2, 1]);
    let ids: Vec<EntityId> =
        (0..450).map(|number| format!("urn:ngsi-ld:Noise:{number}").parse().unwrap()).collect();
    let found = fixture.sink.read(&Tenant::default(), &ids).await.unwrap();
    assert!(found.iter().zip(&ids).all(|(entity, id)| entity.as_ref().unwrap().id == *id));
}

#[tokio::test]
async fn a_null_becomes_a_deletion() {
    let fixture = Fixture::new().await;
    let mut level = attribute("level", AttributeType::Property, &json!(1));
    level.instances[0].value = Some(FragmentValue::Null);
    level.instances[0].dataset_id = Some("urn:ds:1".parse().unwrap());
    let entities = vec![entity(1, vec![level])];
    fixture.write(vec![Delivery { entities, ..Delivery::default() }]).await.unwrap();
    let lines: Vec<String> =
        fixture.broker.asked.lock().iter().map(|asked| asked.line.clone()).collect();
    assert_eq!(
        lines[1],
        "DELETE /ngsi-ld/v1/entities/urn:ngsi-ld:Noise:1/attrs/\
         https:%2F%2Fexample.org%2Flevel?datasetId=urn%3Ads%3A1"
    );
}

#[tokio::test]
async fn a_broker_that_fails_is_an_error_and_nothing_is_remembered() {
    let fixture = Fixture::new().await;
    *fixture.broker.away.lock() = Some(StatusCode::SERVICE_UNAVAILABLE);
    let state = vec![StateWrite { key: "a".to_owned(), value: Some(Arc::from(&b"1"[..])) }];
    let error = fixture.write(vec![Delivery { state, ..delivery(1) }]).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    let state = fixture.sink.state(&Tenant::default(), "noise", "").await.unwrap();
    assert_eq!(state, []);
    let ids = ["urn:ngsi-ld:Noise:1".parse().unwrap()];
    assert!(fixture.sink.read(&Tenant::default(), &ids).await.is_err());
    // A broker that does not know the tenant yet has none of its entities.
    *fixture.broker.away.lock() = Some(StatusCode::NOT_FOUND);
    assert_eq!(fixture.sink.read(&Tenant::default(), &ids).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_list_goes_on_until_it_is_at_its_end() {
    let fixture = Fixture::new().await;
    for number in 0..1010 {
        let id = format!("urn:ngsi-ld:Noise:{number:04}");
        let entity = json!({ "id": id, "type": "https://example.org/Noise" });
        fixture.broker.entities.lock().insert(id, entity);
    }
    fixture.broker.entities.lock().insert("urn:x".to_owned(), json!({}));
    let list = async |offset: usize, limit: usize| {
        let tenant = Tenant::default();
        fixture.sink.list(&tenant, "urn:ngsi-ld:Noise:", offset, limit).await.unwrap()
    };
    assert_eq!(list(0, 5000).await.len(), 1010);
    let page = list(1005, 3).await;
    assert_eq!(page[0].id.as_str(), "urn:ngsi-ld:Noise:1005");
    assert_eq!(page.len(), 3);
}

fn remembering(key: &str, value: Option<&str>) -> Delivery {
    let value = value.map(|value| Arc::from(value.as_bytes()));
    let state = vec![StateWrite { key: key.to_owned(), value }];
    Delivery { state, ..Delivery::default() }
}

#[tokio::test]
async fn what_is_remembered_is_there_after_a_restart() {
    let fixture = Fixture::new().await;
    let deliveries = vec![
        remembering("a/1", Some("one")),
        remembering("a/2", Some("\u{0}\u{7f}二")),
        remembering("b", Some("x")),
        remembering("a/1", Some("two")),
        remembering("b", None),
    ];
    fixture.write(deliveries).await.unwrap();
    let Fixture { sink, folder, base, .. } = fixture;
    // While it is in use, nobody else gets it.
    let taken = open(&base, folder.path()).unwrap_err();
    assert!(taken.to_string().contains("another process"), "{taken}");
    drop(sink);
    // A crash in the middle of a line.
    let path = folder.path().join("state.jsonl");
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"tenant\":\"\",\"adapter\":\"noise\",\"key\":\"torn");
    std::fs::write(&path, text).unwrap();
    let sink = open(&base, folder.path()).unwrap();
    let tenant = Tenant::default();
    let all = sink.state(&tenant, "noise", "").await.unwrap();
    let two: Arc<[u8]> = Arc::from(&b"two"[..]);
    let odd: Arc<[u8]> = Arc::from("\u{0}\u{7f}二".as_bytes());
    assert_eq!(all, [("a/1".to_owned(), two), ("a/2".to_owned(), odd.clone())]);
    assert_eq!(sink.state(&tenant, "noise", "a/2").await.unwrap(), [("a/2".to_owned(), odd)]);
    assert_eq!(sink.state(&tenant, "other", "").await.unwrap(), []);
    let kyoto: Tenant = "kyoto".parse().unwrap();
    assert_eq!(sink.state(&kyoto, "noise", "").await.unwrap(), []);
    sink.write(&tenant, "noise", vec![remembering("c", Some("y"))]).await.unwrap();
    drop(sink);
    let sink = open(&base, folder.path()).unwrap();
    assert_eq!(sink.state(&tenant, "noise", "").await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_journal_does_not_grow_with_what_is_out_of_date() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("state.jsonl");
    for _ in 0..2 {
        let deliveries: Vec<Delivery> = (0..6000)
            .map(|number| remembering("counter", Some(&format!("{number:0100}"))))
            .collect();
        fixture.write(deliveries).await.unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() < 1000);
    fixture.write(vec![remembering("last", Some("z"))]).await.unwrap();
    let Fixture { sink, folder, base, .. } = fixture;
    drop(sink);
    let sink = open(&base, folder.path()).unwrap();
    assert_eq!(sink.state(&Tenant::default(), "noise", "").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_journal_is_refused_with_its_line() {
    let fixture = Fixture::new().await;
    let Fixture { sink, folder, base, .. } = fixture;
    drop(sink);
    std::fs::write(folder.path().join("state.jsonl"), "{}\n").unwrap();
    let error = open(&base, folder.path()).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[tokio::test]
async fn dead_letters_are_lines_of_a_file() {
    let fixture = Fixture::new().await;
    let letter = DeadLetter::new("noise", "topic", "not JSON", b"\xff", Timestamp::from_seconds(1));
    let dead_letters = vec![letter.clone()];
    fixture.write(vec![Delivery { dead_letters, ..Delivery::default() }]).await.unwrap();
    let text = std::fs::read_to_string(fixture.folder.path().join("dead-letters.jsonl")).unwrap();
    let kept: DeadLetter = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(kept, letter);
    assert!(fixture.upserts().is_empty());
}
