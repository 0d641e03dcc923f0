//! From mapped items to durable entities: change filter, model check, sink, dead letters.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use musubi_model::{Clock, Entity, EntityFragment, EntityId, Overwrite, Tenant, Timestamp};

use crate::{
    ChangeFilter, Counters, DeadLetter, Delivery, Filtered, ModelCheckMode, ModelChecking, Preview,
    Rejection, Services, Sink, SinkError, Skip, StateWrite,
};

/// One input of a source and what it became.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The entities; written together or not at all.
    pub entities: Vec<EntityFragment>,
    /// What the adapter has to remember with them.
    pub state: Vec<StateWrite>,
    /// What could not be used. An item may be nothing but this.
    pub dead_letters: Vec<DeadLetter>,
    /// Where the input came from: a topic, a file and line, an item of a feed.
    pub origin: String,
    /// The input itself, for a dead letter.
    pub payload: Bytes,
    /// When the input came in.
    pub arrival: Timestamp,
}

/// What became of an item. In every case the input need not be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Something was written, and is durable.
    Written,
    /// The broker had all of it, or something newer.
    Unchanged,
    /// It is a dead letter, for this reason, and that is durable.
    Dead(String),
}

/// Carries items to the sink. Holds no state of its own but the counters.
#[derive(Debug)]
pub struct Pipeline {
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    filter: ChangeFilter,
    checking: ModelChecking,
    counters: Counters,
}

/// An item on its way, with its place in the caller's list.
struct Step {
    index: usize,
    item: Item,
}

/// What one item became after filter and check.
enum Outgoing {
    Nothing,
    /// What is to be written, and what the item is once it is durable.
    Delivery(Delivery, Settled),
    Dead(String),
}

/// The entities as they are once what was decided so far has been written. Their ids come from
/// outside, so nobody there must know how they are hashed.
#[derive(Default)]
struct Current {
    places: HashMap<EntityId, usize, RandomState>,
    entities: Vec<Known>,
}

/// What is known of an entity of which items speak.
#[derive(Default)]
struct Known {
    /// None if there is no such entity.
    entity: Option<Arc<Entity>>,
    /// Whether the items speak of it more than once: if not, nobody asks again.
    is_repeated: bool,
}

impl Current {
    fn get(&self, id: &EntityId) -> Option<&Known> {
        self.entities.get(*self.places.get(id)?)
    }

    /// Whether nothing else speaks of the entities of this item.
    fn is_alone(&self, item: &Item) -> bool {
        let ids = item.entities.iter().filter_map(|fragment| fragment.id.as_ref());
        ids.map(|id| self.get(id)).all(|known| known.is_some_and(|known| !known.is_repeated))
    }
}

impl Pipeline {
    /// A pipeline of the adapter that `counters` belong to.
    pub fn new(
        services: &Services,
        filter: ChangeFilter,
        checking: ModelChecking,
        counters: Counters,
    ) -> Self {
        Self {
            sink: Arc::clone(&services.sink),
            clock: Arc::clone(&services.clock),
            filter,
            checking,
            counters,
        }
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Writes what has changed, in the order of the items, and answers once all of it is
    /// durable: one result per item, in order. One read and one write of the sink, and one more
    /// for what the broker refused.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if it is not known what was written. The same items may be given again:
    /// every write is idempotent.
    pub async fn run(&self, tenant: &Tenant, items: Vec<Item>) -> Result<Vec<Settled>, SinkError> {
        let mut settled: Vec<Settled> = vec![Settled::Unchanged; items.len()];
        let newest = items.iter().map(|item| item.arrival).max();
        let steps = items.into_iter().enumerate();
        let mut waiting: Vec<Step> = steps.map(|(index, item)| Step { index, item }).collect();
        // A refused item changes what later items of the same entities were compared with, so
        // those go round again. Every further round has settled at least one item for good.
        while !waiting.is_empty() {
            waiting = self.round(tenant, waiting, &mut settled).await?;
        }
        self.count(&settled, newest);
        Ok(settled)
    }

    /// Compares items with the broker's state and writes nothing.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if the broker cannot be read.
    pub async fn preview(
        &self,
        tenant: &Tenant,
        items: Vec<Item>,
        preview: &mut Preview,
    ) -> Result<(), SinkError> {
        let current = self.read(tenant, items.iter()).await?;
        let now = self.clock.now();
        for item in items {
            for letter in &item.dead_letters {
                preview.skip(&letter.origin, Skip::BAD_VALUE, letter.reason.clone());
            }
            for fragment in item.entities {
                let Some(id) = fragment.id.clone() else { continue };
                for problem in self.checking.problems(&fragment) {
                    preview.model_problem(id.as_str(), problem);
                }
                let found = current.get(&id).and_then(|known| known.entity.as_deref());
                let filtered = self.filter.filter(found, fragment, now);
                preview.entity(&item.origin, &id, found, filtered);
            }
        }
        Ok(())
    }

    /// One read and one write (and one for dead letters); what has to be looked at again.
    async fn round(
        &self,
        tenant: &Tenant,
        mut steps: Vec<Step>,
        settled: &mut [Settled],
    ) -> Result<Vec<Step>, SinkError> {
        let mut current = self.read(tenant, steps.iter().map(|step| &step.item)).await?;
        let now = self.clock.now();
        let mut deliveries = Vec::new();
        let mut writing = Vec::new();
        let mut dead = Vec::new();
        for (position, step) in steps.iter_mut().enumerate() {
            let result = match self.outgoing(&mut step.item, &mut current, now) {
                Outgoing::Nothing => Settled::Unchanged,
                Outgoing::Delivery(delivery, result) => {
                    deliveries.push(delivery);
                    writing.push(position);
                    result
                }
                Outgoing::Dead(reason) => {
                    dead.push(self.dead(&step.item, &reason));
                    Settled::Dead(reason)
                }
            };
            set(settled, step.index, result);
        }
        let refused = self.write(tenant, deliveries, &writing).await?;
        for (position, rejection) in &refused {
            if let Some(step) = steps.get(*position) {
                dead.push(self.dead(&step.item, &rejection.reason));
                set(settled, step.index, Settled::Dead(rejection.reason.clone()));
            }
        }
        self.bury(tenant, dead).await?;
        Ok(again(steps, &refused))
    }

    async fn read(
        &self,
        tenant: &Tenant,
        items: impl Iterator<Item = &Item>,
    ) -> Result<Current, SinkError> {
        let mut current = Current::default();
        let mut ids: Vec<EntityId> = Vec::new();
        for id in items.flat_map(|item| &item.entities).filter_map(|entity| entity.id.as_ref()) {
            match current.places.entry(id.clone()) {
                Entry::Vacant(place) => {
                    place.insert(ids.len());
                    ids.push(id.clone());
                    current.entities.push(Known::default());
                }
                Entry::Occupied(place) => {
                    if let Some(known) = current.entities.get_mut(*place.get()) {
                        known.is_repeated = true;
                    }
                }
            }
        }
        if ids.is_empty() {
            return Ok(current);
        }
        let found = self.sink.read(tenant, &ids).await?;
        for (known, entity) in current.entities.iter_mut().zip(found) {
            known.entity = entity;
        }
        Ok(current)
    }

    /// What is to be done about an item. Its entities are taken out of it, unless another item speaks
    /// of one of them: then it may have to be looked at again.
    fn outgoing(&self, item: &mut Item, current: &mut Current, now: Timestamp) -> Outgoing {
        if item.entities.iter().any(|fragment| fragment.id.is_none()) {
            return Outgoing::Dead("an entity has no id".to_owned());
        }
        let result = written(item);
        let delivery = if current.is_alone(item) {
            let Item { entities, state, dead_letters, .. } = item;
            Delivery {
                entities: std::mem::take(entities),
                state: std::mem::take(state),
                dead_letters: std::mem::take(dead_letters),
            }
        } else {
            let Item { entities, state, dead_letters, .. } = item.clone();
            Delivery { entities, state, dead_letters }
        };
        let Delivery { entities: fragments, state, dead_letters } = delivery;
        let mut entities = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let known = fragment.id.as_ref().and_then(|id| current.get(id));
            let found = known.and_then(|known| known.entity.as_deref());
            match self.filter.filter(found, fragment, now) {
                Filtered::Write(fragment) => entities.push(fragment),
                Filtered::Unchanged => {}
                Filtered::Late => self.counters.skipped(Skip::LATE, 1),
            }
        }
        for fragment in &entities {
            if let Some(reason) = self.differs_from_model(fragment) {
                return Outgoing::Dead(reason);
            }
        }
        if entities.is_empty() && state.is_empty() && dead_letters.is_empty() {
            return Outgoing::Nothing;
        }
        for fragment in &entities {
            foresee(current, fragment, now);
        }
        Outgoing::Delivery(Delivery { entities, state, dead_letters }, result)
    }

    /// The reason to refuse an entity, if the data model is enforced and it differs.
    fn differs_from_model(&self, fragment: &EntityFragment) -> Option<String> {
        let problems = self.checking.problems(fragment);
        let first = problems.first()?;
        self.counters.skipped(Skip::MODEL, problems.len());
        let reason = format!("differs from its data model: {}: {}", first.attribute, first.reason);
        if self.checking.mode() == ModelCheckMode::Enforce {
            return Some(reason);
        }
        tracing::debug!(
            adapter = self.counters.adapter(),
            entity.id = fragment.id.as_ref().map(EntityId::as_str),
            attribute = first.attribute,
            "an entity {reason}"
        );
        None
    }

    fn dead(&self, item: &Item, reason: &str) -> DeadLetter {
        let adapter = self.counters.adapter();
        DeadLetter::new(adapter, &item.origin, reason, &item.payload, item.arrival)
    }

    /// The deliveries that the broker refused, by the position of their steps.
    async fn write(
        &self,
        tenant: &Tenant,
        deliveries: Vec<Delivery>,
        positions: &[usize],
    ) -> Result<Vec<(usize, Rejection)>, SinkError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let entities: Vec<usize> =
            deliveries.iter().map(|delivery| delivery.entities.len()).collect();
        let results = self.sink.write(tenant, self.counters.adapter(), deliveries).await?;
        if results.len() != positions.len() {
            let reason =
                format!("{} deliveries were given and {} answered", positions.len(), results.len());
            return Err(SinkError { reason });
        }
        let mut refused = Vec::new();
        for ((position, entities), result) in positions.iter().zip(entities).zip(results) {
            match result {
                Ok(()) => self.counters.written(entities),
                Err(rejection) => refused.push((*position, rejection)),
            }
        }
        Ok(refused)
    }

    /// Keeps dead letters, durably.
    async fn bury(&self, tenant: &Tenant, letters: Vec<DeadLetter>) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        let delivery = Delivery { dead_letters: letters, ..Delivery::default() };
        let results = self.sink.write(tenant, self.counters.adapter(), vec![delivery]).await?;
        match results.into_iter().next() {
            Some(Ok(())) => Ok(()),
            // Without this the input would be gone without a trace.
            Some(Err(rejection)) => {
                Err(SinkError { reason: format!("dead letters were refused: {rejection}") })
            }
            None => Err(SinkError { reason: "dead letters were not answered".to_owned() }),
        }
    }

    fn count(&self, settled: &[Settled], newest: Option<Timestamp>) {
        if let Some(arrival) = newest {
            self.counters.lag_seconds(seconds_between(arrival, self.clock.now()));
        }
        let unchanged = settled.iter().filter(|one| **one == Settled::Unchanged).count();
        let dead = settled.iter().filter(|one| matches!(one, Settled::Dead(_))).count();
        self.counters.unchanged(unchanged);
        self.counters.dead(dead);
    }
}

/// What a delivered item is, once it is durable.
fn written(item: &Item) -> Settled {
    match item.dead_letters.first() {
        Some(letter) if item.entities.is_empty() => Settled::Dead(letter.reason.clone()),
        Some(_) | None => Settled::Written,
    }
}

/// From one time to a later one, in seconds; 0 if it is not later.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64()
}

fn set(settled: &mut [Settled], index: usize, result: Settled) {
    if let Some(slot) = settled.get_mut(index) {
        *slot = result;
    }
}

/// Puts the entity as it will be into `current`, if a later item may be compared with it. If that
/// cannot be known, the entity is forgotten, and later items of it are written unfiltered.
fn foresee(current: &mut Current, fragment: &EntityFragment, now: Timestamp) {
    let Current { places, entities } = current;
    let place = fragment.id.as_ref().and_then(|id| places.get(id).copied());
    let known = place.and_then(|place| entities.get_mut(place));
    let Some(known) = known.filter(|known| known.is_repeated) else { return };
    let next = match &known.entity {
        Some(entity) => entity.append(fragment, Overwrite::Yes, now).map(|(entity, _)| entity),
        None => Entity::create(fragment, now),
    };
    known.entity = next.ok().map(Arc::new);
}

/// The steps after the first refused one that share an entity with a refused one before them.
fn again(steps: Vec<Step>, refused: &[(usize, Rejection)]) -> Vec<Step> {
    if refused.is_empty() {
        return Vec::new();
    }
    let refused: HashSet<usize> = refused.iter().map(|(position, _)| *position).collect();
    let mut doubtful: HashSet<EntityId> = HashSet::new();
    let mut again = Vec::new();
    for (position, step) in steps.into_iter().enumerate() {
        let ids = || step.item.entities.iter().filter_map(|fragment| fragment.id.clone());
        if refused.contains(&position) {
            doubtful.extend(ids());
        } else if ids().any(|id| doubtful.contains(&id)) {
            doubtful.extend(ids());
            again.push(step);
        }
    }
    again
}

#[cfg(test)]
mod tests;
