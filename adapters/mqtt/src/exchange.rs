//! From one listener to the adapters whose topics a message has.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::RwLock;

use crate::{Ingest, Message, MqttAdapter, Verdict};

/// Hands the messages of a listener to the adapters that are attached: each message to every one
/// that wants its topic.
///
/// A message that none wants goes to the adapter that was attached first, which makes a dead
/// letter of it. A message counts as committed when every adapter has taken it; if one cannot
/// now, all get it again, which changes nothing for those that had it. With no adapter attached,
/// nothing is acknowledged.
#[derive(Debug, Default)]
pub struct Exchange {
    adapters: RwLock<Vec<Arc<MqttAdapter>>>,
}

impl Exchange {
    /// Attaches an adapter.
    pub fn attach(&self, adapter: Arc<MqttAdapter>) {
        self.adapters.write().push(adapter);
    }

    /// Whether no adapter is attached.
    pub fn is_empty(&self) -> bool {
        self.adapters.read().is_empty()
    }

    async fn hand_on(&self, messages: &[Message]) -> Vec<Verdict> {
        let adapters = self.adapters.read().clone();
        let Some((first, others)) = adapters.split_first() else {
            // To refuse them would be to acknowledge what is nowhere on record.
            let reason = "no adapter takes the messages of the listener";
            return vec![Verdict::Later(reason.to_owned()); messages.len()];
        };
        if others.is_empty() {
            return first.ingest(messages).await;
        }
        let parts = assign(&adapters, messages);
        let calls = adapters.iter().zip(parts).filter(|(_, part)| !part.is_empty()).map(
            |(adapter, part)| async move {
                let own: Vec<Message> =
                    part.iter().filter_map(|&index| messages.get(index).cloned()).collect();
                (adapter.ingest(&own).await, part)
            },
        );
        let mut verdicts = vec![Verdict::Committed; messages.len()];
        for (answers, part) in join_all(calls).await {
            let missing = std::iter::repeat_with(|| Verdict::Later("no verdict".to_owned()));
            for (index, answer) in part.into_iter().zip(answers.into_iter().chain(missing)) {
                if let Some(verdict) = verdicts.get_mut(index) {
                    *verdict = worse(std::mem::replace(verdict, Verdict::Committed), answer);
                }
            }
        }
        verdicts
    }
}

impl Ingest for Exchange {
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        self.hand_on(messages).boxed()
    }
}

/// For each adapter, which messages it gets.
fn assign(adapters: &[Arc<MqttAdapter>], messages: &[Message]) -> Vec<Vec<usize>> {
    let mut parts = vec![Vec::new(); adapters.len()];
    for (index, message) in messages.iter().enumerate() {
        let mut wanted = false;
        for (part, adapter) in parts.iter_mut().zip(adapters) {
            if adapter.mapping().wants(&message.topic) {
                part.push(index);
                wanted = true;
            }
        }
        if !wanted && let Some(first) = parts.first_mut() {
            first.push(index);
        }
    }
    parts
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (&one, &other) {
        (Verdict::Later(_), _)
        | (Verdict::Refused(_), Verdict::Committed | Verdict::Refused(_)) => one,
        (Verdict::Committed, _) | (Verdict::Refused(_), Verdict::Later(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use musubi_model::Timestamp;

    use super::*;

    #[tokio::test]
    async fn without_an_adapter_nothing_is_acknowledged() {
        let message = Message {
            topic: "/json/k/d/attrs".into(),
            payload: Bytes::from_static(b"{}"),
            at: Timestamp::default(),
            retained: false,
        };
        let verdicts = Exchange::default().ingest(&[message]).await;
        assert!(matches!(verdicts[..], [Verdict::Later(_)]), "{verdicts:?}");
    }
}
