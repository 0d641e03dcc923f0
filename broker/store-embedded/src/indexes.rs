//! The indexes of a table: bitmaps over its slots.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use musubi_model::{AttrName, Attribute, AttributeType, Entity, Scope, TypeName};
use musubi_store::Found;
use roaring::RoaringBitmap;

use crate::expiries::Expiries;
use crate::places::{Gathered, Places};
use crate::relationships::{Targets, has_targets};
use crate::table::MANY;
use crate::values::Values;

/// What is known of a table's entities without looking at them.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    types: HashMap<TypeName, RoaringBitmap, RandomState>,
    scopes: HashMap<Scope, RoaringBitmap, RandomState>,
    attributes: HashMap<AttrName, AttributeIndex, RandomState>,
    /// Slots by when the first part of their entity expires.
    pub(crate) expiries: Expiries,
    /// Slots by values, where queries have asked for them.
    pub(crate) values: Values,
}

/// What is known of one attribute.
#[derive(Debug, Default)]
pub(crate) struct AttributeIndex {
    /// Slots whose entity has the attribute.
    pub(crate) present: RoaringBitmap,
    /// Slots by the kinds that the instances there have. No kind has no slot.
    kinds: Vec<(AttributeType, RoaringBitmap)>,
    /// Slots by the targets of their relationships.
    pub(crate) targets: Targets,
    /// Slots by where their geometries are.
    pub(crate) places: Places,
}

/// Whether geometries are put in, or are by another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Geometries {
    Enter,
    LeaveOut,
}

impl Indexes {
    /// The indexes of a new table's entities, which are in slots from 0 on.
    pub(crate) fn load(entities: &[Found]) -> Self {
        let (mut indexes, mut places) = (Self::default(), HashMap::default());
        std::thread::scope(|scope| {
            let mut geometries = || places = places_of(entities);
            if entities.len() < MANY {
                geometries();
            } else {
                scope.spawn(geometries);
            }
            for (slot, found) in (0..).zip(entities) {
                indexes.enter(slot, &found.entity, Geometries::LeaveOut);
            }
        });
        for (name, places) in places {
            if let Some(index) = indexes.attributes.get_mut(&name) {
                index.places = places;
            }
        }
        indexes
    }

    /// Puts in the entity of a new slot.
    pub(crate) fn insert(&mut self, slot: u32, entity: &Entity) {
        self.enter(slot, entity, Geometries::Enter);
    }

    fn enter(&mut self, slot: u32, entity: &Entity, geometries: Geometries) {
        for name in &entity.types {
            self.types.entry(name.clone()).or_default().insert(slot);
        }
        for scope in &entity.scopes {
            self.scopes.entry(scope.clone()).or_default().insert(slot);
        }
        for attribute in &entity.attributes {
            self.insert_attribute(slot, attribute, geometries);
        }
        self.expiries.insert(slot, entity.first_expiry());
        self.values.insert(slot, entity);
    }

    /// Takes out the entity of a slot.
    pub(crate) fn remove(&mut self, slot: u32, entity: &Entity) {
        for name in &entity.types {
            remove_from(&mut self.types, name, slot);
        }
        for scope in &entity.scopes {
            remove_from(&mut self.scopes, scope, slot);
        }
        for attribute in &entity.attributes {
            self.remove_attribute(slot, attribute);
        }
        self.expiries.remove(slot, entity.first_expiry());
        self.values.remove(slot, entity);
    }

    /// Follows the change of a slot's entity. What stays as it is, is not touched: most writes
    /// change values that no index knows.
    pub(crate) fn update(&mut self, slot: u32, old: &Entity, new: &Entity) {
        self.values.update(slot, old, new);
        if old.types != new.types {
            for name in &old.types {
                remove_from(&mut self.types, name, slot);
            }
            for name in &new.types {
                self.types.entry(name.clone()).or_default().insert(slot);
            }
        }
        if old.scopes != new.scopes {
            for scope in &old.scopes {
                remove_from(&mut self.scopes, scope, slot);
            }
            for scope in &new.scopes {
                self.scopes.entry(scope.clone()).or_default().insert(slot);
            }
        }
        let (before, after) = (old.first_expiry(), new.first_expiry());
        if before != after {
            self.expiries.remove(slot, before);
            self.expiries.insert(slot, after);
        }
        let stays = |one: &Attribute, other: &Entity| {
            other.attribute(&one.name).is_some_and(|other| is_indexed_alike(one, other))
        };
        for attribute in old.attributes.iter().filter(|attribute| !stays(attribute, new)) {
            self.remove_attribute(slot, attribute);
        }
        for attribute in new.attributes.iter().filter(|attribute| !stays(attribute, old)) {
            self.insert_attribute(slot, attribute, Geometries::Enter);
        }
    }

    fn insert_attribute(&mut self, slot: u32, attribute: &Attribute, geometries: Geometries) {
        // Not by `entry`, which would take a clone of the name each time.
        if let Some(index) = self.attributes.get_mut(&attribute.name) {
            return index.insert(slot, attribute, geometries);
        }
        let mut index = AttributeIndex::default();
        index.insert(slot, attribute, geometries);
        self.attributes.insert(attribute.name.clone(), index);
    }

    fn remove_attribute(&mut self, slot: u32, attribute: &Attribute) {
        let Some(index) = self.attributes.get_mut(&attribute.name) else { return };
        index.remove(slot, attribute);
        if index.present.is_empty() {
            self.attributes.remove(&attribute.name);
        }
    }

    pub(crate) fn of_type(&self, name: &TypeName) -> Option<&RoaringBitmap> {
        self.types.get(name)
    }

    pub(crate) fn attribute(&self, name: &AttrName) -> Option<&AttributeIndex> {
        self.attributes.get(name)
    }

    /// Every scope that occurs, and where.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (&Scope, &RoaringBitmap)> {
        self.scopes.iter()
    }

    /// Every type that occurs.
    pub(crate) fn types(&self) -> impl Iterator<Item = &TypeName> {
        self.types.keys()
    }

    /// Every attribute that occurs, and where.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&AttrName, &AttributeIndex)> {
        self.attributes.iter()
    }
}

impl AttributeIndex {
    fn insert(&mut self, slot: u32, attribute: &Attribute, geometries: Geometries) {
        self.present.insert(slot);
        for instance in &attribute.instances {
            let value = &instance.value;
            self.insert_kind(slot, value.kind);
            if has_targets(value.kind) {
                self.targets.insert(slot, value);
            } else if value.kind == AttributeType::GeoProperty && geometries == Geometries::Enter {
                self.places.insert(slot, &value.json);
            }
        }
    }

    fn insert_kind(&mut self, slot: u32, kind: AttributeType) {
        if let Some((_, slots)) = self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            slots.insert(slot);
        } else {
            self.kinds.push((kind, RoaringBitmap::from_iter([slot])));
        }
    }

    fn remove(&mut self, slot: u32, attribute: &Attribute) {
        self.present.remove(slot);
        self.kinds.retain_mut(|(_, slots)| {
            slots.remove(slot);
            !slots.is_empty()
        });
        for instance in &attribute.instances {
            let value = &instance.value;
            if has_targets(value.kind) {
                self.targets.remove(slot, value);
            } else if value.kind == AttributeType::GeoProperty {
                self.places.remove(slot, &value.json);
            }
        }
    }

    /// The kinds that instances have, and where, in no order.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (AttributeType, &RoaringBitmap)> {
        self.kinds.iter().map(|(kind, slots)| (*kind, slots))
    }

    /// Slots with an instance that is no relationship.
    pub(crate) fn without_targets(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        for (_, slots) in self.kinds().filter(|(kind, _)| !has_targets(*kind)) {
            all |= slots;
        }
        all
    }
}

/// Where the geometries of each attribute are, of entities that are in slots from 0 on.
fn places_of(entities: &[Found]) -> HashMap<AttrName, Places, RandomState> {
    let mut all: HashMap<AttrName, Gathered, RandomState> = HashMap::default();
    for (slot, found) in (0..).zip(entities) {
        for attribute in &found.entity.attributes {
            let values = attribute.instances.iter().map(|instance| &instance.value);
            for value in values.filter(|value| value.kind == AttributeType::GeoProperty) {
                // Not by `entry`, which would take a clone of the name each time.
                match all.get_mut(&attribute.name) {
                    Some(gathered) => gathered.push(slot, &value.json),
                    None => all.entry(attribute.name.clone()).or_default().push(slot, &value.json),
                }
            }
        }
    }
    all.into_iter().map(|(name, gathered)| (name, gathered.into())).collect()
}

/// Whether the indexes say the same of both.
fn is_indexed_alike(one: &Attribute, other: &Attribute) -> bool {
    one.instances.len() == other.instances.len()
        && one.instances.iter().zip(&other.instances).all(|(one, other)| {
            let (one, other) = (&one.value, &other.value);
            let is_indexed = has_targets(one.kind) || one.kind == AttributeType::GeoProperty;
            one.kind == other.kind && (!is_indexed || one.json == other.json)
        })
}

fn remove_from<K: Eq + Hash>(
    index: &mut HashMap<K, RoaringBitmap, RandomState>,
    key: &K,
    slot: u32,
) {
    if let Some(slots) = index.get_mut(key) {
        slots.remove(slot);
        if slots.is_empty() {
            index.remove(key);
        }
    }
}
