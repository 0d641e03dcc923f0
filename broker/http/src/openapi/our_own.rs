//! What feeds the broker, what could not be used, and what a supervisor asks.

use super::operation::{LOCAL, delete, get, post};
use super::path::Path;

const ADAPTERS: &str = "Adapters";
const OPERATION: &str = "Operation";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const LETTER: &[&str] = &["letter"];

pub(super) fn paths() -> Vec<Path> {
    [adapters(), letters(), history(), operation()].concat()
}

fn adapters() -> Vec<Path> {
    vec![
        Path::of_tenant(ADAPTERS, "/musubi/v1/adapters", &[]).with(
            get("listAdapters", "List the adapters in this process")
                .about("Those of the tenant; without one, all.")
                .query(LOCAL)
                .shows_json("Adapters", &["AdapterStates"]),
        ),
        Path::of_tenant(ADAPTERS, "/musubi/v1/adapters/{name}", &["adapter"]).with(
            get("retrieveAdapter", "Retrieve what an adapter is doing")
                .query(LOCAL)
                .shows_json("Adapter", &["AdapterState"]),
        ),
        Path::of_tenant(ADAPTERS, "/musubi/v1/adapters/{name}/{what}", &["adapter", "message"])
            .with(
                post("sendToAdapter", "Hand a message to an adapter")
                    .about("The answer is what the adapter says.")
                    .takes_anything(&["Report"])
                    .shows_json("Anything", &[])
                    .may_fail(&[404, 507]),
            ),
    ]
}

fn letters() -> Vec<Path> {
    vec![
        Path::of_tenant(ADAPTERS, "/musubi/v1/dead-letters", &[])
            .with(
                get("listDeadLetters", "List the dead letters")
                    .about(
                        "A page may hold fewer than limit although there are more, where many others \
                         lie between, or where they have more than 16 MiB: next says so.",
                    )
                    .query(&[
                        "subscription",
                        "adapter",
                        "before",
                        "after",
                        "limit",
                        "payload",
                        "local",
                    ])
                    .shows_json("DeadLetters", &["Letters"]),
            )
            .with(
                delete("purgeDeadLetters", "Throw dead letters away")
                    .about(
                        "All of them, or those that are meant. At most 100,000 are looked at: next \
                         says where to go on.",
                    )
                    .query(&["subscription", "adapter", "before", "after", "local"])
                    .shows_json("Purged", &["ThrownAway"])
                    .may_fail(&[404, 507]),
            ),
        Path::of_tenant(ADAPTERS, "/musubi/v1/dead-letters/{id}", LETTER)
            .with(
                get("retrieveDeadLetter", "Retrieve a dead letter")
                    .query(LOCAL)
                    .shows_json("DeadLetter", &["Letter"]),
            )
            .with(
                delete("deleteDeadLetter", "Throw a dead letter away")
                    .query(LOCAL)
                    .does()
                    .may_fail(&[404, 507]),
            ),
        Path::of_tenant(ADAPTERS, "/musubi/v1/dead-letters/replay", &[]).with(
            post("replayDeadLetters", "Send dead letters on their way once more")
                .about(
                    "In the order of the changes that they tell of, at most limit of them, and for \
                     about 15 seconds at most. One that is refused again stays, and the next one is \
                     tried. One that comes while a replay takes several requests may be left to the \
                     next replay.",
                )
                .query(&["subscription", "adapter", "before", "after", "limit", "local"])
                .shows_json("Replayed", &["SentAgain"])
                .may_fail(&[404, 422, 507]),
        ),
        Path::of_tenant(ADAPTERS, "/musubi/v1/dead-letters/{id}/replay", LETTER).with(
            post("replayDeadLetter", "Send a dead letter on its way once more")
                .query(LOCAL)
                .does()
                .may_fail(&[404, 409, 507]),
        ),
    ]
}

fn history() -> Vec<Path> {
    vec![Path::of_names("History", "/musubi/v1/history/entities", &[]).with(
        post("importEvolutions", "Bring back what entities were")
            .about(
                "One evolution or several, whose attribute instances keep the createdAt and \
                 modifiedAt that they carry, none of which is yet to come; 10,000 instances at most. \
                 One that is recorded already, with the same times and saying the same, is left out, \
                 so an import may be repeated. Each evolution is recorded as a whole. An instanceId \
                 is not kept.",
            )
            .query(LOCAL)
            .takes("KeptEvolutions", &["ShelterKept"])
            .shows_json("Imported", &["BroughtBack"])
            .may_fail(&[422, 507]),
    )]
}

fn operation() -> Vec<Path> {
    let page = |id, path, summary| {
        let operation = get(id, summary).shows_as(HTML, "Text", &[]).may_fail(&[404]);
        Path::of_process(OPERATION, path, &[]).with(operation)
    };
    let text = |id, path, summary, media, examples: &[&str]| {
        let operation = get(id, summary).shows_as(media, "Text", examples);
        Path::of_process(OPERATION, path, &[]).with(operation)
    };
    let metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    vec![
        text("isLive", "/health/live", "Whether the process answers", TEXT, &["LiveText"]),
        text("isReady", "/health/ready", "Whether requests can be served", TEXT, &["ReadyText"]),
        text("showMetrics", "/metrics", "Show the metrics", metrics, &[]),
        Path::of_process(OPERATION, "/musubi/v1/backup", &[]).with(
            get("backUp", "Back up everything, of all tenants")
                .about(
                    "As of one moment: every write is in it that was acknowledged before. One is made \
                     at a time: meanwhile others are answered 503. Web pages from elsewhere are \
                     answered 403. It is whole if `musubi verify` says so; one that was cut off says so, \
                     too.",
                )
                .query(LOCAL)
                .shows_as("application/octet-stream", "Bytes", &[])
                .may_fail(&[422]),
        ),
        page("showPage", "/", "Show what is running"),
        page("showDocumentation", "/docs", "Show this documentation, for people"),
        Path::of_process(OPERATION, "/openapi.json", &[]).with(
            get("describe", "Show this documentation, for programs").shows_as(
                "application/json",
                "OpenApi",
                &[],
            ),
        ),
    ]
}
