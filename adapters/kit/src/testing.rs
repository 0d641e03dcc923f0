//! For the tests of adapters: a sink in memory that keeps the contract of [`Sink`], and a clock
//! that stands still.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{
    AttrName, Clock, Entity, EntityFragment, EntityId, FragmentValue, Instances, Overwrite, Tenant,
    Timestamp,
};
use parking_lot::Mutex;

use crate::{DeadLetter, Delivery, Rejection, Sink, SinkError};

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this time.
    pub fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.as_micros()))
    }

    /// Moves the clock to this time.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock so many seconds on.
    pub fn advance(&self, seconds: i64) {
        self.set(self.now().plus_micros(seconds.saturating_mul(1_000_000)));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A sink that keeps everything in memory, with the rules of the broker, and counts.
#[derive(Debug)]
pub struct MemorySink {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

type StateKey = (Tenant, String, String);

#[derive(Debug, Default)]
struct Kept {
    tenants: BTreeMap<Tenant, Entities>,
    state: BTreeMap<StateKey, Arc<[u8]>>,
    dead_letters: Vec<(Tenant, DeadLetter)>,
    refused: HashSet<EntityId>,
    failures: usize,
    written_entities: usize,
    written_attributes: usize,
    write_calls: usize,
    read_calls: usize,
}

#[derive(Debug, Default)]
struct Entities {
    /// In the order of creation.
    list: Vec<Arc<Entity>>,
    places: HashMap<EntityId, usize>,
}

impl Entities {
    fn get(&self, id: &EntityId) -> Option<&Arc<Entity>> {
        self.list.get(*self.places.get(id)?)
    }

    fn put(&mut self, entity: Arc<Entity>) {
        let place = self.places.get(&entity.id);
        if let Some(slot) = place.and_then(|place| self.list.get_mut(*place)) {
            *slot = entity;
        } else {
            self.places.insert(entity.id.clone(), self.list.len());
            self.list.push(entity);
        }
    }
}

impl MemorySink {
    /// An empty sink whose times come from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    /// Makes the next so many calls fail, as if the broker were away.
    pub fn fail_next(&self, calls: usize) {
        self.kept.lock().failures = calls;
    }

    /// Makes every delivery that names this entity be refused.
    pub fn refuse(&self, id: &EntityId) {
        self.kept.lock().refused.insert(id.clone());
    }

    /// An entity as it is now.
    pub fn entity(&self, tenant: &Tenant, id: &EntityId) -> Option<Arc<Entity>> {
        self.kept.lock().tenants.get(tenant)?.get(id).cloned()
    }

    /// All entities of a tenant, in the order of their creation.
    pub fn entities(&self, tenant: &Tenant) -> Vec<Arc<Entity>> {
        let kept = self.kept.lock();
        kept.tenants.get(tenant).map(|entities| entities.list.clone()).unwrap_or_default()
    }

    /// The dead letters of a tenant, in the order of their arrival, each identifier once.
    pub fn dead_letters(&self, tenant: &Tenant) -> Vec<DeadLetter> {
        let kept = self.kept.lock();
        let of_tenant = kept.dead_letters.iter().filter(|(owner, _)| owner == tenant);
        of_tenant.map(|(_, letter)| letter.clone()).collect()
    }

    /// How many entities were written since the beginning, each write counted.
    pub fn written_entities(&self) -> usize {
        self.kept.lock().written_entities
    }

    /// How many attributes were written since the beginning, each write counted.
    pub fn written_attributes(&self) -> usize {
        self.kept.lock().written_attributes
    }

    /// How often [`Sink::write`] was called and did not fail.
    pub fn write_calls(&self) -> usize {
        self.kept.lock().write_calls
    }

    /// How often [`Sink::read`] was called and did not fail.
    pub fn read_calls(&self) -> usize {
        self.kept.lock().read_calls
    }

    fn available(&self) -> Result<(), SinkError> {
        let mut kept = self.kept.lock();
        if kept.failures == 0 {
            return Ok(());
        }
        kept.failures -= 1;
        Err(SinkError { reason: "the test wants this call to fail".to_owned() })
    }
}

impl Kept {
    /// Carries out one delivery: all of it, or nothing.
    fn deliver(
        &mut self,
        tenant: &Tenant,
        adapter: &str,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let mut changed: HashMap<EntityId, Arc<Entity>> = HashMap::new();
        let mut order = Vec::new();
        let attributes = delivery.entities.iter().map(|entity| entity.attributes.len());
        let (entities, attributes) = (delivery.entities.len(), attributes.sum::<usize>());
        for fragment in delivery.entities {
            let entity = self.changed_entity(tenant, fragment, &changed, now)?;
            order.push(entity.id.clone());
            changed.insert(entity.id.clone(), Arc::new(entity));
        }
        self.written_entities += entities;
        self.written_attributes += attributes;
        let kept = self.tenants.entry(tenant.clone()).or_default();
        for entity in order.iter().filter_map(|id| changed.remove(id)) {
            kept.put(entity);
        }
        for write in delivery.state {
            let key = (tenant.clone(), adapter.to_owned(), write.key);
            match write.value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        for letter in delivery.dead_letters {
            self.dead_letters.retain(|(_, known)| known.id != letter.id);
            self.dead_letters.push((tenant.clone(), letter));
        }
        Ok(())
    }

    fn changed_entity(
        &self,
        tenant: &Tenant,
        mut fragment: EntityFragment,
        changed: &HashMap<EntityId, Arc<Entity>>,
        now: Timestamp,
    ) -> Result<Entity, Rejection> {
        let reject = |reason: String| Rejection { reason };
        let Some(id) = fragment.id.clone() else {
            return Err(reject("an entity has no id".to_owned()));
        };
        if self.refused.contains(&id) {
            return Err(reject(format!("the test wants {id} to be refused")));
        }
        let deleted = take_nulls(&mut fragment);
        let known = || self.tenants.get(tenant).and_then(|entities| entities.get(&id));
        let mut entity = match changed.get(&id).or_else(known) {
            None => Entity::create(fragment, now),
            Some(entity) => entity.append(fragment, Overwrite::Yes, now).map(|(entity, _)| entity),
        }
        .map_err(|error| reject(error.to_string()))?;
        for (name, which) in deleted {
            if let Some(without) = entity.delete_attribute(&name, &which, now) {
                entity = without;
            }
        }
        Ok(entity)
    }
}

/// Takes the instances that are to be deleted out of a fragment.
fn take_nulls(fragment: &mut EntityFragment) -> Vec<(AttrName, Instances)> {
    let mut deleted = Vec::new();
    fragment.attributes.retain_mut(|attribute| {
        attribute.instances.retain(|instance| {
            let null = matches!(instance.value, Some(FragmentValue::Null));
            if null {
                let dataset = instance.dataset_id.clone();
                let which = dataset.map_or(Instances::Default, Instances::Dataset);
                deleted.push((attribute.name.clone(), which));
            }
            !null
        });
        !attribute.instances.is_empty()
    });
    deleted
}

impl Sink for MemorySink {
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        deliveries: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>> {
        async move {
            self.available()?;
            let now = self.clock.now();
            let mut kept = self.kept.lock();
            kept.write_calls += 1;
            Ok(deliveries
                .into_iter()
                .map(|delivery| kept.deliver(tenant, adapter, delivery, now))
                .collect())
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>> {
        async move {
            self.available()?;
            let mut kept = self.kept.lock();
            kept.read_calls += 1;
            let entities = kept.tenants.get(tenant);
            Ok(ids.iter().map(|id| entities.and_then(|all| all.get(id)).cloned()).collect())
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        id_prefix: &'a str,
        offset: usize,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entity>>, SinkError>> {
        async move {
            self.available()?;
            let entities = self.entities(tenant).into_iter();
            let matching = entities.filter(|entity| entity.id.as_str().starts_with(id_prefix));
            Ok(matching.skip(offset).take(limit).collect())
        }
        .boxed()
    }

    fn state<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Arc<[u8]>)>, SinkError>> {
        async move {
            self.available()?;
            let kept = self.kept.lock();
            let mine = kept.state.iter().filter(|((owner, name, key), _)| {
                owner == tenant && name == adapter && key.starts_with(prefix)
            });
            Ok(mine.map(|((_, _, key), value)| (key.clone(), Arc::clone(value))).collect())
        }
        .boxed()
    }
}
