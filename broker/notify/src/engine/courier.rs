//! Attempts at deliveries: all that is done outside the notifier's own task.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Clock, Sequence, Timestamp};
use musubi_store::{Change, Store, StoreError, Subject};

use crate::NotificationKey;
use crate::engine::ticket::{Attempt, Due, Errand, Page, Ticket, Verdict, page_id};
use crate::notification::{ComposeError, Content, Envelope, Surroundings, compose};
use crate::occasions::gather::gather;
use crate::occasions::{Occasion, OccasionKind};
use crate::transport::failure::Failure;
use crate::transport::transports::Transports;

/// Carries notifications to their endpoints.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transports: Transports,
    pub(crate) clock: Arc<dyn Clock>,
    /// The longest time that an endpoint is given.
    pub(crate) timeout: Duration,
    pub(crate) ids: NotificationKey,
}

/// The most log entries that are read at once, to find some among them.
const MOST_READ: u64 = 256;

impl Courier {
    /// Does one errand.
    pub(crate) async fn attempt(&self, errand: Errand) -> Attempt {
        let at = self.clock.now();
        let mut page = None;
        let verdict = match &errand.ticket.what {
            Due::Changes(changes) => self.tell_changes(&errand, changes, at).await,
            Due::Occasion(Occasion { kind, .. }) => match kind {
                OccasionKind::Initial | OccasionKind::Periodic => {
                    self.tell_all(&errand, at, &mut page).await
                }
                OccasionKind::Silent { entity, since } => {
                    let content = Content::Alert { entity, since: *since, returned: false };
                    self.tell_alert(&errand, at, content).await
                }
                OccasionKind::Returned { entity, since } => {
                    let content = Content::Alert { entity, since: *since, returned: true };
                    self.tell_alert(&errand, at, content).await
                }
            },
        };
        Attempt { ticket: errand.ticket, at, verdict: verdict.unwrap_or_else(|ended| ended), page }
    }

    /// An end that comes early is an error, for the sake of `?`.
    async fn tell_changes(
        &self,
        errand: &Errand,
        named: &[(Sequence, Timestamp)],
        at: Timestamp,
    ) -> Result<Verdict, Verdict> {
        let changes = self.read(named).await.map_err(Verdict::Unread)?;
        let gone = named.len().saturating_sub(changes.len());
        if gone > 0 {
            return Ok(Verdict::Gone(gone));
        }
        let id = errand.ticket.what.notification_id(&errand.ticket.key, self.ids);
        self.tell(errand, (&id, at), Content::Changes(&changes)).await
    }

    async fn tell_alert(
        &self,
        errand: &Errand,
        at: Timestamp,
        content: Content<'_>,
    ) -> Result<Verdict, Verdict> {
        let id = errand.ticket.what.notification_id(&errand.ticket.key, self.ids);
        self.tell(errand, (&id, at), content).await
    }

    /// Tells of all entities that the subscription is about, page by page until one is not accepted.
    /// That one is `current` then.
    async fn tell_all(
        &self,
        errand: &Errand,
        at: Timestamp,
        current: &mut Option<Page>,
    ) -> Result<Verdict, Verdict> {
        let Ticket { key, what, applied, .. } = &*errand.ticket;
        let occasion = what.notification_id(key, self.ids);
        let mut pages = gather(&self.store, applied, at);
        while let Some(entities) = pages.next().await.map_err(Verdict::Unread)? {
            let ids = entities.iter().map(|entity| &entity.id);
            let id = page_id(&occasion, ids, self.ids);
            let page = current.insert(Page { id, left: pages.left() });
            let told = self.tell(errand, (&page.id, at), Content::State(&entities)).await?;
            if !matches!(told, Verdict::Delivered) {
                return Ok(told);
            }
        }
        Ok(if current.is_none() { Verdict::Nothing } else { Verdict::Delivered })
    }

    async fn tell(
        &self,
        errand: &Errand,
        (id, at): (&str, Timestamp),
        content: Content<'_>,
    ) -> Result<Verdict, Verdict> {
        let applied = &errand.ticket.applied;
        let notified_at = errand.first_sent.unwrap_or(at);
        let surroundings = Surroundings { store: &self.store, tenant: &applied.tenant };
        let envelope = Envelope { id, notified_at };
        let composed = compose(applied, &envelope, content, &surroundings).await;
        let body = composed.map_err(|error| match error {
            ComposeError::Store(error) => Verdict::Unread(error),
            ComposeError::View(_) => Verdict::Unwritable(error.to_string()),
        })?;
        if errand.is_overdue {
            return Ok(Verdict::Overdue(body));
        }
        Ok(match self.transports.send(applied, id, body.clone(), self.timeout).await {
            Ok(()) => Verdict::Delivered,
            Err(failure) => Verdict::Failed(Failure { body, ..failure }),
        })
    }

    /// The changes of these places, without those that are no longer in the log.
    async fn read(&self, named: &[(Sequence, Timestamp)]) -> Result<Vec<Arc<Change>>, StoreError> {
        let mut found = Vec::with_capacity(named.len());
        let mut rest = named;
        while let Some(((first, _), others)) = rest.split_first() {
            // Those that are close together are read together.
            let close = others
                .iter()
                .zip(2_u64..)
                .take_while(|((at, _), count)| span(*first, *at) <= MOST_READ.min(count * 8))
                .count();
            let last = others.get(close.wrapping_sub(1)).map_or(*first, |(at, _)| *at);
            let limit = usize::try_from(span(*first, last)).unwrap_or(1);
            let after = Sequence(first.0.saturating_sub(1));
            let changes = self.store.changes(after, limit).await?;
            let (wanted, later) = rest.split_at(close + 1);
            let is_wanted = |change: &Arc<Change>| {
                matches!(change.subject, Subject::Entity(_))
                    && wanted.binary_search_by_key(&change.sequence, |(at, _)| *at).is_ok()
            };
            found.extend(changes.into_iter().filter(is_wanted));
            rest = later;
        }
        Ok(found)
    }
}

/// How many log entries there are from the one to the other.
fn span(first: Sequence, last: Sequence) -> u64 {
    last.0.saturating_sub(first.0).saturating_add(1)
}
