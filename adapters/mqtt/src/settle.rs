//! Offering messages until it is known what becomes of them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Ingest, Message, Verdict};

/// How many messages are offered in one call, at most.
pub(crate) const BATCH: usize = 512;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Offers `messages` until each has a final verdict, with growing pauses while some are to come
/// again later. Answers one verdict per message, in order; [`Verdict::Later`] only for what was
/// still open when `stop` came.
pub(crate) async fn settle(
    ingest: &dyn Ingest,
    messages: Vec<Message>,
    stop: &CancellationToken,
) -> Vec<Verdict> {
    let mut verdicts = offer(ingest, &messages).await;
    let mut pause = FIRST_PAUSE;
    loop {
        let open: Vec<usize> = (0..verdicts.len())
            .filter(|&index| matches!(verdicts.get(index), Some(Verdict::Later(_))))
            .collect();
        let Some(Verdict::Later(reason)) = open.first().and_then(|&index| verdicts.get(index))
        else {
            return verdicts;
        };
        tracing::warn!(
            messages = open.len(),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "messages wait unacknowledged: {reason}"
        );
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return verdicts;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        let again: Vec<Message> =
            open.iter().filter_map(|&index| messages.get(index).cloned()).collect();
        for (index, verdict) in open.into_iter().zip(offer(ingest, &again).await) {
            if let Some(slot) = verdicts.get_mut(index) {
                *slot = verdict;
            }
        }
    }
}

async fn offer(ingest: &dyn Ingest, messages: &[Message]) -> Vec<Verdict> {
    let mut verdicts = ingest.ingest(messages).await;
    verdicts.resize_with(messages.len(), || Verdict::Later("no verdict was given".to_owned()));
    verdicts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use musubi_model::Timestamp;
    use parking_lot::Mutex;

    use super::*;

    /// Refuses nothing, but takes a message only at its third coming, if its payload says so.
    #[derive(Debug, Default)]
    struct Hesitant {
        calls: Mutex<Vec<Vec<Bytes>>>,
    }

    impl Ingest for Hesitant {
        fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
            let mut calls = self.calls.lock();
            calls.push(messages.iter().map(|message| message.payload.clone()).collect());
            let late = calls.len() < 3;
            let verdicts = messages
                .iter()
                .map(|message| match &*message.payload {
                    b"wait" if late => Verdict::Later("not yet".to_owned()),
                    b"bad" => Verdict::Refused("bad".to_owned()),
                    _ => Verdict::Committed,
                })
                .collect();
            async move { verdicts }.boxed()
        }
    }

    fn message(payload: &'static str) -> Message {
        Message {
            topic: "t".into(),
            payload: Bytes::from_static(payload.as_bytes()),
            at: Timestamp::default(),
            retained: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_open_is_offered_again() {
        let ingest = Hesitant::default();
        let messages = vec![message("a"), message("wait"), message("bad")];
        let verdicts = settle(&ingest, messages, &CancellationToken::new()).await;
        assert_eq!(
            verdicts,
            [Verdict::Committed, Verdict::Committed, Verdict::Refused("bad".to_owned())]
        );
        let sizes: Vec<usize> = ingest.calls.lock().iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_leaves_the_rest_open() {
        let ingest = Hesitant::default();
        let stop = CancellationToken::new();
        stop.cancel();
        let verdicts = settle(&ingest, vec![message("wait")], &stop).await;
        assert_eq!(verdicts, [Verdict::Later("not yet".to_owned())]);
    }
}
