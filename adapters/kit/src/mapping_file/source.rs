//! `[source]`: where the items come from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::setting::{Secret, period, qos, secret_only};

/// A source and what it needs to be told.
#[derive(Clone, Debug)]
pub enum Source {
    /// `kind = "gbfs"`: a feed of shared vehicles.
    Gbfs(GbfsSource),
    /// `kind = "mqtt"`: topics of an MQTT broker, or of the listener inside.
    Mqtt(MqttSource),
    /// `kind = "file"`: files in a folder, or one behind a URL.
    File(FileSource),
    /// `kind = "http_push"`: whoever posts to `/musubi/v1/adapters/{name}/…`.
    HttpPush(HttpPushSource),
}

impl Source {
    /// The value of `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gbfs(_) => "gbfs",
            Self::Mqtt(_) => "mqtt",
            Self::File(_) => "file",
            Self::HttpPush(_) => "http_push",
        }
    }
}

/// A GBFS feed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GbfsSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// The address of `gbfs.json`: `http`, `https` or `file`, or a path to the file or its
    /// folder. `env:NAME` takes it from the environment.
    pub url: String,
    /// The shortest time between two polls; 60 s by default.
    #[serde(default = "sixty_seconds", deserialize_with = "period")]
    pub min_interval: Duration,
    /// The language of the feed, if it has several; by default the first that it names.
    #[serde(default)]
    pub language: Option<String>,
    /// Headers to send with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// Topics of an MQTT broker. With neither [`connection`](Self::connection) nor
/// [`url`](Self::url), the topics are those of the listener inside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// The name of a connection in `musubi.toml`.
    #[serde(default)]
    pub connection: Option<String>,
    /// The broker: `mqtt://host:1883` or `mqtts://host:8883`.
    #[serde(default, alias = "address")]
    pub url: Option<String>,
    /// The topic filters to subscribe to.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The pattern that names the levels of a topic: `application/{app}/device/{device}/up`.
    #[serde(default)]
    pub topic_vars: Option<String>,
    /// The quality of service of the subscription, 0 or 1; 1 by default.
    #[serde(default = "one", deserialize_with = "qos")]
    pub qos: u8,
    /// The group of a shared subscription; empty for none, which is the default.
    #[serde(default)]
    pub shared_group: String,
    /// The client identifier; it has to be the same after a restart. By default made of the
    /// adapter's name.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The user.
    #[serde(default)]
    pub username: Option<Secret>,
    /// The user's password, as `env:NAME` or `file:PATH`.
    #[serde(default, deserialize_with = "secret_only")]
    pub password: Option<Secret>,
}

/// Files. Exactly one of [`path`](Self::path) and [`url`](Self::url) is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// A file, a folder, or a glob, seen from the mapping file's folder.
    #[serde(default)]
    pub path: Option<String>,
    /// The address of one file.
    #[serde(default)]
    pub url: Option<String>,
    /// Whether to look for new files until stopped; false by default.
    #[serde(default)]
    pub watch: bool,
}

/// Bodies that are posted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpPushSource {
    #[serde(rename = "kind")]
    _kind: String,
}

fn sixty_seconds() -> Duration {
    Duration::from_mins(1)
}

fn one() -> u8 {
    1
}
