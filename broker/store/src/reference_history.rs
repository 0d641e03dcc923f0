//! The plain reference of what keeps what was.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{
    AttrName, AttributeEvolution, Datasets, Effect, EntityId, Evolution, EvolutionStep, Existence,
    InstanceNumber, Recorded, SCOPE, Sequence, Tenant, Timestamp,
};
use musubi_query::{EvolutionPage, TemporalQuery, evolution_page};

use crate::{Change, History, HistoryError, Outline, Store, StoreError};

/// How many changes are read of the log at once.
const BATCH: usize = 1_000;

/// A history that is meant to be obviously right: it keeps nothing, and for each question reads the
/// whole log and makes of it all evolutions that there are. It says what others have to answer, and
/// serves tests that need a history.
///
/// The log must not have been truncated.
#[derive(Clone, Debug)]
pub struct ReferenceHistory {
    store: Arc<dyn Store>,
}

impl ReferenceHistory {
    /// The history of what this store's log says.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Every evolution of a tenant, whole, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the log cannot be read.
    pub async fn all(&self, tenant: &Tenant) -> Result<Vec<Evolution>, StoreError> {
        let newest = *self.store.newest().borrow();
        let mut past = Past::default();
        let mut read = Sequence(0);
        while read < newest {
            let changes = self.store.changes(read, BATCH).await?;
            let Some(last) = changes.last() else { break };
            read = last.sequence;
            for change in changes.iter().filter(|change| change.tenant == *tenant) {
                past.apply(change);
            }
        }
        Ok(past.evolutions())
    }
}

impl History for ReferenceHistory {
    fn evolutions<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a TemporalQuery,
    ) -> BoxFuture<'a, Result<EvolutionPage, HistoryError>> {
        async move { Ok(evolution_page(&self.all(tenant).await?, query)?) }.boxed()
    }

    fn outline<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
    ) -> BoxFuture<'a, Result<Option<Outline>, StoreError>> {
        async move {
            let all = self.all(tenant).await?;
            Ok(all.iter().find(|evolution| evolution.id == *id).map(outline))
        }
        .boxed()
    }

    fn instance<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
        attribute: &'a AttrName,
        number: InstanceNumber,
    ) -> BoxFuture<'a, Result<Option<Recorded>, StoreError>> {
        async move {
            let all = self.all(tenant).await?;
            let mut evolutions = all.iter().filter(|evolution| evolution.id == *id);
            let series = evolutions.next().and_then(|evolution| series(evolution, attribute));
            let found = series.and_then(|series| {
                series.iter().find(|recorded| recorded.number == number).cloned()
            });
            Ok(found)
        }
        .boxed()
    }

    fn needed_from(&self) -> Sequence {
        Sequence(1)
    }
}

/// What is known of each entity of one tenant.
#[derive(Debug, Default)]
struct Past(BTreeMap<EntityId, Known>);

/// What the changes say of an entity since all that was recorded of it was last removed.
#[derive(Debug)]
struct Known {
    /// Whether there is an evolution: the entity came into being or something was recorded. What a
    /// change says before that is not forgotten, but is not there either.
    is_there: bool,
    evolution: Evolution,
}

impl Past {
    fn apply(&mut self, change: &Change) {
        let Some(step) = change.evolution_step() else { return };
        if step.effects.contains(&Effect::RemoveAll) {
            // Nothing else is in such a change.
            self.0.remove(&step.id);
            return;
        }
        let known = self.0.entry(step.id.clone()).or_insert_with(|| Known::nothing(&step.id));
        known.apply(step);
    }

    fn evolutions(self) -> Vec<Evolution> {
        let there = self.0.into_values().filter(|known| known.is_there);
        there.map(|known| known.evolution).collect()
    }
}

impl Known {
    fn nothing(id: &EntityId) -> Self {
        let evolution = Evolution {
            id: id.clone(),
            types: Vec::new(),
            created_at: Timestamp::from_micros(i64::MAX),
            modified_at: Timestamp::from_micros(i64::MIN),
            deleted_at: None,
            scopes: Vec::new(),
            attributes: Vec::new(),
        };
        Self { is_there: false, evolution }
    }

    fn apply(&mut self, step: EvolutionStep) {
        let evolution = &mut self.evolution;
        for name in step.types {
            if !evolution.types.contains(&name) {
                evolution.types.push(name);
            }
        }
        evolution.modified_at = evolution.modified_at.max(step.time);
        let mut began = Vec::new();
        match step.existence {
            Existence::Unchanged => {}
            Existence::Created(at) => {
                began.push(at);
                evolution.deleted_at = None;
            }
            Existence::Deleted(at) => evolution.deleted_at = Some(at),
        }
        if step.effects.iter().any(|effect| matches!(effect, Effect::Record(..))) {
            began.push(step.time);
        }
        for time in began {
            self.is_there = true;
            evolution.created_at = evolution.created_at.min(time);
        }
        for effect in step.effects {
            affect(evolution, effect);
        }
        evolution.attributes.retain(|attribute| !attribute.instances.is_empty());
    }
}

fn affect(evolution: &mut Evolution, effect: Effect) {
    match effect {
        Effect::Record(name, recorded) => series_mut(evolution, &name).push(recorded),
        Effect::Correct(name, corrected) => {
            let series = series_mut(evolution, &name);
            series.retain(|there| there.number != corrected.number);
            series.push(corrected);
        }
        Effect::RemoveInstance(name, dataset, number) => {
            series_mut(evolution, &name).retain(|recorded| {
                recorded.number != number || recorded.instance.dataset_id() != dataset.as_ref()
            });
        }
        Effect::RemoveAttribute(name, Datasets::All) => series_mut(evolution, &name).clear(),
        Effect::RemoveAttribute(name, Datasets::One(dataset)) => {
            series_mut(evolution, &name)
                .retain(|recorded| recorded.instance.dataset_id() != dataset.as_ref());
        }
        Effect::RemoveAll => {
            evolution.attributes.clear();
            evolution.scopes.clear();
        }
    }
}

/// What is recorded under a name; none if nothing is.
fn series<'a>(evolution: &'a Evolution, name: &AttrName) -> Option<&'a [Recorded]> {
    if name.as_str() == SCOPE {
        return Some(&evolution.scopes);
    }
    let attribute = evolution.attributes.iter().find(|attribute| attribute.name == *name)?;
    Some(&attribute.instances)
}

#[expect(clippy::indexing_slicing, reason = "the place was just found or filled")]
fn series_mut<'a>(evolution: &'a mut Evolution, name: &AttrName) -> &'a mut Vec<Recorded> {
    if name.as_str() == SCOPE {
        return &mut evolution.scopes;
    }
    let attributes = &mut evolution.attributes;
    let place = attributes.binary_search_by(|attribute| attribute.name.cmp(name));
    let place = place.unwrap_or_else(|place| {
        let attribute = AttributeEvolution { name: name.clone(), instances: Vec::new() };
        attributes.insert(place, attribute);
        place
    });
    &mut attributes[place].instances
}

fn outline(evolution: &Evolution) -> Outline {
    let mut series = Vec::new();
    for attribute in &evolution.attributes {
        let datasets = attribute.instances.iter().map(|it| it.instance.dataset_id().cloned());
        series.extend(datasets.map(|dataset| (attribute.name.clone(), dataset)));
    }
    if let (false, Ok(scope)) = (evolution.scopes.is_empty(), SCOPE.parse()) {
        series.push((scope, None));
    }
    series.sort();
    series.dedup();
    Outline { types: evolution.types.clone(), series }
}
