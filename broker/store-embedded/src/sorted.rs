//! A sorted set in blocks: small, and quick to say whether there is much between two members.

use std::cmp::Ordering;

/// The most members of a block. They are moved when one is put in between.
const LONGEST: usize = 512;

/// The members of a block when the set is made of many.
const USUAL: usize = 384;

/// Members below which a block may become one with its neighbour.
const SHORT: usize = LONGEST / 4;

/// The parts of a block that are told apart at once.
const WAYS: usize = 8;

/// Where something is in an order of numbers, and the slot that it belongs to. In three parts, so
/// that it takes up 12 bytes and not 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    high: u32,
    low: u32,
    slot: u32,
}

impl Placed {
    pub(crate) fn new(place: u64, slot: u32) -> Self {
        let [a, b, c, d, low @ ..] = place.to_be_bytes();
        Self { high: u32::from_be_bytes([a, b, c, d]), low: u32::from_be_bytes(low), slot }
    }

    #[inline]
    pub(crate) fn place(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    pub(crate) fn slot(self) -> u32 {
        self.slot
    }

    /// A number of the same order, compared at once.
    #[inline]
    fn order(self) -> u128 {
        u128::from(self.place()) << 32 | u128::from(self.slot)
    }
}

impl Ord for Placed {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Placed {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Members in order, each once.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    /// The first member of each block, side by side for the search.
    firsts: Vec<T>,
    /// None of them is empty.
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { firsts: Vec::new(), blocks: Vec::new() }
    }
}

impl<T: Copy + Ord> Sorted<T> {
    /// A set of these members, which are in order, each once.
    pub(crate) fn of(members: &[T]) -> Self {
        let blocks: Vec<Vec<T>> = members.chunks(USUAL).map(<[T]>::to_vec).collect();
        Self { firsts: blocks.iter().filter_map(|block| block.first().copied()).collect(), blocks }
    }

    /// Puts a member in; nothing happens if it is there.
    pub(crate) fn insert(&mut self, member: T) {
        let place = self.block_of(&member);
        let (Some(block), Some(first)) = (self.blocks.get_mut(place), self.firsts.get_mut(place))
        else {
            self.firsts.push(member);
            self.blocks.push(vec![member]);
            return;
        };
        let at = before(block, &member);
        if block.get(at) == Some(&member) {
            return;
        }
        if block.len() < LONGEST {
            block.insert(at, member);
            *first = member.min(*first);
            return;
        }
        // What comes in order leaves full blocks behind.
        let mut further = if at == LONGEST { Vec::new() } else { block.split_off(LONGEST / 2) };
        if at <= block.len() && !further.is_empty() {
            block.insert(at, member);
            *first = member.min(*first);
        } else {
            further.insert(at - block.len(), member);
        }
        if let Some(first) = further.first() {
            self.firsts.insert(place + 1, *first);
            self.blocks.insert(place + 1, further);
        }
    }

    /// Takes a member out; nothing happens if it is not there.
    pub(crate) fn remove(&mut self, member: &T) {
        let place = self.block_of(member);
        let Some(block) = self.blocks.get_mut(place) else { return };
        let at = before(block, member);
        if block.get(at) != Some(member) {
            return;
        }
        block.remove(at);
        let Some(first) = block.first() else {
            self.firsts.remove(place);
            self.blocks.remove(place);
            return;
        };
        if let Some(known) = self.firsts.get_mut(place) {
            *known = *first;
        }
        if block.len() < block.capacity() / 4 {
            block.shrink_to(block.len() * 2);
        }
        if block.len() < SHORT {
            self.join(place);
            if let Some(before) = place.checked_sub(1) {
                self.join(before);
            }
        }
    }

    /// Makes a block one with the next if both together are far from full.
    fn join(&mut self, place: usize) {
        let Some([block, next]) = self.blocks.get_mut(place..place + 2) else { return };
        if block.len() + next.len() <= LONGEST / 2 {
            block.append(next);
            self.firsts.remove(place + 1);
            self.blocks.remove(place + 1);
        }
    }

    /// The members from the first to the last, both included; none if there are more than `most`,
    /// or nearly so: whole blocks are counted.
    pub(crate) fn between(&self, from: &T, to: &T, most: usize) -> Option<impl Iterator<Item = T>> {
        let first = self.block_of(from);
        let end = self.firsts.partition_point(|first| first <= to);
        let blocks = self.blocks.get(first..end).unwrap_or_default();
        let mut inner = 0_usize;
        for block in blocks.iter().skip(1).rev().skip(1) {
            inner += block.len();
            if inner > most {
                return None;
            }
        }
        let (from, to) = (*from, *to);
        let members = blocks.iter().enumerate().flat_map(move |(place, block)| {
            let start = if place == 0 { before(block, &from) } else { 0 };
            block.get(start..).unwrap_or_default()
        });
        Some(members.copied().take_while(move |known| *known <= to))
    }

    /// The block in which the member is, or would be.
    fn block_of(&self, member: &T) -> usize {
        self.firsts.partition_point(|first| first <= member).saturating_sub(1)
    }
}

/// How many members of a block are less than this one.
///
/// A block is seldom in the processor's cache. Of a binary search each step would wait for memory;
/// here, three steps are one, and what it looks at is waited for at the same time.
fn before<T: Ord>(block: &[T], member: &T) -> usize {
    let mut first = 0;
    let mut rest = block;
    while rest.len() >= WAYS {
        let part = rest.len() / WAYS;
        let lasts = rest.iter().skip(part - 1).step_by(part).take(WAYS - 1);
        let passed = lasts.map(|last| usize::from(last < member)).sum::<usize>() * part;
        first += passed;
        let end = if passed == part * (WAYS - 1) { rest.len() } else { passed + part };
        rest = rest.get(passed..end).unwrap_or_default();
    }
    first + rest.iter().map(|known| usize::from(known < member)).sum::<usize>()
}

/// Two sets are equal if they have the same members, whatever their blocks.
impl<T: PartialEq> PartialEq for Sorted<T> {
    fn eq(&self, other: &Self) -> bool {
        self.blocks.iter().flatten().eq(other.blocks.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn members(sorted: &Sorted<u32>, from: u32, to: u32) -> Vec<u32> {
        sorted.between(&from, &to, usize::MAX).unwrap().collect()
    }

    #[test]
    fn it_has_the_members_of_a_plain_set_whatever_is_put_in_and_taken_out() {
        let mut random = 7_u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        let start: Vec<u32> = (0..2_000).map(|number| number * 3).collect();
        let mut sorted = Sorted::of(&start);
        let mut plain: BTreeSet<u32> = start.into_iter().collect();
        for round in 0..40_000 {
            let member = next(6_000);
            // There is growth, and then decline until hardly any is left.
            let grows = next(10) < if round < 20_000 { 7 } else { 1 };
            if grows {
                sorted.insert(member);
                plain.insert(member);
            } else {
                sorted.remove(&member);
                plain.remove(&member);
            }
            if round % 100 == 0 {
                let (one, other) = (next(6_000), next(6_000));
                let (from, to) = (one.min(other), one.max(other));
                let expected: Vec<u32> = plain.range(from..=to).copied().collect();
                assert_eq!(members(&sorted, from, to), expected);
                let firsts: Vec<u32> = sorted.blocks.iter().map(|block| block[0]).collect();
                assert_eq!(sorted.firsts, firsts);
                assert!(sorted.blocks.iter().all(|block| block.len() <= LONGEST));
            }
        }
    }

    #[test]
    fn an_empty_set_has_nothing_between() {
        let mut sorted = Sorted::default();
        assert_eq!(members(&sorted, 0, 9), [] as [u32; 0]);
        sorted.insert(5);
        assert_eq!(members(&sorted, 0, 4), [] as [u32; 0]);
        assert_eq!(members(&sorted, 5, 5), [5]);
        sorted.remove(&5);
        assert_eq!(members(&sorted, 0, 9), [] as [u32; 0]);
    }

    #[test]
    fn what_is_much_is_not_listed() {
        let sorted = Sorted::of(&(0..10_000).collect::<Vec<u32>>());
        assert!(sorted.between(&0, &9_999, 1_000).is_none());
        assert_eq!(sorted.between(&500, &1_499, 1_000).unwrap().count(), 1_000);
    }
}
