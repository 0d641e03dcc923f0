//! What is done now and then, so that nothing grows without end.

use std::sync::Arc;
use std::time::Duration;

use musubi_broker::Broker;
use musubi_model::Clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::part::{Alarm, Part};

/// How often the log is looked at for what nobody needs any more.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// Starts it.
pub(super) fn start(part: &mut Part, alarm: &Alarm, letters: Letters) {
    let broker = letters.broker.clone();
    part.start_vital("the upkeep of the log", alarm, |stop| keep_house(broker, stop));
    part.start_vital("the upkeep of the letters", alarm, |stop| letters.keep(stop));
}

/// Drops what nobody needs any more of the log, now and then, until `stop`.
async fn keep_house(broker: Broker, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Err(error) = broker.truncate_log().await {
                    tracing::warn!(error = %error, "the log could not be truncated");
                }
            }
            () = stop.cancelled() => return,
        }
    }
}

/// What throws away dead letters that have been kept for long.
pub(super) struct Letters {
    pub(super) broker: Broker,
    pub(super) clock: Arc<dyn Clock>,
    /// How long they are kept; none means for ever.
    pub(super) kept: Option<Duration>,
}

impl Letters {
    /// Throws away what is too old, now and then, until `stop`. All letters are read for that, so it
    /// is not done more often than needed for no letter to be kept for a tenth longer.
    async fn keep(self, stop: CancellationToken) {
        let Some(kept) = self.kept else { return stop.cancelled().await };
        let pause = (kept / 10).clamp(Duration::from_secs(1), Duration::from_hours(1));
        let mut ticks = tokio::time::interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.remove_older_than(kept).await,
                () = stop.cancelled() => return,
            }
        }
    }

    async fn remove_older_than(&self, kept: Duration) {
        let micros = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        let moment = self.clock.now().plus_micros(-micros);
        match self.broker.remove_dead_letters_before(moment).await {
            Ok(0) => {}
            Ok(letters) => {
                tracing::info!(letters, older_than = ?kept, "old dead letters were thrown away");
            }
            Err(error) => {
                tracing::warn!(error = %error, "old dead letters could not be thrown away");
            }
        }
    }
}
