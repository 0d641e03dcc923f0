//! Everything that can be set.

use std::path::PathBuf;

use super::file::{File, Flag, Number};
use super::values::split;

/// Something that can be set.
pub(crate) struct Key {
    /// The key in the file, with the name of its table.
    pub(crate) name: &'static str,
    /// The default, as the file would write it.
    pub(crate) default: &'static str,
    /// What it means, in a line.
    pub(crate) meaning: &'static str,
    /// Takes the text of an environment variable or flag.
    pub(super) set: fn(&mut File, &str),
}

/// Everything that can be set, but the tables `[mqtt.users]` and `[[history.retention]]`, which only
/// the file has.
pub(crate) const KEYS: [Key; 37] = [
    Key {
        name: "listen",
        default: "\"127.0.0.1:1026\"",
        meaning: "address of the HTTP API; port 0 picks a free one",
        set: |file, text| file.listen = Some(text.to_owned()),
    },
    Key {
        name: "public_url",
        default: "\"http://<listen>\"",
        meaning: "how clients reach this server; used in the addresses it hands out",
        set: |file, text| file.public_url = Some(text.to_owned()),
    },
    Key {
        name: "data_dir",
        default: "\"./data\"",
        meaning: "folder of the store; one process at a time",
        set: |file, text| file.data_dir = Some(text.into()),
    },
    Key {
        name: "durability",
        default: "\"sync\"",
        meaning: "sync: a write is answered when it is on the disk; interval: when it has left the process",
        set: |file, text| file.durability = Some(text.to_owned()),
    },
    Key {
        name: "durability_interval",
        default: "\"200ms\"",
        meaning: "with interval: how often the disk follows",
        set: |file, text| file.durability_interval = Some(text.to_owned()),
    },
    Key {
        name: "min_free_disk",
        default: "67108864",
        meaning: "bytes; with less room on the disk writes are refused and reads go on",
        set: |file, text| file.min_free_disk = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "log_keep",
        default: "100000",
        meaning: "changes kept in the log after every consumer has read them",
        set: |file, text| file.log_keep = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "body_limit",
        default: "2097152",
        meaning: "bytes; a longer request body is answered 413",
        set: |file, text| file.body_limit = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "entity_limit",
        default: "1048576",
        meaning: "bytes of names and values; an entity that would have more is refused",
        set: |file, text| file.entity_limit = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "sweep_interval",
        default: "\"1s\"",
        meaning: "how often expired entities and attributes are removed; no reader sees them before",
        set: |file, text| file.sweep_interval = Some(text.to_owned()),
    },
    Key {
        name: "newer_only",
        default: "[]",
        meaning: "tenants in which an attribute observed no later than the one there changes nothing; * for all, default for the one without a name",
        set: |file, text| file.newer_only = Some(split(text).map(str::to_owned).collect()),
    },
    Key {
        name: "adapters",
        default: "[]",
        meaning: "mapping files of the sources that run in this process",
        set: |file, text| file.adapters = Some(split(text).map(PathBuf::from).collect()),
    },
    Key {
        name: "mqtt.listen",
        default: "\"off\"",
        meaning: "address of the MQTT listener, or off",
        set: |file, text| file.mqtt.listen = Some(text.to_owned()),
    },
    Key {
        name: "notify.deliveries",
        default: "1024",
        meaning: "the most notifications that are on their way at the same time",
        set: |file, text| file.notify.deliveries = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "notify.deliveries_per_endpoint",
        default: "8",
        meaning: "the most of them to one endpoint; a slow one gets one at a time",
        set: |file, text| file.notify.deliveries_per_endpoint = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "notify.timeout",
        default: "\"10s\"",
        meaning: "how long an endpoint may take to answer, unless the subscription asks for less",
        set: |file, text| file.notify.timeout = Some(text.to_owned()),
    },
    Key {
        name: "notify.attempts",
        default: "500",
        meaning: "after so many attempts a notification goes to the dead letters",
        set: |file, text| file.notify.attempts = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "notify.max_age",
        default: "\"24h\"",
        meaning: "a change of this age goes to the dead letters when its delivery fails; what waits for a subscription that is paused for longer is suppressed, with no dead letter",
        set: |file, text| file.notify.max_age = Some(text.to_owned()),
    },
    Key {
        name: "notify.first_retry",
        default: "\"1s\"",
        meaning: "the pause after the first failure; it doubles with every further one",
        set: |file, text| file.notify.first_retry = Some(text.to_owned()),
    },
    Key {
        name: "notify.longest_retry",
        default: "\"5m\"",
        meaning: "the longest pause, whatever the endpoint or the subscription asks for",
        set: |file, text| file.notify.longest_retry = Some(text.to_owned()),
    },
    Key {
        name: "dead_letters.keep",
        default: "\"30d\"",
        meaning: "how long dead letters are kept, or forever",
        set: |file, text| file.dead_letters.keep = Some(text.to_owned()),
    },
    Key {
        name: "history.enabled",
        default: "true",
        meaning: "whether what entities were is recorded, and can be asked for under /ngsi-ld/v1/temporal",
        set: |file, text| file.history.enabled = Some(Flag::Text(text.to_owned())),
    },
    Key {
        name: "history.instances",
        default: "10000",
        meaning: "the most attribute instances in an answer; one that would have more is cut in time and says so (206)",
        set: |file, text| file.history.instances = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "history.memory",
        default: "33554432",
        meaning: "bytes; about how much is recorded in memory before it becomes a file",
        set: |file, text| file.history.memory = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "history.keep",
        default: "\"forever\"",
        meaning: "how long attribute instances are kept that no [[history.retention]] is about, or forever",
        set: |file, text| file.history.keep = Some(text.to_owned()),
    },
    Key {
        name: "history.hourly",
        default: "\"none\"",
        meaning: "how long what those of each hour amount to is kept beyond that, for aggregates; none or forever",
        set: |file, text| file.history.hourly = Some(text.to_owned()),
    },
    Key {
        name: "history.daily",
        default: "\"none\"",
        meaning: "the same of each day, in UTC",
        set: |file, text| file.history.daily = Some(text.to_owned()),
    },
    Key {
        name: "outbound.private",
        default: "\"loopback\"",
        meaning: "private addresses that notifications and contexts may reach: loopback, deny or allow",
        set: |file, text| file.outbound.private = Some(text.to_owned()),
    },
    Key {
        name: "outbound.allow",
        default: "[]",
        meaning: "networks that may be reached whatever private says, as in 192.0.2.0/24",
        set: |file, text| file.outbound.allow = Some(split(text).map(str::to_owned).collect()),
    },
    Key {
        name: "outbound.ca_file",
        default: "\"\"",
        meaning: "PEM file of authorities whose certificates are trusted beside the public ones",
        set: |file, text| file.outbound.ca_file = Some(text.into()),
    },
    Key {
        name: "contexts.pinned",
        default: "\"\"",
        meaning: "folder of @contexts that are never fetched; contexts.json in it maps URLs to files",
        set: |file, text| file.contexts.pinned = Some(text.into()),
    },
    Key {
        name: "contexts.hosted",
        default: "1000",
        meaning: "the most @contexts that a tenant may keep here",
        set: |file, text| file.contexts.hosted = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "contexts.hosted_bytes",
        default: "16777216",
        meaning: "bytes; the most that the @contexts of a tenant may come to together",
        set: |file, text| file.contexts.hosted_bytes = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "contexts.memory",
        default: "100663296",
        meaning: "bytes; about the most memory that downloaded and compiled @contexts take up",
        set: |file, text| file.contexts.memory = Some(Number::Text(text.to_owned())),
    },
    Key {
        name: "cors.origins",
        default: "[]",
        meaning: "web origins whose pages may call the API",
        set: |file, text| file.cors.origins = Some(split(text).map(str::to_owned).collect()),
    },
    Key {
        name: "log.level",
        default: "\"info\"",
        meaning: "error, warn, info, debug or trace, or a filter such as musubi_notify=debug",
        set: |file, text| file.log.level = Some(text.to_owned()),
    },
    Key {
        name: "log.format",
        default: "\"text\"",
        meaning: "text for people, json for machines; on standard error",
        set: |file, text| file.log.format = Some(text.to_owned()),
    },
];

impl Key {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("MUSUBI_{}", self.name.replace('.', "_").to_uppercase())
    }
}
