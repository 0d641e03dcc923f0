//! Things to be done between other things, because they have to ask the store, and in small parts,
//! because everything else waits meanwhile.

use musubi_model::Timestamp;

use crate::engine::account::{Account, AccountKey, Settled};
use crate::engine::notifier::State;
use crate::{NotifyError, Status};

/// Something to be done when there is time.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Read on in the outbox.
    Read,
    /// Settle all that is pending for a subscription as suppressed.
    Suppress(AccountKey),
    /// Read on among the occasions of a subscription.
    Collect(AccountKey),
    /// Delete the occasions of a subscription that is gone.
    Forget(AccountKey),
}

/// Chores that are done before anything else gets its turn.
const CHORES: usize = 8;

impl State<'_> {
    /// Does some of what has to ask the store.
    pub(crate) async fn do_chores(&mut self) -> Result<(), NotifyError> {
        for _ in 0..CHORES {
            let Some(chore) = self.chores.pop_front() else { return Ok(()) };
            match chore {
                Chore::Read => self.read_on().await?,
                Chore::Suppress(key) => self.suppress(key).await?,
                Chore::Collect(key) => {
                    self.collect(&key).await?;
                    self.queue_lane(&key);
                }
                Chore::Forget(key) => self.forget_occasions(&key).await?,
            }
        }
        Ok(())
    }

    async fn suppress(&mut self, key: AccountKey) -> Result<(), NotifyError> {
        let now = self.look_at_clock();
        if !self.accounts.get(&key).is_some_and(|account| self.is_over(account, now)) {
            // It was changed meanwhile.
            self.queue_lane(&key);
            return Ok(());
        }
        let now = self.clock.now();
        let Some(account) = self.accounts.get_mut(&key) else { return Ok(()) };
        tell_of_end(&key, account, now);
        account.trying = None;
        let changes = account.lane.len();
        self.settle_changes(&key, changes, Settled::Suppressed);
        while self.accounts.get(&key).is_some_and(|it| it.occasions.oldest().is_some()) {
            self.settle_occasion(&key, Settled::Suppressed);
        }
        self.collect(&key).await?;
        let Some(account) = self.accounts.get_mut(&key) else { return Ok(()) };
        if account.lane.spilled().is_some() {
            account.is_ending = true;
            self.read_for(&key);
        }
        if self.accounts.get(&key).is_some_and(|it| it.occasions.oldest().is_some()) {
            self.chores.push_back(Chore::Suppress(key));
        }
        self.save_within(self.options.save_delay);
        Ok(())
    }

    /// Suppresses what subscriptions hold back that have expired, or have been paused for long.
    pub(crate) fn sweep(&mut self) {
        let now = self.look_at_clock();
        let over = self.accounts.iter().filter(|(_, account)| self.is_over(account, now));
        let keys: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        self.chores.extend(keys.into_iter().map(Chore::Suppress));
    }

    /// Whether what is pending for a subscription is no longer to be sent.
    fn is_over(&self, account: &Account, now: Timestamp) -> bool {
        let subscription = &account.applied.subscription;
        let has_ended = match subscription.status(now) {
            Status::Active => subscription.is_stream(),
            Status::Paused => {
                self.aging.is_older(subscription.modified_at, now, self.options.max_age)
                    || subscription.is_stream()
            }
            Status::Expired => true,
        };
        has_ended && account.book.ledger.pending > 0 && !account.is_busy()
    }
}

/// Says once how much is suppressed, of which there is no dead letter.
fn tell_of_end(key: &AccountKey, account: &Account, now: Timestamp) {
    if account.is_ending {
        // The rest of it is read already.
        return;
    }
    let subscription = &account.applied.subscription;
    let reason = match subscription.status(now) {
        Status::Expired => "it has expired",
        Status::Active | Status::Paused if subscription.is_stream() => "it is streamed now",
        Status::Active | Status::Paused => "it has been paused for too long",
    };
    let (tenant, id) = (key.tenant.as_str(), key.id.as_str());
    let pending = account.book.ledger.pending;
    tracing::warn!(
        tenant,
        subscription.id = id,
        pending,
        reason,
        "what was pending for a subscription is suppressed, without dead letters"
    );
}
