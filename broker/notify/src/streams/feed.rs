//! What one listener is told, in the order of the log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_model::{Sequence, Timestamp};
use musubi_store::{Change, RecordKind, RecordQuery, Store, StoreError, Subject};
use tokio::sync::OwnedSemaphorePermit;

use crate::engine::account::AccountKey;
use crate::engine::applied::Applied;
use crate::matching::linked;
use crate::streams::due::Due;
use crate::streams::handle::Streams;
use crate::streams::inbox::{Found, Inbox};
use crate::{Status, Subscription};

/// One thing that a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// A change is due.
    Notification {
        /// The change.
        at: Sequence,
        /// The notification, as it would be sent to an endpoint, but on one line. All who are told
        /// of the change as it happens share it.
        body: Bytes,
    },
    /// What happened after `from`, up to `to`, is no longer in the log, or is too much to be told.
    /// If `to` is before `from`, the log was set back to that place, as by a backup.
    Gap {
        /// Up to here everything was told.
        from: Sequence,
        /// From after here on, everything will be.
        to: Sequence,
    },
    /// Nothing more will come.
    End(FeedEnd),
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEnd {
    /// The subscription was deleted.
    Deleted,
    /// The subscription's time is over.
    Expired,
    /// The subscription tells no changes any more: it has a `timeInterval` or `silentFor`.
    NoChanges,
    /// The subscription is one that no program of this version can read.
    Unreadable,
}

impl FeedEnd {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::NoChanges => "noChanges",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What is due to a subscription, from some place in the log on: each change once, in order.
///
/// Follows the subscription as it is. What happened before the feed was asked for, or while its
/// listener was slow, is decided by the subscription as it is when the log is read; what happens
/// while it is followed, as it is then. Throttling counts from what this feed has told.
pub struct Feed {
    streams: Streams,
    key: AccountKey,
    inbox: Arc<Inbox>,
    /// Everything up to here was told.
    at: Sequence,
    /// The log has been read up to here.
    read: Sequence,
    /// What was found in it.
    found: VecDeque<Arc<Due>>,
    /// What is read now, and how far.
    catching_up: Option<(Arc<Applied>, Sequence)>,
    /// Held for what was found, until it was told.
    room: Option<OwnedSemaphorePermit>,
    /// How much room what is read next needs.
    needed: usize,
    gap: Option<(Sequence, Sequence)>,
    /// When the change happened that was told last.
    told: Option<Timestamp>,
}

/// How many changes are read at once, and about how many bytes of what is found are held.
const PAGE: usize = 256;
const PAGE_BYTES: usize = 64 * 1024;

/// How many bytes all listeners that read the log may hold of it together. Those that want more
/// wait until others have told what they hold, or have lost their connection.
pub(crate) const ROOM: usize = 64 * 1024 * 1024;
/// What a listener takes of it for a page, unless it finds that it needs more: what was found, and
/// the notifications that are made of it.
const PAGE_ROOM: usize = 2 * PAGE_BYTES;
/// Room is counted in pieces of so many bytes.
pub(crate) const PIECE: usize = 1024;

/// How long to wait when the store does not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for the time at which a subscription expires before the clock is asked again,
/// which may be set.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What reading the log came to.
enum Turn {
    GoOn,
    Tell(FeedEvent),
}

impl Feed {
    pub(crate) fn new(
        streams: Streams,
        key: AccountKey,
        inbox: Arc<Inbox>,
        (after, newest): (Sequence, Sequence),
    ) -> Self {
        let at = after.min(newest);
        Self {
            streams,
            key,
            inbox,
            at,
            read: at,
            found: VecDeque::new(),
            catching_up: None,
            room: None,
            needed: PAGE_ROOM,
            gap: (after > newest).then_some((after, newest)),
            told: None,
        }
    }

    /// The next thing to tell. Nothing is lost if the wait for it is given up.
    pub async fn next(&mut self) -> FeedEvent {
        if let Some((from, to)) = self.gap.take() {
            return FeedEvent::Gap { from, to };
        }
        loop {
            // What the log gave comes before what came in meanwhile.
            if let Some(due) = self.found.front().cloned() {
                let told = self.tell(&due).await;
                self.found.pop_front();
                match told {
                    Some(told) => return told,
                    None => continue,
                }
            }
            self.at = self.at.max(self.read);
            self.room = None;
            if self.catching_up.is_none() {
                self.found = VecDeque::new();
            }
            match self.inbox.after(self.at) {
                Found::End(end) => return FeedEvent::End(end),
                Found::Nothing | Found::Due(_) | Found::Behind if self.catching_up.is_some() => {
                    // Many wait to read; each holds no more than this while it does.
                    match Box::pin(self.read_on()).await {
                        Turn::GoOn => {}
                        Turn::Tell(event) => return event,
                    }
                }
                Found::Behind => match Box::pin(self.restart()).await {
                    Turn::GoOn => {}
                    Turn::Tell(event) => return event,
                },
                Found::Due(due) => {
                    if let Some(told) = self.tell(&due).await {
                        return told;
                    }
                }
                Found::Nothing => {
                    if let Some(end) = self.wait().await {
                        return FeedEvent::End(end);
                    }
                }
            }
        }
    }

    /// The place in the log up to which everything was told, or does not concern this
    /// subscription. Whoever goes on from there misses nothing.
    pub fn place(&mut self) -> Sequence {
        // Asked before the inbox: what is handed out later is after this. The change that the
        // notifier is at may not have been handed out yet.
        let handed_out = Sequence(self.streams.0.hub.position().0.saturating_sub(1));
        let is_idle = self.found.is_empty() && self.catching_up.is_none() && self.gap.is_none();
        if is_idle && matches!(self.inbox.after(self.at), Found::Nothing) {
            self.at = self.at.max(handed_out);
        }
        self.at
    }

    /// Tells a change, unless it comes too soon after the last one.
    async fn tell(&mut self, due: &Arc<Due>) -> Option<FeedEvent> {
        let (from, at, time) = (self.at, due.sequence(), due.change.time);
        if self.is_throttled(&due.applied.subscription, time) {
            self.at = at;
            return None;
        }
        let body = loop {
            let shared = &self.streams.0;
            match due.body(&shared.store, &*shared.clock, shared.ids).await {
                Ok(body) => break body,
                Err(error) => self.read_later(&error).await,
            };
        };
        self.at = at;
        let Some(body) = body else { return Some(FeedEvent::Gap { from, to: at }) };
        self.told = Some(time);
        Some(FeedEvent::Notification { at, body })
    }

    fn is_throttled(&self, subscription: &Subscription, time: Timestamp) -> bool {
        match (subscription.throttling_micros(), self.told) {
            (Some(interval), Some(last)) => {
                time.as_micros().abs_diff(last.as_micros()) < interval.unsigned_abs()
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Waits for something to come in; says so if the subscription's time is over before.
    async fn wait(&self) -> Option<FeedEnd> {
        let Some(end) = self.inbox.expires_at() else {
            self.inbox.changed().await;
            return None;
        };
        let left = end.as_micros().saturating_sub(self.streams.0.clock.now().as_micros());
        let left = match u64::try_from(left) {
            Ok(0) | Err(_) => return Some(FeedEnd::Expired),
            Ok(left) => Duration::from_micros(left).min(LONGEST_WAIT),
        };
        // Either way the loop looks again.
        let _ = Box::pin(tokio::time::timeout(left, self.inbox.changed())).await;
        None
    }

    /// Begins to read what has passed by.
    async fn restart(&mut self) -> Turn {
        let subscription = match self.subscription().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Turn::Tell(FeedEvent::End(FeedEnd::Deleted)),
            Err(error) => return self.read_later(&error).await,
        };
        let applied = {
            let mut contexts = self.streams.0.contexts.lock();
            Applied::new(self.key.tenant.clone(), subscription, &mut contexts)
        };
        let applied = match applied {
            Ok(applied) => Arc::new(applied),
            Err(error) => {
                let id = self.key.id.as_str();
                tracing::error!(%error, subscription.id = id, "a subscription is unreadable");
                return Turn::Tell(FeedEvent::End(FeedEnd::Unreadable));
            }
        };
        // From here on nothing waits, so that a wait that is given up leaves the inbox behind.
        self.inbox.restart();
        let to = self.streams.0.hub.position();
        self.inbox.set_expiry(applied.subscription.expires_at);
        if !applied.subscription.wants_changes() {
            return Turn::Tell(FeedEvent::End(FeedEnd::NoChanges));
        }
        match applied.subscription.status(self.streams.0.clock.now()) {
            Status::Expired => return Turn::Tell(FeedEvent::End(FeedEnd::Expired)),
            // Whatever happened meanwhile is not to be told.
            Status::Paused => self.read = self.read.max(to),
            Status::Active if self.at < to => {
                self.read = self.at;
                self.catching_up = Some((applied, to));
            }
            Status::Active => {}
        }
        Turn::GoOn
    }

    /// Reads a page of the log.
    async fn read_on(&mut self) -> Turn {
        let Some((applied, to)) = self.catching_up.clone() else { return Turn::GoOn };
        let streams = self.streams.clone();
        // Neither is ever closed, so both are always had.
        let pieces = self.needed.min(ROOM / 8).div_ceil(PIECE);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let room = Arc::clone(&streams.0.room).acquire_many_owned(pieces).await;
        let turn = streams.0.readers.acquire().await;
        // Asked before the changes: what is newer than this may be missing from them.
        let newest = *streams.0.store.newest().borrow();
        let changes = match streams.0.store.changes(self.read, PAGE).await {
            Ok(changes) => changes,
            Err(error) => {
                drop(turn);
                return self.read_later(&error).await;
            }
        };
        let follows = self.read.0.saturating_add(1);
        let first = changes.first().map_or(newest.0.saturating_add(1), |it| it.sequence.0);
        if first > follows {
            let (from, to) = (self.at, Sequence(first.saturating_sub(1)));
            self.read = to;
            self.at = to;
            self.stop_reading_at(to);
            return Turn::Tell(FeedEvent::Gap { from, to });
        }
        if changes.is_empty() {
            self.catching_up = None;
        }
        let (mut weight, before) = (0, self.read);
        self.room = room.ok();
        for change in &changes {
            if change.sequence > to {
                break;
            }
            let due = match is_due(&streams.0.store, &applied, change).await {
                Ok(due) => due,
                Err(error) => {
                    drop(turn);
                    return self.read_later(&error).await;
                }
            };
            if due {
                let due = Due::new(Arc::clone(&applied), Arc::clone(change));
                if !self.found.is_empty() && weight + due.weight > PAGE_BYTES {
                    break;
                }
                weight += due.weight;
                self.found.push_back(Arc::new(due));
            }
            self.read = change.sequence;
        }
        if weight.saturating_mul(2) > self.needed {
            // One change alone is larger. It is read again when there is room for it.
            self.needed = weight.saturating_mul(2);
            self.found.clear();
            self.room = None;
            self.read = before;
            return Turn::GoOn;
        }
        self.needed = PAGE_ROOM;
        self.stop_reading_at(self.read);
        Turn::GoOn
    }

    fn stop_reading_at(&mut self, read: Sequence) {
        if self.catching_up.as_ref().is_some_and(|(_, to)| read >= *to) {
            self.catching_up = None;
        }
    }

    async fn read_later(&mut self, error: &StoreError) -> Turn {
        let id = self.key.id.as_str();
        tracing::warn!(%error, subscription.id = id, "a stream cannot read the log");
        tokio::time::sleep(READ_AGAIN).await;
        Turn::GoOn
    }

    /// The subscription's record, as it is now.
    async fn subscription(&self) -> Result<Option<Arc<[u8]>>, StoreError> {
        let key = self.key.id.as_str();
        let query = RecordQuery {
            kind: RecordKind::Subscription,
            tenant: Some(self.key.tenant.clone()),
            prefix: key.to_owned(),
            after: None,
            limit: 1,
        };
        // The key itself sorts before every longer one that begins so.
        let found = self.streams.0.store.records(&query).await?.into_iter().next();
        Ok(found.filter(|record| record.key.key == key).map(|record| record.value))
    }
}

/// Whether a change in the log is due to a subscription, as it is now. What happened before it was
/// created is not its concern.
async fn is_due(
    store: &Arc<dyn Store>,
    applied: &Applied,
    change: &Change,
) -> Result<bool, StoreError> {
    let Applied { tenant, subscription, .. } = applied;
    match &change.subject {
        Subject::Entity(entity)
            if change.tenant == *tenant && change.time >= subscription.created_at() =>
        {
            linked::is_due(&**store, tenant, subscription, entity, change.time).await
        }
        Subject::Entity(_) | Subject::Record(_) | Subject::Evolution(_) => Ok(false),
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.streams.0.hub.leave(&self.key, &self.inbox);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("key", &self.key).field("at", &self.at).finish_non_exhaustive()
    }
}
