//! What entities cost the embedded store on this machine, in memory and at the start:
//! `cargo run --release -p musubi-store-embedded --example start_speed FOLDER [ENTITIES]`.
//!
//! The first run fills the folder, with a million entities if it is not told otherwise, and prints
//! the memory before and after. Every further run opens what is there, and prints how long that took
//! and the memory then.

#![expect(clippy::print_stdout, reason = "printing is what this is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    Attribute, AttributeType, DEFAULT_VOCAB, Entity, Instance, Json, Qualifiers, Tenant, Timestamp,
    Value,
};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Expect, Group, Store, Write};
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use smallvec::smallvec;
use tokio::time::Instant;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

const ENTITIES: u64 = 1_000_000;
/// Entities in a call.
const CALL: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("a folder is needed")?);
    let entities = match arguments.next() {
        Some(number) => number.into_string().map_err(|_| "no number")?.parse()?,
        None => ENTITIES,
    };
    let is_new = !folder.exists();
    let before = resident()?;
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let store = open(&folder)?;
    println!(
        "opened in {:.3} s, {:.3} s of CPU; {} kB resident, {before} before",
        start.elapsed().as_secs_f64(),
        cpu_time()?.saturating_sub(cpu).as_secs_f64(),
        resident()?
    );
    if is_new {
        fill(&store, entities).await?;
    }
    let query = EntityQuery {
        filter: Filter::All(Vec::new()),
        start: Start::Offset(0),
        limit: 1,
        count: true,
        ..EntityQuery::default()
    };
    let page = store.select(&Tenant::default(), &query).await?;
    let count = page.total.unwrap_or_default();
    let now = resident()?;
    let each = now.saturating_sub(before) * 1_024 / count.max(1);
    println!("{count} entities: {now} kB resident, {each} bytes each");
    store.close().await?;
    Ok(())
}

fn open(folder: &Path) -> Result<EmbeddedStore, Failure> {
    Ok(EmbeddedStore::open(EmbeddedOptions {
        durability: Durability::Interval(Duration::from_millis(200)),
        ..EmbeddedOptions::new(folder.to_owned())
    })?)
}

async fn fill(store: &EmbeddedStore, entities: u64) -> Result<(), Failure> {
    let start = Instant::now();
    for first in (0..entities).step_by(usize::try_from(CALL)?) {
        let mut groups = Vec::new();
        for number in first..entities.min(first + CALL) {
            let entity = entity(number)?;
            let write = Write {
                tenant: Tenant::default(),
                id: entity.id.clone(),
                expect: Expect::Absent,
                state: Some(Arc::new(entity)),
            };
            groups.push(Group { writes: vec![write], ..Group::default() });
        }
        let newest = store.newest().borrow().0;
        store.commit(groups).await?;
        // As a broker does when everybody has read the changes.
        store.truncate(musubi_model::Sequence(newest)).await?;
    }
    println!("filled in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// A number out of `/proc/self/status`, in kB.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the system does not say how much memory is in use")?.parse()?)
}

/// What all threads have used; the system counts it in hundredths of a second.
fn cpu_time() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("the system does not say the time in use")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// An entity with five attributes, as the load test writes them.
fn entity(number: u64) -> Result<Entity, Failure> {
    let now = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(number)?);
    let observed = Some(Timestamp::parse_utc("2026-04-01T18:30:00Z")?);
    let attribute = |name: &str, kind, json: serde_json::Value, observed_at, unit: Option<&str>| {
        let qualifiers = unit.map(|unit| {
            Box::new(Qualifiers { unit_code: Some(unit.into()), ..Qualifiers::default() })
        });
        let instance = Instance {
            value: Value { kind, json: Json::from(&json) },
            observed_at,
            created_at: now,
            modified_at: now,
            qualifiers,
        };
        let name = format!("{DEFAULT_VOCAB}{name}").parse()?;
        Ok::<_, Failure>(Attribute { name, instances: smallvec![instance] })
    };
    // Spread over a town.
    let shift = |part: u64| f64::from(u32::try_from(part).unwrap_or_default()) / 10_000.0;
    let coordinates = [139.0 + shift(number % 1_000), 35.0 + shift(number / 1_000 % 1_000)];
    let place = serde_json::json!({ "type": "Point", "coordinates": coordinates });
    let group = serde_json::json!(format!("urn:ngsi-ld:StreetLightGroup:{number:07}"));
    let level = serde_json::json!(0.75);
    let property = AttributeType::Property;
    Ok(Entity {
        id: format!("urn:ngsi-ld:StreetLight:{number:07}").parse()?,
        types: vec![format!("{DEFAULT_VOCAB}StreetLight").parse()?],
        scopes: Vec::new(),
        created_at: now,
        modified_at: now,
        expires_at: None,
        attributes: vec![
            attribute("powerState", property, serde_json::json!("on"), observed, None)?,
            attribute("illuminanceLevel", property, level, observed, None)?,
            attribute("lanternHeight", property, serde_json::json!(6.5), None, Some("MTR"))?,
            attribute("location", AttributeType::GeoProperty, place, None, None)?,
            attribute("refStreetLightGroup", AttributeType::Relationship, group, None, None)?,
        ],
    })
}
