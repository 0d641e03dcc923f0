//! What a change records.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    Effect, EvolutionAction, EvolutionChange, EvolutionStep, Existence, InstanceNumber,
    NewInstance, Recorded, SCOPE, deletion, null, scopes_json,
};
use crate::{
    AttrName, Attribute, AttributeType, Entity, EntityChange, EntityId, Instance, Sequence,
    Timestamp, TypeName, Value,
};

/// An instance that a change records, as it stands in the change.
#[derive(Clone, Debug)]
pub struct NewRecord<'c> {
    /// Its attribute.
    pub name: Cow<'c, AttrName>,
    /// Which one it is.
    pub number: InstanceNumber,
    /// What it says.
    pub instance: Cow<'c, Instance>,
    /// When the attribute instance was deleted; only of the record of a deletion.
    pub deleted_at: Option<Timestamp>,
}

impl NewRecord<'_> {
    /// It, by itself.
    pub fn into_effect(self) -> Effect {
        let (number, deleted_at) = (self.number, self.deleted_at);
        let instance = self.instance.into_owned();
        Effect::Record(self.name.into_owned(), Recorded { number, instance, deleted_at })
    }
}

/// What a change records and nothing else, without a copy of it: for whoever keeps it in a form of its
/// own.
#[derive(Clone, Debug)]
pub struct Recordings<'c> {
    /// The entity.
    pub id: &'c EntityId,
    /// The types that it has as well from now on.
    pub types: &'c [TypeName],
    /// When it happened.
    pub time: Timestamp,
    /// Whether the entity came into being, was deleted, or neither.
    pub existence: Existence,
    /// The instances, in the order of their numbers.
    pub records: SmallVec<[NewRecord<'c>; 6]>,
}

impl<'c> Recordings<'c> {
    /// What a change of an entity's state records: each attribute instance that it touched, as it is
    /// then, and a record of each that it deleted (CIM 009, clauses 4.5.6 to 4.5.8).
    pub fn of_entity(sequence: Sequence, time: Timestamp, change: &'c EntityChange) -> Self {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let mut recording = Recording { sequence, records: SmallVec::new() };
        recording.scopes(before, after, time);
        for name in &change.changed {
            let was = before.and_then(|entity| entity.attribute(name));
            let is = after.and_then(|entity| entity.attribute(name));
            recording.attribute(name, was, is, time);
        }
        let existence = match (before, after) {
            (None, Some(entity)) => Existence::Created(entity.created_at),
            (_, None) => Existence::Deleted(time),
            (Some(_), Some(_)) => Existence::Unchanged,
        };
        Self {
            id: &change.id,
            types: after.or(before).map(|entity| entity.types.as_slice()).unwrap_or_default(),
            time,
            existence,
            records: recording.records,
        }
    }

    /// What a request adds to an evolution itself; none if it does anything else.
    pub fn of_evolution(
        sequence: Sequence,
        time: Timestamp,
        change: &'c EvolutionChange,
    ) -> Option<Self> {
        let EvolutionAction::Add { types, instances } = &change.action else { return None };
        let mut recording = Recording { sequence, records: SmallVec::new() };
        for (name, NewInstance { instance, deleted_at }) in instances {
            recording.record(Cow::Borrowed(name), Cow::Borrowed(instance), *deleted_at);
        }
        let (id, existence, records) = (&change.id, Existence::Unchanged, recording.records);
        Some(Self { id, types, time, existence, records })
    }

    /// The same, by itself.
    pub fn into_step(self) -> EvolutionStep {
        EvolutionStep {
            id: self.id.clone(),
            types: self.types.to_vec(),
            time: self.time,
            existence: self.existence,
            effects: self.records.into_iter().map(NewRecord::into_effect).collect(),
        }
    }
}

/// The instances that one change records, as they are numbered.
struct Recording<'c> {
    sequence: Sequence,
    records: SmallVec<[NewRecord<'c>; 6]>,
}

impl<'c> Recording<'c> {
    fn record(
        &mut self,
        name: Cow<'c, AttrName>,
        instance: Cow<'c, Instance>,
        deleted_at: Option<Timestamp>,
    ) {
        let ordinal = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let number = InstanceNumber { sequence: self.sequence, ordinal };
        self.records.push(NewRecord { name, number, instance, deleted_at });
    }

    fn attribute(
        &mut self,
        name: &'c AttrName,
        was: Option<&Attribute>,
        is: Option<&'c Attribute>,
        time: Timestamp,
    ) {
        for instance in is.iter().flat_map(|attribute| &attribute.instances) {
            let previous = was.and_then(|attribute| attribute.instance(instance.dataset_id()));
            if previous != Some(instance) {
                self.record(Cow::Borrowed(name), Cow::Borrowed(instance), None);
            }
        }
        for previous in was.iter().flat_map(|attribute| &attribute.instances) {
            if is.and_then(|attribute| attribute.instance(previous.dataset_id())).is_none() {
                let instance = deletion(previous, time);
                self.record(Cow::Borrowed(name), Cow::Owned(instance), Some(time));
            }
        }
    }

    /// Scopes are recorded as a property that is observed when it is modified.
    fn scopes(&mut self, before: Option<&Entity>, after: Option<&Entity>, time: Timestamp) {
        let was = before.map(|entity| entity.scopes.as_slice()).unwrap_or_default();
        let is = after.map(|entity| entity.scopes.as_slice()).unwrap_or_default();
        if was == is {
            return;
        }
        let Ok(name) = SCOPE.parse() else { return };
        let json = if is.is_empty() { null() } else { scopes_json(is) };
        let instance = Instance {
            value: Value { kind: AttributeType::Property, json },
            observed_at: Some(time),
            created_at: time,
            modified_at: time,
            qualifiers: None,
        };
        self.record(Cow::Owned(name), Cow::Owned(instance), is.is_empty().then_some(time));
    }
}
