//! Plain measures: a JSON object whose members become Properties. Pure.

use musubi_adapter_kit::Skip;
use musubi_context::Context;
use musubi_model::{
    AttributeFragment, AttributeType, Document, FragmentValue, InstanceFragment, Limits, NULL,
    Node, Patch, Timestamp, Value, parse_geometry,
};

/// The most members of an object.
const MAX_MEMBERS: usize = 256;

/// The most objects of one message.
const MAX_READINGS: usize = 1000;

/// The members that say when the values held, the first of them first.
const TIMES: [&str; 2] = ["TimeInstant", "observedAt"];

/// Names that NGSI-LD keeps for itself.
const RESERVED: [&str; 5] = ["scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"];

/// The kinds of GeoJSON that a `GeoProperty` has.
const GEOMETRIES: [&str; 6] =
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"];

/// What one object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// When the values held, if the object says so.
    pub(crate) at: Option<Timestamp>,
    /// The values, without the time.
    pub(crate) attributes: Vec<AttributeFragment>,
    /// What was left out, and why.
    pub(crate) skipped: Vec<(Skip, String)>,
}

/// Why a message or an object in it says nothing.
pub(crate) type Refusal = (Skip, String);

/// A member that has a name which cannot be used.
pub(crate) const RESERVED_NAME: Skip = Skip("reserved_name");

/// What a payload says: one reading for an object, several for an array of them, each of which
/// may be refused by itself.
///
/// # Errors
///
/// When the payload is neither.
pub(crate) fn readings(
    payload: &[u8],
    context: &Context,
) -> Result<Vec<Result<Reading, Refusal>>, Refusal> {
    let text = std::str::from_utf8(payload)
        .map_err(|_| (Skip::UNREADABLE, "the payload is no UTF-8 text".to_owned()))?;
    let node = Node::parse(text, Limits::default())
        .map_err(|error| (Skip::UNREADABLE, format!("the payload is no JSON: {error}")))?;
    match &node.document {
        Document::Object(_) => Ok(vec![reading(&node, context)]),
        Document::Array(items) if items.len() > MAX_READINGS => {
            Err((Skip::BAD_VALUE, format!("a message has at most {MAX_READINGS} readings")))
        }
        Document::Array(items) => Ok(items.iter().map(|item| reading(item, context)).collect()),
        Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
            let reason = "the payload is no JSON object and no array of objects";
            Err((Skip::BAD_VALUE, reason.to_owned()))
        }
    }
}

/// What a payload says that is one bare value: JSON, or else text.
///
/// # Errors
///
/// When the payload is neither.
pub(crate) fn single(measure: &str, payload: &[u8], context: &Context) -> Result<Reading, Refusal> {
    let text = std::str::from_utf8(payload)
        .ok()
        .filter(|text| !text.chars().any(|char| char.is_control() && !char.is_whitespace()))
        .ok_or_else(|| {
            (Skip::UNREADABLE, "the payload is neither JSON nor plain text".to_owned())
        })?;
    let mut reading = Reading::default();
    let quoted;
    let node = if let Ok(node) = Node::parse(text, Limits::default()) {
        node
    } else {
        quoted = serde_json::Value::from(text.trim()).to_string();
        Node::parse(&quoted, Limits::default())
            .map_err(|error| (Skip::UNREADABLE, error.to_string()))?
    };
    member(measure, &node, context, &mut reading);
    Ok(reading)
}

fn reading(node: &Node<'_>, context: &Context) -> Result<Reading, Refusal> {
    let Document::Object(members) = &node.document else {
        return Err((Skip::BAD_VALUE, "a reading is a JSON object".to_owned()));
    };
    if members.len() > MAX_MEMBERS {
        return Err((Skip::BAD_VALUE, format!("a reading has at most {MAX_MEMBERS} members")));
    }
    let attributes = Vec::with_capacity(members.len());
    let mut reading = Reading { at: time(node)?, attributes, ..Reading::default() };
    for (name, value) in members {
        if !TIMES.contains(&&**name) {
            member(name, value, context, &mut reading);
        }
    }
    Ok(reading)
}

/// The time that an object gives. A time that is not one refuses the object: to put another in
/// its place would make up an observation.
fn time(node: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    for name in TIMES {
        match node.member(name).map(|value| &value.document) {
            Some(Document::String(text)) if !text.trim().is_empty() => {
                return text
                    .parse()
                    .map(Some)
                    .map_err(|error| (Skip::BAD_TIME, format!("{name}: {error}")));
            }
            None | Some(Document::Null | Document::String(_)) => {}
            Some(
                Document::Boolean(_)
                | Document::Number(_)
                | Document::Array(_)
                | Document::Object(_),
            ) => {
                return Err((Skip::BAD_TIME, format!("{name} is no text with a time")));
            }
        }
    }
    Ok(None)
}

fn member(name: &str, value: &Node<'_>, context: &Context, reading: &mut Reading) {
    let says_nothing = match &value.document {
        Document::Null => true,
        Document::String(text) => text.trim().is_empty() || text == NULL,
        Document::Boolean(_) | Document::Number(_) | Document::Array(_) | Document::Object(_) => {
            false
        }
    };
    if says_nothing {
        reading.skipped.push((Skip::MISSING, format!("{name} has no value")));
        return;
    }
    // An entity has an id and a type of its own; those of the device's message are renamed, as
    // IoT agents do.
    let term = match name {
        "id" => "measure_id",
        "type" => "measure_type",
        other => other,
    };
    if term.starts_with('@') || RESERVED.contains(&term) {
        reading.skipped.push((RESERVED_NAME, format!("{name} is a name of NGSI-LD's own")));
        return;
    }
    let attribute = match context.attribute(term) {
        Ok(attribute) => attribute,
        Err(error) => {
            reading.skipped.push((RESERVED_NAME, error.to_string()));
            return;
        }
    };
    if reading.attributes.iter().any(|known| known.name == attribute) {
        reading.skipped.push((RESERVED_NAME, format!("{name} is there under another name")));
        return;
    }
    let json = value.to_json();
    let kind = if is_geometry(value) && parse_geometry(&json).is_ok() {
        AttributeType::GeoProperty
    } else {
        AttributeType::Property
    };
    let instance = InstanceFragment {
        value: Some(FragmentValue::Typed(Value { kind, json })),
        ..InstanceFragment::default()
    };
    let instances = std::iter::once(instance).collect();
    reading.attributes.push(AttributeFragment { name: attribute, instances });
}

fn is_geometry(value: &Node<'_>) -> bool {
    value.member("type").is_some_and(
        |kind| matches!(&kind.document, Document::String(name) if GEOMETRIES.contains(&&**name)),
    )
}

/// Gives every value of the attributes the time at which it held.
pub(crate) fn observed(
    mut attributes: Vec<AttributeFragment>,
    at: Timestamp,
) -> Vec<AttributeFragment> {
    for instance in attributes.iter_mut().flat_map(|attribute| &mut attribute.instances) {
        instance.observed_at = Patch::Set(at);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(payload: &str) -> Vec<Result<Reading, Refusal>> {
        readings(payload.as_bytes(), &Context::core()).unwrap()
    }

    fn one(payload: &str) -> Reading {
        all(payload).remove(0).unwrap()
    }

    fn values(reading: &Reading) -> Vec<(String, AttributeType, String)> {
        let context = Context::core();
        reading
            .attributes
            .iter()
            .map(|attribute| match &attribute.instances[0].value {
                Some(FragmentValue::Typed(value)) => (
                    context.compact(attribute.name.as_str()).into_owned(),
                    value.kind,
                    value.json.as_str().to_owned(),
                ),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn property(name: &str, json: &str) -> (String, AttributeType, String) {
        (name.to_owned(), AttributeType::Property, json.to_owned())
    }

    #[test]
    fn each_member_becomes_a_property() {
        let reading =
            one(r#"{ "t": 15.0, "on": true, "state": "open", "l": [1, 2], "o": {"a": 1} }"#);
        assert_eq!(
            values(&reading),
            [
                property("t", "15.0"),
                property("on", "true"),
                property("state", "\"open\""),
                property("l", "[1,2]"),
                property("o", "{\"a\":1}"),
            ]
        );
        assert_eq!(reading.at, None);
        assert!(reading.skipped.is_empty());
    }

    #[test]
    fn a_time_is_taken_from_either_name_and_is_no_attribute() {
        let expected = "2024-05-01T03:00:00Z".parse().ok();
        for name in TIMES {
            let reading = one(&format!(r#"{{"t":1,"{name}":"2024-05-01T12:00:00+09:00"}}"#));
            assert_eq!(reading.at, expected);
            assert_eq!(values(&reading), [property("t", "1")]);
        }
        let reading = one(r#"{"t":1,"TimeInstant":null,"observedAt":"2024-05-01T03:00:00Z"}"#);
        assert_eq!(reading.at, expected);
        assert_eq!(one(r#"{"t":1,"TimeInstant":" "}"#).at, None);
    }

    #[test]
    fn a_time_that_is_none_refuses_the_reading() {
        for time in ["\"yesterday\"", "\"2024-05-01T12:00:00\"", "1714532400", "{}"] {
            let refusal = all(&format!(r#"{{"t":1,"TimeInstant":{time}}}"#)).remove(0).unwrap_err();
            assert_eq!(refusal.0, Skip::BAD_TIME, "{time}");
        }
    }

    #[test]
    fn a_value_that_says_nothing_is_left_out() {
        let reading = one(r#"{"a":null,"b":" ","c":"","d":"urn:ngsi-ld:null","e":0}"#);
        assert_eq!(values(&reading), [property("e", "0")]);
        assert_eq!(reading.skipped.len(), 4);
    }

    #[test]
    fn id_and_type_are_renamed_and_names_of_the_language_are_left_out() {
        let reading = one(
            r#"{"id":"x","type":"y","measure_id":1,"@context":"http://evil.example","scope":"/a","createdAt":1}"#,
        );
        assert_eq!(
            values(&reading),
            [property("measure_id", "\"x\""), property("measure_type", "\"y\"")]
        );
        assert_eq!(reading.skipped.len(), 4);
    }

    #[test]
    fn a_geometry_becomes_a_geo_property_and_what_only_looks_like_one_does_not() {
        let reading = one(
            r#"{"location":{"type":"Point","coordinates":[139.5,35.5]},"p":{"type":"Point","coordinates":[999,35.5]}}"#,
        );
        let kinds: Vec<AttributeType> = values(&reading).iter().map(|value| value.1).collect();
        assert_eq!(kinds, [AttributeType::GeoProperty, AttributeType::Property]);
    }

    #[test]
    fn an_array_gives_readings_that_are_refused_one_by_one() {
        let found = all(r#"[{"t":1},5,{"t":2}]"#);
        assert!(found[0].is_ok() && found[1].is_err() && found[2].is_ok());
        assert!(all("[]").is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for payload in [&b"5"[..], b"\"a\"", b"null", b"{", b"", b"{\"a\":1,\"a\":2}", b"\xFF\xFE"]
        {
            assert!(readings(payload, &Context::core()).is_err(), "{payload:?}");
        }
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(readings(nested.as_bytes(), &Context::core()).is_err());
    }

    #[test]
    fn a_single_measure_is_json_or_text() {
        let check = |payload: &[u8], json: &str| {
            let reading = single("t", payload, &Context::core()).unwrap();
            assert_eq!(values(&reading), [property("t", json)]);
        };
        check(b"21.5", "21.5");
        check(b"\"on\"", "\"on\"");
        check(b"on", "\"on\"");
        check("駅前 \n".as_bytes(), "\"駅前\"");
        check(b"{\"a\": 1}", "{\"a\":1}");
        assert!(single("t", b"\x00\x01", &Context::core()).is_err());
        assert!(single("t", b"\xFF", &Context::core()).is_err());
        assert!(single("t", b" ", &Context::core()).unwrap().attributes.is_empty());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = readings(&payload, &Context::core());
            let _ = single("t", &payload, &Context::core());
        }

        #[test]
        fn almost_json_never_panics(payload in "[\\[\\]{}\",:a0 .e\\\\-]{0,40}") {
            let _ = readings(payload.as_bytes(), &Context::core());
            let _ = single("t", payload.as_bytes(), &Context::core());
        }
    }
}
