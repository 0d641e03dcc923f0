//! Where a chunk ends because of a long time without instances. One that came years late would
//! otherwise stand in a chunk with those of today, and every question for the time between would read
//! that chunk.

use std::borrow::Borrow;

use super::stats::primary_time;
use crate::series::Entry;

/// Microseconds. A shorter time than a week does no harm.
const LONG: u64 = 7 * 86_400_000_000;

/// A time is long only if it is so many times the usual one: of a series with an instance a month none
/// is.
const UNUSUAL: u64 = 100;

/// So many instances at least there are for each cut: chunks take room.
const FOR_EACH: usize = 64;

/// The instances, which are in order, cut where there are none for unusually long.
pub(crate) fn cut_at_gaps<E: Borrow<Entry>>(entries: &[E]) -> Vec<&[E]> {
    let most = entries.len() / FOR_EACH;
    if most == 0 {
        return vec![entries];
    }
    let times: Vec<i64> = entries.iter().map(|entry| primary_time(entry.borrow())).collect();
    let mut gaps: Vec<(u64, usize)> = times
        .windows(2)
        .zip(1..)
        .filter_map(|(pair, at)| Some((pair.last()?.abs_diff(*pair.first()?), at)))
        .collect();
    if gaps.is_empty() {
        return vec![entries];
    }
    let middle = gaps.len() / 2;
    let (_, &mut (usual, _), longer) = gaps.select_nth_unstable(middle);
    let limit = LONG.max(usual.saturating_mul(UNUSUAL));
    longer.sort_unstable_by(|one, other| other.cmp(one));
    let long = longer.iter().take(most).take_while(|(gap, _)| *gap > limit);
    let mut cuts: Vec<usize> = long.map(|(_, at)| *at).collect();
    cuts.sort_unstable();
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let (mut rest, mut begin) = (entries, 0);
    for cut in cuts {
        let (part, others) = rest.split_at_checked(cut - begin).unwrap_or((rest, &[]));
        parts.push(part);
        (rest, begin) = (others, cut);
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use musubi_model::Timestamp;

    use super::super::samples::readings;
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn at(micros: impl IntoIterator<Item = i64>) -> Vec<Entry> {
        let template = readings(1, 1).remove(0);
        let times = micros.into_iter().map(|micros| {
            let mut entry = template.clone();
            entry.recorded.instance.observed_at = Some(Timestamp::from_micros(micros));
            entry
        });
        times.collect()
    }

    fn lengths(entries: &[Entry]) -> Vec<usize> {
        let parts = cut_at_gaps(entries);
        assert_eq!(parts.concat(), entries);
        parts.iter().map(|part| part.len()).collect()
    }

    #[test]
    fn instances_of_long_ago_do_not_stand_with_those_of_today() {
        let minutes = (0..2_000).map(|at| 4_000 * DAY + at * 60_000_000);
        let late = [1, 365 * DAY, 730 * DAY];
        assert_eq!(lengths(&at(late.into_iter().chain(minutes))), [1, 1, 1, 2_000]);
        assert_eq!(lengths(&at([i64::MIN; 70].into_iter().chain([i64::MAX]))), [70, 1]);
    }

    #[test]
    fn what_is_rare_as_a_rule_or_little_is_not_cut() {
        assert_eq!(lengths(&at((0..200).map(|month| month * 30 * DAY))), [200]);
        assert_eq!(lengths(&at([0, 5_000 * DAY])), [2]);
        let weekends = (0..1_000).map(|at| at / 100 * 6 * DAY + at % 100 * 60_000_000);
        assert_eq!(lengths(&at(weekends)), [1_000]);
        assert_eq!(lengths(&[]), [0]);
    }

    #[test]
    fn cuts_are_few_however_many_gaps_there_are() {
        let bursts = (0..640).map(|at| at / 10 * 50 * DAY + at % 10);
        assert_eq!(lengths(&at(bursts)).len(), 11);
    }
}
