//! Names that are members of the data model and therefore no attributes.

use musubi_model::{AttrName, NGSI_LD};

use crate::InvalidBody;

/// Refuses a name that the core context gives to a member which is no attribute (CIM 009, clause
/// 4.5.1), however the body wrote it.
pub(super) fn check(name: &AttrName) -> Result<(), InvalidBody> {
    let Some(local) = name.as_str().strip_prefix(NGSI_LD) else { return Ok(()) };
    if is_member(local) {
        return Err(InvalidBody::here(
            "this is the name of a member of the data model and cannot be that of an attribute",
        ));
    }
    Ok(())
}

/// As [`check`], for an attribute of an entity. There `vocab` is a word as any other, and models
/// use it; one level deeper it is the value of its attribute.
pub(super) fn check_of_entity(name: &AttrName) -> Result<(), InvalidBody> {
    if name.as_str().strip_prefix(NGSI_LD) == Some("hasVocab") { Ok(()) } else { check(name) }
}

fn is_member(local: &str) -> bool {
    matches!(
        local,
        "createdAt"
            | "modifiedAt"
            | "deletedAt"
            | "expiresAt"
            | "observedAt"
            | "datasetId"
            | "instanceId"
            | "unitCode"
            | "scope"
            | "lang"
            | "entity"
            | "entityList"
            | "entityIdSealed"
            | "entityTypeSealed"
            // As terms the two exist inside a proof alone, so elsewhere they land here.
            | "default-context/entityIdSealed"
            | "default-context/entityTypeSealed"
            | "hasValue"
            | "hasObject"
            | "hasLanguageMap"
            | "hasVocab"
            | "hasJSON"
            | "hasValueList"
            | "hasObjectList"
            | "hasValueType"
            | "hasObjectType"
            | "hasDataset"
            | "hasPreviousValue"
            | "hasPreviousObject"
            | "hasPreviousLanguageMap"
            | "hasPreviousVocab"
            | "hasPreviousJson"
            | "hasPreviousValueList"
            | "hasPreviousObjectList"
    )
}

/// Whether the core context says that this attribute is a `GeoProperty` (CIM 009, clause 4.7.1).
pub(super) fn is_geometry(name: &AttrName) -> bool {
    name.as_str()
        .strip_prefix(NGSI_LD)
        .is_some_and(|local| matches!(local, "location" | "observationSpace" | "operationSpace"))
}

/// Whether this is the attribute that holds a proof (CIM 009, clause 4.5.2.2).
pub(super) fn is_proof(name: &AttrName) -> bool {
    name.as_str().strip_prefix(NGSI_LD) == Some("ngsildproof")
}

/// The bare member of a proof that this is: what a proof says of its entity is held as an
/// attribute of the proof and written as a string.
pub(crate) fn sealed_member(name: &AttrName) -> Option<&str> {
    let local = name.as_str().strip_prefix(NGSI_LD)?;
    matches!(local, "entityIdSealed" | "entityTypeSealed").then_some(local)
}
