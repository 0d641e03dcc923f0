//! Entities as GeoJSON (CIM 009, clauses 4.5.16 and 4.5.17).

use musubi_model::{AttrName, AttributeType, Entity, JsonKind};

use crate::shape::{Members, write_members};

/// Makes a `Feature` of the members of an entity. `context` is the value of its `@context`
/// member, if it is to have one.
pub(crate) fn write_feature(
    out: &mut Vec<u8>,
    (entity, members): (&Entity, Members),
    geometry: &AttrName,
    context: Option<&str>,
) {
    let (id, properties): (Members, Members) =
        members.into_iter().partition(|(key, _)| key == "id");
    let mut feature = id;
    feature.push(("type".to_owned(), b"\"Feature\"".to_vec()));
    feature.push(("geometry".to_owned(), geometry_of(entity, geometry).to_vec()));
    let mut written = Vec::new();
    write_members(&mut written, &properties);
    feature.push(("properties".to_owned(), written));
    if let Some(context) = context {
        feature.push(("@context".to_owned(), context.as_bytes().to_vec()));
    }
    write_members(out, &feature);
}

/// The geometry of an entity as GeoJSON; `null` if it has none under that name.
fn geometry_of<'e>(entity: &'e Entity, name: &AttrName) -> &'e [u8] {
    let attribute = entity.attribute(name);
    let instance = attribute
        .and_then(|attribute| attribute.default_instance().or_else(|| attribute.instances.first()));
    match instance {
        // What was deleted has the NGSI-LD Null there.
        Some(instance)
            if instance.value.kind == AttributeType::GeoProperty
                && instance.value.json.kind() == JsonKind::Object =>
        {
            instance.value.json.as_str().as_bytes()
        }
        Some(_) | None => b"null",
    }
}
