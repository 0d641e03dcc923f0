//! Messages that were taken already, known by their `dedup` expressions.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use musubi_model::Timestamp;
use parking_lot::Mutex;

/// How long a message is remembered at least, in microseconds.
const PERIOD: i64 = 300_000_000;

/// The most messages of one period.
const MAX_ENTRIES: usize = 200_000;

/// What was taken in the last minutes. It saves work: the same message written twice does no
/// harm, so nothing of this is kept over a restart.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    keys: [RandomState; 2],
    periods: Mutex<Periods>,
}

#[derive(Debug, Default)]
struct Periods {
    current: HashSet<[u64; 2]>,
    before: HashSet<[u64; 2]>,
    began: Timestamp,
}

impl Duplicates {
    /// Whether this was taken already.
    pub(crate) fn contains(&self, key: &str) -> bool {
        let digest = self.digest(key);
        let periods = self.periods.lock();
        periods.current.contains(&digest) || periods.before.contains(&digest)
    }

    /// Notes that this was taken.
    pub(crate) fn insert(&self, key: &str, now: Timestamp) {
        let digest = self.digest(key);
        let mut periods = self.periods.lock();
        let age = now.as_micros().saturating_sub(periods.began.as_micros());
        if age >= PERIOD || periods.current.len() >= MAX_ENTRIES {
            periods.before = std::mem::take(&mut periods.current);
            periods.began = now;
        }
        periods.current.insert(digest);
    }

    fn digest(&self, key: &str) -> [u64; 2] {
        self.keys.each_ref().map(|state| state.hash_one(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_for_a_while_and_then_forgotten() {
        let duplicates = Duplicates::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000 + seconds);
        duplicates.insert("a", at(0));
        assert!(duplicates.contains("a") && !duplicates.contains("b"));
        duplicates.insert("b", at(301));
        assert!(duplicates.contains("a"));
        duplicates.insert("c", at(602));
        assert!(!duplicates.contains("a") && duplicates.contains("b"));
    }
}
