//! A change that is due to a subscription, and its notification.

use std::sync::Arc;

use bytes::Bytes;
use musubi_model::{Clock, Sequence};
use musubi_store::{Change, Store, StoreError, Subject};
use tokio::sync::OnceCell;

use crate::NotificationKey;
use crate::engine::applied::Applied;
use crate::notification::{self, ComposeError, Content, Envelope, Surroundings, compose};

/// A change that is due to a subscription. Its notification is written when the first of its
/// listeners wants it, and shared by all of them.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) applied: Arc<Applied>,
    pub(crate) change: Arc<Change>,
    /// About how many bytes the change holds.
    pub(crate) weight: usize,
    body: OnceCell<Bytes>,
}

impl Due {
    pub(crate) fn new(applied: Arc<Applied>, change: Arc<Change>) -> Self {
        let weight = weight(&change);
        Self { applied, change, weight, body: OnceCell::new() }
    }

    pub(crate) fn sequence(&self) -> Sequence {
        self.change.sequence
    }

    /// The notification, with the id that it has wherever it is sent; none if the change is not
    /// one of an entity, or if the notification would be too large to be written.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if linked entities are to be shown and the store does not give them; another
    /// time it may.
    pub(crate) async fn body(
        &self,
        store: &Arc<dyn Store>,
        clock: &dyn Clock,
        ids: NotificationKey,
    ) -> Result<Option<Bytes>, StoreError> {
        let Subject::Entity(_) = &self.change.subject else { return Ok(None) };
        let written = self.body.get_or_try_init(|| Box::pin(self.write(store, clock, ids))).await;
        match written {
            Ok(body) => Ok(Some(body.clone())),
            Err(ComposeError::Store(error)) => Err(error),
            Err(error @ ComposeError::View(_)) => {
                let id = self.applied.subscription.id().as_str();
                tracing::warn!(%error, subscription.id = id, "left out of a stream");
                Ok(None)
            }
        }
    }

    async fn write(
        &self,
        store: &Arc<dyn Store>,
        clock: &dyn Clock,
        ids: NotificationKey,
    ) -> Result<Bytes, ComposeError> {
        let Applied { tenant, subscription, .. } = &*self.applied;
        let place = (self.change.sequence, self.change.time);
        let id = ids.of_change(tenant, subscription.id(), place);
        let envelope = Envelope { id: &id, notified_at: clock.now() };
        let content = Content::Changes(std::slice::from_ref(&self.change));
        let surroundings = Surroundings { store, tenant };
        compose(&self.applied, &envelope, content, &surroundings).await.map(on_one_line)
    }
}

/// The same JSON without line breaks, which would end an event. Values stand in a notification as
/// they were sent; their line breaks are between the tokens, where a space means the same.
fn on_one_line(body: Bytes) -> Bytes {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !body.iter().any(is_break) {
        return body;
    }
    let mut line = Vec::from(body);
    for byte in line.iter_mut().filter(|byte| is_break(byte)) {
        *byte = b' ';
    }
    line.into()
}

/// About how many bytes a change holds.
fn weight(change: &Change) -> usize {
    match &change.subject {
        Subject::Entity(change) => {
            let images = [&change.before, &change.after];
            images.into_iter().flatten().map(|entity| notification::weight(entity)).sum()
        }
        Subject::Record(record) => record.value.as_ref().map_or(0, |value| value.len()),
        Subject::Evolution(change) => change.text_size(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_one_line_whatever_its_values_are_written_like() {
        let body = Bytes::from_static(b"{\"a\":{\r\n \"value\": [1,\n2],\n\"t\":\"x\\ny\"}}");
        let line = on_one_line(body);
        assert!(!line.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json, serde_json::json!({"a": {"value": [1, 2], "t": "x\ny"}}));
        let again = on_one_line(line.clone());
        assert_eq!(again.as_ptr(), line.as_ptr(), "what is one line is not copied");
    }
}
