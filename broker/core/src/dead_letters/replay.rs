//! Many dead letters on their way once more.

use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use super::filter::{LetterFilter, Place};
use super::letter;
use crate::{Error, Right, Session};

/// After so long no further letter is begun with in one request. One that is under way is waited
/// for.
const LONGEST: Duration = Duration::from_secs(15);

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
    /// stays, and the next one is tried.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if `after` is no cursor; [`Error::NotSupported`] if this broker
    /// replays nothing; [`Error::NonexistentTenant`]; [`Error::Store`], then some may have been sent.
    pub async fn replay_dead_letters(
        &self,
        filter: &LetterFilter,
        after: &str,
        limit: usize,
    ) -> Result<Replayed, Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        self.require_tenant().await?;
        let after = match after {
            "" => None,
            text => Some(Place::from_cursor(text).ok_or_else(|| {
                Error::BadRequestData(format!("{text:?} is no cursor of a replay"))
            })?),
        };
        let (places, mut left) = self.places(filter, after.as_ref(), limit).await?;
        let mut replayed = Replayed::default();
        let deadline = Instant::now() + LONGEST;
        for place in places {
            if Instant::now() >= deadline {
                break;
            }
            left = left.saturating_sub(1);
            replayed.next = Some(place.cursor());
            match self.replay_dead_letter(&place.id).await {
                Ok(()) => replayed.replayed += 1,
                Err(Error::NotReplayed(reason)) => replayed.failed.push((place.id, reason)),
                // Somebody else was faster.
                Err(Error::ResourceNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        replayed.left = left;
        if left == 0 {
            replayed.next = None;
        }
        Ok(replayed)
    }

    /// The places of the first letters that are meant and come after this one, in their order, and
    /// how many there are in all. Every letter is looked at, and no more than `limit` are held on
    /// to.
    async fn places(
        &self,
        filter: &LetterFilter,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<(Vec<Place>, u64), Error> {
        let mut first = BinaryHeap::new();
        let mut count = 0;
        let mut slices = self.letter_slices("");
        while let Some(records) = slices.next().await? {
            let places = records.iter().filter_map(|record| filter.place(record));
            for place in places.filter(|place| after.is_none_or(|after| place > after)) {
                count += 1;
                first.push(place);
                if first.len() > limit {
                    first.pop();
                }
            }
        }
        Ok((first.into_sorted_vec(), count))
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
