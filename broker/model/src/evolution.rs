//! The temporal evolution of an entity: its attribute instances over time (CIM 009, clauses 4.5.6
//! to 4.5.8).

use serde::{Deserialize, Serialize};

use crate::{
    AttrName, DatasetId, EntityChange, EntityId, Instance, Json, NULL, Scope, Sequence, Timestamp,
    TypeName, Value,
    entity::{instance_size, text_size},
};

/// Which recorded instance: the change that brought it about, and its place among the instances of
/// that change. It stays when the instance is corrected. Clients see it sealed, as `instanceId`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct InstanceNumber {
    /// The change that recorded it.
    pub sequence: Sequence,
    /// Counted from 0 over all instances that the change recorded.
    pub ordinal: u32,
}

/// An attribute instance as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Which one it is.
    pub number: InstanceNumber,
    /// What it said. Of a deletion, the value is the NGSI-LD Null in the kind that was deleted.
    pub instance: Instance,
    /// When the attribute instance was deleted; only of the record of a deletion.
    pub deleted_at: Option<Timestamp>,
}

impl Recorded {
    /// How much text the instance is, in bytes: its value, and all that stands beside it.
    pub fn text_size(&self) -> usize {
        instance_size(&self.instance)
    }
}

/// What was recorded of one attribute, of all its data sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeEvolution {
    /// The expanded name.
    pub name: AttrName,
    /// The instances. Their order is that of who answers with them.
    pub instances: Vec<Recorded>,
}

/// The temporal evolution of an entity, or the part of it that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evolution {
    /// The entity.
    pub id: EntityId,
    /// The types that it has or had, in the order of their arrival.
    pub types: Vec<TypeName>,
    /// When the evolution, or the entity, came into being here.
    pub created_at: Timestamp,
    /// When a write last touched it.
    pub modified_at: Timestamp,
    /// When the entity was deleted, if it was and has not come into being again.
    pub deleted_at: Option<Timestamp>,
    /// The scopes over time, each record holding all of them: a string, or an array of strings.
    pub scopes: Vec<Recorded>,
    /// The attributes, sorted by name.
    pub attributes: Vec<AttributeEvolution>,
}

/// The name under which the scopes are recorded: as an attribute (CIM 009, clause 4.5.6).
pub const SCOPE: &str = "https://uri.etsi.org/ngsi-ld/scope";

/// An attribute instance that a request adds to an evolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInstance {
    /// What it says.
    pub instance: Instance,
    /// Given if the request tells of a deletion.
    pub deleted_at: Option<Timestamp>,
}

impl NewInstance {
    /// What is recorded when this instance is deleted at that moment.
    pub fn deletion(previous: &Instance, time: Timestamp) -> Self {
        Self { instance: deletion(previous, time), deleted_at: Some(time) }
    }
}

/// What a request does to an evolution itself, and not to the entity's state (CIM 009, clauses
/// 5.6.11 to 5.6.16). It stands in the log and is complete in itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvolutionChange {
    /// The entity.
    pub id: EntityId,
    /// What happens.
    pub action: EvolutionAction,
}

impl EvolutionChange {
    /// How much text the change is, in bytes: about what its simplified representation takes.
    pub fn text_size(&self) -> usize {
        let size = |instance: &Instance| {
            instance.value.json.as_str().len() + text_size(instance.attributes())
        };
        let action = match &self.action {
            EvolutionAction::Add { instances, .. } => {
                instances.iter().map(|(name, new)| name.as_str().len() + size(&new.instance)).sum()
            }
            EvolutionAction::Correct { recorded, .. } => size(&recorded.instance),
            EvolutionAction::RemoveInstance { .. }
            | EvolutionAction::RemoveAttribute { .. }
            | EvolutionAction::Remove => 0,
        };
        self.id.as_str().len() + action
    }
}

/// What happens to an evolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvolutionAction {
    /// Instances are added; the evolution comes into being if there is none.
    Add {
        /// Types that it has as well.
        types: Vec<TypeName>,
        /// The instances, in order. Those of [`SCOPE`] are scopes.
        instances: Vec<(AttrName, NewInstance)>,
    },
    /// One instance is corrected: it becomes this.
    Correct {
        /// Its attribute.
        attribute: AttrName,
        /// What it is now. Its number and data set are those that it had.
        recorded: Box<Recorded>,
    },
    /// One instance is removed.
    RemoveInstance {
        /// Its attribute.
        attribute: AttrName,
        /// Its data set.
        dataset: Option<DatasetId>,
        /// Which one.
        number: InstanceNumber,
    },
    /// All that was recorded of an attribute until now is removed.
    RemoveAttribute {
        /// The attribute.
        attribute: AttrName,
        /// Of which data sets.
        datasets: Datasets,
    },
    /// All that was recorded until now is removed, and the evolution with it.
    Remove,
}

/// Which data sets of an attribute are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Datasets {
    /// This one; none is the default one.
    One(Option<DatasetId>),
    /// All.
    All,
}

/// What one change of the log does to one evolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvolutionStep {
    /// The entity.
    pub id: EntityId,
    /// The types that it has as well from now on.
    pub types: Vec<TypeName>,
    /// When it happened.
    pub time: Timestamp,
    /// Whether the entity came into being, was deleted, or neither.
    pub existence: Existence,
    /// What is recorded and removed, in order.
    pub effects: Vec<Effect>,
}

/// What a change does to the existence of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Existence {
    /// Nothing.
    Unchanged,
    /// The entity is there; it came into being at this moment.
    Created(Timestamp),
    /// The entity is gone since this moment.
    Deleted(Timestamp),
}

/// One thing that a change does to what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An instance is recorded; its data set stands in it.
    Record(AttrName, Recorded),
    /// The instance of this number is this from now on.
    Correct(AttrName, Recorded),
    /// The instance of this number is not there any more.
    RemoveInstance(AttrName, Option<DatasetId>, InstanceNumber),
    /// What was recorded of the attribute before this change is not there any more.
    RemoveAttribute(AttrName, Datasets),
    /// Nothing that was recorded before this change is there any more.
    RemoveAll,
}

impl EvolutionStep {
    /// What a change of an entity's state records: see [`Recordings::of_entity`].
    pub fn of_entity(sequence: Sequence, time: Timestamp, change: &EntityChange) -> Self {
        Recordings::of_entity(sequence, time, change).into_step()
    }

    /// What a request does to the evolution itself.
    pub fn of_evolution(sequence: Sequence, time: Timestamp, change: &EvolutionChange) -> Self {
        if let Some(recordings) = Recordings::of_evolution(sequence, time, change) {
            return recordings.into_step();
        }
        let mut step = Self {
            id: change.id.clone(),
            types: Vec::new(),
            time,
            existence: Existence::Unchanged,
            effects: Vec::new(),
        };
        match &change.action {
            // Nothing but recordings, which are above.
            EvolutionAction::Add { .. } => {}
            EvolutionAction::Correct { attribute, recorded } => {
                step.effects.push(Effect::Correct(attribute.clone(), (**recorded).clone()));
            }
            EvolutionAction::RemoveInstance { attribute, dataset, number } => {
                let (attribute, dataset) = (attribute.clone(), dataset.clone());
                step.effects.push(Effect::RemoveInstance(attribute, dataset, *number));
            }
            EvolutionAction::RemoveAttribute { attribute, datasets } => {
                step.effects.push(Effect::RemoveAttribute(attribute.clone(), datasets.clone()));
            }
            EvolutionAction::Remove => step.effects.push(Effect::RemoveAll),
        }
        step
    }
}

/// The value of a record of scopes: a string, or an array of strings if there is more than one.
pub fn scopes_json(scopes: &[Scope]) -> Json {
    match scopes {
        [only] => Json::from(&serde_json::Value::from(only.as_str())),
        many => {
            let texts: Vec<_> = many.iter().map(|scope| scope.as_str().into()).collect();
            Json::from(&serde_json::Value::Array(texts))
        }
    }
}

fn null() -> Json {
    Json::from(&serde_json::Value::from(NULL))
}

/// What is recorded when an instance is deleted (CIM 009, clauses 4.5.7 and 4.5.8).
fn deletion(previous: &Instance, time: Timestamp) -> Instance {
    let qualifiers = previous.dataset_id().map(|dataset| {
        Box::new(crate::Qualifiers { dataset_id: Some(dataset.clone()), ..Default::default() })
    });
    Instance {
        value: Value { kind: previous.value.kind, json: null() },
        observed_at: None,
        created_at: previous.created_at,
        modified_at: time,
        qualifiers,
    }
}

mod kept_times;
mod recordings;
#[cfg(test)]
mod tests;

pub use kept_times::KeptTimes;
pub use recordings::{NewRecord, Recordings};
