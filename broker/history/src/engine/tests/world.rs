//! A store whose content is made up, and a history that is compared with the plain one.

use std::sync::Arc;

use musubi_model::{
    Attribute, AttributeType, Cause, Datasets, Entity, EntityId, EvolutionAction, EvolutionChange,
    Instance, InstanceNumber, Json, NewInstance, Qualifiers, Recorded, SCOPE, Tenant, Timestamp,
    Value,
};
use musubi_query::TemporalQuery;
use musubi_store::{
    EvolutionWrite, Expect, Group, History, ReferenceHistory, ReferenceStore, Store, Write,
};

use super::questions::question;

/// A store whose content is made up.
pub(super) struct World {
    store: Arc<ReferenceStore>,
    reference: ReferenceHistory,
    state: u64,
    clock: i64,
}

pub(super) const ATTRIBUTES: [&str; 3] = ["urn:p:a", "urn:p:b", "urn:p:c"];

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let store = Arc::new(ReferenceStore::new());
        let reference = ReferenceHistory::new(store.clone());
        Self { store, reference, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), clock: 1_000 }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// A number below this one, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap()]
    }

    pub(super) fn tenant(&mut self) -> Tenant {
        self.pick(&["", "", "", "other"]).parse().unwrap()
    }

    pub(super) fn id(&mut self) -> EntityId {
        let number = self.below(5);
        format!("urn:e:{number}").parse().unwrap()
    }

    pub(super) fn dataset(&mut self) -> Option<musubi_model::DatasetId> {
        self.pick(&[None, None, Some("urn:d:1"), Some("urn:d:2")]).map(|id| id.parse().unwrap())
    }

    /// A moment around those at which things happen.
    pub(super) fn moment(&mut self) -> Timestamp {
        let bound = u64::try_from(self.clock - 990).unwrap();
        Timestamp::from_seconds(995 + i64::try_from(self.below(bound)).unwrap())
    }

    fn instance(&mut self, dataset: Option<musubi_model::DatasetId>) -> Instance {
        let json = match self.below(10) {
            0 => "\"open\"".to_owned(),
            1 => "true".to_owned(),
            2 => "{\"a\":[1,2]}".to_owned(),
            _ => format!("{}.5", self.below(40)),
        };
        let now = Timestamp::from_seconds(self.clock);
        let observed_at = (self.below(4) > 0).then(|| self.moment());
        let qualifiers = dataset.map(|dataset| {
            Box::new(Qualifiers { dataset_id: Some(dataset), ..Qualifiers::default() })
        });
        Instance {
            value: Value { kind: AttributeType::Property, json: Json::parse(&json).unwrap() },
            observed_at,
            created_at: now,
            modified_at: now,
            qualifiers,
        }
    }

    fn entity(&mut self, id: &EntityId) -> Entity {
        let mut attributes = Vec::new();
        for name in ATTRIBUTES {
            if self.below(3) == 0 {
                continue;
            }
            let mut instances = vec![self.instance(None)];
            if self.below(3) == 0 {
                instances.push(self.instance(Some("urn:d:1".parse().unwrap())));
            }
            attributes.push(Attribute { name: name.parse().unwrap(), instances: instances.into() });
        }
        let scopes: &[&str] = self.pick(&[&[], &["/x"], &["/x/y", "/z"]]);
        let now = Timestamp::from_seconds(self.clock);
        Entity {
            id: id.clone(),
            types: vec![self.pick(&["urn:t:1", "urn:t:2"]).parse().unwrap()],
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            created_at: now,
            modified_at: now,
            expires_at: None,
            attributes,
        }
    }

    /// The number of an instance that there may be.
    async fn number(&mut self, tenant: &Tenant, id: &EntityId) -> Option<(String, Recorded)> {
        let all = self.reference.all(tenant).await.unwrap();
        let evolution = all.into_iter().find(|evolution| evolution.id == *id)?;
        let scopes = evolution.scopes.into_iter().map(|recorded| (SCOPE.to_owned(), recorded));
        let attributes = evolution.attributes.into_iter().flat_map(|attribute| {
            let name = attribute.name.to_string();
            attribute.instances.into_iter().map(move |recorded| (name.clone(), recorded))
        });
        let all: Vec<_> = attributes.chain(scopes).collect();
        let at = self.below(u64::try_from(all.len().max(1)).unwrap());
        all.into_iter().nth(usize::try_from(at).unwrap())
    }

    async fn action(&mut self, tenant: &Tenant, id: &EntityId) -> Option<EvolutionAction> {
        Some(match self.below(12) {
            0..=4 => {
                let mut instances = Vec::new();
                for _ in 0..self.below(5) {
                    let name = self.pick(&ATTRIBUTES).parse().unwrap();
                    let dataset = self.dataset();
                    let deleted_at = (self.below(6) == 0).then(|| self.moment());
                    let instance = self.instance(dataset);
                    instances.push((name, NewInstance { instance, deleted_at }));
                }
                let types = vec![self.pick(&["urn:t:2", "urn:t:3"]).parse().unwrap()];
                EvolutionAction::Add { types, instances }
            }
            5..=7 => {
                let (name, old) = self.number(tenant, id).await?;
                let dataset = old.instance.dataset_id().cloned();
                let instance = self.instance(dataset);
                let recorded = Recorded { instance, ..old };
                EvolutionAction::Correct {
                    attribute: name.parse().unwrap(),
                    recorded: Box::new(recorded),
                }
            }
            8 | 9 => {
                let (name, old) = self.number(tenant, id).await?;
                EvolutionAction::RemoveInstance {
                    attribute: name.parse().unwrap(),
                    dataset: old.instance.dataset_id().cloned(),
                    number: old.number,
                }
            }
            10 => EvolutionAction::RemoveAttribute {
                attribute: self.pick(&ATTRIBUTES).parse().unwrap(),
                datasets: match self.below(3) {
                    0 => Datasets::All,
                    _ => Datasets::One(self.dataset()),
                },
            },
            _ => EvolutionAction::Remove,
        })
    }

    /// Commits so many changes.
    pub(super) async fn change(&mut self, changes: u64) {
        for _ in 0..changes {
            self.clock += i64::try_from(self.below(3)).unwrap();
            let (tenant, id) = (self.tenant(), self.id());
            let time = Timestamp::from_seconds(self.clock);
            let mut group = Group { time, cause: Cause::default(), ..Group::default() };
            match self.below(10) {
                0..=4 => {
                    let state = Some(Arc::new(self.entity(&id)));
                    group.writes.push(Write { tenant, id, expect: Expect::Any, state });
                }
                5 => group.writes.push(Write { tenant, id, expect: Expect::Any, state: None }),
                _ => {
                    let Some(action) = self.action(&tenant, &id).await else { continue };
                    let change = EvolutionChange { id, action };
                    group.evolutions.push(EvolutionWrite { tenant, change });
                }
            }
            self.store.commit(vec![group]).await.unwrap();
        }
    }

    /// Some questions, and what the plain history answers.
    pub(super) async fn answers(
        &mut self,
        questions: usize,
    ) -> Vec<(Tenant, TemporalQuery, String)> {
        let mut answers = Vec::new();
        for _ in 0..questions {
            let (tenant, query) = (self.tenant(), question(self));
            let answer = self.reference.evolutions(&tenant, &query).await;
            answers.push((tenant, query, format!("{answer:#?}")));
        }
        answers
    }

    pub(super) async fn check(
        &self,
        history: &dyn History,
        expected: Vec<(Tenant, TemporalQuery, String)>,
    ) {
        for (tenant, query, expected) in expected {
            let answer = history.evolutions(&tenant, &query).await;
            let answer = format!("{answer:#?}");
            assert_eq!(answer, expected, "{tenant} {query:#?}");
        }
    }

    /// Asks the same of both.
    pub(super) async fn compare(&mut self, history: &dyn History, questions: usize) {
        let answers = self.answers(questions).await;
        self.check(history, answers).await;
        let (tenant, id) = (self.tenant(), self.id());
        let expected = self.reference.outline(&tenant, &id).await.unwrap();
        assert_eq!(history.outline(&tenant, &id).await.unwrap(), expected, "{id}");
        if let Some((name, recorded)) = self.number(&tenant, &id).await {
            let name = name.parse().unwrap();
            let found = history.instance(&tenant, &id, &name, recorded.number).await.unwrap();
            assert_eq!(found, Some(recorded.clone()));
            let other = InstanceNumber { ordinal: 99, ..recorded.number };
            assert_eq!(history.instance(&tenant, &id, &name, other).await.unwrap(), None);
        }
    }
}
