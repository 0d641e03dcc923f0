//! How long to wait after a failure.

use std::hash::{Hash, Hasher};
use std::time::Duration;

/// Pauses that double, up to a longest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after so many failures, shortened by up to a half. How much is decided by
    /// `subject`, so that those who failed together do not come back together, and so that no
    /// dice are needed.
    pub(crate) fn pause(self, failures: u32, subject: &impl Hash) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let mut hasher = rustc_hash::FxHasher::default();
        (subject, failures).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() >> 54).unwrap_or_default();
        whole / 2 + whole / 2048 * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_subject() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(5) };
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (4_000, 300)] {
            let whole = Duration::from_secs(seconds);
            let pauses: Vec<_> = (0..64).map(|n| backoff.pause(failures, &n)).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{failures}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}");
        }
    }
}
