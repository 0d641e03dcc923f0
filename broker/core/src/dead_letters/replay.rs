//! Many dead letters on their way once more.

use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use musubi_model::Tenant;
use tokio::time::Instant;

use super::filter::{LetterFilter, Place};
use super::letter;
use crate::{Error, Right, Session};

/// After so long no further letter is begun with in one request. One that is under way is waited
/// for.
const LONGEST: Duration = Duration::from_secs(15);

/// The most letters whose order is kept in mind, which takes some 100 bytes each. Those after them are
/// looked for when these have been sent.
const KEPT_IN_MIND: usize = 100_000;

/// The rest of a replay that takes several requests: letters are not in the order of the changes, so
/// each request would have to look at all of them.
#[derive(Debug)]
pub(crate) struct Run {
    tenant: Tenant,
    filter: LetterFilter,
    /// The cursor with which the next request comes.
    cursor: String,
    rest: Queue,
}

/// Letters that are to be sent, in their order.
#[derive(Debug, Default)]
struct Queue {
    first: VecDeque<Place>,
    /// How many come after these.
    beyond: u64,
}

impl Queue {
    fn len(&self) -> u64 {
        u64::try_from(self.first.len()).unwrap_or(u64::MAX).saturating_add(self.beyond)
    }
}

/// What became of letters that were to be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many arrived, and are letters no more.
    pub replayed: u64,
    /// Those that were refused again, with the reason, and stay.
    pub failed: Vec<(String, String)>,
    /// How many are meant, come later in the order, and were not tried.
    pub left: u64,
    /// Where to go on, if there are any left.
    pub next: Option<String>,
}

impl Session {
    /// Sends the letters that are meant on their way once more, in the order of the changes that
    /// they tell of: those after `after` (all, if it is empty), at most `limit` of them and no longer
    /// than 15 seconds and the last delivery. Each that arrives is deleted; one that is refused
    /// stays, and the next one is tried. A letter that comes while a replay takes several requests
    /// may be left to the next replay.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if `after` is no cursor of this tenant; [`Error::NotSupported`] if
    /// this broker replays nothing; [`Error::NonexistentTenant`]; [`Error::Store`], then some may have
    /// been sent.
    pub async fn replay_dead_letters(
        &self,
        filter: &LetterFilter,
        after: &str,
        limit: usize,
    ) -> Result<Replayed, Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        self.require_tenant().await?;
        let places = self.seal().await.places();
        let after_place = match after {
            "" => None,
            text => Some(Place::from_cursor(text, &places).ok_or_else(|| {
                Error::BadRequestData(format!("{text:?} is no cursor of a replay"))
            })?),
        };
        let mut queue = match self.run_after(filter, after) {
            Some(run) => run.rest,
            None => self.queue(filter, after_place.as_ref()).await?,
        };
        let mut replayed = Replayed::default();
        let deadline = Instant::now() + LONGEST;
        for _ in 0..limit {
            if Instant::now() >= deadline {
                break;
            }
            let Some(place) = queue.first.pop_front() else { break };
            replayed.next = Some(place.cursor(&places));
            match self.replay_dead_letter(&place.id).await {
                Ok(()) => replayed.replayed += 1,
                Err(Error::NotReplayed(reason)) => replayed.failed.push((place.id, reason)),
                // Somebody else was faster.
                Err(Error::ResourceNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        replayed.left = queue.len();
        if replayed.left == 0 {
            replayed.next = None;
        }
        self.keep_run(filter, replayed.next.clone(), queue);
        Ok(replayed)
    }

    /// The rest of the run that this request goes on with, if it is that of the last one.
    fn run_after(&self, filter: &LetterFilter, after: &str) -> Option<Run> {
        let mut kept = self.broker.shared().replaying.lock();
        kept.take_if(|run| {
            run.cursor == after && run.tenant == self.tenant && run.filter == *filter
        })
    }

    /// Keeps what is left for the next request, in the place of what was left by another one.
    fn keep_run(&self, filter: &LetterFilter, next: Option<String>, rest: Queue) {
        let Some(cursor) = next.filter(|_| !rest.first.is_empty()) else { return };
        let run = Run { tenant: self.tenant.clone(), filter: filter.clone(), cursor, rest };
        *self.broker.shared().replaying.lock() = Some(run);
    }

    /// The letters that are meant and come after this place, in their order. Every letter is looked
    /// at.
    async fn queue(&self, filter: &LetterFilter, after: Option<&Place>) -> Result<Queue, Error> {
        let mut first = BinaryHeap::new();
        let mut beyond = 0;
        let mut slices = self.letter_slices("");
        while let Some(records) = slices.next().await? {
            let places = records.iter().filter_map(|record| filter.place(record));
            for place in places.filter(|place| after.is_none_or(|after| place > after)) {
                first.push(place);
                if first.len() > KEPT_IN_MIND {
                    first.pop();
                    beyond += 1;
                }
            }
        }
        Ok(Queue { first: first.into_sorted_vec().into(), beyond })
    }

    /// Sends a dead letter on its way once more, and deletes it if it arrives.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none; [`Error::NotReplayed`] if it was refused
    /// again; [`Error::NotSupported`] if this broker replays nothing.
    pub async fn replay_dead_letter(&self, id: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        let letter = letter(&self.letter_record(id).await?);
        let Some(replay) = &self.broker.shared().options.replay else {
            return Err(Error::NotSupported("this broker does not replay dead letters".to_owned()));
        };
        replay.replay(&self.tenant, &letter).await.map_err(Error::NotReplayed)?;
        self.remove_dead_letters(vec![letter.id]).await
    }
}
