//! Why a subscription did not fire: `GET /musubi/v1/subscriptions/{id}/trace`.

use std::str::FromStr;
use std::sync::Arc;

use musubi_model::{AttrName, EntityChange, EntityId, Sequence, Timestamp, Trigger};
use musubi_notify::{Hindrance, Subscription, SubscriptionId, attribute_word, hindrance, is_due};
use musubi_store::{Change, Found, StoreError, Subject};

use crate::{Error, Right, Seal, Session, Version};

/// A change in the log, as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeName {
    /// The newest change of this entity.
    Entity(EntityId),
    /// The change that left an entity at this version, as its `ETag` says it.
    Version(Version),
}

/// A text names no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a change is named by the id of the entity, or by the ETag that the entity had after it")]
pub struct InvalidChangeName;

impl FromStr for ChangeName {
    type Err = InvalidChangeName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tag = text.trim_matches('"');
        // Behind the version, a tag says how the entity was represented.
        let version = tag.split_once('-').map_or(tag, |(version, _)| version);
        if let Ok(version) = version.parse() {
            return Ok(Self::Version(version));
        }
        text.parse().map(Self::Entity).map_err(|_| InvalidChangeName)
    }
}

/// What a change was to a subscription.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The subscription, as it is now.
    pub subscription: Subscription,
    /// The entity that changed.
    pub entity: EntityId,
    /// When.
    pub at: Timestamp,
    /// What happened to the entity.
    pub what: Trigger,
    /// The attributes that the change touched, and what happened to each, by the word for it in
    /// `notificationTrigger`.
    pub attributes: Vec<(AttrName, &'static str)>,
    /// Whether the change was due to the subscription, as the ledger counts it; one that is
    /// throttled is.
    pub due: bool,
    /// What was in the way of a notification.
    pub hindrance: Option<Hindrance>,
}

/// Changes that are read at once.
const SLICE: usize = 1_000;

/// The most changes among which one is searched, the newest ones.
const MAX_SEARCHED: usize = 50_000;

/// How many search at the same time, of all tenants together: a search reads much of the log.
pub(crate) const SEARCHES: usize = 2;

/// The most earlier changes that are looked at to find out whether one was throttled.
const MAX_BEFORE: usize = 5_000;

impl Session {
    /// Why a change was not notified to a subscription: the first condition that does not hold,
    /// with the subscription as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such subscription, or no such change among the
    /// recent ones.
    pub async fn trace(&self, id: &SubscriptionId, change: &ChangeName) -> Result<Trace, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let subscription = self.retrieve_subscription(id).await?.subscription;
        // Never closed, so always had.
        let _turn = self.broker.shared().searches.acquire().await;
        let logged = self.logged(change).await?;
        let Subject::Entity(change) = &logged.subject else {
            return Err(Error::Internal("a record's change was found for an entity's".to_owned()));
        };
        let mut hindrance = self.hindrance(&subscription, change, logged.time).await?;
        let due = hindrance.is_none();
        if due {
            hindrance = self.throttled(&subscription, &logged).await?;
        }
        let attributes = change.changed.iter();
        let attributes =
            attributes.map(|name| (name.clone(), attribute_word(change, name))).collect();
        Ok(Trace {
            entity: change.id.clone(),
            at: logged.time,
            what: change.entity_trigger(),
            attributes,
            due,
            hindrance,
            subscription,
        })
    }

    async fn hindrance(
        &self,
        subscription: &Subscription,
        change: &EntityChange,
        time: Timestamp,
    ) -> Result<Option<Hindrance>, Error> {
        let created_at = subscription.created_at();
        if time < created_at {
            let reason = format!(
                "the subscription was created at {created_at}, and the change happened at {time}"
            );
            return Ok(Some(Hindrance { member: "createdAt", reason }));
        }
        let store = self.broker.store();
        Ok(hindrance(store, &self.tenant, subscription, change, time).await?)
    }

    /// The change of that name that is newest in the log.
    async fn logged(&self, name: &ChangeName) -> Result<Arc<Change>, Error> {
        let newest = *self.broker.store().newest().borrow();
        let mut slices =
            Backwards { session: self, end: newest, left: MAX_SEARCHED, is_cut: false };
        let seal = self.seal().await;
        while let Some(changes) = slices.next().await? {
            for change in changes.iter().rev().filter(|it| it.tenant == self.tenant) {
                if self.is_named(change, name, &seal) {
                    return Ok(Arc::clone(change));
                }
            }
        }
        let what = match name {
            ChangeName::Entity(id) => format!("change of entity {id}"),
            ChangeName::Version(version) => format!("change that led to version {version}"),
        };
        // How far back that was is not said: it would tell how much others write.
        Err(Error::ResourceNotFound(format!("{what} among the recent ones in the log")))
    }

    /// Whether this is a change of that name, of an entity that the caller may see.
    fn is_named(&self, change: &Change, name: &ChangeName, seal: &Seal) -> bool {
        let Subject::Entity(change) = &change.subject else { return false };
        let Some(image) = change.after.as_ref().or(change.before.as_ref()) else { return false };
        if self.caller.visible().is_some_and(|visible| !visible.matches(image)) {
            return false;
        }
        match (name, &change.after) {
            (ChangeName::Entity(id), _) => change.id == *id,
            (ChangeName::Version(_), None) => false,
            (ChangeName::Version(version), Some(after)) => {
                // What has expired since has made another version of it.
                let states = [Some(Arc::clone(after)), after.alive_at(self.now())];
                let (revision, position) = (change.revision, change.position);
                states
                    .into_iter()
                    .flatten()
                    .any(|entity| seal.version(&Found { position, revision, entity }) == *version)
            }
        }
    }

    /// Whether a change that was due came too soon after another one that was.
    async fn throttled(
        &self,
        subscription: &Subscription,
        logged: &Change,
    ) -> Result<Option<Hindrance>, Error> {
        let Some(interval) = subscription.throttling() else { return Ok(None) };
        let micros = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        let too_soon = |earlier: Timestamp, later: Timestamp| {
            later.as_micros().abs_diff(earlier.as_micros()) < micros.unsigned_abs()
        };
        // The changes before it that were due, up to one with a pause of that length before it:
        // that one was notified, whatever was before.
        let mut due = vec![logged.time];
        let end = Sequence(logged.sequence.0.saturating_sub(1));
        let mut is_certain = end == Sequence(0);
        let mut slices = Backwards { session: self, end, left: MAX_BEFORE, is_cut: false };
        'slices: while let Some(changes) = slices.next().await? {
            is_certain = slices.end == Sequence(0) && !slices.is_cut;
            for change in changes.iter().rev() {
                let first = due.last().copied().unwrap_or(logged.time);
                if !too_soon(change.time, first) || change.time < subscription.created_at() {
                    is_certain = true;
                    break 'slices;
                }
                if self.was_due(subscription, change).await? {
                    due.push(change.time);
                }
            }
        }
        let mut notified: Option<Timestamp> = None;
        let mut by = None;
        for time in due.iter().rev() {
            by = notified.filter(|notified| too_soon(*notified, *time));
            if by.is_none() {
                notified = Some(*time);
            }
        }
        let seconds = interval.as_secs_f64();
        let reason = match (by, is_certain) {
            (None, true) => return Ok(None),
            (Some(earlier), true) => format!(
                "it came less than {seconds} s after a change that was notified, at {earlier}, and \
                 is counted as suppressed"
            ),
            (_, false) => format!(
                "changes that come less than {seconds} s after one that was notified are \
                 suppressed; whether this is one cannot be said, because too many came before it, or are no longer in the log"
            ),
        };
        Ok(Some(Hindrance { member: "throttling", reason }))
    }

    async fn was_due(&self, subscription: &Subscription, change: &Change) -> Result<bool, Error> {
        let Subject::Entity(entity) = &change.subject else { return Ok(false) };
        if change.tenant != self.tenant {
            return Ok(false);
        }
        let store = self.broker.store();
        Ok(is_due(store, &self.tenant, subscription, entity, change.time).await?)
    }
}

/// Reads the log from its end.
struct Backwards<'s> {
    session: &'s Session,
    /// What is newer has been read; 0 if there is nothing older.
    end: Sequence,
    /// How many may still be read.
    left: usize,
    /// Whether there was something older that is not in the log any more.
    is_cut: bool,
}

impl Backwards<'_> {
    /// The next changes, oldest first; none at the beginning of the log.
    async fn next(&mut self) -> Result<Option<Vec<Arc<Change>>>, StoreError> {
        let length = SLICE.min(self.left).min(usize::try_from(self.end.0).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(None);
        }
        let after = Sequence(self.end.0.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX)));
        let mut changes = self.session.broker.store().changes(after, length).await?;
        changes.retain(|change| change.sequence <= self.end);
        self.left = self.left.saturating_sub(length);
        let is_whole = changes.first().is_some_and(|first| first.sequence.0 == after.0 + 1);
        self.is_cut = !is_whole;
        self.end = if is_whole { after } else { Sequence(0) };
        Ok((!changes.is_empty()).then_some(changes))
    }
}
