//! The configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use musubi_adapter_mqtt::User;
use serde::Deserialize;

use super::InvalidSettings;

/// What `musubi.toml` says. A key that is missing here is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(super) listen: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) durability: Option<String>,
    pub(super) durability_interval: Option<String>,
    pub(super) min_free_disk: Option<Number>,
    pub(super) log_keep: Option<Number>,
    pub(super) body_limit: Option<Number>,
    pub(super) entity_limit: Option<Number>,
    pub(super) sweep_interval: Option<String>,
    pub(super) newer_only: Option<Vec<String>>,
    pub(super) adapters: Option<Vec<PathBuf>>,
    #[serde(default)]
    pub(super) mqtt: Mqtt,
    #[serde(default)]
    pub(super) notify: Notify,
    #[serde(default)]
    pub(super) dead_letters: DeadLetters,
    #[serde(default)]
    pub(super) history: History,
    #[serde(default)]
    pub(super) outbound: Outbound,
    #[serde(default)]
    pub(super) contexts: Contexts,
    #[serde(default)]
    pub(super) cors: Cors,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mqtt {
    pub(super) listen: Option<String>,
    #[serde(default)]
    pub(super) users: BTreeMap<String, User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notify {
    pub(super) deliveries: Option<Number>,
    pub(super) deliveries_per_endpoint: Option<Number>,
    pub(super) timeout: Option<String>,
    pub(super) attempts: Option<Number>,
    pub(super) max_age: Option<String>,
    pub(super) first_retry: Option<String>,
    pub(super) longest_retry: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetters {
    pub(super) keep: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    pub(super) enabled: Option<Flag>,
    pub(super) instances: Option<Number>,
    pub(super) memory: Option<Number>,
    pub(super) keep: Option<String>,
    pub(super) hourly: Option<String>,
    pub(super) daily: Option<String>,
    #[serde(default)]
    pub(super) retention: Vec<Retention>,
}

/// What is kept of some attributes; the first table that fits one holds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    pub(super) tenant: Option<String>,
    #[serde(rename = "type")]
    pub(super) entity_type: Option<String>,
    pub(super) attribute: Option<String>,
    pub(super) keep: Option<String>,
    pub(super) hourly: Option<String>,
    pub(super) daily: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbound {
    pub(super) private: Option<String>,
    pub(super) allow: Option<Vec<String>>,
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contexts {
    pub(super) pinned: Option<PathBuf>,
    pub(super) hosted: Option<Number>,
    pub(super) hosted_bytes: Option<Number>,
    pub(super) memory: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cors {
    pub(super) origins: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<String>,
    pub(super) format: Option<String>,
}

/// A number, as the file writes it or as a variable does.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(u64),
    Text(String),
}

/// Yes or no, as the file writes it or as a variable does.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Plain(bool),
    Text(String),
}

/// The name of the file that is read when no other is named.
const DEFAULT: &str = "musubi.toml";

impl File {
    /// Reads the file that is named, or `musubi.toml` if there is one.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, InvalidSettings> {
        let named = path.unwrap_or(Path::new(DEFAULT));
        let text = match std::fs::read_to_string(named) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(InvalidSettings(format!("--config {}: {error}", named.display())));
            }
        };
        let mut file: Self = toml::from_str(&text)
            .map_err(|error| InvalidSettings(format!("{}: {error}", named.display())))?;
        // A mapping file is named as seen from the file that names it.
        if let (Some(adapters), Some(folder)) = (&mut file.adapters, named.parent()) {
            for adapter in adapters {
                *adapter = folder.join(&*adapter);
            }
        }
        Ok(file)
    }
}
