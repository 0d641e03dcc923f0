//! Hands what is in the queue on, a batch at a time, and sends the verdicts back.

use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use super::traffic::Traffic;
use crate::settle::{BATCH, settle};
use crate::{Ingest, Message, Verdict};

/// Hands messages on until the queue is closed and empty, or `abort` comes. There is one batcher
/// for all connections: while one batch is being made durable the next one gathers, and two
/// messages of one device are never on their way at once.
pub(crate) async fn run(
    queue: &Queue,
    ingest: &dyn Ingest,
    traffic: &Traffic,
    abort: &CancellationToken,
) {
    loop {
        let mut batch = queue.take(BATCH).await;
        if batch.entries.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut batch.entries);
        let count = entries.len();
        let mut messages: Vec<Message> = Vec::with_capacity(count);
        let mut replies = Vec::with_capacity(count);
        for entry in entries {
            messages.push(entry.message);
            replies.push(entry.reply);
        }
        let verdicts = settle(ingest, messages, abort).await;
        for (verdict, reply) in verdicts.into_iter().zip(replies) {
            match &verdict {
                Verdict::Refused(_) => {
                    traffic.refused.inc();
                }
                Verdict::Committed => {}
                // Stopped while it was open: the client sends it again to whoever comes next.
                Verdict::Later(_) => continue,
            }
            if let Some(reply) = reply {
                // Full cannot be, as it holds a whole window; closed means that the client has
                // gone, and it sends again what it has not seen acknowledged.
                let _gone = reply.to.try_send((reply.place, verdict));
            }
        }
        queue.done(&batch, count);
        if abort.is_cancelled() {
            return;
        }
    }
}
