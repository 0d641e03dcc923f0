//! What the plain history answers, written out by hand.

use musubi_model::{
    Attribute, AttributeType, Entity, EvolutionAction, EvolutionChange, Instance, Json,
    NewInstance, TypeName, Value,
};
use serde_json::json;

use super::*;
use crate::{EvolutionWrite, Expect, Group, ReferenceStore, Write};

const ID: &str = "urn:ngsi-ld:Sensor:1";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn name() -> AttrName {
    "urn:attribute:level".parse().unwrap()
}

fn instance(number: u64, seconds: i64) -> Instance {
    let value = Value { kind: AttributeType::Property, json: Json::from(&json!(number)) };
    let time = at(seconds);
    Instance {
        value,
        observed_at: Some(time),
        created_at: time,
        modified_at: time,
        qualifiers: None,
    }
}

fn entity(number: u64, seconds: i64) -> Arc<Entity> {
    let types: Vec<TypeName> = vec!["urn:type:Sensor".parse().unwrap()];
    Arc::new(Entity {
        id: ID.parse().unwrap(),
        types,
        scopes: vec!["/Nanao".parse().unwrap()],
        created_at: at(1),
        modified_at: at(seconds),
        expires_at: None,
        attributes: vec![Attribute {
            name: name(),
            instances: [instance(number, seconds)].into_iter().collect(),
        }],
    })
}

struct Place {
    store: Arc<ReferenceStore>,
    history: ReferenceHistory,
}

impl Place {
    fn new() -> Self {
        let store = Arc::new(ReferenceStore::new());
        Self { history: ReferenceHistory::new(store.clone()), store }
    }

    async fn write(&self, seconds: i64, state: Option<Arc<Entity>>) {
        let write = Write {
            tenant: Tenant::default(),
            id: ID.parse().unwrap(),
            expect: Expect::Any,
            state,
        };
        let group = Group { time: at(seconds), writes: vec![write], ..Group::default() };
        self.store.commit(vec![group]).await.unwrap();
    }

    async fn change(&self, seconds: i64, action: EvolutionAction) {
        let change = EvolutionChange { id: ID.parse().unwrap(), action };
        let write = EvolutionWrite { tenant: Tenant::default(), change };
        let group = Group { time: at(seconds), evolutions: vec![write], ..Group::default() };
        self.store.commit(vec![group]).await.unwrap();
    }

    async fn add(&self, seconds: i64, number: u64, observed: i64) {
        let new = NewInstance { instance: instance(number, observed), deleted_at: None };
        let action = EvolutionAction::Add { types: Vec::new(), instances: vec![(name(), new)] };
        self.change(seconds, action).await;
    }

    /// What is there, or nothing.
    async fn evolution(&self) -> Option<Evolution> {
        self.history.all(&Tenant::default()).await.unwrap().pop()
    }

    /// The values of the attribute, as they were recorded.
    async fn values(&self) -> Vec<(Sequence, String)> {
        let evolution = self.evolution().await.unwrap();
        let series = series(&evolution, &name()).unwrap_or_default();
        let shown = |it: &Recorded| {
            (it.number.sequence, it.instance.value.json.as_str().trim_matches('"').to_owned())
        };
        series.iter().map(shown).collect()
    }
}

#[tokio::test]
async fn every_change_of_state_is_recorded_and_the_deletion_too() {
    let place = Place::new();
    place.write(1, Some(entity(20, 1))).await;
    place.write(2, Some(entity(21, 2))).await;
    place.write(3, None).await;
    let values = place.values().await;
    let expected = [(Sequence(1), "20"), (Sequence(2), "21"), (Sequence(3), "urn:ngsi-ld:null")];
    assert_eq!(values, expected.map(|(number, text)| (number, text.to_owned())));
    let evolution = place.evolution().await.unwrap();
    assert_eq!(evolution.deleted_at, Some(at(3)));
    assert_eq!((evolution.created_at, evolution.modified_at), (at(1), at(3)));
    assert_eq!(evolution.scopes.len(), 2, "set and gone");
    place.write(4, Some(entity(22, 4))).await;
    assert_eq!(place.evolution().await.unwrap().deleted_at, None);
}

#[tokio::test]
async fn requests_add_correct_and_remove_instances() {
    let place = Place::new();
    place.add(10, 1, 5).await;
    place.add(11, 2, 3).await;
    place.add(12, 3, 4).await;
    let number = InstanceNumber { sequence: Sequence(2), ordinal: 0 };
    let recorded = Box::new(Recorded { number, instance: instance(9, 3), deleted_at: None });
    place.change(13, EvolutionAction::Correct { attribute: name(), recorded }).await;
    let first = InstanceNumber { sequence: Sequence(1), ordinal: 0 };
    let attribute = name();
    let action = EvolutionAction::RemoveInstance { attribute, dataset: None, number: first };
    place.change(14, action).await;
    let mut values = place.values().await;
    values.sort();
    assert_eq!(values, [(Sequence(2), "9".to_owned()), (Sequence(3), "3".to_owned())]);
    let (tenant, id) = (Tenant::default(), ID.parse().unwrap());
    let found = place.history.instance(&tenant, &id, &name(), number).await.unwrap().unwrap();
    assert_eq!(found.instance.value.json.as_str(), "9");
    assert_eq!(place.history.instance(&tenant, &id, &name(), first).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_removed_is_gone_and_what_comes_later_is_there() {
    let place = Place::new();
    place.write(1, Some(entity(20, 1))).await;
    let datasets = Datasets::One(None);
    place.change(2, EvolutionAction::RemoveAttribute { attribute: name(), datasets }).await;
    assert!(place.evolution().await.unwrap().attributes.is_empty());
    place.write(3, Some(entity(21, 3))).await;
    assert_eq!(place.values().await, [(Sequence(3), "21".to_owned())]);
    place.change(4, EvolutionAction::Remove).await;
    assert_eq!(place.evolution().await, None);
    let outline = place.history.outline(&Tenant::default(), &ID.parse().unwrap()).await.unwrap();
    assert_eq!(outline, None);
    place.add(5, 30, 2).await;
    let evolution = place.evolution().await.unwrap();
    assert_eq!((evolution.created_at, place.values().await.len()), (at(5), 1));
}

#[tokio::test]
async fn a_question_is_answered_for_its_tenant() {
    let place = Place::new();
    place.write(1, Some(entity(20, 1))).await;
    let query = TemporalQuery { limit: 10, count: true, ..TemporalQuery::default() };
    let page = place.history.evolutions(&Tenant::default(), &query).await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, Some(1)));
    let page = place.history.evolutions(&"other".parse().unwrap(), &query).await.unwrap();
    assert_eq!((page.items.len(), page.total), (0, Some(0)));
    let outline = place.history.outline(&Tenant::default(), &ID.parse().unwrap()).await.unwrap();
    let series = vec![(SCOPE.parse().unwrap(), None), (name(), None)];
    assert_eq!(outline.unwrap().series, series);
}
