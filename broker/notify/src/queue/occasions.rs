//! What is due to one subscription beside the changes in the log.

use std::collections::VecDeque;

use crate::occasions::{Occasion, OccasionKind};

/// The oldest pending occasions of a subscription. What does not fit stays in the store and is
/// read from there when there is room again.
#[derive(Debug, Default)]
pub(crate) struct OccasionQueue {
    /// Each with the number of the save that makes it durable.
    waiting: VecDeque<(Occasion, u64)>,
    /// Those in the store included.
    pending: u64,
}

/// The most occasions of one subscription that are held in memory.
pub(crate) const MOST: usize = 32;

impl OccasionQueue {
    /// Adds a new occasion, which `save` makes durable.
    pub(crate) fn add(&mut self, occasion: Occasion, save: u64) {
        let is_whole = self.pending == u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        if is_whole && self.waiting.len() < MOST {
            self.waiting.push_back((occasion, save));
        }
        self.pending += 1;
    }

    /// Takes in occasions from the store, as far as there is room.
    pub(crate) fn take_in(&mut self, stored: impl Iterator<Item = Occasion>) {
        let room = MOST.saturating_sub(self.waiting.len());
        self.waiting.extend(stored.take(room).map(|occasion| (occasion, 0)));
    }

    /// Counts an occasion that is in the store, and takes it in if there is room.
    pub(crate) fn restore(&mut self, occasion: Occasion) {
        self.add(occasion, 0);
    }

    /// The next one, if it is durable now that everything up to `saved` has been saved.
    pub(crate) fn head(&self, saved: u64) -> Option<&Occasion> {
        self.waiting.front().filter(|(_, save)| *save <= saved).map(|(occasion, _)| occasion)
    }

    /// Removes the oldest.
    pub(crate) fn pop(&mut self) -> Option<Occasion> {
        let (occasion, _) = self.waiting.pop_front()?;
        self.pending = self.pending.saturating_sub(1);
        Some(occasion)
    }

    /// Takes out the ticks that wait, but for the first of all if it is under way.
    pub(crate) fn take_ticks(&mut self, keep_first: usize) -> Vec<Occasion> {
        let mut ticks = Vec::new();
        let mut place = 0;
        self.waiting.retain(|(occasion, _)| {
            place += 1;
            let is_tick = place > keep_first && occasion.kind == OccasionKind::Periodic;
            if is_tick {
                ticks.push(occasion.clone());
            }
            !is_tick
        });
        self.pending = self.pending.saturating_sub(u64::try_from(ticks.len()).unwrap_or(u64::MAX));
        ticks
    }

    /// How many are pending.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether all that are pending are in the store, and only there.
    pub(crate) fn wants_more(&self) -> bool {
        self.waiting.is_empty() && self.pending > 0
    }

    /// When the oldest came that is in memory.
    pub(crate) fn oldest(&self) -> Option<musubi_model::Timestamp> {
        self.waiting.front().map(|(occasion, _)| occasion.at)
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::Timestamp;

    use super::*;

    fn occasion(second: i64, kind: OccasionKind) -> Occasion {
        Occasion { at: Timestamp::from_seconds(second), kind }
    }

    fn tick(second: i64) -> Occasion {
        occasion(second, OccasionKind::Periodic)
    }

    #[test]
    fn what_is_not_durable_is_not_sent() {
        let mut queue = OccasionQueue::default();
        queue.add(tick(1), 5);
        assert_eq!(queue.head(4), None);
        assert_eq!(queue.head(5), Some(&tick(1)));
        assert_eq!(queue.pop(), Some(tick(1)));
        assert_eq!((queue.pending(), queue.pop()), (0, None));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_taken_in_later() {
        let mut queue = OccasionQueue::default();
        let number = i64::try_from(MOST).unwrap() + 5;
        for second in 0..number {
            queue.add(tick(second), 1);
        }
        // Nothing comes before what is in the store only.
        while queue.pop().is_some() {}
        assert_eq!(queue.pending(), 5);
        assert!(queue.wants_more());
        queue.take_in((number - 5..number).map(tick));
        assert!(!queue.wants_more());
        assert_eq!(queue.head(0), Some(&tick(number - 5)));
        assert_eq!(queue.oldest(), Some(Timestamp::from_seconds(number - 5)));
    }

    #[test]
    fn ticks_are_taken_out_but_for_the_one_under_way() {
        let mut queue = OccasionQueue::default();
        for occasion in [tick(1), occasion(2, OccasionKind::Initial), tick(3)] {
            queue.add(occasion, 1);
        }
        assert_eq!(queue.take_ticks(1), [tick(3)]);
        assert_eq!(queue.pending(), 2);
        assert_eq!(queue.take_ticks(0), [tick(1)]);
        assert_eq!(queue.head(1).map(|it| it.at), Some(Timestamp::from_seconds(2)));
    }
}
