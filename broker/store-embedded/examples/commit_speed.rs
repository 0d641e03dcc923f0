//! How fast the embedded store is on this machine:
//! `cargo run --release -p musubi-store-embedded --example commit_speed [FOLDER]`.
//!
//! It prints the commits per second of 50 concurrent writers in both kinds of durability, beside
//! them what the disk can do by itself, and the time of reading one entity and a page of 20.

#![expect(clippy::print_stdout, reason = "printing is what this is for")]

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musubi_model::{
    Attribute, AttributeType, Entity, EntityId, Instance, Json, Tenant, Timestamp, Value,
};
use musubi_query::{EntityQuery, Filter, Start, TypeSelection};
use musubi_store::{Expect, Group, Outcome, Store, Write};
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use smallvec::smallvec;
use tokio::task::JoinSet;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

const WRITERS: u64 = 50;
const ENTITIES: u64 = 30_000;
const SECONDS: u64 = 5;
const READS: u32 = 200_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("musubi-commit-speed-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = run(&folder).await;
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn run(folder: &Path) -> Result<(), Failure> {
    let interval = Durability::Interval(Duration::from_millis(200));
    let store = EmbeddedStore::open(EmbeddedOptions {
        durability: interval,
        ..EmbeddedOptions::new(folder.join("read"))
    })?;
    println!("empty: {}", resident());
    for call in (0..ENTITIES).collect::<Vec<_>>().chunks(1_000) {
        let groups = call.iter().map(|number| group(*number, Expect::Absent)).collect();
        store.commit(groups).await?;
    }
    println!("{ENTITIES} entities: {}", resident());
    read(&store).await?;
    drop(store);
    println!("disk: {:.0} fdatasync/s of 16 KiB, appending", syncs_per_second(folder)?);
    for (name, durability) in [("sync", Durability::Sync), ("interval", interval)] {
        let options = EmbeddedOptions { durability, ..EmbeddedOptions::new(folder.join(name)) };
        let store = Arc::new(EmbeddedStore::open(options.clone())?);
        let (creates, per_batch) = write(&store, Expect::Absent).await?;
        println!("{name}: {creates:.0} creates/s, {per_batch:.1} per batch");
        let (updates, per_batch) = write(&store, Expect::Any).await?;
        println!("{name}: {updates:.0} updates/s, {per_batch:.1} per batch");
        store.close().await?;
        drop(store);
        let start = Instant::now();
        let store = EmbeddedStore::open(options)?;
        println!("{name}: opened again in {:?}, {}", start.elapsed(), resident());
        drop(store);
    }
    Ok(())
}

/// Commits of all writers in a second, and how many of them shared a batch.
async fn write(store: &Arc<EmbeddedStore>, expect: Expect) -> Result<(f64, f64), Failure> {
    let before = batches(store)?;
    let start = Instant::now();
    let end = start + Duration::from_secs(SECONDS);
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next) = (store.clone(), next.clone());
        writers.spawn(async move {
            let mut commits = 0_u32;
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let number = if expect == Expect::Absent { number } else { number % ENTITIES };
                let outcomes = store.commit(vec![group(number, expect)]).await?;
                if !matches!(outcomes.as_slice(), [Outcome::Committed { .. }]) {
                    return Err(Failure::from("a commit was refused"));
                }
                commits += 1;
            }
            Ok(commits)
        });
    }
    let mut commits = 0;
    while let Some(ended) = writers.join_next().await {
        commits += ended??;
    }
    let commits = f64::from(commits);
    Ok((commits / start.elapsed().as_secs_f64(), commits / (batches(store)? - before)))
}

/// How many batches there were, as the metrics say.
fn batches(store: &EmbeddedStore) -> Result<f64, Failure> {
    let mut registry = prometheus_client::registry::Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    let count = text.lines().find_map(|line| line.strip_prefix("store_batch_groups_count "));
    Ok(count.ok_or("there is no such metric")?.parse()?)
}

async fn read(store: &EmbeddedStore) -> Result<(), Failure> {
    let tenant = Tenant::default();
    let start = Instant::now();
    for number in 0..READS {
        let query = EntityQuery {
            filter: Filter::Ids(vec![id(u64::from(number) * 7 % ENTITIES)?]),
            start: Start::Offset(0),
            limit: 1,
            count: false,
            ..EntityQuery::default()
        };
        if store.select(&tenant, &query).await?.items.len() != 1 {
            return Err("an entity is missing".into());
        }
    }
    let with_query = start.elapsed() / READS;
    let query = EntityQuery {
        filter: Filter::Ids(vec![id(12_345)?]),
        start: Start::Offset(0),
        limit: 1,
        count: false,
        ..EntityQuery::default()
    };
    let one = time(store, &query).await?;
    println!("one entity by its id: {one:?}; {with_query:?} with the making of id and query");
    for (name, start) in [("first", 0), ("middle", 15_000), ("last", 29_980)] {
        let filter = Filter::Type(TypeSelection { any_of: vec![vec![type_name()?]] });
        let query = EntityQuery {
            filter,
            start: Start::Offset(start),
            limit: 20,
            count: true,
            ..EntityQuery::default()
        };
        println!("page of 20, {name}, with the count: {:?}", time(store, &query).await?);
    }
    Ok(())
}

async fn time(store: &EmbeddedStore, query: &EntityQuery) -> Result<Duration, Failure> {
    let tenant = Tenant::default();
    let start = Instant::now();
    for _ in 0..READS {
        if store.select(&tenant, query).await?.items.is_empty() {
            return Err("nothing was found".into());
        }
    }
    Ok(start.elapsed() / READS)
}

/// What the disk does when one writer appends the bytes of a group and waits for them.
fn syncs_per_second(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("syncs"))?;
    let bytes = vec![7; 16 << 10];
    let start = Instant::now();
    let mut syncs = 0_u32;
    while start.elapsed() < Duration::from_secs(2) {
        file.write_all(&bytes)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / start.elapsed().as_secs_f64())
}

/// The memory of this process, where the system says it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "memory unknown".to_owned(), |size| format!("{} resident", size.trim()))
}

fn id(number: u64) -> Result<EntityId, Failure> {
    Ok(format!("urn:ngsi-ld:Sensor:{number:08}").parse()?)
}

fn type_name() -> Result<musubi_model::TypeName, Failure> {
    Ok("https://uri.etsi.org/ngsi-ld/default-context/Sensor".parse()?)
}

fn group(number: u64, expect: Expect) -> Group {
    let write = entity(number).map(|entity| Write {
        tenant: Tenant::default(),
        id: entity.id.clone(),
        expect,
        state: Some(Arc::new(entity)),
    });
    Group { writes: write.into_iter().collect(), ..Group::default() }
}

/// An entity with five attributes.
fn entity(number: u64) -> Result<Entity, Failure> {
    let vocabulary = "https://uri.etsi.org/ngsi-ld/default-context/";
    let now = Timestamp::from_seconds(1_700_000_000);
    let attribute = |name: &str, kind, json: serde_json::Value| {
        let instance = Instance {
            value: Value { kind, json: Json::from(&json) },
            observed_at: Some(now),
            created_at: now,
            modified_at: now,
            qualifiers: None,
        };
        let name = format!("{vocabulary}{name}").parse()?;
        Ok::<_, Failure>(Attribute { name, instances: smallvec![instance] })
    };
    let longitude = 135.0 + f64::from(u32::try_from(number % 10_000)?) / 10_000.0;
    let place = serde_json::json!({ "type": "Point", "coordinates": [longitude, 35.0] });
    Ok(Entity {
        id: id(number)?,
        types: vec![type_name()?],
        scopes: Vec::new(),
        created_at: now,
        modified_at: now,
        expires_at: None,
        attributes: vec![
            attribute("temperature", AttributeType::Property, serde_json::json!(21.5))?,
            attribute("humidity", AttributeType::Property, serde_json::json!(55))?,
            attribute("status", AttributeType::Property, serde_json::json!("working"))?,
            attribute("location", AttributeType::GeoProperty, place)?,
            attribute(
                "refDevice",
                AttributeType::Relationship,
                serde_json::json!(format!("urn:ngsi-ld:Device:{number}")),
            )?,
        ],
    })
}
