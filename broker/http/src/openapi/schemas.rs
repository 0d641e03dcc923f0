//! What entities of a type have to look like.

use super::operation::{LOCAL, delete, get, put};
use super::path::Path;

const TAG: &str = "Schemas";

pub(super) fn paths() -> Vec<Path> {
    vec![
        Path::of_tenant(TAG, "/musubi/v1/schemas", &[]).with(
            get("listSchemas", "List the schemas of types")
                .query(LOCAL)
                .shows_json("TypeSchemas", &["SchemaHeads"]),
        ),
        Path::of_names(TAG, "/musubi/v1/schemas/{type}", &["type"])
            .with(
                get("retrieveSchema", "Retrieve the schema of a type")
                    .query(LOCAL)
                    .shows_json("TypeSchema", &["ShownSchema"]),
            )
            .with(
                put("putSchema", "Say what entities of a type have to look like")
                    .about(
                        "The schema describes the simplified representation. With the mode warn, \
                         writes that do not follow it go through and say so in the header \
                         Musubi-Schema-Warning; with enforce, they are refused.",
                    )
                    .takes("NewTypeSchema", &["EnforcedModel", "OwnSchema"])
                    .creates()
                    .does()
                    .may_fail(&[403, 422, 507]),
            )
            .with(
                delete("deleteSchema", "Forget the schema of a type")
                    .query(LOCAL)
                    .does()
                    .may_fail(&[404, 507]),
            ),
    ]
}
