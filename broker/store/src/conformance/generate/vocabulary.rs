//! The names that generated things are made of.

use std::str::FromStr;

use musubi_model::{
    AttrName, AttributeType, DEFAULT_VOCAB, DatasetId, EntityId, NGSI_LD, Scope, Tenant, Timestamp,
    TypeName,
};
use musubi_query::{Collation, Pattern};

/// Small sets of names, chosen to lie badly: some are prefixes of others, some sort differently
/// as text than as parts, some are as long as they may be. No list is empty.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Tenants, the default one among them.
    pub tenants: Vec<Tenant>,
    /// Entity ids. Used in every tenant.
    pub ids: Vec<EntityId>,
    /// Types.
    pub types: Vec<TypeName>,
    /// Attributes, and the kind that each has most of the time.
    pub attributes: Vec<(AttrName, AttributeType)>,
    /// Names of attributes of attributes.
    pub sub_attributes: Vec<AttrName>,
    /// What every entity or attribute has by itself, as paths of a query name it.
    pub system_attributes: Vec<AttrName>,
    /// Data sets.
    pub datasets: Vec<DatasetId>,
    /// Scopes.
    pub scopes: Vec<Scope>,
    /// Patterns for scopes.
    pub scope_patterns: Vec<String>,
    /// Patterns for ids and texts.
    pub patterns: Vec<Pattern>,
    /// Orders of texts.
    pub collations: Vec<Collation>,
    /// Moments at which something expires.
    pub moments: Vec<Timestamp>,
    /// Keys of records.
    pub keys: Vec<String>,
}

impl Vocabulary {
    /// The vocabulary with so many entity ids, at least 1.
    pub fn new(ids: usize) -> Self {
        Self {
            tenants: ["", "a", "a-b", "a.b", "ab", "kyoto"].map(name).to_vec(),
            ids: (0..ids.max(1)).map(entity_id).collect(),
            types: ["Dock", "Shelter", "Sensor", "ShelterOpen"].map(default_term).to_vec(),
            attributes: attributes(),
            sub_attributes: ["accuracy", "source", "temperature"].map(default_term).to_vec(),
            system_attributes: SYSTEM_ATTRIBUTES
                .map(|term| name(&format!("{NGSI_LD}{term}")))
                .to_vec(),
            datasets: ["urn:ngsi-ld:dataset:1", "urn:ngsi-ld:dataset:2", "urn:x:1"]
                .map(name)
                .to_vec(),
            scopes: [
                "/Aichi",
                "/Aichi/Nagoya",
                "/Aichi/Nagoya/Parks",
                "/Ishikawa/Nanao",
                "/Aichi2",
            ]
            .map(name)
            .to_vec(),
            scope_patterns: SCOPE_PATTERNS.map(str::to_owned).to_vec(),
            patterns: PATTERNS.map(name).to_vec(),
            collations: collations(),
            moments: moments(),
            keys: keys(),
        }
    }
}

const SYSTEM_ATTRIBUTES: [&str; 6] =
    ["createdAt", "modifiedAt", "expiresAt", "observedAt", "unitCode", "datasetId"];

const SCOPE_PATTERNS: [&str; 9] = [
    "/Aichi",
    "/Aichi/Nagoya",
    "/Aichi/#",
    "/Aichi/+",
    "/+/Nanao",
    "/Aichi/+/Parks",
    "/#",
    "/Aichi/Nagoya/#",
    "/Tokyo",
];

const PATTERNS: [&str; 9] =
    ["", "^urn:ngsi-ld:Dock:", "[13579]$", "op", "^$", "七尾", "(?i)OPEN", ":1", "^no such thing$"];

/// The n-th id. Most look as ids do; some are there to be difficult.
fn entity_id(number: usize) -> EntityId {
    match number {
        3 => name("urn:ngsi-ld:Dock:1"),
        4 => name("urn:ngsi-ld:Dock:1:1"),
        5 => name("https://example.org/entities?kind=shelter&n=5#top"),
        6 => name("urn:ngsi-ld:避難所:七尾"),
        7 => name(&format!("urn:ngsi-ld:Long:{:0>2031}", 7)),
        _ if number.is_multiple_of(3) => name(&format!("urn:ngsi-ld:Shelter:{number:03}")),
        _ => name(&format!("urn:ngsi-ld:Dock:{number:03}")),
    }
}

fn attributes() -> Vec<(AttrName, AttributeType)> {
    let mut attributes = vec![(name(&format!("{NGSI_LD}location")), AttributeType::GeoProperty)];
    attributes.extend(
        [
            ("area", AttributeType::GeoProperty),
            ("temperature", AttributeType::Property),
            ("freeSlots", AttributeType::Property),
            ("status", AttributeType::Property),
            ("refStation", AttributeType::Relationship),
            ("about", AttributeType::LanguageProperty),
            ("category", AttributeType::VocabProperty),
            ("raw", AttributeType::JsonProperty),
            ("readings", AttributeType::ListProperty),
            ("route", AttributeType::ListRelationship),
        ]
        .map(|(term, kind)| (default_term(term), kind)),
    );
    attributes
}

/// Some that tell apart what others do not.
fn collations() -> Vec<Collation> {
    let tags = ["ja", "und-x-codepoint", "und-u-ks-level1"];
    let known = tags.iter().filter_map(|tag| Collation::parse(tag).ok());
    known.chain([Collation::default()]).collect()
}

/// Around the time at which the suite writes: before, then, soon, and long after.
fn moments() -> Vec<Timestamp> {
    let at = Timestamp::from_seconds;
    [at(1_699_990_000), at(1_700_000_000), at(1_700_000_000).plus_micros(1), at(1_700_000_020)]
        .into_iter()
        .chain([at(1_700_100_000)])
        .collect()
}

/// Keys with parts that sort differently inside a longer key, and characters at both ends of
/// Unicode. The key of a tenant's record is empty.
fn keys() -> Vec<String> {
    let mut keys =
        ["", "a", "a/", "a/b", "a\0", "a\0b", "ab", "b", "B", "鍵", "a\u{10FFFF}", "\u{10FFFF}"]
            .map(str::to_owned)
            .to_vec();
    keys.push("urn:ngsi-ld:Subscription:1".to_owned());
    keys.push("k".repeat(3000));
    keys
}

fn default_term<T: FromStr>(term: &str) -> T {
    name(&format!("{DEFAULT_VOCAB}{term}"))
}

/// A name that is known to be one.
#[expect(clippy::panic, reason = "the names stand in the suite, and only tests come here")]
pub(in crate::conformance) fn name<T: FromStr>(text: &str) -> T {
    let Ok(name) = text.parse() else { panic!("{text:?} is no name") };
    name
}
