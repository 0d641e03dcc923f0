//! Instances for tests.

use musubi_model::{
    AttrName, Attribute, AttributeType, Instance, InstanceNumber, Json, Qualifiers, Recorded,
    Sequence, Timestamp, Value,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::entry_order;
use crate::series::Entry;

/// A few numbers that look random and are the same every time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// A number from 0 to below the limit.
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        i64::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A year's beginning; microseconds since 1970.
const START: i64 = 1_767_225_600_000_000;

/// What a sensor reports every minute, one of a thousand whose reports stand in the log among each
/// other: observed to the second, written with jitter, with a unit, in steps of a tenth.
pub(crate) fn readings(sensor: u64, number: usize) -> Vec<Entry> {
    let mut noise = Noise(sensor.wrapping_mul(77).wrapping_add(5));
    let mut value = 213;
    let mut reading = |at: usize| {
        let at = i64::try_from(at).unwrap();
        let observed = START + at * 60_000_000 + noise.below(3) * 1_000_000;
        let modified = observed + 120_000 + noise.below(900_000);
        value += noise.below(7) - 3;
        let text = if value % 10 == 0 {
            format!("{}", value / 10)
        } else {
            format!("{}{}.{}", if value < 0 { "-" } else { "" }, value.abs() / 10, value.abs() % 10)
        };
        let sequence = u64::try_from(at * 1000 + noise.below(200)).unwrap() + sensor;
        let unit = Qualifiers { unit_code: Some("CEL".into()), ..Qualifiers::default() };
        Entry {
            version: Sequence(sequence),
            recorded: Recorded {
                number: InstanceNumber { sequence: Sequence(sequence), ordinal: 0 },
                instance: Instance {
                    value: Value {
                        kind: AttributeType::Property,
                        json: Json::parse(&text).unwrap(),
                    },
                    observed_at: Some(Timestamp::from_micros(observed)),
                    created_at: Timestamp::from_micros(START - 5_123_456),
                    modified_at: Timestamp::from_micros(modified),
                    qualifiers: Some(Box::new(unit)),
                },
                deleted_at: None,
            },
        }
    };
    (0..number).map(&mut reading).collect()
}

pub(crate) fn some_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        6 => (0..50_i64).prop_map(|minute| Timestamp::from_micros(START + minute * 60_000_000)),
        2 => (0..50_000_000_i64).prop_map(|micros| Timestamp::from_micros(START + micros)),
        1 => any::<i64>().prop_map(Timestamp::from_micros),
        1 => select(vec!["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.120000Z"])
            .prop_map(|text| text.parse().unwrap()),
    ]
}

fn some_value() -> impl Strategy<Value = Value> {
    let texts = vec![
        "21.3",
        "21.30",
        "0",
        "-0",
        "1e3",
        "123456789012345678901234567890",
        "true",
        "false",
        "\"urn:ngsi-ld:null\"",
        "\"open\"",
        "\"urn:a:b\"",
        "[1,2]",
        "{\"ja\":\"避難所\"}",
        "null",
        r#"{"type":"Point","coordinates":[136.9,37.04]}"#,
        r#"["urn:a:1","urn:a:2"]"#,
        "-7.25",
    ];
    let json = prop_oneof![
        2 => select(texts).prop_map(|text| Json::parse(text).unwrap()),
        1 => (-5000..5000_i64).prop_map(|number| {
            Json::parse(&format!("{}.{}", number / 10, number.abs() % 10)).unwrap()
        }),
        1 => ".{0,12}".prop_map(|text| Json::from(text.as_str())),
    ];
    (select(AttributeType::ALL.to_vec()), json).prop_map(|(kind, json)| Value { kind, json })
}

fn some_qualifiers() -> impl Strategy<Value = Qualifiers> {
    let instance = (some_value(), option::of(some_time()), some_time()).prop_map(
        |(value, observed_at, created_at)| Instance {
            value,
            observed_at,
            created_at,
            modified_at: created_at,
            qualifiers: None,
        },
    );
    let names = ["https://example.org/accuracy", "https://example.org/quality"];
    let attribute = (select(names.to_vec()), instance).prop_map(|(name, instance)| Attribute {
        name: name.parse::<AttrName>().unwrap(),
        instances: [instance].into_iter().collect(),
    });
    (
        option::of(Just("urn:set:1")),
        option::of(select(vec!["CEL", "KTM"])),
        option::of(some_time()),
        option::of(Just("https://example.org/T")),
        (vec(Just("https://example.org/Shelter"), 0..2), vec(attribute, 0..2)),
    )
        .prop_map(|(dataset, unit, expires_at, value_type, (types, attributes))| Qualifiers {
            dataset_id: dataset.map(|text| text.parse().unwrap()),
            unit_code: unit.map(Into::into),
            expires_at,
            value_type: value_type.map(Into::into),
            object_type: types.into_iter().map(|text| text.parse().unwrap()).collect(),
            attributes,
        })
}

pub(crate) fn some_entry() -> impl Strategy<Value = Entry> {
    let times = (option::weighted(0.8, some_time()), some_time(), some_time());
    (
        (prop_oneof![0..200_u64, any::<u64>()], 0..3_u32, prop_oneof![Just(0_u64), 0..9_u64]),
        times,
        some_value(),
        option::of(some_qualifiers()),
        option::weighted(0.1, some_time()),
    )
        .prop_map(|(number, times, value, qualifiers, deleted_at)| Entry {
            version: Sequence(number.0.saturating_add(number.2)),
            recorded: Recorded {
                number: InstanceNumber { sequence: Sequence(number.0), ordinal: number.1 },
                instance: Instance {
                    value,
                    observed_at: times.0,
                    created_at: times.1,
                    modified_at: times.2,
                    qualifiers: qualifiers.map(Box::new),
                },
                deleted_at,
            },
        })
}

/// Instances of one series, in their order.
pub(crate) fn some_entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    vec(some_entry(), 0..most).prop_map(|mut entries| {
        entries.sort_by_key(entry_order);
        entries.dedup_by_key(|entry| entry_order(entry));
        entries
    })
}

/// All of an instance that counts, with the digits of each time, which comparing leaves out.
pub(crate) fn whole(entry: &Entry) -> String {
    let written = |time: Option<Timestamp>| time.map(Timestamp::to_bits);
    let Entry { version, recorded: Recorded { number, instance, deleted_at } } = entry;
    let Instance { value, observed_at, created_at, modified_at, qualifiers } = instance;
    let times = [*observed_at, Some(*created_at), Some(*modified_at), *deleted_at].map(written);
    let qualifiers = qualifiers.as_ref().map(|some| postcard::to_stdvec(some).unwrap());
    format!("{version:?} {number:?} {value:?} {times:?} {qualifiers:?}")
}
