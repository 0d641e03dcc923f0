//! Who may ask, and who waits to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Tenant;
use musubi_store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most questions of one tenant that wait.
const MOST_WAITING: usize = 64;

/// Lets so many questions be answered at once. The others wait in the order in which they came, not
/// for ever, and of one tenant not more than [`MOST_WAITING`].
#[derive(Debug)]
pub(super) struct Turns {
    permits: Arc<Semaphore>,
    waiting: Mutex<HashMap<Tenant, usize>>,
}

/// Why a question is not answered.
#[derive(Debug, thiserror::Error)]
enum NoTurn {
    #[error("{MOST_WAITING} questions of the tenant wait already")]
    TooMany,
    #[error("other questions took longer than a question may wait")]
    TooLong,
    #[error("no more questions are answered")]
    Ended,
}

impl From<NoTurn> for StoreError {
    fn from(error: NoTurn) -> Self {
        Self::Unavailable { doing: "reading the history", source: error.into() }
    }
}

impl Turns {
    /// For so many questions at once, at least one.
    pub(super) fn new(questions: usize) -> Self {
        let permits = questions.clamp(1, Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)), waiting: Mutex::default() }
    }

    /// Waits for a turn. It lasts until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if it does not come in this time, or too many of the tenant wait.
    pub(super) async fn take(
        &self,
        tenant: &Tenant,
        longest: Duration,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::begin(self, tenant)?;
        let permit = tokio::time::timeout(longest, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| NoTurn::TooLong)?;
        Ok(permit.map_err(|_| NoTurn::Ended)?)
    }
}

/// A question that waits.
struct Waiting<'a> {
    turns: &'a Turns,
    tenant: &'a Tenant,
}

impl<'a> Waiting<'a> {
    fn begin(turns: &'a Turns, tenant: &'a Tenant) -> Result<Self, NoTurn> {
        let mut waiting = turns.waiting.lock();
        let count = waiting.entry(tenant.clone()).or_default();
        if *count >= MOST_WAITING {
            return Err(NoTurn::TooMany);
        }
        *count += 1;
        Ok(Self { turns, tenant })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting.lock();
        let left = waiting.get(self.tenant).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            waiting.remove(self.tenant);
        } else {
            waiting.insert(self.tenant.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);

    fn is_refused(taken: &Result<OwnedSemaphorePermit, StoreError>) -> bool {
        matches!(taken, Err(StoreError::Unavailable { .. }))
    }

    #[tokio::test]
    async fn whoever_has_waited_long_enough_is_refused() {
        let (turns, tenant) = (Turns::new(1), Tenant::default());
        let first = turns.take(&tenant, LONGEST).await.unwrap();
        let waited = turns.take(&tenant, Duration::ZERO).await;
        assert!(is_refused(&waited));
        drop(first);
        assert!(turns.take(&tenant, LONGEST).await.is_ok());
        assert!(turns.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn one_tenant_does_not_fill_the_room_for_those_that_wait() {
        let (turns, one) = (Turns::new(1), Tenant::default());
        let other = "other".parse().unwrap();
        let first = turns.take(&one, LONGEST).await.unwrap();
        let mut waiting: Vec<_> =
            (0..MOST_WAITING).map(|_| Box::pin(turns.take(&one, LONGEST))).collect();
        for question in &mut waiting {
            assert!(question.as_mut().now_or_never().is_none());
        }
        let refused = turns.take(&one, LONGEST).now_or_never();
        assert!(refused.as_ref().is_some_and(is_refused));
        let mut another = pin!(turns.take(&other, LONGEST));
        assert!(another.as_mut().now_or_never().is_none(), "it waits");
        drop(waiting);
        drop(first);
        assert!(another.await.is_ok());
    }
}
