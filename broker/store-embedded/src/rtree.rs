//! Where the geometries of one attribute are: candidates for an exact predicate.

use geo::BoundingRect;
use geo_types::Rect;
use musubi_model::{Json, parse_geometry};
use roaring::RoaringBitmap;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

type Extent = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// The extents of geometries by the slots that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    tree: RTree<Extent>,
    /// Put in the tree all at once, when loading ends.
    loading: Vec<Extent>,
    /// Slots with a value whose extent is not known: candidates always.
    unplaced: RoaringBitmap,
}

impl Extents {
    pub(crate) fn insert(&mut self, slot: u32, geometry: &Json) {
        match extent(slot, geometry) {
            Some(extent) => self.tree.insert(extent),
            None => {
                self.unplaced.insert(slot);
            }
        }
    }

    /// Inserts without the tree; [`settle`](Self::settle) has to follow.
    pub(crate) fn load(&mut self, slot: u32, geometry: &Json) {
        match extent(slot, geometry) {
            Some(extent) => self.loading.push(extent),
            None => {
                self.unplaced.insert(slot);
            }
        }
    }

    /// Builds the tree out of what was loaded.
    pub(crate) fn settle(&mut self) {
        if !self.loading.is_empty() {
            let mut all = std::mem::take(&mut self.loading);
            all.extend(self.tree.iter().copied());
            self.tree = RTree::bulk_load(all);
        }
    }

    pub(crate) fn remove(&mut self, slot: u32, geometry: &Json) {
        match extent(slot, geometry) {
            Some(extent) => {
                self.tree.remove(&extent);
            }
            None => {
                self.unplaced.remove(slot);
            }
        }
    }

    /// The slots whose geometry may reach into this rectangle.
    pub(crate) fn within_reach(&self, rect: Rect<f64>) -> RoaringBitmap {
        let envelope =
            AABB::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
        let mut slots = self.unplaced.clone();
        slots.extend(self.tree.locate_in_envelope_intersecting(&envelope).map(|found| found.data));
        slots
    }
}

fn extent(slot: u32, geometry: &Json) -> Option<Extent> {
    let rect = parse_geometry(geometry).ok()?.bounding_rect()?;
    let corners = [[rect.min().x, rect.min().y], [rect.max().x, rect.max().y]];
    let [lower, upper] = corners;
    corners
        .iter()
        .flatten()
        .all(|coordinate| coordinate.is_finite())
        .then(|| GeomWithData::new(Rectangle::from_corners(lower, upper), slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(longitude: f64, latitude: f64) -> Json {
        let json = format!(r#"{{"type":"Point","coordinates":[{longitude},{latitude}]}}"#);
        Json::from(&serde_json::from_str::<serde_json::Value>(&json).unwrap())
    }

    fn slots(extents: &Extents, from: (f64, f64), to: (f64, f64)) -> Vec<u32> {
        extents.within_reach(Rect::new(from, to)).iter().collect()
    }

    #[test]
    fn points_are_found_by_the_rectangle_around_them_and_forgotten() {
        let mut extents = Extents::default();
        extents.load(1, &point(136.0, 35.0));
        extents.settle();
        extents.insert(2, &point(136.1, 35.1));
        extents.insert(3, &point(140.0, 35.0));
        assert_eq!(slots(&extents, (135.9, 34.9), (136.2, 35.2)), [1, 2]);
        extents.remove(1, &point(136.0, 35.0));
        assert_eq!(slots(&extents, (135.9, 34.9), (136.2, 35.2)), [2]);
    }

    #[test]
    fn what_has_no_extent_is_a_candidate_always() {
        let mut extents = Extents::default();
        let odd = Json::from("somewhere");
        extents.insert(7, &odd);
        assert_eq!(slots(&extents, (0.0, 0.0), (1.0, 1.0)), [7]);
        extents.remove(7, &odd);
        assert_eq!(slots(&extents, (0.0, 0.0), (1.0, 1.0)), [] as [u32; 0]);
    }
}
