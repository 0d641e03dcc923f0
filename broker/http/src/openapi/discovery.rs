//! Which types and attributes there are, and who answers.

use super::operation::{LOCAL, get};
use super::path::Path;

const TAG: &str = "Discovery";
const DETAILS: &[&str] = &["details", "local"];

pub(super) fn paths() -> Vec<Path> {
    vec![
        Path::of_names(TAG, "/ngsi-ld/v1/types", &[]).with(
            get("listTypes", "List the types of entities")
                .clause("6.25.3.1")
                .query(DETAILS)
                .shows("EntityTypes", &["TypeNames", "TypeDetails"]),
        ),
        Path::of_names(TAG, "/ngsi-ld/v1/types/{type}", &["type"]).with(
            get("retrieveType", "Retrieve what there is of a type")
                .clause("6.26.3.1")
                .query(LOCAL)
                .shows("EntityTypeInfo", &["TypeInfo"]),
        ),
        Path::of_names(TAG, "/ngsi-ld/v1/attributes", &[]).with(
            get("listAttributes", "List the attributes of entities")
                .clause("6.27.3.1")
                .query(DETAILS)
                .shows("Attributes", &["AttributeNames"]),
        ),
        Path::of_names(TAG, "/ngsi-ld/v1/attributes/{attribute}", &["attribute"]).with(
            get("retrieveAttribute", "Retrieve what there is of an attribute")
                .clause("6.28.3.1")
                .query(LOCAL)
                .shows("AttributeInfo", &["AttributeDetails"]),
        ),
        Path::of_tenant(TAG, "/ngsi-ld/v1/info/sourceIdentity", &[]).with(
            get("identify", "Tell who answers here")
                .clause("6.33.3.1")
                .shows("ContextSourceIdentity", &["Identity"]),
        ),
    ]
}
