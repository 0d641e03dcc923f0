//! Chance that repeats itself.

/// A sequence of numbers that looks random and is the same for the same seed, on every machine
/// and in every version.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number (`SplitMix64`).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % bound).unwrap_or(0)
    }

    /// Yes in so many of 100 times.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[expect(clippy::indexing_slicing, reason = "the index is below the length of the list")]
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Up to `most` different ones of these, in any order.
    pub fn several<T: Clone>(&mut self, items: &[T], most: usize) -> Vec<T> {
        let mut left: Vec<&T> = items.iter().collect();
        let wanted = self.below(most.min(items.len()) + 1);
        (0..wanted).map(|_| left.swap_remove(self.below(left.len())).clone()).collect()
    }

    /// At least one and up to `most` different ones of these, in any order.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn at_least_one<T: Clone>(&mut self, items: &[T], most: usize) -> Vec<T> {
        let mut chosen = self.several(items, most);
        if chosen.is_empty() {
            chosen.push(self.pick(items).clone());
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_sequence() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn what_is_chosen_is_different_and_within_bounds() {
        let mut random = Random::new(1);
        for _ in 0..200 {
            let mut chosen = random.at_least_one(&[1, 2, 3, 4], 3);
            assert!((1..=3).contains(&chosen.len()));
            chosen.sort_unstable();
            chosen.dedup();
            assert!(!chosen.is_empty());
            assert!(random.below(5) < 5);
        }
        assert_eq!(random.below(0), 0);
        assert!(random.several::<u8>(&[], 3).is_empty());
    }
}
