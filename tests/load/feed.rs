//! A feed of 1,164 docks: how soon all of it is durable, and what an unchanged poll writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use musubi_tests::{FeedServer, Http, Musubi, real_data};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::Processor;
use crate::{Failure, Plan};

/// The real feed, in the folder that `MUSUBI_DATA` names.
const REAL: &str = "gbfs/docomo-cycle-tokyo-2023-01";
const DOCKS: usize = 1164;
/// In seconds.
const REACH: f64 = 1.0;
/// How long to wait for something that should have come long before.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a poll's writes may take before they are counted.
const SETTLED: Duration = Duration::from_secs(2);

/// Measures the feed.
///
/// # Errors
///
/// If the broker does not start, or the docks do not come.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut first = Sample::default();
    let mut processor = Sample::default();
    let mut polls = Vec::new();
    for round in 1..=plan.rounds {
        let folder = plan.empty_folder()?;
        let (docks, feed) = prepare(folder.path())?;
        let server = FeedServer::start(&feed).await;
        let mapping = folder.path().join("docks.toml");
        std::fs::write(&mapping, mapping_file(&server.url))?;
        let started = start(folder.path().join("data"), mapping, &server, docks).await?;
        first.add(started.took.as_secs_f64());
        processor.add(started.used.as_secs_f64());
        if round == plan.rounds {
            polls.push(("unchanged", next_poll(&started.musubi, &server).await?));
            move_times(&feed)?;
            polls.push(("only its times moved", next_poll(&started.musubi, &server).await?));
        }
    }
    let nothing = polls.iter().all(|(_, written)| written.entities == 0 && written.commits == 0);
    let polls: Vec<String> = polls
        .iter()
        .map(|(what, Written { entities, commits })| {
            format!("{what}: {entities} entities, {commits} commits")
        })
        .collect();
    say(&format!("first poll: {processor} s of CPU, the start of the process included"));
    Ok(vec![
        Line::new(
            format!("feed of {DOCKS} docks, first poll to all durable, `sync`"),
            format!("≤ {REACH} s"),
            format!("{first} s; {} s of CPU", number(processor.median())),
            Mark::of(first.median() <= REACH),
        ),
        Line::new(
            "feed, later polls",
            "an unchanged one writes nothing",
            polls.join("; "),
            Mark::of(nothing),
        ),
    ])
}

fn mapping_file(url: &str) -> String {
    format!(
        "name = \"docks\"\n[source]\nkind = \"gbfs\"\nurl = \"{url}\"\nmin_interval = \"5s\"\n\
         [map]\npreset = \"gbfs-stations\"\nattribution = \"of a load run\"\n"
    )
}

/// A broker whose feed has come.
#[derive(Debug)]
struct Started {
    musubi: Musubi,
    /// From the first request for the feed to all docks being there.
    took: Duration,
    /// What the process has used by then.
    used: Duration,
}

async fn start(
    data: PathBuf,
    mapping: PathBuf,
    server: &FeedServer,
    docks: usize,
) -> Result<Started, Failure> {
    let starting = tokio::task::spawn_blocking(move || {
        let mapping = mapping.to_string_lossy().into_owned();
        Musubi::serve(
            &data,
            &["--durability", "sync", "--log-level", "warn", "--adapter", &mapping],
        )
    });
    let asked = timeout(PATIENCE, async {
        while server.requests() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        Instant::now()
    });
    let begun = asked.await?;
    let musubi = starting.await?;
    let client = Http::new(musubi.url()).own_context();
    let arrived = timeout(PATIENCE, async {
        while count(&client).await != docks {
            sleep(Duration::from_millis(2)).await;
        }
        begun.elapsed()
    });
    let took = arrived.await.map_err(|_| "the docks do not come")?;
    let used = Processor::start_of(musubi.id()).since()?;
    Ok(Started { musubi, took, used })
}

async fn count(client: &Http) -> usize {
    let path = "/ngsi-ld/v1/entities?type=BikeHireDockingStation&limit=1&count=true";
    client.get(path).await.header("NGSILD-Results-Count").parse().unwrap_or(0)
}

/// What was written so far.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Entities that the adapter wrote.
    entities: u64,
    /// Batches that the store committed, whoever asked for them.
    commits: u64,
}

impl Written {
    async fn now(client: &Http) -> Result<Self, Failure> {
        let metrics = client.get("/metrics").await.text;
        let figure = |name: &str| -> Result<u64, Failure> {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.ok_or_else(|| format!("/metrics does not show {name}"))?.trim().parse()?)
        };
        Ok(Self {
            entities: figure("musubi_adapter_written_total{adapter=\"docks\"}")?,
            commits: figure("musubi_store_commit_seconds_count")?,
        })
    }
}

/// Waits for a further poll, and gives what was written because of it.
async fn next_poll(musubi: &Musubi, server: &FeedServer) -> Result<Written, Failure> {
    let client = Http::new(musubi.url());
    sleep(SETTLED).await;
    let before = Written::now(&client).await?;
    let requests = server.requests();
    let polled = timeout(PATIENCE, async {
        while server.requests() == requests {
            sleep(Duration::from_millis(10)).await;
        }
    });
    polled.await.map_err(|_| "the feed is not polled again")?;
    sleep(SETTLED).await;
    let after = Written::now(&client).await?;
    Ok(Written {
        entities: after.entities - before.entities,
        commits: after.commits - before.commits,
    })
}

/// Puts the feed into a folder: the real one, or one of the same size.
fn prepare(folder: &Path) -> Result<(usize, PathBuf), Failure> {
    let feed = folder.join("feed");
    std::fs::create_dir(&feed)?;
    if let Some(data) = real_data() {
        for file in std::fs::read_dir(data.join(REAL))? {
            let file = file?;
            std::fs::write(feed.join(file.file_name()), std::fs::read(file.path())?)?;
        }
    } else {
        synthesize(&feed)?;
    }
    let docks = stations(&feed.join("station_information.json"))?.len();
    Ok((docks, feed))
}

fn stations(path: &Path) -> Result<Vec<Value>, Failure> {
    let mut file: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    match file.pointer_mut("/data/stations").map(Value::take) {
        Some(Value::Array(stations)) => Ok(stations),
        _ => Err(format!("{} has no stations", path.display()).into()),
    }
}

/// Writes a feed of a system that does not exist.
fn synthesize(feed: &Path) -> Result<(), Failure> {
    let file = |name: &str, data: Value| {
        let file =
            json!({ "last_updated": 1_672_985_943, "ttl": 60, "version": "2.3", "data": data });
        std::fs::write(feed.join(format!("{name}.json")), file.to_string())
    };
    let names = ["system_information", "station_information", "station_status"];
    let feeds =
        names.map(|name| json!({ "name": name, "url": format!("http://localhost/{name}.json") }));
    file("gbfs", json!({ "ja": { "feeds": feeds } }))?;
    file(
        "system_information",
        json!({ "system_id": "load", "language": "ja", "name": "負荷試験", "timezone": "Asia/Tokyo" }),
    )?;
    let docks =
        |of: fn(usize) -> Value| json!({ "stations": (0..DOCKS).map(of).collect::<Vec<_>>() });
    file(
        "station_information",
        docks(|dock| {
            json!({
                "lat": 35.6 + 0.001 * dock_share(dock / 40),
                "lon": 139.7 + 0.001 * dock_share(dock % 40),
                "name": format!("L{dock:04}.負荷試験ポート"),
                "capacity": 10 + dock % 20,
                "region_id": "1",
                "station_id": format!("{dock:08}"),
            })
        }),
    )?;
    file(
        "station_status",
        docks(|dock| {
            json!({
                "is_renting": true,
                "station_id": format!("{dock:08}"),
                "is_installed": true,
                "is_returning": true,
                "last_reported": 1_672_985_642,
                "num_bikes_available": dock % 10,
                "num_docks_available": 10 + dock % 20 - dock % 10,
            })
        }),
    )?;
    Ok(())
}

fn dock_share(place: usize) -> f64 {
    u32::try_from(place).map_or(0.0, f64::from)
}

/// Makes the feed say that it is a minute later, as a feed does in which nothing has happened.
fn move_times(feed: &Path) -> Result<(), Failure> {
    let path = feed.join("station_status.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    later(&mut file);
    let next = feed.join("next");
    std::fs::write(&next, file.to_string())?;
    std::fs::rename(&next, &path)?;
    Ok(())
}

fn later(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_i64() {
                    Some(time) if name == "last_updated" || name == "last_reported" => {
                        *member = (time + 60).into();
                    }
                    _ => later(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(later),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
