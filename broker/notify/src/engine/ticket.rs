//! One attempt at one delivery, as far as the notifier's own task knows of it.

use std::sync::Arc;

use bytes::Bytes;
use musubi_model::{EntityId, Sequence, Timestamp};
use musubi_store::StoreError;

use crate::NotificationKey;
use crate::engine::account::AccountKey;
use crate::engine::applied::Applied;
use crate::occasions::{Occasion, OccasionKind};
use crate::queue::turns;
use crate::transport::failure::Failure;

/// What one notification tells of, or for an occasion with much to tell, several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Changes in the log, in its order; at least one.
    Changes(Vec<(Sequence, Timestamp)>),
    /// Something that is no change.
    Occasion(Occasion),
}

impl Due {
    /// The first change, if it is of changes.
    pub(crate) fn first(&self) -> Option<Sequence> {
        match self {
            Self::Changes(changes) => changes.first().map(|(sequence, _)| *sequence),
            Self::Occasion(_) => None,
        }
    }

    /// The last change, if it is of several.
    pub(crate) fn last(&self) -> Option<Sequence> {
        match self {
            Self::Changes(changes) if changes.len() > 1 => {
                changes.last().map(|(sequence, _)| *sequence)
            }
            Self::Changes(_) | Self::Occasion(_) => None,
        }
    }

    /// How many the ledger counts for it.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Changes(changes) => changes.len(),
            Self::Occasion(_) => 1,
        }
    }

    /// The time of the newest thing that it tells of.
    pub(crate) fn time(&self) -> Timestamp {
        match self {
            Self::Changes(changes) => changes.last().map(|(_, time)| *time).unwrap_or_default(),
            Self::Occasion(occasion) => occasion.at,
        }
    }

    /// The id of the notification: always the same, so that a receiver can tell a repetition. What
    /// tells of all entities goes by [`page_id`].
    pub(crate) fn notification_id(
        &self,
        AccountKey { tenant, id }: &AccountKey,
        ids: NotificationKey,
    ) -> String {
        match self {
            Self::Changes(changes) => match (changes.first(), changes.last()) {
                (Some(first), Some(last)) if first.0 != last.0 => {
                    // The times keep the ids of a store that was emptied apart from those of its
                    // predecessor.
                    let [(from, since), (to, until)] =
                        [first, last].map(|(at, time)| (at.0, time.as_micros()));
                    ids.of_name(&format!("{tenant}\n{id}\n{from}\n{since}\n{to}\n{until}"))
                }
                (first, _) => ids.of_change(tenant, id, first.copied().unwrap_or_default()),
            },
            Self::Occasion(Occasion { at, kind }) => {
                let (kind, entity) = match kind {
                    OccasionKind::Initial => ("initial", ""),
                    OccasionKind::Periodic => ("periodic", ""),
                    OccasionKind::Silent { entity, .. } => ("silent", entity.as_str()),
                    OccasionKind::Returned { entity, .. } => ("returned", entity.as_str()),
                };
                ids.of_name(&format!("{tenant}\n{id}\n{kind}\n{}\n{entity}", at.as_micros()))
            }
        }
    }
}

/// The id of a page of an occasion that tells of all entities. It follows from which entities those
/// are: where one is gone at the next attempt, the pages are cut otherwise, and a receiver that knows
/// the id of a page has to know all that is in it.
pub(crate) fn page_id<'a>(
    occasion: &str,
    entities: impl IntoIterator<Item = &'a EntityId>,
    ids: NotificationKey,
) -> String {
    let mut name = occasion.to_owned();
    for entity in entities {
        // No identifier has a line break.
        name.push('\n');
        name.push_str(entity.as_str());
    }
    ids.of_name(&name)
}

/// What an attempt belongs to.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) key: AccountKey,
    pub(crate) generation: u64,
    pub(crate) what: Due,
    /// The subscription as it was when the attempt began.
    pub(crate) applied: Arc<Applied>,
    /// Its turn at the endpoint.
    pub(crate) turn: turns::Ticket,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) ticket: Arc<Ticket>,
    /// When it was first sent, if it was.
    pub(crate) first_sent: Option<Timestamp>,
    /// Whether it is too old and the endpoint failed the last time, so that it is given up without
    /// another attempt.
    pub(crate) is_overdue: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) ticket: Arc<Ticket>,
    /// When it began.
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
    /// Which page of several the verdict is about, if it is of a page.
    pub(crate) page: Option<Page>,
}

/// One notification of an occasion that tells of all entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its id.
    pub(crate) id: String,
    /// How many entities were to come in those after it, which were not sent.
    pub(crate) left: u64,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The endpoint accepted the notification.
    Delivered,
    /// There was nothing to tell, so nothing was sent.
    Nothing,
    /// The endpoint did not accept it.
    Failed(Failure),
    /// It is too old to be tried again; the body that would have been sent.
    Overdue(Bytes),
    /// So many of the changes, the first ones, are no longer in the log; nothing was sent.
    Gone(usize),
    /// It cannot be written, and never will; nothing was sent.
    Unwritable(String),
    /// The store did not give what is to be told; nothing was sent.
    Unread(StoreError),
    /// The attempt itself broke.
    Broken,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn changes(places: &[u64]) -> Due {
        let place = |at: &u64| (Sequence(*at), Timestamp::from_seconds(7));
        Due::Changes(places.iter().map(place).collect())
    }

    #[test]
    fn the_id_is_one_for_what_it_tells_and_another_for_everything_else() {
        let id = "urn:ngsi-ld:Subscription:1".parse().unwrap();
        let key = AccountKey { tenant: "town".parse().unwrap(), id };
        let entity: EntityId = "urn:x:1".parse().unwrap();
        let ids = NotificationKey::of_secret(&uuid::Uuid::from_u128(7));
        let at = Timestamp::from_seconds(7);
        let occasion = |kind| Due::Occasion(Occasion { at, kind });
        let all = [
            changes(&[1]),
            changes(&[1, 2]),
            changes(&[1, 3]),
            changes(&[2, 3]),
            occasion(OccasionKind::Initial),
            occasion(OccasionKind::Periodic),
            occasion(OccasionKind::Silent { entity: entity.clone(), since: at }),
            occasion(OccasionKind::Returned { entity, since: at }),
        ];
        let mut seen: HashSet<_> = all.iter().map(|due| due.notification_id(&key, ids)).collect();
        assert_eq!(seen.len(), all.len());
        assert!(all.iter().all(|due| seen.contains(&due.notification_id(&key, ids))));
        assert_eq!(
            changes(&[1, 3]).notification_id(&key, ids),
            changes(&[1, 2, 3]).notification_id(&key, ids)
        );
        let single = ids.of_change(&key.tenant, &key.id, (Sequence(1), at));
        assert_eq!(changes(&[1]).notification_id(&key, ids), single);
        let entities: Vec<EntityId> =
            ["urn:x:1", "urn:x:2", "urn:x:3"].map(|it| it.parse().unwrap()).into();
        for page in [&entities[..1], &entities[..2], &entities[1..], &entities[..]] {
            assert!(seen.insert(page_id(&single, page, ids)), "{page:?}");
            assert_eq!(page_id(&single, page, ids), page_id(&single, page, ids));
        }
    }

    #[test]
    fn it_knows_its_changes() {
        assert_eq!((changes(&[4]).first(), changes(&[4]).last()), (Some(Sequence(4)), None));
        assert_eq!(changes(&[4, 9]).last(), Some(Sequence(9)));
        assert_eq!(changes(&[4, 9]).count(), 2);
    }
}
