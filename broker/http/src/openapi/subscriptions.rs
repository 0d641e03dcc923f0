//! Who is told about which changes.

use super::operation::{LOCAL, delete, get, patch, post};
use super::path::Path;

const TAG: &str = "Subscriptions";
const SUBSCRIPTION: &[&str] = &["subscription"];

pub(super) fn paths() -> Vec<Path> {
    vec![
        Path::of_names(TAG, "/ngsi-ld/v1/subscriptions", &[])
            .with(
                post("createSubscription", "Create a subscription")
                    .clause("6.10.3.1")
                    .query(LOCAL)
                    .takes("Subscription", &["ShelterSubscription"])
                    .creates()
                    .may_fail(&[404, 409, 422, 507]),
            )
            .with(
                get("listSubscriptions", "List subscriptions")
                    .clause("6.10.3.2")
                    .query(&["options", "sysAttrs", "local", "limit", "offset", "count"])
                    .options(&["sysAttrs", "count"])
                    .shows("Subscriptions", &["ShelterSubscriptions"])
                    .answer_header(200, "NGSILD-Results-Count"),
            ),
        Path::of_names(TAG, "/ngsi-ld/v1/subscriptions/{id}", SUBSCRIPTION)
            .with(
                get("retrieveSubscription", "Retrieve a subscription")
                    .clause("6.11.3.1")
                    .query(&["options", "sysAttrs", "local"])
                    .options(&["sysAttrs", "count"])
                    .shows("Subscription", &["ShelterSubscription"]),
            )
            .with(
                patch("updateSubscription", "Change a subscription")
                    .clause("6.11.3.2")
                    .query(LOCAL)
                    .takes("SubscriptionFragment", &["Pause"])
                    .does()
                    .may_fail(&[404, 422, 507]),
            )
            .with(
                delete("deleteSubscription", "Delete a subscription")
                    .clause("6.11.3.3")
                    .query(LOCAL)
                    .does()
                    .may_fail(&[404, 507]),
            ),
        Path::of_tenant(TAG, "/musubi/v1/subscriptions/{id}/ledger", SUBSCRIPTION).with(
            get("showLedger", "Account for a subscription")
                .about("What has become of every change that it had to be told.")
                .query(LOCAL)
                .shows_json("Ledger", &["ShelterLedger"]),
        ),
    ]
}
