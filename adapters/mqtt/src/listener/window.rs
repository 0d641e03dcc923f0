//! The messages of one connection that are not acknowledged yet, in receive order.

use std::collections::VecDeque;

use crate::Verdict;

/// The messages that wait for their verdicts. They are acknowledged in the order in which they
/// came (MQTT 5, section 4.6), so an early verdict waits for those before it.
#[derive(Debug)]
pub(crate) struct Window {
    waiting: VecDeque<Waiting>,
    first: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting {
    packet_id: u16,
    verdict: Option<Verdict>,
}

impl Window {
    /// A window for so many messages.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), first: 0, capacity }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the next message and answers its place.
    pub(crate) fn open(&mut self, packet_id: u16) -> u64 {
        self.waiting.push_back(Waiting { packet_id, verdict: None });
        self.first + u64::try_from(self.waiting.len() - 1).unwrap_or(u64::MAX)
    }

    /// Notes the verdict on the message at a place.
    pub(crate) fn settle(&mut self, place: u64, verdict: Verdict) {
        let index = place.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(waiting) = index.and_then(|index| self.waiting.get_mut(index)) {
            waiting.verdict = Some(verdict);
        }
    }

    /// Takes the oldest message out, if its verdict is there.
    pub(crate) fn next_settled(&mut self) -> Option<(u16, Verdict)> {
        let verdict = self.waiting.front_mut()?.verdict.take()?;
        let waiting = self.waiting.pop_front()?;
        self.first += 1;
        Some((waiting.packet_id, verdict))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_early_verdict_waits_for_those_before_it() {
        let mut window = Window::new(2);
        let first = window.open(10);
        let second = window.open(11);
        assert!(window.is_full());
        window.settle(second, Verdict::Committed);
        assert_eq!(window.next_settled(), None);
        window.settle(first, Verdict::Refused("no".to_owned()));
        assert_eq!(window.next_settled(), Some((10, Verdict::Refused("no".to_owned()))));
        assert_eq!(window.next_settled(), Some((11, Verdict::Committed)));
        assert!(window.is_empty());
    }

    proptest! {
        #[test]
        fn acknowledgements_leave_in_the_order_of_arrival(
            order in Just((0_u16..40).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut window = Window::new(40);
            let places: Vec<u64> = (0..40).map(|id| window.open(id)).collect();
            let mut acknowledged = Vec::new();
            for id in order {
                window.settle(places[usize::from(id)], Verdict::Committed);
                while let Some((packet_id, _)) = window.next_settled() {
                    acknowledged.push(packet_id);
                }
            }
            prop_assert_eq!(acknowledged, (0_u16..40).collect::<Vec<_>>());
        }
    }
}
