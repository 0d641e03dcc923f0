//! Settings: a flag, then an environment variable, then a key in the file, then the default.
//!
//! [`KEYS`] is the one list of what can be set. It drives the environment variables,
//! `--print-config` and the test that holds the documentation against the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use musubi_broker::TenantSet;
use musubi_context::{ContextsOptions, HostedLimits};
use musubi_notify::NotifierOptions;
use musubi_outbound::{Guard, Network, Private};

mod file;
mod history;
mod keys;
mod notify;
mod values;

use musubi_adapter_mqtt::User;

pub(crate) use file::File;
pub(crate) use history::HistorySettings;
pub(crate) use keys::KEYS;
use values::{duration, number, parse, size, tenants, unusable};

/// What the server runs with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) data_dir: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) durability_interval: Duration,
    pub(crate) min_free_disk: u64,
    pub(crate) log_keep: u64,
    pub(crate) body_limit: usize,
    pub(crate) entity_limit: usize,
    pub(crate) sweep_interval: Duration,
    pub(crate) newer_only: TenantSet,
    pub(crate) adapters: Vec<PathBuf>,
    pub(crate) mqtt: Option<SocketAddr>,
    pub(crate) mqtt_users: BTreeMap<String, User>,
    pub(crate) notify: NotifierOptions,
    /// How long dead letters are kept; none means for ever.
    pub(crate) dead_letters: Option<Duration>,
    pub(crate) history: HistorySettings,
    pub(crate) guard: Guard,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) contexts: ContextSettings,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
}

/// What the server does with contexts.
#[derive(Clone, Debug)]
pub(crate) struct ContextSettings {
    /// The folder of those that are never fetched.
    pub(crate) pinned: Option<PathBuf>,
    /// How many a tenant may keep here.
    pub(crate) hosted: HostedLimits,
    /// The memory that those in use may take up, in bytes.
    pub(crate) memory: usize,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// After it is on the disk.
    Sync,
    /// After it has left the process; the disk follows on the clock.
    Interval,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object per line.
    Json,
}

/// The defaults in which the commands differ.
pub(crate) struct Defaults {
    data_dir: &'static str,
    mqtt: &'static str,
}

impl Defaults {
    /// Those of `musubi serve`.
    pub(crate) const SERVE: Self = Self { data_dir: "./data", mqtt: "off" };
    /// Those of `musubi demo`: a folder of its own, and an MQTT listener.
    pub(crate) const DEMO: Self = Self { data_dir: "./musubi-demo", mqtt: "127.0.0.1:1883" };
}

/// Why the settings cannot be used: a sentence that names the flag, variable or key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidSettings(pub(crate) String);

impl Settings {
    /// The settings from `flags` (key and text), the environment and the file.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] if the file cannot be read, has a key that is not known, or a value
    /// cannot be used.
    pub(crate) fn gather(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
        flags: &[(&str, String)],
        defaults: &Defaults,
    ) -> Result<Self, InvalidSettings> {
        let mut merged = File::read(file)?;
        for key in &KEYS {
            let given =
                flags.iter().rfind(|(name, _)| *name == key.name).map(|(_, text)| text.clone());
            if let Some(text) = given.or_else(|| environment(&key.variable())) {
                (key.set)(&mut merged, &text);
            }
        }
        Self::from_file(merged, defaults)
    }

    fn from_file(file: File, defaults: &Defaults) -> Result<Self, InvalidSettings> {
        let listen: SocketAddr =
            parse("listen", file.listen.as_deref().unwrap_or("127.0.0.1:1026"))?;
        if !listen.ip().is_loopback() {
            return Err(InvalidSettings(format!(
                "listen = {listen}: without authentication this server listens on loopback alone; \
                 use 127.0.0.1:{} and put a proxy that authenticates in front of it",
                listen.port()
            )));
        }
        let mqtt = match Some(file.mqtt.listen.as_deref().unwrap_or(defaults.mqtt)) {
            None | Some("off" | "") => None,
            Some(text) => Some(parse::<SocketAddr>("mqtt.listen", text)?),
        };
        if let Some(address) = mqtt.filter(|address| !address.ip().is_loopback())
            && file.mqtt.users.is_empty()
        {
            return Err(InvalidSettings(format!(
                "mqtt.listen = {address}: without [mqtt.users] the listener stays on loopback"
            )));
        }
        Ok(Self {
            listen,
            public_url: file.public_url,
            data_dir: file.data_dir.unwrap_or_else(|| PathBuf::from(defaults.data_dir)),
            durability: match file.durability.as_deref() {
                None | Some("sync") => Durability::Sync,
                Some("interval") => Durability::Interval,
                Some(other) => return Err(unusable("durability", other, "sync or interval")),
            },
            durability_interval: duration(
                "durability_interval",
                file.durability_interval.as_deref().unwrap_or("200ms"),
            )?,
            min_free_disk: number("min_free_disk", file.min_free_disk, 64 << 20)?,
            log_keep: number("log_keep", file.log_keep, 100_000)?,
            body_limit: usize::try_from(number("body_limit", file.body_limit, 2 << 20)?)
                .map_err(|_| unusable("body_limit", "the value", "a smaller number"))?,
            entity_limit: usize::try_from(number("entity_limit", file.entity_limit, 1 << 20)?)
                .map_err(|_| unusable("entity_limit", "the value", "a smaller number"))?,
            sweep_interval: duration(
                "sweep_interval",
                file.sweep_interval.as_deref().unwrap_or("1s"),
            )?,
            newer_only: tenants("newer_only", &file.newer_only.unwrap_or_default())?,
            adapters: file.adapters.unwrap_or_default(),
            mqtt,
            mqtt_users: file.mqtt.users,
            notify: notify::options(file.notify)?,
            dead_letters: notify::letters_kept(&file.dead_letters)?,
            history: history::settings(file.history)?,
            guard: guard(file.outbound.private.as_deref(), file.outbound.allow.as_deref())?,
            ca_file: file.outbound.ca_file.filter(|path| !path.as_os_str().is_empty()),
            contexts: contexts(file.contexts)?,
            cors_origins: file.cors.origins.unwrap_or_default(),
            log_level: file.log.level.unwrap_or_else(|| "info".to_owned()),
            log_format: match file.log.format.as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(other) => return Err(unusable("log.format", other, "text or json")),
            },
        })
    }

    /// Every key with its default and a line of meaning, as a file that could be used.
    pub(crate) fn print() -> String {
        let mut out = String::from(
            "# Every key of musubi.toml, with its default. A flag comes first, then the environment\n\
             # variable that is named here, then the key in the file.\n",
        );
        let tables = KEYS.iter().map(|key| key.name.split_once('.').map_or("", |(table, _)| table));
        let mut seen: Vec<&str> = Vec::new();
        for table in tables {
            if !seen.contains(&table) {
                seen.push(table);
            }
        }
        for table in seen {
            if !table.is_empty() {
                let _ = write!(out, "\n[{table}]\n");
            }
            for key in &KEYS {
                let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
                if of == table {
                    let _ = write!(
                        out,
                        "\n# {}. {}\n# {name} = {}\n",
                        key.meaning,
                        key.variable(),
                        key.default
                    );
                }
            }
        }
        out.push_str(
            "\n# Who may publish to the MQTT listener: an argon2 hash, and topics in which %u is the name.\n\
             # [mqtt.users.gateway-1]\n\
             # password = \"$argon2id$v=19$m=19456,t=2,p=1$...\"\n\
             # topics = [\"/json/+/%u/#\"]\n\
             \n# How long what is kept of the past, where it is not as [history] says: the first table that fits\n\
             # holds. Each of tenant, type and attribute may be left out and then is any; names are those\n\
             # of the core context, or IRIs. Of the scopes all are kept unless a table names scope.\n\
             # [[history.retention]]\n\
             # tenant = \"default\"\n\
             # type = \"TrafficFlowObserved\"\n\
             # attribute = \"intensity\"\n\
             # keep = \"90d\"\n\
             # hourly = \"2y\"\n\
             # daily = \"forever\"\n",
        );
        out
    }
}

fn contexts(table: file::Contexts) -> Result<ContextSettings, InvalidSettings> {
    let usual = HostedLimits::default();
    Ok(ContextSettings {
        pinned: table.pinned.filter(|path| !path.as_os_str().is_empty()),
        hosted: HostedLimits {
            contexts: size("contexts.hosted", table.hosted, usual.contexts)?,
            bytes: size("contexts.hosted_bytes", table.hosted_bytes, usual.bytes)?,
        },
        memory: size("contexts.memory", table.memory, ContextsOptions::MEMORY)?,
    })
}

fn guard(private: Option<&str>, allow: Option<&[String]>) -> Result<Guard, InvalidSettings> {
    let private = match private {
        None | Some("loopback") => Private::Loopback,
        Some("deny") => Private::Deny,
        Some("allow") => Private::Allow,
        Some(other) => return Err(unusable("outbound.private", other, "loopback, deny or allow")),
    };
    let allow = allow
        .unwrap_or_default()
        .iter()
        .map(|text| parse::<Network>("outbound.allow", text))
        .collect::<Result<_, _>>()?;
    Ok(Guard { private, allow })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("musubi.toml");
        std::fs::write(&path, text).unwrap();
        let flags: Vec<_> = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        let lookup = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
        };
        Settings::gather(Some(&path), &lookup, &flags, &Defaults::SERVE)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_file() {
        let text = "data_dir = \"from-file\"";
        let environment = [("MUSUBI_DATA_DIR", "from-environment")];
        let flag = [("data_dir", "from-flag")];
        let dir = |settings: Result<Settings, String>| settings.unwrap().data_dir;
        assert_eq!(dir(gather(text, &[], &[])), PathBuf::from("from-file"));
        assert_eq!(dir(gather(text, &environment, &[])), PathBuf::from("from-environment"));
        assert_eq!(dir(gather(text, &environment, &flag)), PathBuf::from("from-flag"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = gather("listen = \"127.0.0.1:0\"\nlisten_on = 3\n", &[], &[]).unwrap_err();
        assert!(error.contains("listen_on") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn without_authentication_only_loopback_is_listened_on() {
        let error = gather("", &[], &[("listen", "0.0.0.0:1026")]).unwrap_err();
        assert!(error.contains("loopback"), "{error}");
    }

    #[test]
    fn how_notifications_are_delivered_can_be_set() {
        let text = "[notify]\ndeliveries = 64\ntimeout = \"2s\"\n[dead_letters]\nkeep = \"7d\"";
        let attempts = [("MUSUBI_NOTIFY_ATTEMPTS", "3")];
        let settings = gather(text, &attempts, &[]).unwrap();
        let usual = NotifierOptions::default();
        let expected = NotifierOptions {
            deliveries: 64,
            timeout: Duration::from_secs(2),
            attempts: 3,
            ..usual.clone()
        };
        assert_eq!(settings.notify, expected);
        assert_eq!(settings.dead_letters, Some(Duration::from_hours(7 * 24)));
        let settings = gather("", &[], &[]).unwrap();
        assert_eq!(settings.notify, usual, "the defaults are the notifier's own");
        let forever = gather("dead_letters.keep = \"forever\"", &[], &[]).unwrap();
        assert_eq!(forever.dead_letters, None);
    }

    #[test]
    fn what_is_kept_of_the_past_is_the_first_table_that_fits_and_then_the_rest() {
        use musubi_history::{Kept, RetentionRule};
        let text = "[history]\nkeep = \"1y\"\n[[history.retention]]\ntenant = \"default\"\n\
                    type = \"Room\"\nattribute = \"urn:p:a\"\nkeep = \"90d\"\nhourly = \"2y\"\n\
                    daily = \"forever\"\n[[history.retention]]\nattribute = \"co2\"\n";
        let found = gather(text, &[("MUSUBI_HISTORY_DAILY", "forever")], &[]).unwrap();
        let days = |days: u64| Duration::from_hours(days * 24);
        let vocabulary = "https://uri.etsi.org/ngsi-ld/default-context";
        let named = RetentionRule {
            tenant: Some(musubi_model::Tenant::default()),
            entity_type: Some(format!("{vocabulary}/Room").parse().unwrap()),
            attribute: Some("urn:p:a".parse().unwrap()),
            keep: Some(days(90)),
            hourly: Some(Kept::For(humantime::parse_duration("2y").unwrap())),
            daily: Some(Kept::Forever),
        };
        let ever = RetentionRule {
            attribute: Some(format!("{vocabulary}/co2").parse().unwrap()),
            ..RetentionRule::default()
        };
        let rest = RetentionRule {
            keep: Some(humantime::parse_duration("1y").unwrap()),
            daily: Some(Kept::Forever),
            ..RetentionRule::default()
        };
        assert_eq!(found.history.retention, [named, ever, rest]);
        let usual = gather("", &[], &[]).unwrap();
        assert_eq!(usual.history.retention, [RetentionRule::default()]);
    }

    #[test]
    fn what_would_keep_nothing_of_the_past_is_refused() {
        let cases = [
            ("[history]\nkeep = \"0s\"", "or forever"),
            ("[history]\nkeep = \"soon\"", "history.keep"),
            ("[history]\nhourly = \"2y\"", "a keep beside it"),
            ("[history]\nkeep = \"90d\"\nhourly = \"90d\"", "longer than that of keep"),
            ("[[history.retention]]\nattribute = \"\"", "history.retention.attribute"),
            ("[[history.retention]]\nweekly = \"1y\"", "weekly"),
        ];
        for (text, part) in cases {
            let error = gather(text, &[], &[]).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_would_deliver_nothing_is_refused() {
        let cases = [
            ("deliveries = 0", "notify.deliveries = \"0\""),
            ("deliveries_per_endpoint = 100000", "from 1 to 65536"),
            ("attempts = 0", "notify.attempts"),
            ("timeout = \"0s\"", "more than 0"),
            ("max_age = \"never\"", "notify.max_age"),
            ("first_retry = \"1h\"", "longer than notify.longest_retry"),
            ("retries = 3", "retries"),
        ];
        for (line, part) in cases {
            let error = gather(&format!("[notify]\n{line}\n"), &[], &[]).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        let error = gather("[dead_letters]\nkeep = \"0s\"", &[], &[]).unwrap_err();
        assert!(error.contains("or forever"), "{error}");
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let printed = Settings::print();
        let name = |rest: &&str| {
            let name = rest.split(" = ").next().unwrap_or_default();
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let (keys, _users) = printed.split_once("# Who may publish").unwrap();
        let uncommented: String = keys
            .lines()
            .map(|line| line.strip_prefix("# ").filter(name).unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
            .replace("http://<listen>", "http://127.0.0.1:1026");
        let settings = gather(&uncommented, &[], &[]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:1026".parse().unwrap());
        assert_eq!(settings.notify, NotifierOptions::default());
        for key in &KEYS {
            assert!(printed.contains(&key.variable()), "{}", key.name);
        }
    }
}
