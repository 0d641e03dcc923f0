//! Where the marks have to be of values for which a comparison holds.

use musubi_query::{Comparison, Literal};
use smallvec::{SmallVec, smallvec};

use super::marks::{Key, Line, key, ordered};

/// A line, and the first and the last place on it.
pub(super) type Interval = (Line, u64, u64);

/// Some of them: in order, and none touches another.
pub(super) type Intervals = SmallVec<[Interval; 2]>;

/// The intervals in one of which a value has a mark if the comparison holds for it; none if marks
/// do not tell.
pub(super) fn intervals(comparison: &Comparison) -> Option<Intervals> {
    match comparison {
        Comparison::Equal(literals) => {
            literals.iter().map(equal).collect::<Option<_>>().map(coalesced)
        }
        Comparison::Greater(literal) | Comparison::GreaterOrEqual(literal) => {
            let (line, place) = place(literal)?;
            Some(smallvec![(line, place, u64::MAX)])
        }
        Comparison::Less(literal) | Comparison::LessOrEqual(literal) => {
            let (line, place) = place(literal)?;
            Some(smallvec![(line, 0, place)])
        }
        Comparison::NotEqual(_) | Comparison::Like(_) | Comparison::NotLike(_) => None,
    }
}

/// What the intervals of two comparisons have in common: fewer intervals than both have together.
pub(super) fn common(one: &Intervals, other: &Intervals) -> Intervals {
    let mut both = Intervals::new();
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(one), Some(other)) = (ones.peek(), others.peek()) {
        let (line, from) = start(one).max(start(other));
        let to = end(one).min(end(other));
        if (line, from) <= to {
            both.push((line, from, to.1));
        }
        // What ends first has nothing in common with what comes next.
        if end(one) <= end(other) {
            ones.next();
        } else {
            others.next();
        }
    }
    both
}

/// The line on which all of them are, if it is one.
pub(super) fn line_of(intervals: &Intervals) -> Option<Line> {
    let (first, ..) = intervals.first()?;
    intervals.iter().all(|(line, ..)| line == first).then_some(*first)
}

/// The same places in the fewest intervals.
fn coalesced(mut intervals: Intervals) -> Intervals {
    intervals.sort_unstable();
    intervals.dedup_by(|next, last| {
        let touches = start(next) <= end(last);
        if touches {
            last.2 = last.2.max(next.2);
        }
        touches
    });
    intervals
}

fn start((line, from, _): &Interval) -> Key {
    (*line, *from)
}

fn end((line, _, to): &Interval) -> Key {
    (*line, *to)
}

fn equal(literal: &Literal) -> Option<Interval> {
    if let Literal::Range(from, to) = literal {
        let ((line, from), (other, to)) = (place(from)?, place(to)?);
        // No value is on two lines; and where the end is before the beginning nothing is between.
        return (line == other && from <= to).then_some((line, from, to));
    }
    let (line, place) = key(&literal.mark()?);
    Some((line, place, place))
}

/// The place of a literal that has an order.
fn place(literal: &Literal) -> Option<(Line, u64)> {
    let (axis, place) = literal.mark()?.place()?;
    Some((axis.into(), ordered(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a place is in one of the intervals.
    fn has(intervals: &Intervals, (line, place): Key) -> bool {
        intervals.iter().any(|(other, from, to)| *other == line && (*from..=*to).contains(&place))
    }

    #[test]
    fn a_literal_that_is_said_again_makes_no_interval_of_its_own() {
        let comparison = Comparison::Equal(vec![Literal::Number(1.0); 250]);
        let mut wanted = intervals(&comparison).unwrap();
        for _ in 0..1_000 {
            wanted = common(&wanted, &intervals(&comparison).unwrap());
        }
        assert_eq!(wanted.len(), 1);
    }

    #[test]
    fn what_two_have_in_common_is_what_is_in_both_and_no_longer_than_both() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for _ in 0..2_000 {
            let mut some = || -> Intervals {
                (0..next(9))
                    .map(|_| {
                        let line = if next(2) == 0 { Line::Number } else { Line::Date };
                        let from = next(30);
                        (line, from, from + next(6))
                    })
                    .collect()
            };
            let (one, other) = (some(), some());
            let (short, other_short) = (coalesced(one.clone()), coalesced(other.clone()));
            let both = common(&short, &other_short);
            assert!(both.len() <= short.len() + other_short.len());
            assert!(both.is_sorted() && both == coalesced(both.clone()));
            for key in [Line::Number, Line::Date]
                .into_iter()
                .flat_map(|line| (0..40).map(move |place| (line, place)))
            {
                assert_eq!(has(&short, key), has(&one, key));
                assert_eq!(has(&both, key), has(&one, key) && has(&other, key));
            }
        }
    }
}
