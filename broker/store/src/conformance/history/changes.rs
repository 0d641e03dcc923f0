//! Changes of state and of the past.

use std::sync::Arc;

use musubi_model::{
    AttrName, AttributeType, DEFAULT_VOCAB, Datasets, Entity, EntityId, Evolution, EvolutionAction,
    EvolutionChange, Instance, Json, NULL, NewInstance, Recorded, SCOPE, Tenant, Timestamp, Value,
    scopes_json,
};

use crate::conformance::generate::{Generator, name};
use crate::{EvolutionWrite, Expect, Write};

const MINUTE: i64 = 60_000_000;

/// The attribute that always has a number.
pub(super) fn reading() -> AttrName {
    name(&format!("{DEFAULT_VOCAB}reading"))
}

/// The name of the scopes.
pub(super) fn scope() -> AttrName {
    name(SCOPE)
}

impl Generator {
    /// A moment at which something may have been observed: late, out of order, often the same as
    /// another one, and rarely at the end of all times.
    pub(super) fn observation(&mut self, now: Timestamp) -> Timestamp {
        let ten_minutes = |count: usize| i64::try_from(count).unwrap_or(0) * 10 * MINUTE;
        let near = now.as_micros().div_euclid(10 * MINUTE) * 10 * MINUTE;
        match self.random.below(40) {
            0 => name("0000-01-01T00:00:00Z"),
            1 => name("9999-12-31T23:59:59.999999Z"),
            2 => now,
            3 => now.plus_micros(-1),
            4 => Timestamp::parse_utc("2023-11-14T22:10:00.000Z").unwrap_or(now),
            5..22 => Timestamp::from_micros(near - ten_minutes(self.random.below(12))),
            _ => Timestamp::from_micros(near - ten_minutes(self.random.below(6_000))),
        }
    }

    /// A write of an entity's state, of which this is there now.
    pub(super) fn state_write(
        &mut self,
        tenant: &Tenant,
        id: &EntityId,
        current: Option<&Entity>,
        now: Timestamp,
    ) -> Write {
        let mut state = match current {
            Some(_) if self.random.chance(12) => None,
            Some(entity) if self.random.chance(92) => Some(self.modified(entity, now)),
            _ => Some(self.entity(id.clone(), now)),
        };
        let attributes = state.iter_mut().flat_map(|entity| &mut entity.attributes);
        for instance in attributes.flat_map(|attribute| &mut attribute.instances) {
            if instance.modified_at == now && self.random.chance(60) {
                instance.observed_at = Some(self.observation(now));
            }
        }
        let state = state.map(Arc::new);
        Write { tenant: tenant.clone(), id: id.clone(), expect: Expect::Any, state }
    }

    /// A change of what is recorded of an entity, of which this is there now.
    pub(super) fn evolution_write(
        &mut self,
        tenant: &Tenant,
        id: &EntityId,
        current: Option<&Evolution>,
        now: Timestamp,
    ) -> EvolutionWrite {
        let recorded = current.and_then(|evolution| self.some_recorded(evolution));
        let action = match (recorded, self.random.below(100)) {
            (Some((attribute, recorded)), 0..12) => {
                let recorded = Box::new(self.corrected(recorded, now));
                EvolutionAction::Correct { attribute, recorded }
            }
            (Some((attribute, recorded)), 12..20) => {
                let dataset = recorded.instance.dataset_id().cloned();
                let number = recorded.number;
                EvolutionAction::RemoveInstance { attribute, dataset, number }
            }
            (Some((attribute, recorded)), 20..26) => {
                let dataset = recorded.instance.dataset_id().cloned();
                let all = self.random.chance(50);
                let datasets = if all { Datasets::All } else { Datasets::One(dataset) };
                EvolutionAction::RemoveAttribute { attribute, datasets }
            }
            (_, 26..30) => EvolutionAction::Remove,
            (Some(_) | None, _) => self.addition(id, now),
        };
        let change = EvolutionChange { id: id.clone(), action };
        EvolutionWrite { tenant: tenant.clone(), change }
    }

    fn some_recorded(&mut self, evolution: &Evolution) -> Option<(AttrName, Recorded)> {
        let scopes = evolution.scopes.iter().map(|recorded| (scope(), recorded));
        let attributes = evolution.attributes.iter().flat_map(|attribute| {
            attribute.instances.iter().map(|recorded| (attribute.name.clone(), recorded))
        });
        let all: Vec<(AttrName, &Recorded)> = scopes.chain(attributes).collect();
        if all.is_empty() {
            return None;
        }
        let (name, recorded) = self.random.pick(&all);
        Some((name.clone(), (*recorded).clone()))
    }

    /// The instance with another value of its kind, and often another time.
    fn corrected(&mut self, recorded: Recorded, now: Timestamp) -> Recorded {
        let mut corrected = recorded;
        let kind = corrected.instance.value.kind;
        if corrected.deleted_at.is_none() && corrected.instance.value.json.as_f64().is_some() {
            corrected.instance.value.json = self.number();
        } else if corrected.deleted_at.is_none() && kind != AttributeType::Property {
            corrected.instance.value = self.value(kind);
        }
        corrected.instance.modified_at = now;
        if self.random.chance(50) {
            corrected.instance.observed_at = self.random.chance(90).then(|| self.observation(now));
        }
        corrected
    }

    fn addition(&mut self, id: &EntityId, now: Timestamp) -> EvolutionAction {
        let mut instances = Vec::new();
        if self.random.chance(60) {
            for _ in 0..=self.random.below(8) {
                let json = self.number();
                let value = Value { kind: AttributeType::Property, json };
                instances.push((reading(), self.new_instance(value, now)));
            }
        }
        if self.random.chance(20) {
            let scopes = self.random.at_least_one(&self.vocabulary.scopes, 2);
            let json = scopes_json(&scopes);
            let value = Value { kind: AttributeType::Property, json };
            instances.push((scope(), self.new_instance(value, now)));
        }
        if instances.is_empty() || self.random.chance(50) {
            for attribute in self.entity(id.clone(), now).attributes {
                for instance in attribute.instances {
                    let mut new = self.new_instance(instance.value, now);
                    new.instance.qualifiers = instance.qualifiers;
                    instances.push((attribute.name.clone(), new));
                }
            }
        }
        let types = self.random.several(&self.vocabulary.types, 2);
        EvolutionAction::Add { types, instances }
    }

    fn new_instance(&mut self, value: Value, now: Timestamp) -> NewInstance {
        let deleted_at = self.random.chance(6).then(|| self.observation(now));
        let json = if deleted_at.is_some() { Json::from(NULL) } else { value.json };
        let instance = Instance {
            value: Value { kind: value.kind, json },
            observed_at: self.random.chance(92).then(|| self.observation(now)),
            created_at: now,
            modified_at: now,
            qualifiers: None,
        };
        NewInstance { instance, deleted_at }
    }

    fn number(&mut self) -> Json {
        let number = i64::try_from(self.random.below(2_000)).unwrap_or(0) - 1_000;
        let number = serde_json::Number::from(number).to_string();
        let text = match self.random.below(4) {
            0 => format!("{number}.25"),
            1 => "0".to_owned(),
            _ => number,
        };
        Json::parse(&text).unwrap_or_else(|_| Json::from(text.as_str()))
    }
}
