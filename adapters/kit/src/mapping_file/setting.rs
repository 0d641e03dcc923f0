//! The smaller tables of a mapping file, and the forms of their values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use musubi_model::Tenant;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// `[decode]`: what turns bytes into items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawDecode")]
pub struct Decode {
    /// The format; by default that of the source.
    pub format: Option<Format>,
    /// The character encoding of a text format.
    pub encoding: Encoding,
}

/// As it is written: with the key of presets, none of which is supported yet.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDecode {
    format: Option<Format>,
    encoding: Encoding,
    #[serde(rename = "preset", deserialize_with = "no_decode_preset")]
    _preset: (),
}

impl From<RawDecode> for Decode {
    fn from(raw: RawDecode) -> Self {
        Self { format: raw.format, encoding: raw.encoding }
    }
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON value.
    Json,
    /// A table with a header line.
    Csv,
}

/// How text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Encoding {
    /// UTF-8 if it is valid UTF-8, else `Shift_JIS` as Windows writes it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// `Shift_JIS` as Windows writes it.
    #[serde(rename = "shift_jis")]
    ShiftJis,
}

/// `[map]`: a built-in mapping.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetMap {
    /// Which one.
    pub preset: Preset,
    /// Whether single vehicles are mapped too; false by default.
    #[serde(default)]
    pub vehicles: bool,
    /// The sentence that the licence of the data asks for; it is written with every entity.
    #[serde(default)]
    pub attribution: Option<String>,
}

/// The built-in mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Stations of a GBFS feed become `BikeHireDockingStation`.
    GbfsStations,
    /// Rows of snapshots become `EvacuationShelter`.
    ShelterSnapshot,
    /// Posted reports and check-ins become `EvacuationShelter`.
    ShelterReports,
}

/// `[change]`: when a change is worth a write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Attributes, by term or IRI, that are written only along with others.
    pub ignore: Vec<String>,
    /// After this time the same values are written again; never, if none.
    #[serde(deserialize_with = "some_period")]
    pub heartbeat: Option<Duration>,
}

/// `[model_check]`: what is held against a data model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelCheckSetting {
    /// The data model; by default that of the entity's type.
    pub schema: Option<String>,
    /// What a difference means.
    pub mode: ModelCheckMode,
}

impl Default for ModelCheckSetting {
    fn default() -> Self {
        Self { schema: None, mode: ModelCheckMode::Warn }
    }
}

/// What a difference from the data model means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelCheckMode {
    /// Nothing is looked at.
    Off,
    /// It is logged and counted, and the entity is written.
    #[default]
    Warn,
    /// The entity is not written; its input becomes a dead letter.
    Enforce,
}

/// `[groups.KEY]`: devices that are alike.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The type of their entities, as a term or IRI.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Whose data it is; by default that of the file.
    #[serde(default)]
    pub tenant: Option<Tenant>,
    /// Which devices may report.
    #[serde(default)]
    pub devices: Devices,
    /// The known devices: an array of their ids, or a table that gives each id a table of
    /// values, which expressions see as `device`.
    #[serde(default, deserialize_with = "known_devices")]
    pub known: BTreeMap<String, serde_json::Value>,
}

/// Which devices may report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Devices {
    /// Those that are listed. What another sends becomes a dead letter.
    #[default]
    Known,
    /// Every one.
    Any,
}

/// `[[test]]`: an input and what it has to become.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingTest {
    /// What the test is about.
    pub name: String,
    /// The topic of the message, if it has one.
    #[serde(default)]
    pub topic: Option<String>,
    /// The file with the message, seen from the mapping file's folder.
    pub input_file: String,
    /// The file with the entities in NGSI-LD, seen from the mapping file's folder.
    pub expect_file: String,
}

/// A text that may be kept elsewhere. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The text itself.
    Plain(String),
    /// `env:NAME`: in this environment variable.
    Environment(String),
    /// `file:PATH`: in this file, without the white space around it.
    File(PathBuf),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Environment(name) => write!(f, "Environment({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Environment(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(path))
        } else {
            Self::Plain(text.to_owned())
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

impl Secret {
    /// The text. A relative path is seen from `folder`.
    ///
    /// # Errors
    ///
    /// A sentence that names the variable or file, if it is not there.
    pub fn read(&self, folder: &Path) -> Result<String, String> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Environment(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set to a text")),
            Self::File(path) => std::fs::read_to_string(folder.join(path))
                .map(|text| text.trim().to_owned())
                .map_err(|error| format!("the file {} cannot be read: {error}", path.display())),
        }
    }
}

/// `"500ms"`, `"60s"`, `"15m"`, `"2h"` or `"1d"`.
pub(super) fn parse_period(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("a duration is written as in \"60s\", \"15m\" or \"2h\", and {text:?} is not");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
    .filter(|period| *period <= Duration::from_hours(24 * 3660))
    .ok_or_else(refuse)
}

pub(super) fn period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_period(&String::deserialize(deserializer)?).map_err(Error::custom)
}

fn some_period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    period(deserializer).map(Some)
}

pub(super) fn qos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        qos @ (0 | 1) => Ok(qos),
        other => Err(Error::custom(format!("qos is 0 or 1; {other} is not supported"))),
    }
}

pub(super) fn secret_only<'de, D>(deserializer: D) -> Result<Option<Secret>, D::Error>
where
    D: Deserializer<'de>,
{
    match Secret::deserialize(deserializer)? {
        Secret::Plain(_) => Err(Error::custom(
            "a password is not written into the file: use \"env:NAME\" or \"file:PATH\"",
        )),
        secret @ (Secret::Environment(_) | Secret::File(_)) => Ok(Some(secret)),
    }
}

fn no_decode_preset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let name = String::deserialize(deserializer)?;
    Err(Error::custom(format!(
        "the preset {name:?} is not supported; decode formats are \"json\" and \"csv\", and \
         expressions reach every member of a JSON message"
    )))
}

fn known_devices<'de, D>(deserializer: D) -> Result<BTreeMap<String, serde_json::Value>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Known;

    impl<'de> serde::de::Visitor<'de> for Known {
        type Value = BTreeMap<String, serde_json::Value>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of device ids, or a table with a table for each id")
        }

        fn visit_seq<A>(self, mut items: A) -> Result<Self::Value, A::Error>
        where
            A: serde::de::SeqAccess<'de>,
        {
            let mut known = BTreeMap::new();
            while let Some(id) = items.next_element::<String>()? {
                known.insert(id, serde_json::Value::Object(serde_json::Map::new()));
            }
            Ok(known)
        }

        fn visit_map<A>(self, mut members: A) -> Result<Self::Value, A::Error>
        where
            A: serde::de::MapAccess<'de>,
        {
            let mut known = BTreeMap::new();
            while let Some((id, values)) =
                members.next_entry::<String, serde_json::Map<String, serde_json::Value>>()?
            {
                known.insert(id, serde_json::Value::Object(values));
            }
            Ok(known)
        }
    }

    deserializer.deserialize_any(Known)
}
