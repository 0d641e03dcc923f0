//! Where the notifier hands what is due to those who listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use musubi_model::{Sequence, Tenant};
use musubi_store::Change;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::engine::account::AccountKey;
use crate::engine::applied::Applied;
use crate::streams::due::Due;
use crate::streams::feed::FeedEnd;
use crate::streams::inbox::Inbox;
use crate::{StreamOptions, Subscription};

/// Where the notifier is in the log, and who listens.
///
/// That no change is missed or told twice rests on an order. The notifier first says which change
/// it is at, and then hands it out; a listener first has itself entered here, and then asks where
/// the notifier is. Whatever was handed out before it was entered is at that place or before it,
/// and is read from the log; whatever comes later comes into its inbox, and what it has read
/// already it drops.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// The change that the notifier is at.
    position: AtomicU64,
    /// How many listen. Without any, the notifier does no more than to look at this.
    listeners: AtomicUsize,
    entered: Mutex<Entered>,
}

#[derive(Debug, Default)]
struct Entered {
    inboxes: FxHashMap<AccountKey, Vec<Arc<Inbox>>>,
    tenants: FxHashMap<Tenant, usize>,
}

/// Why nobody else can listen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamRefused {
    /// As many listen as the broker has room for.
    #[error("all {0} streams of this broker are taken; try again")]
    TooMany(usize),
    /// As many listen as one tenant may have.
    #[error("all {0} streams of this tenant are taken; try again")]
    TooManyOfTenant(usize),
}

impl Hub {
    /// The notifier is about to look at this change.
    pub(crate) fn advance(&self, sequence: Sequence) {
        let before = self.position.swap(sequence.0, Ordering::SeqCst);
        if before.wrapping_add(1) != sequence.0 {
            self.left_out();
        }
    }

    /// The notifier has seen to everything up to here, and perhaps to more.
    pub(crate) fn reach(&self, sequence: Sequence) {
        if self.position.fetch_max(sequence.0, Ordering::SeqCst) < sequence.0 {
            self.left_out();
        }
    }

    /// The notifier goes on at another place, so whoever listens has to read what is between.
    fn left_out(&self) {
        if self.listeners.load(Ordering::SeqCst) > 0 {
            for inbox in self.entered.lock().inboxes.values().flatten() {
                inbox.fall_behind();
            }
        }
    }

    /// Where the notifier is.
    pub(crate) fn position(&self) -> Sequence {
        Sequence(self.position.load(Ordering::SeqCst))
    }

    /// Hands a change that is due to a subscription to all who listen to it.
    pub(crate) fn offer(&self, key: &AccountKey, applied: &Arc<Applied>, change: &Arc<Change>) {
        if self.listeners.load(Ordering::SeqCst) == 0 {
            return;
        }
        let entered = self.entered.lock();
        let Some(inboxes) = entered.inboxes.get(key) else { return };
        let due = Arc::new(Due::new(Arc::clone(applied), Arc::clone(change)));
        for inbox in inboxes {
            inbox.push(&due);
        }
    }

    /// The subscription is another one from now on, or none at all.
    pub(crate) fn revise(&self, key: &AccountKey, subscription: Option<&Subscription>) {
        if self.listeners.load(Ordering::SeqCst) == 0 {
            return;
        }
        let entered = self.entered.lock();
        for inbox in entered.inboxes.get(key).into_iter().flatten() {
            match subscription {
                None => inbox.end(FeedEnd::Deleted),
                Some(subscription) if !subscription.wants_changes() => {
                    inbox.end(FeedEnd::NoChanges);
                }
                Some(subscription) => inbox.set_expiry(subscription.expires_at),
            }
        }
    }

    /// Enters a listener.
    pub(crate) fn enter(
        &self,
        key: &AccountKey,
        options: &StreamOptions,
    ) -> Result<Arc<Inbox>, StreamRefused> {
        let mut entered = self.entered.lock();
        if self.listeners.load(Ordering::SeqCst) >= options.most {
            return Err(StreamRefused::TooMany(options.most));
        }
        let of_tenant = entered.tenants.get(&key.tenant).copied().unwrap_or_default();
        if of_tenant >= options.of_a_tenant {
            return Err(StreamRefused::TooManyOfTenant(options.of_a_tenant));
        }
        let inbox = Arc::new(Inbox::new(options.window));
        entered.inboxes.entry(key.clone()).or_default().push(Arc::clone(&inbox));
        entered.tenants.insert(key.tenant.clone(), of_tenant + 1);
        self.listeners.fetch_add(1, Ordering::SeqCst);
        Ok(inbox)
    }

    /// Takes a listener out.
    pub(crate) fn leave(&self, key: &AccountKey, inbox: &Arc<Inbox>) {
        let mut entered = self.entered.lock();
        let Some(inboxes) = entered.inboxes.get_mut(key) else { return };
        let Some(place) = inboxes.iter().position(|other| Arc::ptr_eq(other, inbox)) else {
            return;
        };
        inboxes.swap_remove(place);
        if inboxes.is_empty() {
            entered.inboxes.remove(key);
        }
        if let Some(count) = entered.tenants.get_mut(&key.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                entered.tenants.remove(&key.tenant);
            }
        }
        self.listeners.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.load(Ordering::SeqCst)
    }
}
