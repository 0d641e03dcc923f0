//! Where the geometries of one attribute are: candidates for an exact predicate.

use geo::BoundingRect;
use geo_types::{Geometry, Rect};
use musubi_model::{Json, parse_geometry};
use musubi_query::GeoQuery;
use roaring::RoaringBitmap;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::points::{self, Points};
use crate::sorted::Placed;

/// The most points of which each is asked whether the cell that it is in decides.
const FEW: usize = 256;

type Extent = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// Slots by where their geometries are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    points: Points,
    /// What is no point, by the rectangle around it.
    extents: RTree<Extent>,
    /// Slots with a value of which it is not known where it is: candidates always.
    unplaced: RoaringBitmap,
}

/// What is going to be [`Places`], all at once.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    points: Vec<Placed>,
    extents: Vec<Extent>,
    unplaced: RoaringBitmap,
}

/// The slots that a query may find.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) slots: RoaringBitmap,
    /// Whether it finds all of them.
    pub(crate) is_exact: bool,
}

/// Where a geometry is.
enum Place {
    Cell(u64),
    Extent(Rectangle<[f64; 2]>),
    Unknown,
}

impl Places {
    pub(crate) fn insert(&mut self, slot: u32, geometry: &Json) {
        match place(geometry) {
            Place::Cell(cell) => self.points.insert(cell, slot),
            Place::Extent(extent) => self.extents.insert(GeomWithData::new(extent, slot)),
            Place::Unknown => {
                self.unplaced.insert(slot);
            }
        }
    }

    /// Takes out a geometry of a slot. The others that it has for this attribute have to follow,
    /// because one of them may be at the same place.
    pub(crate) fn remove(&mut self, slot: u32, geometry: &Json) {
        match place(geometry) {
            Place::Cell(cell) => self.points.remove(cell, slot),
            Place::Extent(extent) => {
                self.extents.remove(&GeomWithData::new(extent, slot));
            }
            Place::Unknown => {
                self.unplaced.remove(slot);
            }
        }
    }

    /// The slots with a geometry that may satisfy the query: whatever reaches into this rectangle,
    /// but for points of which it is certain that they do not. None if these are more than `most`
    /// points.
    pub(crate) fn candidates(
        &self,
        query: &GeoQuery,
        rect: Rect<f64>,
        most: usize,
    ) -> Option<Candidates> {
        let mut points = self.points.touching(rect, most)?;
        let are_few = points.len() <= FEW;
        let mut is_exact = are_few && self.unplaced.is_empty();
        if are_few {
            points.retain(|point| {
                let decided = query.decides(points::rect(point.place()));
                is_exact &= decided.is_some();
                decided != Some(false)
            });
        }
        let mut slots: Vec<u32> = points.into_iter().map(Placed::slot).collect();
        let envelope =
            AABB::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
        for extent in self.extents.locate_in_envelope_intersecting(&envelope) {
            is_exact = false;
            slots.push(extent.data);
        }
        slots.sort_unstable();
        slots.dedup();
        let mut slots: RoaringBitmap = slots.into_iter().collect();
        slots |= &self.unplaced;
        Some(Candidates { slots, is_exact })
    }
}

impl Gathered {
    pub(crate) fn push(&mut self, slot: u32, geometry: &Json) {
        match place(geometry) {
            Place::Cell(cell) => self.points.push(Placed::new(cell, slot)),
            Place::Extent(extent) => self.extents.push(GeomWithData::new(extent, slot)),
            Place::Unknown => {
                self.unplaced.insert(slot);
            }
        }
    }
}

impl From<Gathered> for Places {
    fn from(Gathered { points, extents, unplaced }: Gathered) -> Self {
        Self { points: Points::of(points), extents: RTree::bulk_load(extents), unplaced }
    }
}

fn place(geometry: &Json) -> Place {
    let Ok(geometry) = parse_geometry(geometry) else { return Place::Unknown };
    if let Geometry::Point(point) = geometry {
        return Place::Cell(points::cell(point.0));
    }
    let Some(rect) = geometry.bounding_rect() else { return Place::Unknown };
    let (lower, upper) = ([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
    if lower.iter().chain(&upper).all(|coordinate| coordinate.is_finite()) {
        Place::Extent(Rectangle::from_corners(lower, upper))
    } else {
        Place::Unknown
    }
}

#[cfg(test)]
mod tests;
