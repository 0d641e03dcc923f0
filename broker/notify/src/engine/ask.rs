//! Questions to the store while the notifier is at work.

use std::time::Duration;

use musubi_store::{Record, RecordQuery};
use tokio::time::sleep;

use crate::NotifyError;
use crate::engine::notifier::State;

/// The pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl State<'_> {
    /// The records that the query wants. A store that does not answer is asked again, because what
    /// is due is not in memory: as long as its disk is full, or it opens its files again, nothing
    /// new is sent.
    ///
    /// # Errors
    ///
    /// [`NotifyError::Store`] if the notifier is to stop before the store answers.
    pub(crate) async fn ask(&self, query: &RecordQuery) -> Result<Vec<Record>, NotifyError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.store.records(query).await {
                Ok(records) => return Ok(records),
                Err(error) => error,
            };
            tracing::warn!(%error, "notifications wait because the store does not answer");
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = self.stop.clone() => return Err(NotifyError::Store(error)),
            }
        }
    }
}
