//! How much room entities take in a notification.

use musubi_model::Entity;

/// What stands around an entity: the names of its members, and times.
const AROUND_ENTITY: usize = 64;
/// What stands around an attribute: its type, and the names of its members.
const AROUND_ATTRIBUTE: usize = 32;

/// About how many bytes an entity takes as JSON. It is not rendered for that.
pub(crate) fn weight(entity: &Entity) -> usize {
    let instances: usize =
        entity.attributes.iter().map(|attribute| attribute.instances.len()).sum();
    AROUND_ENTITY
        .saturating_add(entity.text_size())
        .saturating_add(instances.saturating_mul(AROUND_ATTRIBUTE))
}
