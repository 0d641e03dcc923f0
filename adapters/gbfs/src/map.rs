//! From stations to entities, field by field. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use musubi_adapter_kit::Skip;
use musubi_model::{
    AttrName, AttributeFragment, AttributeType, EntityFragment, EntityId, FragmentValue,
    InstanceFragment, InvalidName, Json, Patch, Timestamp, TypeName, Value as Typed,
    parse_geometry,
};
use serde_json::{Value, json};
use smallvec::smallvec;

use crate::model::{Problem, Station, Status, System, Text};
use crate::terms::{self, terms};

/// What every entity of a feed says about its origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// Who runs the system.
    pub(crate) system: System,
    /// The sentence that the licence asks for, from the mapping file.
    pub(crate) attribution: Option<String>,
    /// The address of the feed, without secrets; none for files, whose paths concern nobody.
    pub(crate) source: Option<String>,
}

/// Makes entities. Holds every name expanded.
#[derive(Clone, Debug)]
pub(crate) struct StationMapper {
    station: TypeName,
    feed: TypeName,
    names: HashMap<&'static str, AttrName>,
}

/// What a feed as a whole is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedStatus {
    /// It answers, and its data is of now.
    Ok,
    /// It answers with data that is old.
    Stale,
    /// It does not answer, or not usably.
    Unavailable,
}

impl FeedStatus {
    /// The value of `feedStatus`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Stations and what could not be used of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapped<'a> {
    /// One per station, in the order of the station list.
    pub(crate) stations: Vec<MappedStation<'a>>,
    /// What was left out.
    pub(crate) problems: Vec<Problem>,
}

/// A station and what it became.
#[derive(Clone, Debug)]
pub(crate) struct MappedStation<'a> {
    /// The station.
    pub(crate) station: &'a Station,
    /// Its numbers.
    pub(crate) status: Option<&'a Status>,
    /// The entity.
    pub(crate) entity: EntityFragment,
}

impl StationMapper {
    /// A mapper.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if a name in the table is none, which a test rules out.
    pub(crate) fn new() -> Result<Self, InvalidName> {
        let names = terms().map(|(term, name)| Ok((term, name.parse()?)));
        Ok(Self {
            station: terms::entity_type(terms::STATION)?,
            feed: terms::entity_type(terms::FEED)?,
            names: names.collect::<Result<_, _>>()?,
        })
    }

    /// The entities of the stations: one for each that is known by its information. A station
    /// without status gets no numbers; a status without information is a problem, for nobody
    /// knows where it is.
    pub(crate) fn map<'a>(
        &self,
        origin: &Origin,
        stations: &'a [Station],
        statuses: &'a [Status],
    ) -> Mapped<'a> {
        let mut mapped = Mapped::default();
        let by_id: HashMap<&str, &Status> =
            statuses.iter().map(|status| (status.id.as_str(), status)).collect();
        let known: HashSet<&str> = stations.iter().map(|station| station.id.as_str()).collect();
        for station in stations {
            let status = by_id.get(station.id.as_str()).copied();
            if status.is_none() {
                let reason = "the station has no status";
                mapped.problems.push(problem(&station.id, Skip::MISSING, reason, false));
            }
            match self.station(origin, station, status) {
                Ok(entity) => mapped.stations.push(MappedStation { station, status, entity }),
                Err(reason) => {
                    mapped.problems.push(problem(&station.id, Skip::BAD_ID, &reason, true));
                }
            }
        }
        for status in statuses.iter().filter(|status| !known.contains(status.id.as_str())) {
            let reason = "there is a status, and no information on the station";
            mapped.problems.push(problem(&status.id, Skip::MISSING, reason, true));
        }
        mapped
    }

    fn station(
        &self,
        origin: &Origin,
        station: &Station,
        status: Option<&Status>,
    ) -> Result<EntityFragment, String> {
        let system = &origin.system;
        let id = entity_id(terms::STATION.0, &[&system.id, &station.id])?;
        let mut entity = Attributes { mapper: self, list: Vec::new(), observed: None };
        entity.text("stationCode", Some(&station.id));
        entity.name(station.name.as_ref(), system.language.as_deref());
        let (longitude, latitude) = station.position;
        entity.geometry(
            "location",
            &json!({ "type": "Point", "coordinates": [longitude, latitude] }),
        );
        if let Some(area) = &station.area {
            entity.geometry("stationArea", area);
        }
        entity.property("address", address(station).as_ref());
        entity.text("areaServed", station.region_id.as_deref());
        entity.text("rentalUri", station.rental_uri.as_deref());
        entity.text("openingHours", station.opening_hours.as_deref());
        entity.count("totalSlotNumber", station.capacity);
        entity.origin(origin);
        if let Some(status) = status {
            entity.observed = status.last_reported;
            entity.status(status, station.capacity);
        }
        Ok(EntityFragment {
            id: Some(id),
            types: vec![self.station.clone()],
            attributes: entity.list,
            ..EntityFragment::default()
        })
    }

    /// The entity of the feed itself, named by its adapter: whether it is to be believed.
    ///
    /// # Errors
    ///
    /// A sentence if the adapter's name makes no entity id.
    pub(crate) fn feed(
        &self,
        adapter: &str,
        origin: &Origin,
        status: FeedStatus,
    ) -> Result<EntityFragment, String> {
        let id = entity_id(terms::FEED.0, &[adapter])?;
        let mut entity = Attributes { mapper: self, list: Vec::new(), observed: None };
        entity.name(origin.system.name.as_ref(), origin.system.language.as_deref());
        entity.origin(origin);
        entity.text("feedStatus", Some(status.as_str()));
        Ok(EntityFragment {
            id: Some(id),
            types: vec![self.feed.clone()],
            attributes: entity.list,
            ..EntityFragment::default()
        })
    }
}

/// The attributes of an entity that is being made.
struct Attributes<'a> {
    mapper: &'a StationMapper,
    list: Vec<AttributeFragment>,
    observed: Option<Timestamp>,
}

impl Attributes<'_> {
    fn push(&mut self, term: &'static str, kind: AttributeType, json: Json) {
        let Some(name) = self.mapper.names.get(term) else { return };
        let value = Some(FragmentValue::Typed(Typed { kind, json }));
        self.list.push(AttributeFragment {
            name: name.clone(),
            instances: smallvec![InstanceFragment {
                value,
                observed_at: self.observed.map_or(Patch::Keep, Patch::Set),
                ..InstanceFragment::default()
            }],
        });
    }

    fn property(&mut self, term: &'static str, value: Option<&Value>) {
        if let Some(value) = value {
            self.push(term, AttributeType::Property, Json::from(value));
        }
    }

    fn text(&mut self, term: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.push(term, AttributeType::Property, Json::from(text));
        }
    }

    fn count(&mut self, term: &'static str, count: Option<u64>) {
        self.property(term, count.map(Value::from).as_ref());
    }

    fn flag(&mut self, term: &'static str, flag: Option<bool>) {
        self.property(term, flag.map(Value::from).as_ref());
    }

    /// A geometry, if it is one.
    fn geometry(&mut self, term: &'static str, geometry: &Value) {
        let json = Json::from(geometry);
        if parse_geometry(&json).is_ok() {
            self.push(term, AttributeType::GeoProperty, json);
        }
    }

    /// `name` in all languages and `stationName` in one, if there are several.
    fn name(&mut self, name: Option<&Text>, language: Option<&str>) {
        match name {
            None => {}
            Some(Text::Localized(texts)) if texts.len() > 1 => {
                self.push("name", AttributeType::LanguageProperty, Json::from(&json!(texts)));
                let one = name.map(|name| name.any(language).to_owned());
                self.text("stationName", one.as_deref());
            }
            Some(one) => self.text("name", Some(one.any(language))),
        }
    }

    fn origin(&mut self, origin: &Origin) {
        let system = &origin.system;
        let language = system.language.as_deref();
        let operator = system.operator.as_ref().map(|text| text.any(language));
        let name = system.name.as_ref().map(|text| text.any(language));
        self.text("dataProvider", operator.or(name));
        self.text("agencyName", name);
        self.text("agencyUrl", system.url.as_deref());
        self.text("source", origin.source.as_deref());
        self.text("license", system.license.as_deref());
        let attribution = origin.attribution.as_deref().or(system.attribution.as_deref());
        self.text("attribution", attribution);
    }

    fn status(&mut self, status: &Status, capacity: Option<u64>) {
        self.count("availableBikeNumber", status.available);
        self.count("freeSlotNumber", status.docks_available);
        self.count("outOfServiceSlotNumber", status.docks_disabled);
        self.count("disabledBikeNumber", status.disabled);
        if let Some(types) = &status.by_type {
            self.push("vehicleTypesAvailable", AttributeType::JsonProperty, Json::from(types));
        }
        self.flag("isInstalled", status.is_installed);
        self.flag("isRenting", status.is_renting);
        self.flag("isReturning", status.is_returning);
        self.text("status", station_status(status, capacity));
    }
}

/// The `status` of a station; none if the feed does not give the numbers.
///
/// `is_renting` alone does not count: feeds say `false` when no vehicle is there.
pub(crate) fn station_status(status: &Status, capacity: Option<u64>) -> Option<&'static str> {
    let gone = status.is_installed == Some(false);
    let closed = status.is_renting == Some(false) && status.is_returning == Some(false);
    if gone || closed {
        return Some("outOfService");
    }
    let few = |count: u64| {
        let places =
            capacity.or_else(|| Some(status.available?.saturating_add(status.docks_available?)));
        places.is_some_and(|places| count.saturating_mul(10) <= places)
    };
    match (status.available, status.docks_available) {
        (None, None) => None,
        (Some(0), _) => Some("empty"),
        (_, Some(0)) => Some("full"),
        (Some(bikes), _) if few(bikes) => Some("almostEmpty"),
        (_, Some(docks)) if few(docks) => Some("almostFull"),
        (Some(_), _) | (None, Some(_)) => Some("working"),
    }
}

fn address(station: &Station) -> Option<Value> {
    let mut address = serde_json::Map::new();
    if let Some(street) = &station.address {
        address.insert("streetAddress".to_owned(), Value::from(street.as_str()));
    }
    if let Some(code) = &station.post_code {
        address.insert("postalCode".to_owned(), Value::from(code.as_str()));
    }
    (!address.is_empty()).then_some(Value::Object(address))
}

/// `urn:ngsi-ld:{type}:{part}:{part}`; what an identifier may not hold is percent-encoded.
fn entity_id(kind: &str, parts: &[&str]) -> Result<EntityId, String> {
    let mut id = format!("urn:ngsi-ld:{kind}");
    for part in parts {
        id.push(':');
        for c in part.chars() {
            if c.is_alphanumeric() || "-._~!$'()*+,;=@:".contains(c) {
                id.push(c);
            } else {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    // Writing to a String does not fail.
                    let _ = write!(id, "%{byte:02X}");
                }
            }
        }
    }
    EntityId::try_from(Arc::<str>::from(id)).map_err(|error| error.to_string())
}

fn problem(item: &str, skip: Skip, reason: &str, fatal: bool) -> Problem {
    let (item, reason) = (item.to_owned(), reason.to_owned());
    Problem { item, skip, reason, fatal, sample: String::new() }
}

#[cfg(test)]
mod tests;
