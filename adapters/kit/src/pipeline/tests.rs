//! From items to the sink.

use std::time::Duration;

use musubi_context::Context;
use musubi_model::{
    AttrName, AttributeFragment, AttributeType, FragmentValue, InstanceFragment, Json, Patch, Value,
};
use musubi_outbound::Client;
use serde_json::json;
use smallvec::smallvec;

use super::*;
use crate::testing::{ManualClock, MemorySink};
use crate::{AdapterMetrics, ModelCheck, ModelCheckSetting, ModelProblem};

struct Fixture {
    clock: Arc<ManualClock>,
    sink: Arc<MemorySink>,
    services: Services,
    tenant: Tenant,
}

impl Fixture {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(time(0)));
        let sink = Arc::new(MemorySink::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let services = Services {
            sink: Arc::clone(&sink) as Arc<dyn Sink>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            client: Client::unguarded(),
            context: Context::core(),
            models: None,
            metrics: AdapterMetrics::default(),
        };
        Self { clock, sink, services, tenant: Tenant::default() }
    }

    fn pipeline(&self, heartbeat: Option<Duration>, checking: ModelChecking) -> Pipeline {
        let filter = ChangeFilter::new(Vec::new(), heartbeat);
        Pipeline::new(&self.services, filter, checking, Counters::unregistered("test"))
    }

    fn plain(&self) -> Pipeline {
        self.pipeline(None, ModelChecking::default())
    }

    fn bikes(&self, dock: &str) -> serde_json::Value {
        let entity = self.sink.entity(&self.tenant, &id(dock)).unwrap();
        entity.attributes[0].instances[0].value.json.to_value()
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

fn id(dock: &str) -> EntityId {
    format!("urn:ngsi-ld:Dock:{dock}").parse().unwrap()
}

fn fragment(dock: &str, bikes: i64, observed: i64) -> EntityFragment {
    let name: AttrName = "https://example.org/bikes".parse().unwrap();
    let value = Value { kind: AttributeType::Property, json: Json::from(&json!(bikes)) };
    EntityFragment {
        id: Some(id(dock)),
        types: vec!["https://example.org/Dock".parse().unwrap()],
        attributes: vec![AttributeFragment {
            name,
            instances: smallvec![InstanceFragment {
                value: Some(FragmentValue::Typed(value)),
                observed_at: Patch::Set(time(observed)),
                ..InstanceFragment::default()
            }],
        }],
        ..EntityFragment::default()
    }
}

fn item(dock: &str, bikes: i64, observed: i64) -> Item {
    Item {
        entities: vec![fragment(dock, bikes, observed)],
        origin: format!("dock {dock}"),
        payload: Bytes::from(format!("{{\"bikes\":{bikes}}}")),
        arrival: time(observed),
        ..Item::default()
    }
}

#[tokio::test]
async fn the_same_items_again_write_nothing() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    let items = vec![item("1", 3, 0), item("2", 4, 0)];
    let first = pipeline.run(&fixture.tenant, items.clone()).await.unwrap();
    assert_eq!(first, [Settled::Written, Settled::Written]);
    assert_eq!((fixture.sink.write_calls(), fixture.sink.read_calls()), (1, 1));
    let second = pipeline.run(&fixture.tenant, items).await.unwrap();
    assert_eq!(second, [Settled::Unchanged, Settled::Unchanged]);
    assert_eq!((fixture.sink.write_calls(), fixture.sink.written_entities()), (1, 2));
    assert_eq!(pipeline.counters().status()["unchanged"], 2);
    fixture.clock.advance(7);
    pipeline.run(&fixture.tenant, vec![item("1", 3, 2)]).await.unwrap();
    assert_eq!(pipeline.counters().status()["lagSeconds"], json!(5.0));
}

#[tokio::test]
async fn items_of_one_entity_in_one_batch_are_compared_with_each_other() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.unwrap();
    // Back to what the broker had before the batch: still a change.
    let items = vec![item("1", 2, 1), item("1", 1, 2), item("1", 1, 3), item("1", 7, 2)];
    let settled = pipeline.run(&fixture.tenant, items).await.unwrap();
    let [written, unchanged] = [Settled::Written, Settled::Unchanged];
    assert_eq!(settled, [written.clone(), written.clone(), unchanged, written]);
    assert_eq!(fixture.bikes("1"), json!(7));
}

#[tokio::test]
async fn what_is_late_is_not_written_and_is_counted() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    let items = vec![item("1", 5, 10), item("1", 4, 9)];
    let settled = pipeline.run(&fixture.tenant, items).await.unwrap();
    assert_eq!(settled, [Settled::Written, Settled::Unchanged]);
    assert_eq!(fixture.bikes("1"), json!(5));
    assert_eq!(pipeline.counters().status()["skipped"], json!({ "late": 1 }));
}

#[tokio::test]
async fn what_the_broker_refuses_is_a_dead_letter_and_the_rest_is_written() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    fixture.sink.refuse(&id("2"));
    let items = vec![item("1", 1, 0), item("2", 2, 0), item("3", 3, 0)];
    let settled = pipeline.run(&fixture.tenant, items.clone()).await.unwrap();
    assert_eq!(settled[0], Settled::Written);
    assert!(matches!(&settled[1], Settled::Dead(reason) if reason.contains("Dock:2")));
    assert_eq!(settled[2], Settled::Written);
    let letters = fixture.sink.dead_letters(&fixture.tenant);
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].origin.as_str(), &*letters[0].payload),
        ("dock 2", &b"{\"bikes\":2}"[..])
    );
    // The same input again is the same dead letter.
    pipeline.run(&fixture.tenant, items).await.unwrap();
    assert_eq!(fixture.sink.dead_letters(&fixture.tenant).len(), 1);
}

#[tokio::test]
async fn items_behind_a_refused_one_of_the_same_entity_are_looked_at_again() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.unwrap();
    fixture.sink.refuse(&id("2"));
    // The first is refused as a whole because of dock 2. Then dock 1 still has 1 bike, and the
    // second item, which looked unchanged behind the first, has to be written.
    let mut both = item("1", 5, 1);
    both.entities.push(fragment("2", 1, 1));
    let settled = pipeline.run(&fixture.tenant, vec![both, item("1", 5, 2)]).await.unwrap();
    assert!(matches!(settled[0], Settled::Dead(_)), "{settled:?}");
    assert_eq!(settled[1], Settled::Written);
    assert_eq!(fixture.bikes("1"), json!(5));
}

#[tokio::test]
async fn state_and_dead_letters_are_written_even_if_no_entity_changes() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    let state = vec![StateWrite { key: "seen".to_owned(), value: Some(Arc::from(&b"1"[..])) }];
    let remembering = Item { state, ..item("1", 1, 0) };
    pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.unwrap();
    let letter = DeadLetter::new("test", "topic", "not JSON", b"\xff", time(0));
    let lost = Item { dead_letters: vec![letter], ..Item::default() };
    let settled = pipeline.run(&fixture.tenant, vec![remembering, lost]).await.unwrap();
    assert_eq!(settled, [Settled::Written, Settled::Dead("not JSON".to_owned())]);
    let state = fixture.sink.state(&fixture.tenant, "test", "se").await.unwrap();
    assert_eq!(state, [("seen".to_owned(), Arc::from(&b"1"[..]))]);
    assert_eq!(fixture.sink.dead_letters(&fixture.tenant).len(), 1);
    assert_eq!(pipeline.counters().status()["dead"], 1);
}

#[tokio::test]
async fn a_broker_that_is_away_is_an_error_and_the_items_can_be_given_again() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    fixture.sink.fail_next(1);
    assert!(pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.is_err());
    let settled = pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.unwrap();
    assert_eq!(settled, [Settled::Written]);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    let other: Tenant = "kyoto".parse().unwrap();
    pipeline.run(&fixture.tenant, vec![item("1", 1, 0)]).await.unwrap();
    let settled = pipeline.run(&other, vec![item("1", 1, 0)]).await.unwrap();
    assert_eq!(settled, [Settled::Written]);
    assert_eq!(fixture.sink.entities(&fixture.tenant).len(), 1);
    assert_eq!(fixture.sink.entities(&other).len(), 1);
}

#[derive(Debug)]
struct AtMostTen;

impl ModelCheck for AtMostTen {
    fn check(&self, schema: &str, entity: &EntityFragment) -> Vec<ModelProblem> {
        assert_eq!(schema, "Dock");
        let Some(FragmentValue::Typed(value)) = &entity.attributes[0].instances[0].value else {
            return Vec::new();
        };
        let many = value.json.as_f64().unwrap() > 10.0;
        let reason = "more than ten".to_owned();
        many.then(|| ModelProblem { attribute: "bikes".to_owned(), reason }).into_iter().collect()
    }
}

#[tokio::test]
async fn a_model_check_warns_or_refuses() {
    let fixture = Fixture::new();
    let checking = |mode: ModelCheckMode| {
        let setting = ModelCheckSetting { schema: None, mode };
        ModelChecking::new(Some(&setting), Some(Arc::new(AtMostTen)))
    };
    let run = async |mode: ModelCheckMode, dock: &str| {
        let pipeline = fixture.pipeline(None, checking(mode));
        let settled = pipeline.run(&fixture.tenant, vec![item(dock, 11, 0)]).await.unwrap();
        (settled[0].clone(), pipeline.counters().status()["skipped"].clone())
    };
    assert_eq!(run(ModelCheckMode::Off, "1").await, (Settled::Written, json!({})));
    assert_eq!(run(ModelCheckMode::Warn, "2").await, (Settled::Written, json!({ "model": 1 })));
    let (settled, _) = run(ModelCheckMode::Enforce, "3").await;
    assert!(matches!(settled, Settled::Dead(reason) if reason.contains("more than ten")));
    assert_eq!(fixture.sink.dead_letters(&fixture.tenant).len(), 1);
    assert!(fixture.sink.entity(&fixture.tenant, &id("3")).is_none());
}

#[tokio::test]
async fn a_preview_shows_what_would_happen_and_writes_nothing() {
    let fixture = Fixture::new();
    let pipeline = fixture.plain();
    pipeline.run(&fixture.tenant, vec![item("1", 1, 0), item("2", 2, 0)]).await.unwrap();
    fixture.clock.advance(60);
    let mut preview = Preview::new("test", &fixture.tenant);
    let items = vec![item("1", 9, 60), item("2", 2, 60), item("3", 3, 60)];
    pipeline.preview(&fixture.tenant, items, &mut preview).await.unwrap();
    preview.skip("dock 4", Skip::BAD_POSITION, "it lies at 0,0");
    let counts = preview.counts();
    assert_eq!((counts.create, counts.update, counts.unchanged, counts.skipped), (1, 1, 1, 1));
    let text = preview.render();
    for line in ["~ bikes: 1 → 9", "+ bikes: 3", "unchanged urn:ngsi-ld:Dock:2", "it lies at 0,0"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(fixture.sink.write_calls(), 1);
}

#[test]
fn nobody_outside_can_know_which_ids_collide() {
    use std::hash::BuildHasher;

    let hash = || Current::default().places.hasher().hash_one(id("1"));
    assert_ne!(hash(), hash());
}
