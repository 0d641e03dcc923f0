//! Who is told about which changes.

use super::operation::{LOCAL, delete, get, patch, post};
use super::path::Path;

const TAG: &str = "Subscriptions";
const SUBSCRIPTION: &[&str] = &["subscription"];

pub(super) fn paths() -> Vec<Path> {
    let mut paths = of_the_specification();
    paths.extend(our_own());
    paths
}

fn of_the_specification() -> Vec<Path> {
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
                    .header("Prefer")
                    .shows("Subscriptions", &["ShelterSubscriptions"])
                    .answer_header(200, "NGSILD-Results-Count")
                    .answer_header(200, "Preference-Applied"),
            ),
        Path::of_names(TAG, "/ngsi-ld/v1/subscriptions/{id}", SUBSCRIPTION)
            .with(
                get("retrieveSubscription", "Retrieve a subscription")
                    .clause("6.11.3.1")
                    .query(&["options", "sysAttrs", "local"])
                    .options(&["sysAttrs", "count"])
                    .header("Prefer")
                    .shows("Subscription", &["ShelterSubscription"])
                    .answer_header(200, "Preference-Applied"),
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
    ]
}

fn our_own() -> Vec<Path> {
    vec![
        Path::of_tenant(TAG, "/musubi/v1/subscriptions", &[]).with(
            get("listAccounts", "List subscriptions with their accounts")
                .about(
                    "What has become of every change that each had to be told, and how the \
                     delivery to it goes.",
                )
                .query(&["local", "limit", "after"])
                .shows_json("Accounts", &["ShelterAccounts"]),
        ),
        Path::of_tenant(TAG, "/musubi/v1/subscriptions/{id}/ledger", SUBSCRIPTION).with(
            get("showLedger", "Account for a subscription")
                .about(
                    "What has become of every change that it had to be told, and how the delivery \
                     to it goes.",
                )
                .query(LOCAL)
                .shows_json("Ledger", &["ShelterLedger"]),
        ),
        Path::of_tenant(TAG, "/musubi/v1/subscriptions/{id}/trace", SUBSCRIPTION).with(
            get("traceSubscription", "Say why a subscription did not fire")
                .about(
                    "The first of its conditions that a recent change did not satisfy, with what \
                     was asked and what was found. The subscription is taken as it is now.",
                )
                .query(&["change", "local"])
                .tries(&[("change", "urn:ngsi-ld:EvacuationShelter:musubi-01")])
                .shows_json("Trace", &["ShelterTrace"]),
        ),
        Path::of_tenant(TAG, "/musubi/v1/streams/{id}", SUBSCRIPTION).with(
            get("followSubscription", "Follow what a subscription tells")
                .about(
                    "Server-Sent Events, or a WebSocket if the request asks for the upgrade. The \
                     events are notification, gap and end; the id of each is the cursor with which \
                     a client goes on that comes back. A notification is what an endpoint would be \
                     sent.",
                )
                .query(&["tenant", "token", "after"])
                .header("Last-Event-ID")
                .shows_as("text/event-stream", "Text", &["StreamText"])
                .answers_with(101, "The connection is a WebSocket from here on.", None, &[])
                .may_fail(&[404, 406, 422]),
        ),
    ]
}
