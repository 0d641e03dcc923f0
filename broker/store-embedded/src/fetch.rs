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
    black_box(entities.clone().map(|entity| entity.attributes.len()).fold(0, usize::wrapping_add));
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
            let byte = instance.value.json.as_str().as_bytes().first().copied();
            let rare = instance.qualifiers.as_ref();
            let rare =
                rare.map(|rare| rare.attributes.len() ^ usize::from(rare.unit_code.is_some()));
            byte.map_or(0, usize::from) ^ rare.unwrap_or(0)
        });
        parts.fold(0, usize::wrapping_add)
    };
    black_box(entities.map(of_values).fold(0, usize::wrapping_add));
}

/// What stands before the attributes: id and types.
fn head(entity: &Entity) -> usize {
    let id = entity.id.as_str().as_bytes().first().copied().map_or(0, usize::from);
    id ^ entity.types.first().map_or(0, TypeName::holders)
}
