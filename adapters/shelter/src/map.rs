//! From what is known of a shelter to the attributes of an `EvacuationShelter`, and back.

use musubi_model::{
    AttrName, AttributeFragment, AttributeType, Entity, EntityFragment, EntityId, FragmentValue,
    InstanceFragment, InvalidEntityId, Json, Patch, Timestamp, TypeName, Value,
};
use serde_json::json;

use crate::{Congestion, Row, Shelter, Status};

/// The expanded type of a shelter.
pub const ENTITY_TYPE: &str = "urn:musubi:ns:EvacuationShelter";

const NS: &str = "urn:musubi:ns:";
const STATUS: &str = "https://smartdatamodels.org/status";
const NAME: &str = "https://smartdatamodels.org/name";
const ALTERNATE_NAME: &str = "https://smartdatamodels.org/alternateName";
const ADDRESS: &str = "https://smartdatamodels.org/address";
const AREA_SERVED: &str = "https://smartdatamodels.org/areaServed";
const LOCATION: &str = "https://uri.etsi.org/ngsi-ld/location";

/// The entity id of a shelter: its own id if that is a URI, else one made of it.
///
/// # Errors
///
/// [`InvalidEntityId`] if no URI can be made of it.
pub fn shelter_id(id: &str) -> Result<EntityId, InvalidEntityId> {
    if id.starts_with("urn:") || id.contains("://") {
        return id.parse();
    }
    // A name in kanji is a valid part of an IRI; only what is not is replaced.
    let safe: String = id
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') { c } else { '-' })
        .collect();
    format!("urn:ngsi-ld:EvacuationShelter:{safe}").parse()
}

/// What the broker knows of a shelter.
pub(crate) fn known(entity: &Entity) -> Shelter {
    let json = |name: &str| {
        let attribute = entity.attributes.iter().find(|attribute| attribute.name.as_str() == name)?;
        Some(&attribute.default_instance()?.value.json)
    };
    let text = |name: &str| json(name).and_then(|json| json.as_text().map(std::borrow::Cow::into_owned));
    let count = |name: &str| json(name).and_then(|json| json.as_str().parse::<u64>().ok());
    let time = |name: &str| text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let own = |name: &str| format!("{NS}{name}");
    Shelter {
        status: text(STATUS).and_then(|name| Status::from_name(&name)).unwrap_or_default(),
        people: count(&own("occupancy")),
        households: count(&own("occupancyHouseholds")),
        capacity: count(&own("capacity")),
        congestion: text(&own("congestionLevel"))
            .map(|name| Congestion::from_name(&name))
            .unwrap_or_default(),
        opened_at: time(&own("openedAt")),
        closed_at: time(&own("closedAt")),
        data_quality: text(&own("dataQuality")),
    }
}

/// How a count was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountMethod {
    HeadCount,
    CheckIn,
}

/// The attributes that change, each observed at `at`.
pub(crate) fn dynamic(
    id: EntityId,
    shelter: &Shelter,
    at: Timestamp,
    method: CountMethod,
) -> EntityFragment {
    let mut fragment = Fragment::new(id, at);
    fragment.text(STATUS, shelter.status.as_str());
    fragment.optional("occupancy", shelter.people.map(|count| json!(count)));
    fragment.optional("occupancyHouseholds", shelter.households.map(|count| json!(count)));
    let rate = shelter.rate().map(|rate| json!((rate * 1000.0).round() / 1000.0));
    fragment.optional("occupancyRate", rate);
    fragment.own("congestionLevel", json!(shelter.congestion.as_str()));
    fragment.own("congestionSource", json!("computed"));
    fragment.own(
        "countMethod",
        json!(match method {
            CountMethod::HeadCount => "headcount",
            CountMethod::CheckIn => "checkin",
        }),
    );
    fragment.optional("openedAt", shelter.opened_at.map(|time| json!(time.to_string())));
    fragment.optional("closedAt", shelter.closed_at.map(|time| json!(time.to_string())));
    match &shelter.data_quality {
        Some(reason) => fragment.own("dataQuality", json!(reason)),
        None => fragment.own("dataQuality", json!("ok")),
    }
    fragment.0
}

/// The attributes of a snapshot's row that seldom change, without a time of observation.
pub(crate) fn fixed(fragment: &mut EntityFragment, row: &Row) {
    let mut add = |name: &str, kind: AttributeType, value: &serde_json::Value| {
        push(fragment, name, Value { kind, json: Json::from(value) }, Patch::Keep);
    };
    add(NAME, AttributeType::Property, &json!(row.name));
    if let Some(kana) = &row.kana {
        add(ALTERNATE_NAME, AttributeType::Property, &json!(kana));
    }
    if let Some((longitude, latitude)) = row.position {
        let point = json!({ "type": "Point", "coordinates": [longitude, latitude] });
        add(LOCATION, AttributeType::GeoProperty, &point);
    }
    if let Some(address) = &row.address {
        let address = json!({ "addressCountry": "JP", "streetAddress": address });
        add(ADDRESS, AttributeType::Property, &address);
    }
    if let Some(district) = &row.district {
        add(AREA_SERVED, AttributeType::Property, &json!(district));
    }
    if let Some(telephone) = &row.telephone {
        add("urn:musubi:ns:telephone", AttributeType::Property, &json!(telephone));
    }
    if let Some(capacity) = row.capacity {
        add("urn:musubi:ns:capacity", AttributeType::Property, &json!(capacity));
    }
}

struct Fragment(EntityFragment, Timestamp);

impl Fragment {
    fn new(id: EntityId, at: Timestamp) -> Self {
        let types = ENTITY_TYPE.parse::<TypeName>().into_iter().collect();
        Self(EntityFragment { id: Some(id), types, ..EntityFragment::default() }, at)
    }

    fn text(&mut self, name: &str, text: &str) {
        let value = Value { kind: AttributeType::Property, json: Json::from(text) };
        push(&mut self.0, name, value, Patch::Set(self.1));
    }

    fn own(&mut self, term: &str, value: serde_json::Value) {
        let value = Value { kind: AttributeType::Property, json: Json::from(&value) };
        push(&mut self.0, &format!("{NS}{term}"), value, Patch::Set(self.1));
    }

    fn optional(&mut self, term: &str, value: Option<serde_json::Value>) {
        if let Some(value) = value {
            self.own(term, value);
        }
    }
}

fn push(fragment: &mut EntityFragment, name: &str, value: Value, observed_at: Patch<Timestamp>) {
    if let Ok(name) = name.parse::<AttrName>() {
        let instance = InstanceFragment {
            value: Some(FragmentValue::Typed(value)),
            observed_at,
            ..InstanceFragment::default()
        };
        let instances = std::iter::once(instance).collect();
        fragment.attributes.push(AttributeFragment { name, instances });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_known_again() {
        let at = Timestamp::from_seconds(1_704_963_600);
        let shelter = Shelter {
            status: Status::Open,
            people: Some(12),
            households: Some(4),
            opened_at: Some(at),
            congestion: Congestion::Unknown,
            data_quality: Some("ok".to_owned()),
            ..Shelter::default()
        };
        let id = shelter_id("CC0000000518").unwrap();
        let fragment = dynamic(id, &shelter, at, CountMethod::HeadCount);
        let entity = Entity::create(fragment, at).unwrap();
        assert_eq!(known(&entity), shelter);
    }

    #[test]
    fn every_shelter_gets_an_id() {
        assert_eq!(shelter_id("001").unwrap().as_str(), "urn:ngsi-ld:EvacuationShelter:001");
        assert_eq!(shelter_id("urn:x:1").unwrap().as_str(), "urn:x:1");
        assert!(shelter_id("寄合い処 みそぎ").unwrap().as_str().ends_with("寄合い処-みそぎ"));
    }
}
