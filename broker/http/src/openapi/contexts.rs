//! JSON-LD contexts: what the short names mean.

use super::operation::{delete, get, post};
use super::path::Path;

const TAG: &str = "Contexts";

pub(super) fn paths() -> Vec<Path> {
    vec![
        Path::of_tenant(TAG, "/ngsi-ld/v1/jsonldContexts", &[])
            .with(
                post("addContext", "Keep a context")
                    .clause("6.29.3.1")
                    .takes("LdContextDocument", &["TownContext"])
                    .creates()
                    .may_fail(&[422, 504, 507]),
            )
            .with(
                get("listContexts", "List the contexts")
                    .clause("6.29.3.2")
                    .query(&["details", "kind"])
                    .shows("LdContexts", &["ContextAddresses"]),
            ),
        Path::of_tenant(TAG, "/ngsi-ld/v1/jsonldContexts/{id}", &["context"])
            .with(
                get("serveContext", "Serve a context")
                    .about("With core, a list of its address and that of a core context.")
                    .clause("6.30.3.1")
                    .query(&["details", "core"])
                    .shows("LdContextOrInfo", &["TownContext"])
                    .may_fail(&[422, 504]),
            )
            .with(
                delete("deleteContext", "Forget a context")
                    .about("With reload, a cached one is fetched anew instead.")
                    .clause("6.30.3.2")
                    .query(&["reload"])
                    .does()
                    .may_fail(&[404, 422, 504, 507]),
            ),
        Path::of_process(TAG, "/musubi/v1/contexts/{name}", &["contextName"]).with(
            get("showBuiltInContext", "Serve a context that comes with the program")
                .shows_as("application/ld+json", "LdContextDocument", &["TownContext"])
                .may_fail(&[404]),
        ),
    ]
}
