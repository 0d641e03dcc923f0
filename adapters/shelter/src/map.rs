//! From what is known of a shelter to the attributes of an `EvacuationShelter`, and back.

use std::fmt::Write as _;

use musubi_model::{
    AttrName, AttributeFragment, AttributeType, Entity, EntityFragment, EntityId, FragmentValue,
    Instance, InstanceFragment, InvalidEntityId, Json, Patch, Timestamp, TypeName, Value,
};
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

use crate::snapshot::Row;
use crate::{Congestion, Shelter, Status};

const ENTITY_TYPE: &str = "urn:musubi:ns:EvacuationShelter";
const STATUS: &str = "https://uri.etsi.org/ngsi-ld/status";
const NAME: &str = "https://smartdatamodels.org/name";
const ALTERNATE_NAME: &str = "https://smartdatamodels.org/alternateName";
const ADDRESS: &str = "https://smartdatamodels.org/address";
const AREA_SERVED: &str = "https://smartdatamodels.org/areaServed";
const LOCATION: &str = "https://uri.etsi.org/ngsi-ld/location";
const OCCUPANCY: &str = "urn:musubi:ns:occupancy";
const HOUSEHOLDS: &str = "urn:musubi:ns:occupancyHouseholds";
const RATE: &str = "urn:musubi:ns:occupancyRate";
const CAPACITY: &str = "urn:musubi:ns:capacity";
const CONGESTION: &str = "urn:musubi:ns:congestionLevel";
const CONGESTION_SOURCE: &str = "urn:musubi:ns:congestionSource";
const COUNT_METHOD: &str = "urn:musubi:ns:countMethod";
const OPENED_AT: &str = "urn:musubi:ns:openedAt";
const CLOSED_AT: &str = "urn:musubi:ns:closedAt";
const DATA_QUALITY: &str = "urn:musubi:ns:dataQuality";
const TELEPHONE: &str = "urn:musubi:ns:telephone";
const ATTRIBUTION: &str = "urn:musubi:ns:attribution";
/// The data quality of which there is nothing to say.
const GOOD: &str = "ok";

/// The entity id of a shelter: its own id if that is a URI, else one made of it. Two different
/// ids never make the same entity, but full-width signs are as good as others.
///
/// # Errors
///
/// [`InvalidEntityId`] if no URI can be made of it.
pub(crate) fn shelter_id(id: &str) -> Result<EntityId, InvalidEntityId> {
    if id.starts_with("urn:") || id.contains("://") {
        return id.parse();
    }
    let id = id.trim();
    if id.is_empty() {
        return id.parse();
    }
    let mut name = String::from("urn:ngsi-ld:EvacuationShelter:");
    // A name in kanji is a valid part of an IRI; only what is not is escaped.
    for c in id.nfkc() {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') {
            name.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String does not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    name.parse()
}

/// What the broker knows of a shelter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// How it is.
    pub(crate) shelter: Shelter,
    /// The moment of which the head count is.
    pub(crate) counted_at: Option<Timestamp>,
    /// The newest moment of which its state or its head count is.
    pub(crate) said_at: Option<Timestamp>,
}

impl Known {
    /// What an entity says.
    pub(crate) fn of(entity: &Entity) -> Self {
        let status = instance(entity, STATUS);
        let occupancy = instance(entity, OCCUPANCY);
        let observed_at = |instance: Option<&Instance>| instance?.observed_at;
        let text = |name: &str| Some(instance(entity, name)?.value.json.as_text()?.into_owned());
        let count = |name: &str| instance(entity, name)?.value.json.as_str().parse::<u64>().ok();
        let time = |name: &str| text(name)?.parse::<Timestamp>().ok();
        let status_name = status.and_then(|status| status.value.json.as_text());
        let congestion = instance(entity, CONGESTION).and_then(|level| level.value.json.as_text());
        let shelter = Shelter {
            status: status_name.and_then(|name| Status::from_name(&name)).unwrap_or_default(),
            people: count(OCCUPANCY),
            households: count(HOUSEHOLDS),
            capacity: count(CAPACITY),
            congestion: congestion.map(|name| Congestion::from_name(&name)).unwrap_or_default(),
            opened_at: time(OPENED_AT),
            closed_at: time(CLOSED_AT),
            data_quality: text(DATA_QUALITY).filter(|sentence| sentence != GOOD),
        };
        Self {
            counted_at: observed_at(occupancy).filter(|_| shelter.people.is_some()),
            said_at: observed_at(occupancy).max(observed_at(status)),
            shelter,
        }
    }
}

fn instance<'a>(entity: &'a Entity, name: &str) -> Option<&'a Instance> {
    entity.attributes.iter().find(|attribute| attribute.name.as_str() == name)?.default_instance()
}

/// How a count was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountMethod {
    HeadCount,
    CheckIn,
}

/// A step in the life of a shelter, with the moments of which its parts are.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    /// How it was.
    pub(crate) before: &'a Shelter,
    /// How it is.
    pub(crate) after: &'a Shelter,
    /// The moment of which this is.
    pub(crate) at: Timestamp,
    /// How people were counted; none if they were not.
    pub(crate) people: Option<CountMethod>,
    /// When households were counted; none if they were not.
    pub(crate) households: Option<Timestamp>,
}

/// What is to be written of a shelter.
#[derive(Clone, Debug)]
pub(crate) struct Fragment(EntityFragment);

impl Fragment {
    /// Nothing yet.
    pub(crate) fn new(id: EntityId) -> Self {
        let types = ENTITY_TYPE.parse::<TypeName>().into_iter().collect();
        Self(EntityFragment { id: Some(id), types, ..EntityFragment::default() })
    }

    /// The fragment.
    pub(crate) fn into_inner(self) -> EntityFragment {
        self.0
    }

    /// Adds what a step changes. A number that nobody counted and that did not change is not
    /// written, because it was not observed.
    pub(crate) fn step(&mut self, step: &Step<'_>) {
        let Step { before, after, at, .. } = step;
        let observed = Patch::Set(*at);
        self.text(STATUS, after.status.as_str(), &observed);
        if step.people.is_some() || before.people != after.people {
            self.number(OCCUPANCY, after.people, before.people.is_some(), &observed);
        }
        if let Some(method) = step.people {
            let name = match method {
                CountMethod::HeadCount => "headcount",
                CountMethod::CheckIn => "checkin",
            };
            self.text(COUNT_METHOD, name, &observed);
        }
        if step.households.is_some() || before.households != after.households {
            let counted = Patch::Set(step.households.unwrap_or(*at));
            self.number(HOUSEHOLDS, after.households, before.households.is_some(), &counted);
        }
        if step.people.is_some() || before.rate() != after.rate() {
            let rounded = after.rate().map(|rate| (rate * 1000.0).round() / 1000.0);
            self.number(RATE, rounded, before.rate().is_some(), &observed);
        }
        self.text(CONGESTION, after.congestion.as_str(), &observed);
        self.text(CONGESTION_SOURCE, "computed", &observed);
        self.time(OPENED_AT, after.opened_at, before.opened_at, &observed);
        self.time(CLOSED_AT, after.closed_at, before.closed_at, &observed);
        self.text(DATA_QUALITY, after.data_quality.as_deref().unwrap_or(GOOD), &observed);
    }

    /// Adds what of a snapshot's row seldom changes, without a time of observation.
    pub(crate) fn fixed(&mut self, row: &Row) {
        self.text(NAME, &row.name, &Patch::Keep);
        let texts = [
            (ALTERNATE_NAME, &row.kana),
            (AREA_SERVED, &row.district),
            (TELEPHONE, &row.telephone),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                self.text(name, text, &Patch::Keep);
            }
        }
        if let Some((longitude, latitude)) = row.position {
            let point = json!({ "type": "Point", "coordinates": [longitude, latitude] });
            self.push(LOCATION, value(AttributeType::GeoProperty, &point), &Patch::Keep);
        }
        if let Some(address) = &row.address {
            let address = json!({ "addressCountry": "JP", "streetAddress": address });
            self.push(ADDRESS, value(AttributeType::Property, &address), &Patch::Keep);
        }
        self.number(CAPACITY, row.capacity, false, &Patch::Keep);
    }

    /// Adds the sentence that the licence of the data asks for.
    pub(crate) fn attribution(&mut self, sentence: &str) {
        self.text(ATTRIBUTION, sentence, &Patch::Keep);
    }

    fn text(&mut self, name: &str, text: &str, observed: &Patch<Timestamp>) {
        self.push(name, value(AttributeType::Property, &json!(text)), observed);
    }

    fn time(
        &mut self,
        name: &str,
        time: Option<Timestamp>,
        before: Option<Timestamp>,
        observed: &Patch<Timestamp>,
    ) {
        let text = |time: Timestamp| json!(time.to_string());
        self.optional(name, time.map(text), before.is_some(), observed);
    }

    fn number<T: Into<serde_json::Value>>(
        &mut self,
        name: &str,
        number: Option<T>,
        was_there: bool,
        observed: &Patch<Timestamp>,
    ) {
        self.optional(name, number.map(Into::into), was_there, observed);
    }

    /// A value; or its end, if there was one.
    fn optional(
        &mut self,
        name: &str,
        now: Option<serde_json::Value>,
        was_there: bool,
        observed: &Patch<Timestamp>,
    ) {
        match now {
            Some(now) => self.push(name, value(AttributeType::Property, &now), observed),
            None if was_there => self.push(name, FragmentValue::Null, &Patch::Keep),
            None => {}
        }
    }

    fn push(&mut self, name: &str, value: FragmentValue, observed: &Patch<Timestamp>) {
        if let Ok(name) = name.parse::<AttrName>() {
            let instance = InstanceFragment {
                value: Some(value),
                observed_at: observed.clone(),
                ..InstanceFragment::default()
            };
            let instances = std::iter::once(instance).collect();
            self.0.attributes.push(AttributeFragment { name, instances });
        }
    }
}

fn value(kind: AttributeType, json: &serde_json::Value) -> FragmentValue {
    FragmentValue::Typed(Value { kind, json: Json::from(json) })
}

#[cfg(test)]
mod tests;
