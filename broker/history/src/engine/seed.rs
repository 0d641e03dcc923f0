//! What entities are where changes are missing: when a history begins in a store that is not empty, or
//! goes on behind a gap. It is recorded by way of the log, as all else is, so it has numbers of its own
//! and is there after a kill.

use std::sync::atomic::Ordering;
use std::time::Duration;

use musubi_model::{
    AttrName, AttributeType, Clock as _, Entity, EvolutionAction, EvolutionChange, Instance,
    InstanceNumber, NewInstance, Recorded, SCOPE, SystemClock, Tenant, Timestamp, TypeName, Value,
    scopes_json,
};
use musubi_query::{EntityQuery, Start};
use musubi_store::{EvolutionWrite, Found, Group, RecordKind, RecordQuery, StoreError};

use super::archive::Archive;
use super::shared::Shared;
use crate::read::{Deadline, End, EntityView, Needed, View, anything};
use crate::series::SeriesName;

/// How many entities are held at once.
const PAGE: usize = 64;

/// How many tenants are asked for at once.
const TENANTS: usize = 1_000;

/// How long it takes at most to see what is recorded of one. Others answer meanwhile.
const LONGEST: Duration = Duration::from_secs(10);

impl Archive {
    /// Whether changes are missing, and what entities are was not recorded since.
    pub(super) fn must_seed(&self) -> bool {
        let state = self.shared().state.read();
        state.manifest.gap_upto > state.manifest.seeded_upto
    }

    /// Records of every entity what it is, where nothing as new is recorded. So it may end anywhere,
    /// and begin anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if something could not be read or written; what was recorded stays.
    pub(super) async fn seed(&self) -> Result<(), StoreError> {
        let upto = self.shared().state.read().manifest.gap_upto;
        let before = self.metrics().seeded.get();
        for tenant in self.shared().tenants().await? {
            let mut after = None;
            loop {
                if self.shared().is_closing.load(Ordering::Relaxed) {
                    return Ok(());
                }
                after = self.seed_page(&tenant, after).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        // The last page may have been left half way.
        if self.shared().is_closing.load(Ordering::Relaxed) {
            return Ok(());
        }
        // The disk must not know that it is done, and lose what was done.
        let newest = *self.shared().store.newest().borrow();
        self.shared().until_durable(newest).await?;
        let shared = self.shared().clone();
        let marked = tokio::task::spawn_blocking(move || shared.mark_seeded(upto));
        marked.await.map_err(failed)??;
        let instances = self.metrics().seeded.get().saturating_sub(before);
        tracing::info!(upto = upto.0, instances, "recorded what entities are behind a gap");
        Ok(())
    }

    /// Records what the next entities of a tenant are. Returns where the page after that begins.
    pub(super) async fn seed_page(
        &self,
        tenant: &Tenant,
        after: Option<Start>,
    ) -> Result<Option<Start>, StoreError> {
        let shared = self.shared();
        let now = SystemClock.now();
        let query = EntityQuery {
            at: Some(now),
            start: after.unwrap_or_default(),
            limit: PAGE,
            ..EntityQuery::default()
        };
        let page = shared.store.select(tenant, &query).await?;
        let last = page.items.last().map(|found| Start::After(found.position));
        let more = page.more;
        // Whatever the log says of these entities is taken in, and so is not recorded twice.
        shared.catch_up().await?;
        let (own, comparing) = (tenant.clone(), shared.clone());
        let comparing = tokio::task::spawn_blocking(move || comparing.changes(&own, &page.items));
        let changes = comparing.await.map_err(failed)?;
        let mut recorded = 0;
        let mut groups = Vec::new();
        for change in changes {
            if let EvolutionAction::Add { instances, .. } = &change.action {
                recorded += u64::try_from(instances.len()).unwrap_or_default();
            }
            let evolutions = vec![EvolutionWrite { tenant: tenant.clone(), change }];
            groups.push(Group { time: now, evolutions, ..Group::default() });
        }
        if !groups.is_empty() {
            shared.store.commit(groups).await?;
        }
        shared.metrics.seeded.inc_by(recorded);
        Ok(last.filter(|_| more))
    }
}

impl Shared {
    /// What is to be recorded of these entities. One of which the history cannot be read is left
    /// out, so that it does not keep the others from being recorded.
    fn changes(&self, tenant: &Tenant, items: &[Found]) -> Vec<EvolutionChange> {
        let view = self.view();
        let gap = self.state.read().manifest.gap_until;
        let (instances, bytes) = (self.options.entity_instances, self.options.entity_bytes);
        let mut changes = Vec::new();
        for found in items {
            if self.is_closing.load(Ordering::Relaxed) {
                break;
            }
            let deadline = Deadline::after(LONGEST, instances, bytes);
            match change(&view, (tenant, gap), found, &deadline) {
                Ok(change) => changes.extend(change),
                Err(error) => {
                    let entity = found.entity.id.as_str();
                    tracing::warn!(%tenant, entity, %error, "what an entity is behind a gap could not be recorded");
                }
            }
        }
        changes
    }

    /// All tenants that there are.
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let mut tenants = vec![Tenant::default()];
        let mut after = None;
        loop {
            let query = RecordQuery {
                kind: RecordKind::Tenant,
                tenant: None,
                prefix: String::new(),
                after,
                limit: TENANTS,
            };
            let records = self.store.records(&query).await?;
            let Some(last) = records.last() else { return Ok(tenants) };
            after = Some((last.key.tenant.clone(), last.key.key.clone()));
            let named = records.into_iter().map(|record| record.key.tenant);
            tenants.extend(named.filter(|tenant| !tenant.is_default()));
        }
    }
}

fn failed(error: tokio::task::JoinError) -> StoreError {
    StoreError::Failed { doing: "recording what entities are", source: error.into() }
}

/// What is to be recorded of an entity, if anything is. What was written since the gap ended is
/// in the log.
fn change(
    view: &View,
    (tenant, gap): (&Tenant, Option<Timestamp>),
    found: &Found,
    deadline: &Deadline,
) -> Result<Option<EvolutionChange>, StoreError> {
    let entity = &*found.entity;
    let known = Known { entity: view.entity(tenant, &entity.id)?, deadline };
    let mut instances = Vec::new();
    for attribute in &entity.attributes {
        let limits = view.retention.limits(tenant, &entity.types, &attribute.name);
        for instance in &attribute.instances {
            let name = (attribute.name.clone(), instance.dataset_id().cloned());
            let is_in_gap = gap.is_none_or(|until| instance.modified_at < until);
            // What is not kept any more is not recorded to be dropped again.
            let is_kept = !limits.hides(&recorded(instance));
            if is_in_gap && is_kept && known.is_older(&name, instance)? {
                instances.push((name.0, new(instance.clone())));
            }
        }
    }
    if let Some((name, instance)) = known.scope(entity)? {
        let limits = view.retention.limits(tenant, &entity.types, &name);
        if !limits.hides(&recorded(&instance)) {
            instances.push((name, new(instance)));
        }
    }
    let new_types = entity.types.iter().filter(|name| !known.has_type(name));
    let types: Vec<TypeName> = new_types.cloned().collect();
    // Without instances nothing is known of an entity, whatever its types are.
    if instances.is_empty() && (types.is_empty() || known.entity.is_none()) {
        return Ok(None);
    }
    let action = EvolutionAction::Add { types, instances };
    Ok(Some(EvolutionChange { id: entity.id.clone(), action }))
}

fn new(instance: Instance) -> NewInstance {
    NewInstance { instance, deleted_at: None }
}

fn recorded(instance: &Instance) -> Recorded {
    let number = InstanceNumber::default();
    Recorded { number, instance: instance.clone(), deleted_at: None }
}

/// What is recorded of an entity, if anything is.
struct Known<'a> {
    entity: Option<EntityView<'a>>,
    deadline: &'a Deadline,
}

impl Known<'_> {
    fn has_type(&self, name: &TypeName) -> bool {
        self.entity.as_ref().is_some_and(|entity| entity.types().contains(name))
    }

    /// What is recorded of a series and was modified last.
    fn last(&self, name: &SeriesName) -> Result<Option<Recorded>, StoreError> {
        let Some(entity) = &self.entity else { return Ok(None) };
        let (series, needed) = (std::slice::from_ref(name), Needed::Some(1, End::Last, None));
        Ok(entity.instances(series, &anything(), needed, self.deadline)?.pop())
    }

    /// Whether all that is recorded of a series is older than this instance.
    fn is_older(&self, name: &SeriesName, instance: &Instance) -> Result<bool, StoreError> {
        let last = self.last(name)?;
        Ok(last.is_none_or(|last| last.instance.modified_at < instance.modified_at))
    }

    /// The scopes of an entity, if others are recorded. Since when it has them is not known, but when
    /// it was modified last it had them.
    fn scope(&self, entity: &Entity) -> Result<Option<(AttrName, Instance)>, StoreError> {
        let Ok(name) = SCOPE.parse::<AttrName>() else { return Ok(None) };
        if entity.scopes.is_empty() {
            return Ok(None);
        }
        let time = entity.modified_at;
        let value = Value { kind: AttributeType::Property, json: scopes_json(&entity.scopes) };
        let instance = Instance {
            value,
            observed_at: Some(time),
            created_at: time,
            modified_at: time,
            qualifiers: None,
        };
        let name = (name, None);
        let is_same = match self.last(&name)? {
            Some(last) => {
                last.instance.modified_at >= time || last.instance.value == instance.value
            }
            None => false,
        };
        Ok((!is_same).then_some((name.0, instance)))
    }
}
