//! Occasions: how they become due, and how they are kept.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{EntityId, Tenant};
use musubi_store::{Record, RecordKind, RecordQuery};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::account::{AccountKey, Settled};
use crate::engine::chores::Chore;
use crate::engine::notifier::State;
use crate::engine::ticket::Due;
use crate::occasions::{Occasion, OccasionKind};
use crate::queue::occasions::MOST;
use crate::{NotifyError, SubscriptionId};

/// The value of an occasion's record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptOccasion {
    pub(crate) subscription: SubscriptionId,
    pub(crate) occasion: Occasion,
}

/// The namespace of the UUIDs that stand for entities in the keys of records.
const ENTITIES: Uuid = Uuid::from_u128(0x1d6a_8e93_40b7_4c15_a2fe_97d0_5b3c_e841);

/// Tenant and key of an occasion's record: subscription, moment, kind, and entity if it is about
/// one. An id may be almost as long as a key, so the entity is there as a UUID that is made of
/// its id.
pub(crate) fn occasion_key(key: &AccountKey, occasion: &Occasion) -> (Tenant, String) {
    let entity = |id: &EntityId| Uuid::new_v5(&ENTITIES, id.as_str().as_bytes());
    let kind = match &occasion.kind {
        OccasionKind::Initial => "initial".to_owned(),
        OccasionKind::Periodic => "periodic".to_owned(),
        OccasionKind::Silent { entity: id, .. } => format!("silent/{}", entity(id)),
        OccasionKind::Returned { entity: id, .. } => format!("returned/{}", entity(id)),
    };
    let micros = occasion.at.as_micros().max(0);
    (key.tenant.clone(), format!("{}/{micros:020}/{kind}", key.id))
}

/// Records of occasions that are read at once.
pub(crate) const OCCASIONS_AT_ONCE: usize = 500;

impl State<'_> {
    /// Makes an occasion due. It is counted at once, and sent when it has been saved. A tick takes
    /// the place of earlier ones that were not sent.
    pub(crate) fn occur(&mut self, key: &AccountKey, occasion: Occasion) {
        if !self.accounts.contains_key(key) {
            return;
        }
        if occasion.kind == OccasionKind::Periodic {
            self.supersede_ticks(key);
        }
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.book.ledger.due += 1;
        account.book.ledger.pending += 1;
        let kept = KeptOccasion { subscription: key.id.clone(), occasion: occasion.clone() };
        // Times and text: nothing that JSON cannot hold.
        let value = Arc::from(serde_json::to_vec(&kept).unwrap_or_default());
        self.unsaved.occasions.insert(occasion_key(key, &occasion), Some(value));
        self.unsaved.occurred.insert(key.clone());
        account.occasions.add(occasion, self.next_save);
        self.touch(key);
        self.show_later(key);
        self.save_within(Duration::ZERO);
    }

    /// Suppresses the ticks that were not sent.
    fn supersede_ticks(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let is_trying = matches!(account.trying, Some(Due::Occasion(_)));
        let keep_first = usize::from(is_trying && account.is_busy());
        let ticks = account.occasions.take_ticks(keep_first);
        let is_tried = |due: &Due| matches!(due, Due::Occasion(tick) if ticks.contains(tick));
        if account.trying.as_ref().is_some_and(is_tried) {
            account.trying = None;
            account.lane.forget();
        }
        for tick in &ticks {
            account.count(Settled::Suppressed, 1);
            let name = occasion_key(key, tick);
            // One that never was on its way to the store needs nothing to be deleted there.
            if self.unsaved.occasions.remove(&name).is_none_or(|value| value.is_none()) {
                self.unsaved.occasions.insert(name, None);
            }
        }
    }

    /// Plans to read on among the occasions of a subscription, if none is left in memory.
    pub(crate) fn collect_occasions(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        if account.occasions.wants_more() && !account.collecting {
            account.collecting = true;
            self.chores.push_back(Chore::Collect(key.clone()));
        }
    }

    /// Reads on among the occasions of a subscription.
    pub(crate) async fn collect(&mut self, key: &AccountKey) -> Result<(), NotifyError> {
        let mut found = Vec::new();
        let mut after = None;
        while found.len() < MOST {
            let records = self.occasion_records(key, after.take()).await?;
            let is_last = records.len() < OCCASIONS_AT_ONCE;
            after = records.last().map(|last| (last.key.tenant.clone(), last.key.key.clone()));
            let is_pending = |occasion: &Occasion| !self.is_going(&occasion_key(key, occasion));
            found.extend(records.iter().filter_map(|it| of(it, key)).filter(is_pending));
            if is_last {
                break;
            }
        }
        let Some(account) = self.accounts.get_mut(key) else { return Ok(()) };
        account.collecting = false;
        if account.occasions.wants_more() {
            account.occasions.take_in(found.into_iter());
        }
        Ok(())
    }

    async fn occasion_records(
        &self,
        key: &AccountKey,
        after: Option<(Tenant, String)>,
    ) -> Result<Vec<Record>, NotifyError> {
        let query = RecordQuery {
            kind: RecordKind::Occasion,
            tenant: Some(key.tenant.clone()),
            prefix: format!("{}/", key.id),
            after,
            limit: OCCASIONS_AT_ONCE,
        };
        self.ask(&query).await
    }

    /// Whether an occasion is settled, and its record still there.
    fn is_going(&self, name: &(Tenant, String)) -> bool {
        matches!(self.unsaved.occasions.get(name), Some(None))
            || self.saving.as_ref().is_some_and(|saving| saving.done.going.contains(name))
    }

    /// Deletes records of occasions of a subscription that is gone, or is another one now.
    pub(crate) async fn forget_occasions(&mut self, key: &AccountKey) -> Result<(), NotifyError> {
        let records = self.occasion_records(key, None).await?;
        let since = self.accounts.get(key).map(|it| it.applied.subscription.created_at());
        let stale = records.iter().filter_map(|record| of(record, key));
        let stale = stale.filter(|occasion| since.is_none_or(|since| occasion.at < since));
        let names: Vec<_> = stale.map(|occasion| occasion_key(key, &occasion)).collect();
        let names: Vec<_> = names.into_iter().filter(|name| !self.is_going(name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        self.unsaved.occasions.extend(names.into_iter().map(|name| (name, None)));
        self.save_within(Duration::ZERO);
        // The next ones, when these are gone.
        self.unsaved.forgotten.push(key.clone());
        Ok(())
    }
}

/// The occasion in a record, if it is one of this subscription.
fn of(record: &Record, key: &AccountKey) -> Option<Occasion> {
    let kept = serde_json::from_slice::<KeptOccasion>(&record.value)
        .inspect_err(|error| {
            let key = &record.key.key;
            tracing::error!(%error, key, "the record of an occasion is unreadable");
        })
        .ok()?;
    // An id may be the beginning of another one.
    (kept.subscription == key.id).then_some(kept.occasion)
}
