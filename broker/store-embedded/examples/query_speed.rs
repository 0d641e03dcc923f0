//! How fast the embedded store answers queries, and how that grows:
//! `cargo run --release -p musubi-store-embedded --example query_speed [NUMBER]…`.
//!
//! For each number of entities (1,000, 30,000 and 1,000,000 if none is named) it prints how long
//! the first query of a kind took, the CPU time of it, and the median and the 99th percentile of
//! those after it. Each kind finds the same however many entities there are: ten of them, or a
//! page of twenty.

#![expect(clippy::print_stdout, reason = "printing is what this is for")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    AttrName, Attribute, AttributeType, Entity, EntityId, Instance, InvalidName, Json, Tenant,
    Timestamp, TypeName, Value,
};
use musubi_query::{EntityQuery, Filter, GeoQuery, Query, Start, Terms, TypeSelection};
use musubi_store::{Expect, Group, Store, Write};
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use smallvec::smallvec;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// Queries of each kind.
const QUERIES: u64 = 2_000;

/// Entities that one query finds.
const MATCHING: u64 = 10;

/// Entities of one call while the store is filled.
const BATCH: u64 = 1_000;

/// Puts every term under the default vocabulary.
struct Example;

impl Terms for Example {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn vocabulary(&self, value: &str) -> String {
        format!("{}{value}", musubi_model::DEFAULT_VOCAB)
    }
}

/// The names that the entities share.
struct Names {
    kind: TypeName,
    attributes: [AttrName; 5],
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let counts = std::env::args().skip(1).map(|text| text.parse());
    let mut counts: Vec<u64> = counts.collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts = vec![1_000, 30_000, 1_000_000];
    }
    let folder = std::env::temp_dir().join(format!("musubi-query-speed-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let mut result = Ok(());
    for count in counts {
        if result.is_ok() {
            result = run(&folder.join(count.to_string()), count).await;
        }
    }
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn run(folder: &Path, count: u64) -> Result<(), Failure> {
    let durability = Durability::Interval(Duration::from_millis(200));
    let options = EmbeddedOptions { durability, min_free_disk: 0, ..EmbeddedOptions::new(folder) };
    let store = EmbeddedStore::open(options)?;
    let start = Instant::now();
    fill(&store, count).await?;
    println!("{count} entities, made in {:.1?}", start.elapsed());
    let last = count.saturating_sub(20);
    let any_of = vec![vec![Example.entity_type("Sensor")?]];
    let of_type = Filter::Type(TypeSelection { any_of });
    let groups = count / MATCHING;
    let q = |text: String| Ok::<_, Failure>(Filter::Query(Query::parse(&text, &Example)?));
    let page = |filter, limit| EntityQuery { filter, limit, ..EntityQuery::default() };
    let at = |offset| EntityQuery { start: Start::Offset(offset), ..page(of_type.clone(), 20) };
    let is_ten = |(found, _): (usize, u64)| found == 10;
    let kinds: [Kind<'_>; 8] = [
        ("q number ==", &|n| Ok(page(q(format!("level=={}", n % groups))?, 20)), &is_ten),
        (
            "q number of a range, and count",
            &|n| {
                let from = n % groups * 10;
                let filter = q(format!("reading=={from}..{}", from + 9))?;
                Ok(EntityQuery { count: true, ..page(filter, 20) })
            },
            &is_ten,
        ),
        (
            "type and q number > and <",
            &|n| {
                let from = n % groups * 10;
                let filter = q(format!("reading>={from};reading<={}", from + 9))?;
                Ok(page(Filter::and(vec![of_type.clone(), filter]), 20))
            },
            &is_ten,
        ),
        ("q text ==", &|n| Ok(page(q(format!("code==\"code-{}\"", n % groups))?, 20)), &is_ten),
        ("near, 500 m", &|n| Ok(page(Filter::Geo(near(n % count, count)?), 20)), &|(found, _)| {
            found > 0
        }),
        (
            "count on type",
            &|_| Ok(EntityQuery { count: true, ..page(of_type.clone(), 0) }),
            &|(_, total)| total == count,
        ),
        ("first page of 20", &|_| Ok(at(0)), &|(found, _)| found == 20),
        (
            "page of 20 at 0.9",
            &|_| Ok(at(usize::try_from(last.min(count / 10 * 9))?)),
            &|(found, _)| found == 20,
        ),
    ];
    for kind in kinds {
        measure(&store, kind).await?;
    }
    store.close().await?;
    Ok(())
}

/// A name, the query of a number, and whether so many found entities, and such a count, are right.
type Kind<'k> = (
    &'k str,
    &'k (dyn Fn(u64) -> Result<EntityQuery, Failure> + Sync),
    &'k (dyn Fn((usize, u64)) -> bool + Sync),
);

async fn measure(store: &EmbeddedStore, (name, query, is_right): Kind<'_>) -> Result<(), Failure> {
    let tenant = Tenant::default();
    let mut times = Vec::new();
    let mut first = (Duration::ZERO, 0);
    for number in 0..QUERIES {
        let query = query(number.wrapping_mul(2_654_435_761))?;
        let ticks = if number == 0 { cpu_ticks()? } else { 0 };
        let start = Instant::now();
        let page = store.select(&tenant, &query).await?;
        let time = start.elapsed();
        if number == 0 {
            first = (time, cpu_ticks()? - ticks);
        } else {
            times.push(time);
        }
        let found = (page.items.len(), page.total.unwrap_or(0));
        if !is_right(found) {
            return Err(format!("{name}: {found:?} were found").into());
        }
        // What scans everything is not asked so often.
        if times.iter().sum::<Duration>() > Duration::from_secs(5) {
            break;
        }
    }
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    let (median, tail) = (at(times.len() / 2), at(times.len() * 99 / 100));
    let (first, ticks) = first;
    println!(
        "  {name:32} first {first:>9.1?}, CPU {:>4} ms  p50 {median:>8.1?}  p99 {tail:>8.1?}",
        ticks * 10,
    );
    Ok(())
}

/// The CPU time of this process, in hundredths of a second, where the system says it.
fn cpu_ticks() -> Result<u64, Failure> {
    let Ok(status) = std::fs::read_to_string("/proc/self/stat") else { return Ok(0) };
    // After the name of the program, which may have spaces.
    let numbers = status.rsplit(')').next().unwrap_or_default();
    let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<_, _>>()?)
}

async fn fill(store: &EmbeddedStore, count: u64) -> Result<(), Failure> {
    let names = Names {
        kind: Example.entity_type("Sensor")?,
        attributes: [
            Example.attribute("level")?,
            Example.attribute("reading")?,
            Example.attribute("code")?,
            Example.attribute("location")?,
            Example.attribute("isIn")?,
        ],
    };
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let groups = (first..count.min(first + BATCH)).map(|number| {
            let entity = entity(number, count, &names)?;
            let write = Write {
                tenant: Tenant::default(),
                id: entity.id.clone(),
                expect: Expect::Absent,
                state: Some(Arc::new(entity)),
            };
            Ok::<_, Failure>(Group { writes: vec![write], ..Group::default() })
        });
        store.commit(groups.collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

/// An entity with five attributes. Those of the same value are far from each other.
fn entity(number: u64, count: u64, names: &Names) -> Result<Entity, Failure> {
    let now = Timestamp::from_seconds(1_750_000_000);
    let group = number % (count / MATCHING);
    let [longitude, latitude] = place(number, count)?;
    let values = [
        (AttributeType::Property, group.to_string()),
        (AttributeType::Property, (group * 10 + number * 7 % 10).to_string()),
        (AttributeType::Property, format!("\"code-{group}\"")),
        (
            AttributeType::GeoProperty,
            format!(r#"{{"type":"Point","coordinates":[{longitude:.6},{latitude:.6}]}}"#),
        ),
        (AttributeType::Relationship, format!("\"urn:ngsi-ld:Room:{group}\"")),
    ];
    let attribute = |(name, (kind, text)): (&AttrName, (AttributeType, String))| {
        let instance = Instance {
            value: Value { kind, json: Json::parse(&text)? },
            observed_at: Some(now),
            created_at: now,
            modified_at: now,
            qualifiers: None,
        };
        Ok::<_, Failure>(Attribute { name: name.clone(), instances: smallvec![instance] })
    };
    Ok(Entity {
        id: format!("urn:ngsi-ld:Sensor:{number:08}").parse::<EntityId>()?,
        types: vec![names.kind.clone()],
        scopes: Vec::new(),
        created_at: now,
        modified_at: now,
        expires_at: None,
        attributes: names.attributes.iter().zip(values).map(attribute).collect::<Result<_, _>>()?,
    })
}

/// Places some 280 metres apart in a square, so that about ten are within 500 metres.
fn place(number: u64, count: u64) -> Result<[f64; 2], Failure> {
    let row = count.isqrt();
    let (column, row) = (u32::try_from(number % row)?, u32::try_from(number / row)?);
    Ok([135.0 + f64::from(column) * 0.003, 33.0 + f64::from(row) * 0.0025])
}

fn near(number: u64, count: u64) -> Result<GeoQuery, Failure> {
    let [longitude, latitude] = place(number, count)?;
    let coordinates = format!("[{longitude:.6},{latitude:.6}]");
    Ok(GeoQuery::parse("near;maxDistance==500", "Point", &coordinates, Some("location"), &Example)?)
}
