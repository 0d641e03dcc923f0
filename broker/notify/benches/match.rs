//! Whom a change concerns, among many subscriptions: `cargo bench -p musubi-notify --bench match`.
//!
//! Up to 1,000,000 of them, and by every shape alone: `load match` (tests/load).

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use musubi_context::{Context, expand_entity};
use musubi_model::{Entity, EntityChange, Limits, Node, Position, Revision, Tenant, Timestamp};
use musubi_notify::{Subscription, SubscriptionIndex, match_subscription};
use serde_json::{Value, json};

/// Different changes that are looked up in turn.
const CHANGES: u32 = 500;

/// Ten subscriptions, one of each kind or two, are about each dock.
const KINDS: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    one(&mut criterion)?;
    let mut group = criterion.benchmark_group("match/ten of");
    for count in [1_000, 10_000, 100_000] {
        many(&mut group, count)?;
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// A change and a subscription, without the index.
fn one(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let change = change(7)?;
    let mut group = criterion.benchmark_group("match/one subscription by");
    let names = ["id", "type", "watched attribute", "q", "range in q", "place"];
    for (kind, name) in (0..).zip(names) {
        let subscription = subscription(7 * KINDS + kind)?;
        if !match_subscription(&subscription, &change, now()) {
            return Err(format!("the subscription by {name} is not concerned").into());
        }
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| match_subscription(black_box(&subscription), black_box(&change), now()));
        });
    }
    group.finish();
    Ok(())
}

/// Changes, each of which concerns ten of so many subscriptions.
fn many(group: &mut BenchmarkGroup<'_, WallTime>, count: u32) -> Result<(), Box<dyn Error>> {
    let tenant = Tenant::default();
    let mut index = SubscriptionIndex::default();
    for serial in 0..count {
        index.insert(&tenant, Arc::new(subscription(serial)?));
    }
    let docks = count / KINDS;
    let changes = (0..CHANGES).map(|number| change(number.wrapping_mul(2_654_435_761) % docks));
    let changes: Vec<_> = changes.collect::<Result<_, _>>()?;
    for change in &changes {
        let due = index.due(&tenant, change, now()).decided.len();
        if due != usize::try_from(KINDS)? {
            return Err(format!("a change concerns {due} subscriptions and not {KINDS}").into());
        }
    }
    let mut changes = changes.iter().cycle();
    group.bench_function(format!("{count}"), |bencher| {
        bencher.iter(|| {
            let change = changes.next()?;
            Some(index.due(&tenant, black_box(change), now()).decided.len())
        });
    });
    Ok(())
}

/// The subscription of this number; ten in a row are about the same dock.
fn subscription(serial: u32) -> Result<Subscription, Box<dyn Error>> {
    let dock = serial / KINDS;
    let kind = format!("Dock{dock}");
    let (selector, condition, value) = match serial % KINDS {
        0 | 6 => (json!({"type": "Dock", "id": id(dock)}), "isActive", json!(true)),
        1 => (json!({"type": kind}), "isActive", json!(true)),
        2 | 7 => (json!({"type": kind}), "watchedAttributes", json!(["availableBikeNumber"])),
        3 | 8 => {
            let query = format!("operatedBy==\"{}\"", operator(dock));
            (json!({"type": "Dock"}), "q", json!(query))
        }
        4 | 9 => {
            let query = format!("serial=={}..{}", dock * 10, dock * 10 + 9);
            (json!({"type": "Dock"}), "q", json!(query))
        }
        _ => {
            let (georel, coordinates) = ("near;maxDistance==100", place(dock));
            let circle = json!({"georel": georel, "geometry": "Point", "coordinates": coordinates});
            (json!({"type": "Dock"}), "geoQ", circle)
        }
    };
    let body = json!({
        "id": format!("urn:ngsi-ld:Subscription:{serial:07}"),
        "type": "Subscription",
        "entities": [selector],
        condition: value,
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
    });
    let text = body.to_string();
    let node = Node::parse(&text, Limits::default())?;
    let fresh = "urn:ngsi-ld:Subscription:fresh".parse()?;
    Ok(Subscription::parse(&node, &Context::core(), fresh, Timestamp::EPOCH)?)
}

/// A bike is taken at this dock, which has nine attributes.
fn change(dock: u32) -> Result<EntityChange, Box<dyn Error>> {
    let (before, after) = (entity(dock, 7)?, entity(dock, 6)?);
    // Only the one that was written differs.
    let mut changed = before.clone();
    changed.modified_at = after.modified_at;
    for attribute in &mut changed.attributes {
        if attribute.name.as_str().ends_with("/availableBikeNumber")
            && let Some(written) = after.attribute(&attribute.name)
        {
            *attribute = written.clone();
        }
    }
    let at = (Revision(2), Position(1));
    Ok(EntityChange::between(changed.id.clone(), at, Some(&before), Some(Arc::new(changed))))
}

fn entity(dock: u32, bikes: u32) -> Result<Entity, Box<dyn Error>> {
    let property = |value: Value| json!({"type": "Property", "value": value});
    let text = json!({
        "id": id(dock),
        "type": ["Dock", format!("Dock{dock}")],
        "availableBikeNumber": property(json!(bikes)),
        "freeSlotNumber": property(json!(13)),
        "totalSlotNumber": property(json!(20)),
        "serial": property(json!(dock * 10 + 4)),
        "status": property(json!("working")),
        "name": property(json!("Kariya Station North")),
        "temperature": property(json!(21.5)),
        "operatedBy": {"type": "Relationship", "object": operator(dock)},
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": place(dock)},
        },
    })
    .to_string();
    let node = Node::parse(&text, Limits::default())?;
    let fragment = expand_entity(&node, &Context::core())?;
    Ok(Entity::create(fragment, Timestamp::from_seconds(1_750_000_000 + i64::from(7 - bikes)))?)
}

/// When a change is looked up.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_750_000_060)
}

fn id(dock: u32) -> String {
    format!("urn:ngsi-ld:Dock:Kariya:{dock}")
}

fn operator(dock: u32) -> String {
    format!("urn:ngsi-ld:Organization:Kariya:{dock}")
}

/// Places about a kilometre apart, in rows.
fn place(dock: u32) -> Value {
    json!([135.0 + f64::from(dock % 320) * 0.01, 34.0 + f64::from(dock / 320) * 0.01])
}
