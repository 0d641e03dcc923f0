//! One model of what feeds of every version say.

use std::collections::BTreeMap;

use musubi_model::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A file of a feed: its header and its items.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document<T> {
    /// When the publisher last knew something new; none if the file does not say so usably.
    pub(crate) last_updated: Option<Timestamp>,
    /// Seconds until the data changes; 0 means "at any time".
    pub(crate) ttl: u64,
    /// The version that the file claims; for a person only, nothing depends on it.
    pub(crate) version: Option<String>,
    /// What the file holds.
    pub(crate) data: T,
    /// Items, or parts of them, that were left out.
    pub(crate) problems: Vec<Problem>,
}

/// An item, or a part of one, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The item: its id, or its place in the file.
    pub(crate) item: String,
    /// The kind of reason, for counting.
    pub(crate) skip: musubi_adapter_kit::Skip,
    /// A sentence.
    pub(crate) reason: String,
    /// Whether the whole item is lost, and not only a part of it.
    pub(crate) fatal: bool,
    /// The item as it was, cut to a few hundred bytes.
    pub(crate) sample: String,
}

/// A text in one language or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Text {
    /// In the language of the feed.
    Plain(String),
    /// By language tag; at least one.
    Localized(BTreeMap<String, String>),
}

impl Text {
    /// One text: that of `language` if it is there, else the first.
    pub(crate) fn any(&self, language: Option<&str>) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Localized(texts) => language
                .and_then(|language| texts.get(language))
                .or_else(|| texts.values().next())
                .map_or("", String::as_str),
        }
    }
}

/// The files of a feed: name and address, in the chosen language.
pub(crate) type Discovery = BTreeMap<String, String>;

/// Who runs the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct System {
    /// `system_id`; part of every station's identifier.
    pub(crate) id: String,
    /// The language of plain texts.
    pub(crate) language: Option<String>,
    /// What people call it.
    pub(crate) name: Option<Text>,
    /// Who runs it.
    pub(crate) operator: Option<Text>,
    /// Its page.
    pub(crate) url: Option<String>,
    /// Licence of the data: an SPDX identifier or an address.
    pub(crate) license: Option<String>,
    /// Who has to be named.
    pub(crate) attribution: Option<String>,
}

/// What does not change from minute to minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Station {
    /// `station_id`, as text: leading zeros count.
    pub(crate) id: String,
    /// What people call it.
    pub(crate) name: Option<Text>,
    /// Longitude and latitude, in degrees.
    pub(crate) position: (f64, f64),
    /// The outline, as GeoJSON.
    pub(crate) area: Option<Value>,
    /// Street and number.
    pub(crate) address: Option<String>,
    /// Postal code.
    pub(crate) post_code: Option<String>,
    /// The region that it belongs to.
    pub(crate) region_id: Option<String>,
    /// Where to rent.
    pub(crate) rental_uri: Option<String>,
    /// In the syntax of OpenStreetMap.
    pub(crate) opening_hours: Option<String>,
    /// Places for vehicles.
    pub(crate) capacity: Option<u64>,
}

/// What does.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Status {
    /// `station_id`, as text.
    pub(crate) id: String,
    /// Vehicles that can be rented.
    pub(crate) available: Option<u64>,
    /// Vehicles that cannot.
    pub(crate) disabled: Option<u64>,
    /// Places that are free; none if there is no limit.
    pub(crate) docks_available: Option<u64>,
    /// Places that are out of order.
    pub(crate) docks_disabled: Option<u64>,
    /// Whether the station is on the street.
    pub(crate) is_installed: Option<bool>,
    /// Whether vehicles can be rented.
    pub(crate) is_renting: Option<bool>,
    /// Whether vehicles can be given back.
    pub(crate) is_returning: Option<bool>,
    /// When the station last spoke.
    pub(crate) last_reported: Option<Timestamp>,
    /// Available vehicles by type, as the feed has it.
    pub(crate) by_type: Option<Value>,
}
