//! Where the marks have to be of values for which a comparison holds.

use musubi_query::{Comparison, Literal};
use smallvec::{SmallVec, smallvec};

use super::marks::{Line, key, ordered};

/// A line, and the first and the last place on it.
pub(super) type Interval = (Line, u64, u64);

pub(super) type Intervals = SmallVec<[Interval; 2]>;

/// The intervals in one of which a value has a mark if the comparison holds for it; none if marks
/// do not tell.
pub(super) fn intervals(comparison: &Comparison) -> Option<Intervals> {
    match comparison {
        Comparison::Equal(literals) => literals.iter().map(equal).collect(),
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

/// What the intervals of two comparisons have in common.
pub(super) fn common(one: &Intervals, other: &Intervals) -> Intervals {
    let pairs = one.iter().flat_map(|one| other.iter().map(move |other| (one, other)));
    let alike = pairs.filter(|((line, ..), (other, ..))| line == other);
    alike
        .map(|((line, from, to), (_, from_other, to_other))| {
            (*line, *from.max(from_other), *to.min(to_other))
        })
        .filter(|(_, from, to)| from <= to)
        .collect()
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
