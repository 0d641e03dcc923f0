//! What a request tells a second time: instances of the same data set, observed at the same moment.
//!
//! A client that repeats an upload, or sends a better value for a moment, is not to be found with
//! two values at that moment.

use std::collections::{HashMap, HashSet, VecDeque};

use musubi_model::{
    AttrName, Attribute, DatasetId, EntityId, EvolutionAction, Instance, NewInstance, Qualifiers,
    Recorded, SCOPE, Timestamp,
};
use musubi_query::TemporalProperty;
use musubi_store::Outline;

use super::places::Places;
use crate::{Error, Session};

/// Which instance: its data set, when it was observed, and whether it tells of a deletion.
type Place = (Option<DatasetId>, Timestamp, bool);

/// Instances that are recorded at the places of those that are given.
#[derive(Debug, Default)]
pub(super) struct Repeated(HashMap<AttrName, HashMap<Place, VecDeque<Recorded>>>);

/// An instance that is recorded at the place of one that is given.
#[derive(Debug)]
pub(super) struct Earlier(Recorded);

impl Repeated {
    /// Looks for what is recorded at the places of what is given. Scopes are not looked for: of two
    /// at one moment, the later one counts.
    pub(super) async fn find(
        session: &Session,
        id: &EntityId,
        outline: &Outline,
        given: &[(AttrName, NewInstance)],
    ) -> Result<Self, Error> {
        let series: HashSet<(&AttrName, Option<&DatasetId>)> =
            outline.series.iter().map(|(name, dataset)| (name, dataset.as_ref())).collect();
        let mut places = Places::new(TemporalProperty::ObservedAt);
        let mut wanted = Self::default();
        for (name, new) in given {
            let dataset = new.instance.dataset_id();
            let Some(place) = place(&new.instance, new.deleted_at) else { continue };
            if name.as_str() != SCOPE && series.contains(&(name, dataset)) {
                places.add(name, dataset, place.1);
                wanted.0.entry(name.clone()).or_default().entry(place).or_default();
            }
        }
        session
            .recorded_at(id, places, |name, recorded| {
                let place = place(&recorded.instance, recorded.deleted_at);
                let of_name = wanted.0.get_mut(name);
                let there = of_name.zip(place).and_then(|(places, place)| places.get_mut(&place));
                if let Some(there) = there {
                    there.push_back(recorded);
                }
            })
            .await?;
        Ok(wanted)
    }

    /// The first recorded instance at the place of this one that was not taken yet. Of two that are
    /// given for one place, both are recorded, and each is found again if they are given again.
    pub(super) fn take(&mut self, name: &AttrName, new: &NewInstance) -> Option<Earlier> {
        let place = place(&new.instance, new.deleted_at)?;
        self.0.get_mut(name)?.get_mut(&place)?.pop_front().map(Earlier)
    }
}

impl Earlier {
    /// What is to be done to it so that it says what the new one says; nothing if it does.
    pub(super) fn corrected(
        self,
        attribute: AttrName,
        new: NewInstance,
    ) -> Option<EvolutionAction> {
        let Self(Recorded { number, instance, deleted_at }) = self;
        if deleted_at == new.deleted_at && says_the_same(&instance, &new.instance) {
            return None;
        }
        let corrected = Instance { created_at: instance.created_at, ..new.instance };
        let recorded = Recorded { number, instance: corrected, deleted_at: new.deleted_at };
        Some(EvolutionAction::Correct { attribute, recorded: Box::new(recorded) })
    }
}

fn place(instance: &Instance, deleted_at: Option<Timestamp>) -> Option<Place> {
    let time = instance.observed_at?;
    Some((instance.dataset_id().cloned(), time, deleted_at.is_some()))
}

/// Whether two instances differ in nothing but the times that the system sets.
pub(super) fn says_the_same(one: &Instance, other: &Instance) -> bool {
    let empty = Qualifiers::default();
    let [a, b] = [one, other].map(|instance| instance.qualifiers.as_deref().unwrap_or(&empty));
    one.value == other.value
        && one.observed_at == other.observed_at
        && a.dataset_id == b.dataset_id
        && a.unit_code == b.unit_code
        && a.expires_at == b.expires_at
        && a.value_type == b.value_type
        && a.object_type == b.object_type
        && all_the_same(&a.attributes, &b.attributes)
}

fn all_the_same(ours: &[Attribute], theirs: &[Attribute]) -> bool {
    let is_like = |one: &Attribute, other: &Attribute| {
        one.name == other.name
            && one.instances.len() == other.instances.len()
            && one.instances.iter().zip(&other.instances).all(|(a, b)| says_the_same(a, b))
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| is_like(a, b))
}
