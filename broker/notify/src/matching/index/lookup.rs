//! From a change to those whom it may concern.

use musubi_model::{AttrName, AttributeType, Entity, parse_geometry};
use musubi_query::{Axis, Mark};
use smallvec::SmallVec;

use geo::BoundingRect;

use super::condition::ID_LENGTHS;
use super::places::{Key, PathUse, Places, Purpose, Purposes, Subject};
use super::slots::Slot;

/// The prefixes that a change satisfies and that are in use.
type Live = SmallVec<[(Key, Purposes); 8]>;

impl Places {
    /// Adds those whom a change of these attributes, which leaves the entity like this, may
    /// concern; some of them more than once.
    pub(super) fn candidates(&self, entity: &Entity, changed: &[AttrName], found: &mut Vec<Slot>) {
        let live = self.live(entity, changed);
        let all = |purpose| live.iter().filter(move |(_, it)| it.include(purpose));
        for (prefix, _) in all(Purpose::Everything) {
            self.list(*prefix, found);
        }
        if live.iter().any(|(_, purposes)| purposes.include_paths()) {
            for attribute in &entity.attributes {
                for path in self.paths.get(&attribute.name).map_or(&[][..], Vec::as_slice) {
                    self.at_path(entity, path, &live, found);
                }
            }
        }
        let located: SmallVec<[Key; 8]> = all(Purpose::Locations).map(|(key, _)| *key).collect();
        if !located.is_empty() {
            self.at_location(entity, &located, found);
        }
        for (prefix, _) in all(Purpose::Scopes) {
            self.in_scopes(entity, *prefix, found);
        }
        for (prefix, _) in all(Purpose::Ids) {
            let id = entity.id.as_str().as_bytes();
            for beginning in ID_LENGTHS.into_iter().filter_map(|length| id.get(..length)) {
                self.list(self.beginning(*prefix, beginning), found);
            }
        }
    }

    fn list(&self, key: Key, found: &mut Vec<Slot>) {
        if let Some(list) = self.lists.get(&key) {
            list.append_to(found);
        }
    }

    fn live(&self, entity: &Entity, changed: &[AttrName]) -> Live {
        let watched: SmallVec<[&AttrName; 8]> =
            changed.iter().filter(|name| self.watched.contains_key(*name)).collect();
        let types = entity.types.iter().map(Subject::Type);
        let subjects = types.chain([Subject::Entity(&entity.id), Subject::Any]);
        let mut live = Live::new();
        for subject in subjects {
            let subject = self.subject(subject);
            for name in [None].into_iter().chain(watched.iter().copied().map(Some)) {
                let prefix = self.watching(subject, name);
                live.extend(self.prefixes.get(&prefix).map(|known| (prefix, known.purposes)));
            }
        }
        live
    }

    fn at_path(&self, entity: &Entity, path: &PathUse, live: &Live, found: &mut Vec<Slot>) {
        let asked = live.iter().filter_map(|(prefix, purposes)| {
            let within = self.within(*prefix, path.hash);
            purposes.include_paths().then_some(())?;
            self.asked.get(&within).map(|known| (within, known.purposes))
        });
        let asked: Live = asked.collect();
        for (within, _) in asked.iter().filter(|(_, it)| it.include(Purpose::Presence)) {
            self.list(self.presence(*within), found);
        }
        let by_value = asked.iter().any(|(_, it)| it.include(Purpose::Values));
        let by_threshold = asked.iter().any(|(_, it)| it.include(Purpose::Thresholds));
        if !by_value && !by_threshold {
            return;
        }
        let mut ends = [None; Axis::ALL.len()];
        path.path.marks(entity, &mut |mark| {
            if by_value {
                self.with_mark(&mark, &asked, found);
            }
            if by_threshold {
                stretch(&mut ends, &mark);
            }
        });
        for (axis, ends) in Axis::ALL.into_iter().zip(ends) {
            let Some(ends) = ends else { continue };
            for (within, _) in asked.iter().filter(|(_, it)| it.include(Purpose::Thresholds)) {
                if let Some(thresholds) = self.thresholds.get(&self.threshold(*within, axis)) {
                    thresholds.met_by(ends, found);
                }
            }
        }
    }

    fn with_mark(&self, mark: &Mark<'_>, asked: &Live, found: &mut Vec<Slot>) {
        for (within, _) in asked.iter().filter(|(_, it)| it.include(Purpose::Values)) {
            self.list(self.value(*within, mark), found);
        }
    }

    fn at_location(&self, entity: &Entity, prefixes: &[Key], found: &mut Vec<Slot>) {
        for attribute in &entity.attributes {
            if !self.located.contains_key(&attribute.name) {
                continue;
            }
            let values = attribute.instances.iter().map(|instance| &instance.value);
            let boxes = values
                .filter(|value| value.kind == AttributeType::GeoProperty)
                .filter_map(|value| parse_geometry(&value.json).ok()?.bounding_rect());
            for rect in boxes {
                let (low, high) = (rect.min(), rect.max());
                let corners = [[low.x, low.y], [high.x, high.y]];
                for prefix in prefixes {
                    let key = self.location(*prefix, &attribute.name);
                    if let Some(regions) = self.regions.get(&key) {
                        regions.meeting(corners, found);
                    }
                }
            }
        }
    }

    fn in_scopes(&self, entity: &Entity, prefix: Key, found: &mut Vec<Slot>) {
        if !entity.scopes.is_empty() {
            self.list(self.scope_below(prefix, ""), found);
        }
        for scope in &entity.scopes {
            let scope = scope.as_str();
            self.list(self.scope(prefix, scope), found);
            let ends = scope.match_indices('/').map(|(at, _)| at).skip(1).chain([scope.len()]);
            for above in ends.filter_map(|end| scope.get(..end)) {
                self.list(self.scope_below(prefix, above), found);
            }
        }
    }
}

/// Makes room for a mark between the least and the greatest on each axis.
fn stretch(ends: &mut [Option<(f64, f64)>; Axis::ALL.len()], mark: &Mark<'_>) {
    let Some((axis, place)) = mark.place() else { return };
    for (other, ends) in Axis::ALL.into_iter().zip(ends) {
        if other == axis {
            let (least, greatest) = ends.unwrap_or((place, place));
            *ends = Some((least.min(place), greatest.max(place)));
        }
    }
}
