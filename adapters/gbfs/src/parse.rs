//! From the bytes of a feed's files to [the model](crate::model), of every version at once.
//! Pure.
//!
//! Feeds do not keep to their version, so none is looked at: every spelling of every version is
//! understood everywhere. What is wrong with one item costs that item, or the part of it, and is
//! told as a [`Problem`]; a file is refused only if it is not JSON or has no `data`.

mod field;

use std::collections::{BTreeMap, HashSet};

use musubi_adapter_kit::Skip;
use serde_json::{Map, Value};

use crate::model::{Discovery, Document, Problem, Station, Status, System, Text};
use field::{Fields, text};

/// The most items read from one file.
const MAX_ITEMS: usize = 200_000;
/// The most problems kept from one file, beyond which they are only counted by their kind.
const MAX_PROBLEMS: usize = 10_000;
/// `last_reported` before this (2000-01-01) is a clock that was never set.
const FIRST_BELIEVED: i64 = 946_684_800;
/// More vehicles or places than this are a mark for "very many", not a number.
const MANY: u64 = 100_000;

/// Why a file as a whole cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is not JSON.
    #[error("not JSON: {reason} (it begins with {beginning:?})")]
    NotJson {
        /// What the parser says.
        reason: String,
        /// The first characters.
        beginning: String,
    },
    /// There is no `data`, or it has not the member that the file is about.
    #[error("there is no {0}")]
    NoData(&'static str),
}

/// Reads `gbfs.json`: the files in `language`, or else in the first language named.
///
/// # Errors
///
/// [`Unreadable`], also if there is no list of feeds.
pub(crate) fn discovery(
    bytes: &[u8],
    language: Option<&str>,
) -> Result<Document<Discovery>, Unreadable> {
    let (document, data) = envelope(bytes)?;
    // Version 3 has the feeds at once, earlier ones below the language.
    let feeds = match data.get("feeds") {
        Some(feeds) => Some(feeds),
        None => language
            .and_then(|language| data.get(language))
            .or_else(|| data.values().find(|value| value.get("feeds").is_some()))
            .and_then(|value| value.get("feeds")),
    };
    let feeds = feeds.and_then(Value::as_array).ok_or(Unreadable::NoData("list of feeds"))?;
    let named =
        feeds.iter().filter_map(|feed| Some((text(feed.get("name")?)?, text(feed.get("url")?)?)));
    let mut found = Discovery::new();
    for (name, url) in named {
        found.entry(name).or_insert(url);
    }
    Ok(document.with(found))
}

/// Reads `system_information.json`.
///
/// # Errors
///
/// [`Unreadable`], also if there is no `system_id`.
pub(crate) fn system(bytes: &[u8]) -> Result<Document<System>, Unreadable> {
    let (document, data) = envelope(bytes)?;
    let id = data.get("system_id").and_then(text).ok_or(Unreadable::NoData("system_id"))?;
    let first_language = data
        .get("languages")
        .and_then(Value::as_array)
        .and_then(|languages| languages.first())
        .and_then(text);
    let optional = |name: &str| data.get(name).and_then(text);
    let system = System {
        id,
        language: optional("language").or(first_language),
        name: data.get("name").and_then(localized),
        operator: data.get("operator").and_then(localized),
        url: optional("url"),
        license: optional("license_id").or_else(|| optional("license_url")),
        attribution: data
            .get("attribution_organization_name")
            .and_then(localized)
            .map(|text| text.any(None).to_owned()),
    };
    Ok(document.with(system))
}

/// Reads `station_information.json`.
///
/// # Errors
///
/// [`Unreadable`], also if there is no list of stations.
pub(crate) fn stations(bytes: &[u8]) -> Result<Document<Vec<Station>>, Unreadable> {
    items(bytes, station)
}

/// Reads `station_status.json`.
///
/// # Errors
///
/// [`Unreadable`], also if there is no list of stations.
pub(crate) fn statuses(bytes: &[u8]) -> Result<Document<Vec<Status>>, Unreadable> {
    items(bytes, status)
}

impl<T> Document<T> {
    fn with<U>(self, data: U) -> Document<U> {
        Document {
            last_updated: self.last_updated,
            ttl: self.ttl,
            version: self.version,
            data,
            problems: self.problems,
        }
    }
}

/// Header and `data` of a file.
fn envelope(bytes: &[u8]) -> Result<(Document<()>, Map<String, Value>), Unreadable> {
    // Some publishers write a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut file: Value = serde_json::from_slice(bytes).map_err(|error| {
        let start = bytes.get(..60).unwrap_or(bytes);
        Unreadable::NotJson {
            reason: error.to_string(),
            beginning: String::from_utf8_lossy(start).into_owned(),
        }
    })?;
    let Some(Value::Object(data)) = file.get_mut("data").map(Value::take) else {
        return Err(Unreadable::NoData("data"));
    };
    let document = Document {
        last_updated: file.get("last_updated").and_then(field::time),
        ttl: file.get("ttl").and_then(field::count).unwrap_or(0),
        version: file.get("version").and_then(text),
        data: (),
        problems: Vec::new(),
    };
    Ok((document, data))
}

type ReadItem<T> = fn(&mut Fields<'_>) -> Option<T>;

/// The items of `data.stations`, each id once.
fn items<T: Identified>(bytes: &[u8], read: ReadItem<T>) -> Result<Document<Vec<T>>, Unreadable> {
    let (document, data) = envelope(bytes)?;
    let list = data.get("stations").and_then(Value::as_array);
    let list = list.ok_or(Unreadable::NoData("list of stations"))?;
    let mut document = document.with(Vec::with_capacity(list.len().min(MAX_ITEMS)));
    let mut seen = HashSet::new();
    for (place, item) in list.iter().take(MAX_ITEMS).enumerate() {
        let mut fields = Fields::new(place, item);
        if let Some(found) = read(&mut fields) {
            if seen.insert(found.id().to_owned()) {
                document.data.push(found);
            } else {
                fields.lose(Skip::DUPLICATE, "the id stands here for the second time");
            }
        }
        let room = MAX_PROBLEMS.saturating_sub(document.problems.len());
        document.problems.extend(fields.into_problems().into_iter().take(room));
    }
    if list.len() > MAX_ITEMS {
        document.problems.push(Problem {
            item: "the file".to_owned(),
            skip: Skip::UNREADABLE,
            reason: format!("only the first {MAX_ITEMS} of {} items are read", list.len()),
            fatal: false,
            sample: String::new(),
        });
    }
    Ok(document)
}

trait Identified {
    fn id(&self) -> &str;
}

impl Identified for Station {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Status {
    fn id(&self) -> &str {
        &self.id
    }
}

fn station(fields: &mut Fields<'_>) -> Option<Station> {
    let id = fields.id("station_id")?;
    let position = position(fields)?;
    let rental_uri = fields.get(&["rental_uris"]).and_then(|uris| {
        ["web", "android", "ios"].iter().find_map(|kind| uris.get(kind).and_then(text))
    });
    let opening_hours = fields.get(&["station_opening_hours"]).and_then(text);
    Some(Station {
        id,
        name: fields.get(&["name"]).and_then(localized),
        position,
        area: fields.get(&["station_area"]).filter(|area| area.is_object()).cloned(),
        address: fields.get(&["address"]).and_then(text),
        post_code: fields.get(&["post_code"]).and_then(text),
        region_id: fields.get(&["region_id"]).and_then(text),
        rental_uri,
        opening_hours,
        capacity: capacity(fields),
    })
}

/// Longitude and latitude; a station without them cannot be put on a map and is left out.
fn position(fields: &mut Fields<'_>) -> Option<(f64, f64)> {
    let (longitude, latitude) = (fields.number("lon"), fields.number("lat"));
    let (Some(longitude), Some(latitude)) = (longitude, latitude) else {
        fields.lose(Skip::BAD_POSITION, "lat and lon are not both numbers");
        return None;
    };
    if !(-180.0..=180.0).contains(&longitude) || !(-90.0..=90.0).contains(&latitude) {
        fields.lose(Skip::BAD_POSITION, "lat and lon are not on the earth");
        return None;
    }
    if longitude.abs() < 1e-9 && latitude.abs() < 1e-9 {
        fields.lose(Skip::BAD_POSITION, "lat and lon are 0, which means that nobody knows");
        return None;
    }
    Some((longitude, latitude))
}

/// `capacity`, or what the places by vehicle type add up to, in any of the forms that there are.
fn capacity(fields: &mut Fields<'_>) -> Option<u64> {
    if let Some(capacity) = fields.count(&["capacity"]) {
        return Some(capacity);
    }
    let by_type = fields.get(&[
        "vehicle_docks_capacity",
        "vehicle_types_capacity",
        "vehicle_type_capacity",
        "vehicle_capacity",
    ])?;
    match by_type {
        Value::Object(types) => {
            // HELLO CYCLING puts its own figures here, of which this one is the limit.
            if let Some(limit) = types.get("num_bikes_limit") {
                return field::count(limit);
            }
            sum(types.values().map(field::count))
        }
        Value::Array(types) => sum(types.iter().map(|one| one.get("count").and_then(field::count))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => field::count(by_type),
    }
}

/// The sum, if every part is a number and there is one.
fn sum(parts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let parts: Vec<u64> = parts.collect::<Option<_>>()?;
    if parts.is_empty() {
        None
    } else {
        Some(parts.iter().fold(0, |all, one| all.saturating_add(*one)))
    }
}

fn status(fields: &mut Fields<'_>) -> Option<Status> {
    let id = fields.id("station_id")?;
    let last_reported = fields.get(&["last_reported"]).cloned().and_then(|value| {
        let time = field::time(&value)
            .filter(|time| time.as_micros().div_euclid(1_000_000) >= FIRST_BELIEVED);
        if time.is_none() {
            fields.note(Skip::BAD_TIME, "last_reported is no time since 2000");
        }
        time
    });
    Some(Status {
        id,
        available: fields.count(&["num_bikes_available", "num_vehicles_available"]),
        disabled: fields.count(&["num_bikes_disabled", "num_vehicles_disabled"]),
        docks_available: fields.count(&["num_docks_available"]).filter(|docks| *docks < MANY),
        docks_disabled: fields.count(&["num_docks_disabled"]),
        is_installed: fields.flag("is_installed"),
        is_renting: fields.flag("is_renting"),
        is_returning: fields.flag("is_returning"),
        last_reported,
        by_type: fields.get(&["vehicle_types_available"]).filter(|value| value.is_array()).cloned(),
    })
}

/// A text, or an array of texts with their languages.
fn localized(value: &Value) -> Option<Text> {
    let Some(items) = value.as_array() else { return text(value).map(Text::Plain) };
    let texts: BTreeMap<String, String> = items
        .iter()
        .filter_map(|item| Some((text(item.get("language")?)?, text(item.get("text")?)?)))
        .collect();
    (!texts.is_empty()).then_some(Text::Localized(texts))
}

#[cfg(test)]
mod tests;
