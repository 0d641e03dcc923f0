//! Asking a condition of an entity: `cargo bench -p musubi-query --bench filter`.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use musubi_model::{
    AttrName, AttributeFragment, AttributeType, Entity, EntityFragment, FragmentValue,
    InstanceFragment, InvalidName, Json, Patch, Timestamp, TypeName, Value,
};
use musubi_query::{Filter, GeoQuery, Pattern, Query, ScopeQuery, Terms, TypeSelection};

/// Names, kinds and values, as docks have them; the first five are those of the small entity.
const ATTRIBUTES: [(&str, AttributeType, &str); 9] = [
    (
        "location",
        AttributeType::GeoProperty,
        r#"{"type":"Point","coordinates":[137.00918,34.9916]}"#,
    ),
    ("availableBikeNumber", AttributeType::Property, "7"),
    ("status", AttributeType::Property, "\"working\""),
    ("temperature", AttributeType::Property, "21.5"),
    ("operatedBy", AttributeType::Relationship, "\"urn:ngsi-ld:Organization:Kariya:cycle\""),
    ("name", AttributeType::LanguageProperty, r#"{"ja":"刈谷駅北口","en":"Kariya Station North"}"#),
    (
        "address",
        AttributeType::Property,
        r#"{"addressLocality":"刈谷市","streetAddress":"桜町1-2"}"#,
    ),
    ("freeSlotNumber", AttributeType::Property, "13"),
    ("totalSlotNumber", AttributeType::Property, "20"),
];

/// What is asked with `q`; both entities satisfy all of it.
const QUERIES: [(&str, &str); 6] = [
    ("q number", "temperature>20"),
    ("q range", "availableBikeNumber==5..10"),
    ("q text", "status==\"working\""),
    ("q pattern", "status~=\"^work\""),
    ("q relationship", "operatedBy==\"urn:ngsi-ld:Organization:Kariya:cycle\""),
    ("q of four parts", "temperature>20;availableBikeNumber>5;(status==\"closed\"|!missing)"),
];

/// Puts every term under `https://example.org/transport/`.
struct Example;

impl Terms for Example {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn vocabulary(&self, value: &str) -> String {
        format!("https://example.org/transport/{value}")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, count) in [("five", 5), ("nine", 9)] {
        let entity = entity(count)?;
        let mut group = criterion.benchmark_group(format!("filter/{name} attributes"));
        for (name, filter) in filters()? {
            if !filter.matches(&entity) {
                return Err(format!("{name} does not match").into());
            }
            group.bench_function(name, |bencher| {
                bencher.iter(|| black_box(&filter).matches(black_box(&entity)));
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("filter/from text");
    for (name, text) in QUERIES {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Query::parse(black_box(text), &Example));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

fn filters() -> Result<Vec<(&'static str, Filter)>, Box<dyn Error>> {
    let near = |metres: u32| {
        let georel = format!("near;maxDistance=={metres}");
        GeoQuery::parse(&georel, "Point", "[137.01,34.99]", Some("location"), &Example)
    };
    let area = "[[[136.9,34.9],[137.1,34.9],[137.1,35.1],[136.9,35.1],[136.9,34.9]]]";
    let within = GeoQuery::parse("within", "Polygon", area, Some("location"), &Example)?;
    let mut filters = vec![
        ("type", Filter::Type(TypeSelection::parse("BikeHireDockingStation", &Example)?)),
        ("idPattern", Filter::IdPattern(Pattern::new("^urn:ngsi-ld:Bike.*:Kariya:")?)),
        ("near", Filter::Geo(near(500)?)),
        ("within", Filter::Geo(within)),
        ("scopeQ", Filter::Scope(ScopeQuery::parse("/Aichi/Kariya/#")?)),
    ];
    for (name, text) in QUERIES {
        filters.push((name, Filter::Query(Query::parse(text, &Example)?)));
    }
    Ok(filters)
}

/// An entity with the first so many attributes.
fn entity(attributes: usize) -> Result<Entity, Box<dyn Error>> {
    let attribute = |(name, kind, json): &(&str, AttributeType, &str)| {
        let value = Value { kind: *kind, json: Json::parse(json)? };
        let value = Some(FragmentValue::Typed(value));
        let instance = InstanceFragment { value, ..InstanceFragment::default() };
        let name = Example.attribute(name)?;
        Ok::<_, Box<dyn Error>>(AttributeFragment {
            name,
            instances: [instance].into_iter().collect(),
        })
    };
    let fragment = EntityFragment {
        id: Some("urn:ngsi-ld:BikeHireDockingStation:Kariya:station-117".parse()?),
        types: vec![Example.entity_type("BikeHireDockingStation")?],
        scopes: Patch::Set(vec!["/Aichi/Kariya/Station".parse()?]),
        attributes: ATTRIBUTES.iter().take(attributes).map(attribute).collect::<Result<_, _>>()?,
        ..EntityFragment::default()
    };
    Ok(Entity::create(fragment, Timestamp::from_seconds(1_750_000_000))?)
}
