//! Where points are, in an order in which neighbours are mostly near each other.
//!
//! The world is cut into cells, 2³² by 2³² of them, less than a centimetre each. The bits of a
//! cell's column and row by turns make a number (a Z-order curve, or Morton code): what begins with
//! the same bits is in the same quarter of a quarter of … the world. So a rectangle is a few
//! intervals of these numbers, and all points are one sorted set.

use std::ops::ControlFlow;

use geo_types::{Coord, Rect};

use crate::sorted::{Placed, Sorted};

/// The west and south end of the world, and how far it is to the other ends, in degrees.
const WEST: f64 = -180.0;
const SOUTH: f64 = -90.0;
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 180.0;

/// Cells in a row and in a column.
const CELLS: f64 = 4_294_967_296.0;

/// The bits of columns in a number.
const COLUMNS: u64 = 0x5555_5555_5555_5555;

/// Points by the cell that they are in, each of a slot once per cell.
#[derive(Debug, Default)]
pub(crate) struct Points {
    points: Sorted<Placed>,
}

/// Cells from a column and row to another column and row, both included.
#[derive(Clone, Copy, Debug)]
struct Area {
    columns: (u32, u32),
    rows: (u32, u32),
}

/// The cell in which a place is.
pub(crate) fn cell(place: Coord<f64>) -> u64 {
    number(column(place.x), row(place.y))
}

/// The rectangle of a cell.
pub(crate) fn rect(cell: u64) -> Rect<f64> {
    let (column, row) = (f64::from(compact(cell)), f64::from(compact(cell >> 1)));
    let corner = |column: f64, row: f64| Coord {
        x: WEST + column / CELLS * WIDTH,
        y: SOUTH + row / CELLS * HEIGHT,
    };
    Rect::new(corner(column, row), corner(column + 1.0, row + 1.0))
}

impl Points {
    /// These points, in any order.
    pub(crate) fn of(mut points: Vec<Placed>) -> Self {
        points.sort_unstable();
        points.dedup();
        Self { points: Sorted::of(&points) }
    }

    pub(crate) fn insert(&mut self, cell: u64, slot: u32) {
        self.points.insert(Placed::new(cell, slot));
    }

    pub(crate) fn remove(&mut self, cell: u64, slot: u32) {
        self.points.remove(&Placed::new(cell, slot));
    }

    /// The points in the cells that a rectangle touches; none if there are more than `most`.
    pub(crate) fn touching(&self, rect: Rect<f64>, most: usize) -> Option<Vec<Placed>> {
        let area = Area {
            columns: (column(rect.min().x), column(rect.max().x)),
            rows: (row(rect.min().y), row(rect.max().y)),
        };
        let mut found = Vec::new();
        let flow = self.visit(area, &mut |point| {
            if found.len() == most {
                return ControlFlow::Break(());
            }
            found.push(point);
            ControlFlow::Continue(())
        });
        flow.is_continue().then_some(found)
    }

    /// Visits the points in an area. Where there are few between its first and its last cell, those
    /// are looked at; where there are many, its quarters are visited.
    fn visit(
        &self,
        area: Area,
        take: &mut impl FnMut(Placed) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (first, last) = area.ends();
        let (from, to) = (Placed::new(first, 0), Placed::new(last, u32::MAX));
        if area.is_whole() {
            let all = self.points.between(&from, &to, usize::MAX);
            return all.into_iter().flatten().try_for_each(take);
        }
        let Some(mut few) = self.points.between(&from, &to, 0) else {
            return area.quarters().try_for_each(|quarter| self.visit(quarter, take));
        };
        few.try_for_each(|point| {
            let cell = point.place();
            let is_between = |bits: u64| (first & bits..=last & bits).contains(&(cell & bits));
            if is_between(COLUMNS) && is_between(!COLUMNS) {
                take(point)
            } else {
                ControlFlow::Continue(())
            }
        })
    }
}

impl Area {
    /// The least and the greatest number of its cells.
    fn ends(self) -> (u64, u64) {
        (number(self.columns.0, self.rows.0), number(self.columns.1, self.rows.1))
    }

    /// The bits in which its columns, or its rows, differ: as many as the side of the smallest
    /// square around it has, of those that come from quartering the world.
    fn spread(self) -> u32 {
        let differing = (self.columns.0 ^ self.columns.1) | (self.rows.0 ^ self.rows.1);
        u32::MAX.checked_shr(differing.leading_zeros()).unwrap_or(0)
    }

    /// Whether it is all of that square: then it is all between its ends.
    fn is_whole(self) -> bool {
        let spread = self.spread();
        let is_all = |(from, to): (u32, u32)| from & spread == 0 && to & spread == spread;
        is_all(self.columns) && is_all(self.rows)
    }

    /// What it has of each quarter of that square, in their order.
    fn quarters(self) -> impl Iterator<Item = Self> {
        let spread = self.spread();
        let half = spread ^ spread >> 1;
        let halves = move |(from, to): (u32, u32)| {
            if from & half == to & half {
                [Some((from, to)), None]
            } else {
                let middle = to & !(half - 1);
                [Some((from, middle - 1)), Some((middle, to))]
            }
        };
        let columns = halves(self.columns);
        halves(self.rows).into_iter().flatten().flat_map(move |rows| {
            columns.into_iter().flatten().map(move |columns| Self { columns, rows })
        })
    }
}

fn column(longitude: f64) -> u32 {
    part((longitude - WEST) / WIDTH)
}

fn row(latitude: f64) -> u32 {
    part((latitude - SOUTH) / HEIGHT)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast stays within the bounds of its type, and so do cells within the world"
)]
fn part(share: f64) -> u32 {
    (share * CELLS) as u32
}

/// The bits of both by turns.
fn number(column: u32, row: u32) -> u64 {
    spaced(column) | spaced(row) << 1
}

/// The bits with a gap after each.
fn spaced(bits: u32) -> u64 {
    let bits = u64::from(bits);
    let bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF;
    let bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF;
    let bits = (bits | bits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    let bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & COLUMNS
}

/// Every second bit, from the lowest on.
fn compact(bits: u64) -> u32 {
    let bits = bits & COLUMNS;
    let bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    let bits = (bits | bits >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    let bits = (bits | bits >> 4) & 0x00FF_00FF_00FF_00FF;
    let bits = (bits | bits >> 8) & 0x0000_FFFF_0000_FFFF;
    u32::try_from((bits | bits >> 16) & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(points: &Points, from: (f64, f64), to: (f64, f64)) -> Vec<u32> {
        let found = points.touching(Rect::new(from, to), usize::MAX).unwrap();
        let mut slots: Vec<u32> = found.into_iter().map(Placed::slot).collect();
        slots.sort_unstable();
        slots
    }

    /// Points everywhere, at the ends of the world, close to each other, and at one place.
    fn any_place() -> impl Strategy<Value = (f64, f64)> {
        prop_oneof![
            (-180.0..=180.0, -90.0..=90.0),
            (prop::sample::select(vec![-180.0, 0.0, 180.0]), -90.0..=90.0),
            (-180.0..=180.0, prop::sample::select(vec![-90.0, 0.0, 90.0])),
            (135.0..135.001, 35.0..35.001),
            Just((136.5, 36.5)),
        ]
    }

    proptest! {
        #[test]
        fn the_points_in_a_rectangle_are_found_and_none_further_away_than_a_cell(
            places in prop::collection::vec(any_place(), 0..3_000),
            corners in prop::collection::vec((any_place(), any_place()), 1..20),
            gone in 0..3_000_usize,
        ) {
            let cells = || places.iter().map(|(x, y)| cell(Coord { x: *x, y: *y }));
            let loaded = cells().zip(0..).map(|(cell, slot)| Placed::new(cell, slot)).collect();
            let mut points = Points::of(loaded);
            for (cell, slot) in cells().zip(0..).take(gone) {
                points.remove(cell, slot);
            }
            for (cell, slot) in cells().zip(0..).take(gone / 2) {
                points.insert(cell, slot);
            }
            for (one, other) in corners {
                let rect = Rect::new(one, other);
                let slots = found(&points, one, other);
                let expected = |off: f64| {
                    let is_in = |x: f64, y: f64| {
                        (rect.min().x - off..=rect.max().x + off).contains(&x)
                            && (rect.min().y - off..=rect.max().y + off).contains(&y)
                    };
                    let slots = (0_u32..).zip(&places).filter(move |(slot, (x, y))| {
                        let is_there = (*slot as usize) < gone / 2 || *slot as usize >= gone;
                        is_there && is_in(*x, *y)
                    });
                    slots.map(|(slot, _)| slot).collect::<Vec<_>>()
                };
                prop_assert!(expected(0.0).iter().all(|slot| slots.binary_search(slot).is_ok()));
                let near = expected(1e-7);
                prop_assert!(slots.iter().all(|slot| near.binary_search(slot).is_ok()));
            }
        }

        #[test]
        fn a_place_is_in_the_rectangle_of_its_cell((x, y) in any_place()) {
            let place = Coord { x, y };
            let rect = rect(cell(place));
            prop_assert!((rect.center().x - x).abs() <= WIDTH / CELLS * 0.5 + 1e-12);
            prop_assert!((rect.center().y - y).abs() <= HEIGHT / CELLS * 0.5 + 1e-12);
        }
    }

    #[test]
    fn many_at_one_place_are_found_and_taken_out_one_by_one() {
        let place = cell(Coord { x: 136.6, y: 36.6 });
        let mut points = Points::default();
        for slot in 0..100_000 {
            points.insert(place, slot);
        }
        assert_eq!(found(&points, (136.0, 36.0), (137.0, 37.0)).len(), 100_000);
        for slot in (0..100_000).filter(|slot| slot % 10_000 != 0) {
            points.remove(place, slot);
        }
        let left = [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000, 90_000];
        assert_eq!(found(&points, (136.6, 36.6), (136.6, 36.6)), left);
        assert_eq!(found(&points, (-180.0, -90.0), (180.0, 90.0)), left);
        assert_eq!(found(&points, (137.0, 36.0), (138.0, 37.0)), [] as [u32; 0]);
    }

    #[test]
    fn what_is_much_is_not_listed() {
        let places = (0..1_000).map(|slot| Placed::new(cell(Coord { x: 0.5, y: 0.5 }), slot));
        let points = Points::of(places.collect());
        let around = Rect::new((0.0, 0.0), (1.0, 1.0));
        assert!(points.touching(around, 999).is_none());
        assert_eq!(points.touching(around, 1_000).map(|found| found.len()), Some(1_000));
    }

    /// A narrow strip around the world has a great many cells, and each quarter that is visited
    /// has points in it.
    #[test]
    fn a_strip_around_the_world_is_looked_at_only_where_points_are() {
        let places = (0..200_000_u32).map(|slot| {
            let x = f64::from(slot.wrapping_mul(2_654_435_769)) / CELLS * WIDTH + WEST;
            let y = f64::from(slot.wrapping_mul(2_246_822_519)) / CELLS * HEIGHT + SOUTH;
            Placed::new(cell(Coord { x, y }), slot)
        });
        let points = Points::of(places.collect());
        let area = Area { columns: (0, u32::MAX), rows: (row(35.0), row(35.001)) };
        let mut visited = 0;
        count_visits(&points, area, &mut visited);
        assert!(visited < 200, "{visited}");
    }

    fn count_visits(points: &Points, area: Area, visited: &mut usize) {
        *visited += 1;
        let (first, last) = area.ends();
        let (from, to) = (Placed::new(first, 0), Placed::new(last, u32::MAX));
        if points.points.between(&from, &to, 0).is_none() {
            area.quarters().for_each(|quarter| count_visits(points, quarter, visited));
        }
    }
}
