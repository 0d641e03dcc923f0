//! Rings that cross themselves.

use std::cmp::Ordering;

use geo_types::Coord;

/// The most sides of a ring that is looked at. The work grows with the square of it in the worst
/// case.
const MAX_SIDES: usize = 2_000;

/// A place where two sides of the closed ring cross or lie on each other: an end of one of them.
/// Sides that touch in a point are not taken for a crossing, because outlines of real areas touch
/// themselves. None also for a ring of more than [`MAX_SIDES`] sides.
pub(super) fn find(ring: &[Coord<f64>]) -> Option<Coord<f64>> {
    if ring.len() > MAX_SIDES + 1 {
        return None;
    }
    let mut sides: Vec<Side> = ring
        .windows(2)
        .filter_map(|ends| match ends {
            [start, end] if start != end => Some(Side::new(*start, *end)),
            _ => None,
        })
        .collect();
    // From west to east: a side has to be compared with those alone that begin before it ends.
    sides.sort_by(|one, other| one.west.x.total_cmp(&other.west.x));
    for (index, side) in sides.iter().enumerate() {
        let beside = sides.iter().skip(index + 1).take_while(|other| other.west.x <= side.east.x);
        for other in beside {
            if side.crosses(other) {
                return Some(other.east);
            }
        }
    }
    None
}

/// One side of a ring, its ends ordered by longitude and then latitude.
#[derive(Clone, Copy)]
struct Side {
    west: Coord<f64>,
    east: Coord<f64>,
}

impl Side {
    fn new(start: Coord<f64>, end: Coord<f64>) -> Self {
        if order(start, end) == Ordering::Greater {
            Self { west: end, east: start }
        } else {
            Self { west: start, east: end }
        }
    }

    fn crosses(&self, other: &Self) -> bool {
        let (low, high) = bounds(self.west.y, self.east.y);
        let (other_low, other_high) = bounds(other.west.y, other.east.y);
        if high < other_low || other_high < low {
            return false;
        }
        let (first, second) = (self.side_of(other.west), self.side_of(other.east));
        if first == Ordering::Equal && second == Ordering::Equal {
            // On one line: they lie on each other if they have more than one point in common.
            let begin =
                if order(self.west, other.west) == Ordering::Less { other.west } else { self.west };
            let end =
                if order(self.east, other.east) == Ordering::Less { self.east } else { other.east };
            return order(begin, end) == Ordering::Less;
        }
        let (third, fourth) = (other.side_of(self.west), other.side_of(self.east));
        first.reverse() == second
            && first != Ordering::Equal
            && third.reverse() == fourth
            && third != Ordering::Equal
    }

    /// On which side of this line the place is; equal if it is on it.
    fn side_of(&self, place: Coord<f64>) -> Ordering {
        let along = (self.east.x - self.west.x) * (place.y - self.west.y);
        let across = (self.east.y - self.west.y) * (place.x - self.west.x);
        compare(along, across)
    }
}

fn order(one: Coord<f64>, other: Coord<f64>) -> Ordering {
    compare(one.x, other.x).then(compare(one.y, other.y))
}

/// The order of two finite numbers, in which 0 and -0 are equal.
fn compare(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or(Ordering::Equal)
}

fn bounds(one: f64, other: f64) -> (f64, f64) {
    if one <= other { (one, other) } else { (other, one) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crosses(ring: &[(i32, i32)]) -> bool {
        let ring: Vec<Coord<f64>> =
            ring.iter().map(|(x, y)| Coord { x: f64::from(*x), y: f64::from(*y) }).collect();
        find(&ring).is_some()
    }

    #[test]
    fn only_a_ring_that_crosses_itself_is_found() {
        assert!(!crosses(&[(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]), "a square");
        assert!(!crosses(&[(0, 0), (4, 0), (4, 4), (2, 1), (0, 4), (0, 0)]), "a notch");
        assert!(!crosses(&[(0, 0), (4, 0), (4, 0), (4, 4), (0, 0)]), "a repeated position");
        assert!(!crosses(&[(0, 0), (2, 0), (4, 0), (4, 4), (0, 0)]), "a straight corner");
        assert!(!crosses(&[(0, 0), (4, 0), (4, 4), (2, 0), (0, 4), (0, 0)]), "a touch");
        assert!(crosses(&[(0, 0), (4, 4), (4, 0), (0, 4), (0, 0)]), "a bow tie");
        assert!(crosses(&[(0, 0), (4, 0), (4, 4), (2, -1), (0, 4), (0, 0)]), "a notch too deep");
        assert!(crosses(&[(0, 0), (4, 0), (2, 0), (2, 4), (0, 0)]), "a way back");
        assert!(crosses(&[(0, 0), (0, 4), (0, 2), (-2, 2), (0, 0)]), "a way back, upright");
        assert!(!crosses(&[(0, -4), (0, 4), (4, 4), (4, -4), (0, -4)]), "sides along zero");
    }

    #[test]
    fn a_large_ring_is_looked_at_in_reasonable_time() {
        let round = |count: u32| -> Vec<Coord<f64>> {
            (0..=count)
                .map(|step| {
                    let angle = f64::from(step % count) / f64::from(count) * std::f64::consts::TAU;
                    Coord { x: angle.cos(), y: angle.sin() }
                })
                .collect()
        };
        assert_eq!(find(&round(2_000)), None);
        let mut crossed = round(2_000);
        crossed.swap(500, 1_500);
        assert!(find(&crossed).is_some());
        let mut crossed = round(2_001);
        crossed.swap(500, 1_500);
        assert_eq!(find(&crossed), None);
    }
}
