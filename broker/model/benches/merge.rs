//! What a write makes of an entity, and what changed by it: `cargo bench -p musubi-model --bench merge`.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, Criterion, measurement::WallTime};
use musubi_model::{
    AttributeFragment, AttributeType, Entity, EntityChange, EntityFragment, FragmentValue,
    InstanceFragment, InvalidFragment, Json, Overwrite, Patch, Position, Revision, Timestamp,
    Value,
};
use smallvec::smallvec;

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

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let now = Timestamp::from_seconds(1_750_000_060);
    for (name, count) in [("five", 5), ("nine", 9)] {
        let whole = fragment(0, count)?;
        let entity = Entity::create(whole.clone(), Timestamp::from_seconds(1_750_000_000))?;
        let one = EntityFragment { id: None, types: Vec::new(), ..fragment(1, 1)? };
        let three = EntityFragment { id: None, types: Vec::new(), ..fragment(1, 3)? };
        let mut group = criterion.benchmark_group(format!("merge/{name} attributes"));
        merge(&mut group, "create", &whole, |fragment| Entity::create(fragment, now));
        merge(&mut group, "update one", &one, |fragment| {
            entity.update(fragment, now).map(|(entity, _)| entity)
        });
        merge(&mut group, "append three", &three, |fragment| {
            entity.append(fragment, Overwrite::Yes, now).map(|(entity, _)| entity)
        });
        merge(&mut group, "merge three", &three, |fragment| entity.merge(fragment, now));
        merge(&mut group, "replace", &whole, |fragment| entity.replace(fragment, now));
        let after = Arc::new(entity.merge(one, now)?);
        let at = (Revision(2), Position(1));
        group.bench_function("what changed, by updating one", |bencher| {
            bencher.iter(|| {
                let (before, after) = (black_box(&entity), after.clone());
                EntityChange::between(after.id.clone(), at, Some(before), Some(after))
            });
        });
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}

/// Measures an operation, without the making of the fragment that it takes.
fn merge(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    fragment: &EntityFragment,
    operation: impl Fn(EntityFragment) -> Result<Entity, InvalidFragment>,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_batched(|| fragment.clone(), &operation, BatchSize::SmallInput);
    });
}

/// A fragment with so many attributes, without the first few.
fn fragment(skipped: usize, attributes: usize) -> Result<EntityFragment, Box<dyn Error>> {
    let attribute = |(name, kind, json): &(&str, AttributeType, &str)| {
        let value = Value { kind: *kind, json: Json::parse(json)? };
        let instance = InstanceFragment {
            value: Some(FragmentValue::Typed(value)),
            observed_at: Patch::Set(Timestamp::from_seconds(1_750_000_000)),
            ..InstanceFragment::default()
        };
        let name = format!("https://example.org/transport/{name}").parse()?;
        Ok::<_, Box<dyn Error>>(AttributeFragment { name, instances: smallvec![instance] })
    };
    let attributes = ATTRIBUTES.iter().skip(skipped).take(attributes);
    Ok(EntityFragment {
        id: Some("urn:ngsi-ld:BikeHireDockingStation:Kariya:station-117".parse()?),
        types: vec!["https://example.org/transport/BikeHireDockingStation".parse()?],
        attributes: attributes.map(attribute).collect::<Result<_, _>>()?,
        ..EntityFragment::default()
    })
}
