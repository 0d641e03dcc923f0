//! Looking at the messages of a broker without taking them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::Clock;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Client, ClientOptions, Ingest, Message, Verdict};

/// The next messages of a broker, at most so many, waited for at most so long.
pub(crate) async fn visit(
    options: ClientOptions,
    clock: Arc<dyn Clock>,
    limit: usize,
    patience: Duration,
) -> Vec<Message> {
    let (found_in, mut found) = mpsc::channel(limit.max(1));
    let stop = CancellationToken::new();
    let client = Client::new(options, Arc::new(Visitor { found: found_in }), clock);
    let gather = async {
        let mut messages = Vec::new();
        let more = async {
            while messages.len() < limit {
                match found.recv().await {
                    Some(message) => messages.push(message),
                    None => break,
                }
            }
        };
        let _late = timeout(patience, more).await;
        stop.cancel();
        messages
    };
    let ((), messages) = futures_util::future::join(client.run(stop.clone()), gather).await;
    messages
}

/// Keeps what it is given until there is enough.
#[derive(Debug)]
struct Visitor {
    found: mpsc::Sender<Message>,
}

impl Ingest for Visitor {
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        for message in messages {
            // Full means that there are enough.
            let _enough = self.found.try_send(message.clone());
        }
        std::future::ready(vec![Verdict::Committed; messages.len()]).boxed()
    }
}
