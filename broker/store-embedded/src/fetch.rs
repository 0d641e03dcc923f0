//! Fetching many entities from memory at once.

use std::hint::black_box;

use musubi_model::{AttrName, Entity, TypeName};

/// Entities that are fetched together: few enough to be still there when they are looked at.
pub(crate) const TOGETHER: usize = 32;

/// Reads what is about to be looked at of these entities, and does nothing with it: the values of
/// one attribute, or of all with the id and the types.
///
/// Among a million entities those that are looked at are not in the processor's cache, and each of
/// them is a chain of pieces of memory. One after the other, each piece would be waited for alone;
/// read like this, the pieces of all of them are waited for at the same time.
pub(crate) fn fetch<'e>(
    entities: impl Iterator<Item = &'e Entity> + Clone,
    name: Option<&AttrName>,
) {
    reach(entities.clone());
    let of_attributes = |entity: &Entity| {
        let instances = entity.attributes.iter().map(|attribute| attribute.instances.len());
        instances.fold(if name.is_none() { head(entity) } else { 0 }, usize::wrapping_add)
    };
    black_box(entities.clone().map(of_attributes).fold(0, usize::wrapping_add));
    let of_values = |entity: &Entity| {
        let wanted = |other: &AttrName| name.is_none_or(|name| name == other);
        let attributes = entity.attributes.iter().filter(|attribute| wanted(&attribute.name));
        let instances = attributes.filter_map(|attribute| attribute.instances.first());
        let parts = instances.map(|instance| {
            let rare = instance.qualifiers.as_ref().map_or(0, |rare| {
                let parts = rare.attributes.len() ^ rare.object_type.len();
                parts ^ usize::from(rare.unit_code.is_some() ^ rare.dataset_id.is_some())
            });
            ends(instance.value.json.as_str()) ^ rare
        });
        parts.fold(0, usize::wrapping_add)
    };
    black_box(entities.map(of_values).fold(0, usize::wrapping_add));
}

/// What stands before the attributes: id and types.
fn head(entity: &Entity) -> usize {
    ends(entity.id.as_str()) ^ entity.types.first().map_or(0, TypeName::holders)
}

/// A text of some length begins in one line of the processor's cache and ends in another.
fn ends(text: &str) -> usize {
    let [first, last] = [text.as_bytes().first(), text.as_bytes().last()];
    first.map_or(0, |byte| usize::from(*byte)) ^ last.map_or(0, |byte| usize::from(*byte))
}

/// Reads the beginnings of entities that are about to be shared: to count one more holder waits for
/// the entity, and what comes behind waits with it.
pub(crate) fn reach<'e>(entities: impl Iterator<Item = &'e Entity>) {
    let beginning =
        |entity: &Entity| entity.attributes.len() ^ entity.id.as_str().len() ^ entity.types.len();
    black_box(entities.map(beginning).fold(0, usize::wrapping_add));
}
