//! The parts of a server, and what is done when one of them ends by itself.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Raised when something has ended by itself without which the server would accept and not
/// deliver. Stays raised.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarm(watch::Sender<Option<&'static str>>);

impl Alarm {
    /// What has ended first; none while all is well.
    pub(super) fn what(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    /// Waits until it is raised, and says what has ended.
    pub(super) async fn raised(&self) -> &'static str {
        let mut seen = self.0.subscribe();
        let raised = seen.wait_for(Option::is_some).await.ok().and_then(|what| *what);
        // The sender is here, so the wait does not end before.
        raised.unwrap_or("a part of the server")
    }

    fn raise(&self, what: &'static str) {
        tracing::error!("{what} has ended although nobody asked it to");
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(what);
            is_first
        });
    }
}

/// Tasks that end together.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) tasks: JoinSet<()>,
    pub(super) stop: CancellationToken,
}

impl Part {
    /// Starts a task that has to run until the part is ended; if it ends before, by a panic too,
    /// the alarm is raised.
    pub(super) fn start_vital<F>(
        &mut self,
        what: &'static str,
        alarm: &Alarm,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, alarm) = (self.stop.clone(), alarm.clone());
        // In a set of its own, which catches a panic, and ends the task if this one is ended.
        let mut running = JoinSet::new();
        running.spawn(task(stop.clone()));
        self.tasks.spawn(async move {
            if let Some(ended) = running.join_next().await {
                note(ended);
            }
            if !stop.is_cancelled() {
                alarm.raise(what);
            }
        });
    }

    /// Asks the tasks to end, and waits; those that have not ended after this time are cut off.
    pub(super) async fn end(mut self, within: Duration) {
        self.stop.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                note(ended);
            }
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("tasks that did not end in time have been cut off");
            self.tasks.shutdown().await;
        }
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "a task ended badly");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_vital_task_that_panics_raises_the_alarm() {
        let (alarm, mut part) = (Alarm::default(), Part::default());
        part.start_vital("the patient one", &alarm, |stop| async move { stop.cancelled().await });
        tokio::task::yield_now().await;
        assert_eq!(alarm.what(), None);
        part.start_vital("the broken one", &alarm, |_| async { panic!("as the test wants it") });
        assert_eq!(alarm.raised().await, "the broken one");
        part.end(LONG).await;
        assert_eq!(alarm.what(), Some("the broken one"), "the end of the other was asked for");
    }

    #[tokio::test]
    async fn a_vital_task_that_returns_raises_the_alarm_and_one_that_is_asked_to_does_not() {
        let (alarm, mut part) = (Alarm::default(), Part::default());
        part.start_vital("it", &alarm, CancellationToken::cancelled_owned);
        part.end(LONG).await;
        assert!(alarm.raised().now_or_never().is_none());
        let mut part = Part::default();
        part.start_vital("it", &alarm, |_| async {});
        assert_eq!(alarm.raised().await, "it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_cut_off() {
        let (alarm, mut part) = (Alarm::default(), Part::default());
        part.start_vital("it", &alarm, |_| std::future::pending());
        part.end(LONG).await;
        assert_eq!(alarm.what(), None);
    }
}
