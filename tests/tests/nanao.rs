//! Replaying tables of open shelters gives, at each moment, exactly what the table of that moment
//! says; each shelter opens once and closes at most once, and every change is notified. So it is
//! when the replay is killed in the middle and run again. Afterwards the history tells of each of
//! those moments what its table said.
//!
//! The tables are those that Nanao published after the earthquake of January 2024, in the folder
//! that `MUSUBI_DATA` names, and synthetic ones, which always run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use musubi_tests::{Http, Musubi, Receiver, binary, fixture, musubi, real_data, until};
use serde_json::{Value, json};

const SUBSCRIPTION: &str = "urn:ngsi-ld:Subscription:shelters";
/// The term of the state.
const STATUS: &str = "status";

/// A table: its file, its moment, and how many people are in which shelter.
#[derive(Clone, Debug)]
struct Table {
    file: PathBuf,
    at: String,
    people: BTreeMap<String, u64>,
}

/// What a replay has to bring about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shelter {
    open: bool,
    people: u64,
    opened_at: Option<String>,
    closed_at: Option<String>,
    /// Whether it was open and how many people were there, whenever one of them changed.
    steps: Vec<(bool, u64)>,
}

/// The tables of a folder whose names begin like this, in the order of their moments.
fn tables(folder: &Path, prefix: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| {
            let file = entry.expect("an entry").path();
            let stem = file.file_stem()?.to_str()?;
            let moment = stem.strip_prefix(prefix)?;
            let (at, people) = (utc(moment), read(&file));
            Some(Table { file: file.clone(), at, people })
        })
        .collect();
    tables.sort_by(|one, other| one.at.cmp(&other.at));
    assert!(tables.len() > 2, "no tables in {}", folder.display());
    tables
}

fn synthetic() -> Vec<Table> {
    tables(&fixture("shelters"), "shelters_")
}

fn real() -> Option<Vec<Table>> {
    let tables = tables(&real_data()?.join("shelters/nanao-2024"), "open_shelter_Nanao-shi_");
    assert_eq!(tables.len(), 80);
    Some(tables)
}

/// `2024-01-09-1800` in Japan.
fn utc(moment: &str) -> String {
    let civil = jiff::civil::DateTime::strptime("%Y-%m-%d-%H%M", moment).expect("a moment");
    let japan = jiff::tz::TimeZone::fixed(jiff::tz::offset(9));
    japan.to_timestamp(civil).expect("a moment").to_string()
}

fn read(file: &Path) -> BTreeMap<String, u64> {
    let bytes = std::fs::read(file).expect("a file");
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let (text, _, damaged) = encoding_rs::SHIFT_JIS.decode(error.as_bytes());
        assert!(!damaged, "{}", file.display());
        text.into_owned()
    });
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().expect("a header").clone();
    let people = headers.iter().position(|name| name.starts_with("人数")).expect("head counts");
    let number = |text: &str| {
        let digits: String = text
            .chars()
            .map(|c| {
                char::from_u32(u32::from(c).wrapping_sub(0xFEE0))
                    .filter(char::is_ascii_digit)
                    .unwrap_or(c)
            })
            .collect();
        digits.parse().unwrap_or_else(|_| panic!("{text:?} in {}", file.display()))
    };
    reader
        .records()
        .map(|row| {
            let row = row.expect("a row");
            (row[0].to_owned(), number(&row[people]))
        })
        .collect()
}

/// What every shelter is like after these tables.
fn expected(tables: &[Table]) -> BTreeMap<String, Shelter> {
    let mut shelters: BTreeMap<String, Shelter> = BTreeMap::new();
    for table in tables {
        for (id, people) in &table.people {
            let shelter = shelters.entry(id.clone()).or_default();
            if !shelter.open {
                assert_eq!(shelter.opened_at, None, "{id} opens twice in {}", table.file.display());
                shelter.opened_at = Some(table.at.clone());
            }
            step(shelter, true, *people);
        }
        for (id, shelter) in &mut shelters {
            if shelter.open && !table.people.contains_key(id) {
                shelter.closed_at = Some(table.at.clone());
                step(shelter, false, 0);
            }
        }
    }
    shelters
}

fn step(shelter: &mut Shelter, open: bool, people: u64) {
    (shelter.open, shelter.people) = (open, people);
    if shelter.steps.last() != Some(&(open, people)) {
        shelter.steps.push((open, people));
    }
}

fn shelter_number(entity: &Value) -> String {
    let id = entity["id"].as_str().expect("an id");
    id.strip_prefix("urn:ngsi-ld:EvacuationShelter:").expect("a shelter").to_owned()
}

fn is_open(entity: &Value) -> bool {
    match entity[STATUS].as_str().expect("a status") {
        "open" | "full" => true,
        "closed" => false,
        other => panic!("{other}: {entity}"),
    }
}

/// What every shelter is like in the broker, but for its steps.
async fn stored(http: &Http) -> BTreeMap<String, Shelter> {
    let path =
        "/ngsi-ld/v1/entities?type=EvacuationShelter&format=simplified&limit=1000&count=true";
    let answer = http.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json();
    let list = list.as_array().expect("a list");
    assert_eq!(answer.header("NGSILD-Results-Count"), list.len().to_string());
    let text = |entity: &Value, name: &str| entity[name].as_str().map(str::to_owned);
    list.iter()
        .map(|entity| {
            let shelter = Shelter {
                open: is_open(entity),
                people: entity["occupancy"].as_u64().expect("a head count"),
                opened_at: text(entity, "openedAt"),
                closed_at: text(entity, "closedAt"),
                steps: Vec::new(),
            };
            (shelter_number(entity), shelter)
        })
        .collect()
}

fn without_steps(shelters: &BTreeMap<String, Shelter>) -> BTreeMap<String, Shelter> {
    let bare = |shelter: &Shelter| Shelter { steps: Vec::new(), ..shelter.clone() };
    shelters.iter().map(|(id, shelter)| (id.clone(), bare(shelter))).collect()
}

/// The steps of every shelter, as they were notified; repetitions of a notification left out.
fn notified(received: &[Value]) -> BTreeMap<String, Vec<(bool, u64)>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut steps: BTreeMap<String, Vec<(bool, u64)>> = BTreeMap::new();
    for notification in received {
        if !seen.insert(notification["id"].as_str().expect("an id")) {
            continue;
        }
        for entity in notification["data"].as_array().expect("data") {
            let step = (is_open(entity), entity["occupancy"].as_u64().expect("a head count"));
            let steps = steps.entry(shelter_number(entity)).or_default();
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

/// How many changes these notifications carry; one may carry several.
fn changes(received: &[Value]) -> usize {
    received.iter().map(|one| one["data"].as_array().expect("data").len()).sum()
}

fn steps(shelters: &BTreeMap<String, Shelter>) -> BTreeMap<String, Vec<(bool, u64)>> {
    shelters.iter().map(|(id, shelter)| (id.clone(), shelter.steps.clone())).collect()
}

async fn subscribe(http: &Http, receiver: &Receiver) {
    let body = json!({
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "entities": [{ "type": "EvacuationShelter" }],
        "watchedAttributes": ["occupancy", STATUS],
        "notification": {
            "attributes": ["occupancy", STATUS],
            "format": "simplified",
            "endpoint": { "uri": receiver.url() },
        },
    });
    let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// A folder with a mapping file and a folder of tables beside it.
struct Replay {
    folder: tempfile::TempDir,
}

impl Replay {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tables")).expect("a folder");
        let text = "name = \"tables\"\n[source]\nkind = \"file\"\npath = \"tables\"\n\
                    [decode]\nformat = \"csv\"\nencoding = \"auto\"\n\
                    [map]\npreset = \"shelter-snapshot\"\n";
        std::fs::write(folder.path().join("tables.toml"), text).expect("a file");
        Self { folder }
    }

    fn with(tables: &[Table]) -> Self {
        let replay = Self::new();
        for table in tables {
            replay.add(&table.file);
        }
        replay
    }

    fn add(&self, file: &Path) {
        let name = file.file_name().expect("a name");
        std::fs::copy(file, self.folder.path().join("tables").join(name)).expect("a copy");
    }

    fn mapping(&self) -> String {
        self.folder.path().join("tables.toml").to_str().expect("UTF-8").to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn arguments(&self, broker: &str) -> Vec<String> {
        let memory = self.folder.path().join("memory");
        let memory = memory.to_str().expect("UTF-8");
        ["adapter", "run", &self.mapping(), "--broker", broker, "--data-dir", memory, "--once"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Runs the adapter as a process of its own.
    fn run(&self, broker: &str) {
        let arguments = self.arguments(broker);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let finished = musubi(&arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
}

/// Waits until everything is delivered, and holds it against what is expected.
async fn check(http: &Http, receiver: &Receiver, shelters: &BTreeMap<String, Shelter>) {
    let wanted = steps(shelters);
    let count =
        |steps: &BTreeMap<String, Vec<(bool, u64)>>| steps.values().map(Vec::len).sum::<usize>();
    receiver
        .until("a notification of every change", |received| {
            count(&notified(received)) >= count(&wanted)
        })
        .await;
    until("nothing is pending", || async {
        let ledger =
            http.get(&format!("/musubi/v1/subscriptions/{SUBSCRIPTION}/ledger")).await.json();
        (ledger["pending"] == 0 && ledger["due"] == ledger["delivered"]).then_some(())
    })
    .await;
    assert_eq!(notified(&receiver.received()), wanted);
    assert_eq!(stored(http).await, without_steps(shelters));
}

/// Table after table, over HTTP, with a look at the broker after each.
async fn moment_by_moment(tables: &[Table]) {
    let replay = Replay::new();
    let server = Musubi::serve(&replay.data(), &["--durability", "interval"]);
    let http = Http::new(server.url()).own_context();
    let receiver = Receiver::start().await;
    subscribe(&http, &receiver).await;
    for (index, table) in tables.iter().enumerate() {
        replay.add(&table.file);
        replay.run(&server.url());
        let shelters = expected(&tables[..=index]);
        assert_eq!(stored(&http).await, without_steps(&shelters), "after {}", table.at);
    }
    check(&http, &receiver, &expected(tables)).await;
    receiver.stop();
}

/// Which shelters were open at a moment, with how many people, as the history has it.
async fn recorded(http: &Http, at: &str) -> BTreeMap<String, u64> {
    let moment: jiff::Timestamp = at.parse().expect("a moment");
    // What was observed at the moment itself counts, and `before` is exclusive.
    let before = moment + jiff::SignedDuration::from_secs(1);
    let path = format!(
        "/ngsi-ld/v1/temporal/entities?type=EvacuationShelter&attrs={STATUS},occupancy\
         &timerel=before&timeAt={before}&lastN=1&format=temporalValues&limit=1000&count=true"
    );
    let answer = http.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json();
    let list = list.as_array().expect("a list");
    assert_eq!(answer.header("NGSILD-Results-Count"), list.len().to_string());
    let newest = |entity: &Value, name: &str| entity[name]["values"][0][0].clone();
    let open = list.iter().filter(|entity| {
        let status = newest(entity, STATUS);
        matches!(status.as_str(), Some("open" | "full"))
    });
    open.map(|entity| {
        let people = newest(entity, "occupancy").as_u64().expect("a head count");
        (shelter_number(entity), people)
    })
    .collect()
}

/// The tables are replayed at once, and the broker is started again; then the history is asked for
/// each of their moments, and for the minute before each.
async fn remembered(tables: &[Table]) {
    let replay = Replay::with(tables);
    let server = Musubi::serve(&replay.data(), &["--durability", "interval"]);
    replay.run(&server.url());
    server.kill();
    let server = Musubi::serve(&replay.data(), &[]);
    let http = Http::new(server.url()).own_context();
    let mut earlier: Option<&Table> = None;
    for table in tables {
        assert_eq!(recorded(&http, &table.at).await, table.people, "at {}", table.at);
        let moment: jiff::Timestamp = table.at.parse().expect("a moment");
        let before = (moment - jiff::SignedDuration::from_mins(1)).to_string();
        let people = earlier.map(|table| table.people.clone()).unwrap_or_default();
        assert_eq!(recorded(&http, &before).await, people, "before {}", table.at);
        earlier = Some(table);
    }
}

/// The adapter in a process of its own is killed amid its work, and run again.
async fn adapter_killed(tables: &[Table]) {
    let replay = Replay::with(tables);
    let server = Musubi::serve(&replay.data(), &["--durability", "interval"]);
    let http = Http::new(server.url()).own_context();
    let receiver = Receiver::start().await;
    subscribe(&http, &receiver).await;
    let shelters = expected(tables);
    let all: usize = shelters.values().map(|shelter| shelter.steps.len()).sum();
    for part in [4, 2] {
        let mut adapter = Command::new(binary())
            .args(replay.arguments(&server.url()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the adapter starts");
        receiver.until("some changes", |received| changes(received) >= all / part).await;
        adapter.kill().expect("the adapter can be killed");
        adapter.wait().expect("the adapter ends");
    }
    replay.run(&server.url());
    check(&http, &receiver, &shelters).await;
    receiver.stop();
}

/// The broker with the adapter inside is killed amid its work, and started again.
async fn broker_killed(tables: &[Table]) {
    let replay = Replay::with(tables);
    let receiver = Receiver::start().await;
    let first = Musubi::serve(&replay.data(), &[]);
    subscribe(&Http::new(first.url()).own_context(), &receiver).await;
    assert_eq!(first.stop().0, Some(0));
    let shelters = expected(tables);
    let all: usize = shelters.values().map(|shelter| shelter.steps.len()).sum();
    for part in [4, 2] {
        let server = Musubi::serve(&replay.data(), &["--adapter", &replay.mapping()]);
        receiver.until("some changes", |received| changes(received) >= all / part).await;
        server.kill();
    }
    let server = Musubi::serve(&replay.data(), &["--adapter", &replay.mapping()]);
    check(&Http::new(server.url()).own_context(), &receiver, &shelters).await;
    receiver.stop();
}

#[tokio::test]
async fn synthetic_tables_are_followed_moment_by_moment() {
    moment_by_moment(&synthetic()).await;
}

#[tokio::test]
async fn a_replay_of_synthetic_tables_survives_the_death_of_the_adapter() {
    adapter_killed(&synthetic()).await;
}

#[tokio::test]
async fn a_replay_of_synthetic_tables_survives_the_death_of_the_broker() {
    broker_killed(&synthetic()).await;
}

#[tokio::test]
async fn the_history_tells_what_synthetic_tables_said_at_each_moment() {
    remembered(&synthetic()).await;
}

#[tokio::test]
async fn the_history_tells_what_the_tables_of_nanao_said_at_each_moment() {
    if let Some(tables) = real() {
        remembered(&tables).await;
    }
}

#[tokio::test]
async fn the_tables_of_nanao_are_followed_moment_by_moment() {
    if let Some(tables) = real() {
        moment_by_moment(&tables).await;
    }
}

#[tokio::test]
async fn a_replay_of_the_tables_of_nanao_survives_the_death_of_the_adapter() {
    if let Some(tables) = real() {
        adapter_killed(&tables).await;
    }
}

#[tokio::test]
async fn a_replay_of_the_tables_of_nanao_survives_the_death_of_the_broker() {
    if let Some(tables) = real() {
        broker_killed(&tables).await;
    }
}

#[tokio::test]
async fn tables_that_cannot_be_used_change_nothing_and_are_reported() {
    let tables = synthetic();
    let replay = Replay::with(&tables);
    let broken = ["broken_empty.csv", "broken_half.csv", "broken_unavailable.csv"];
    for name in broken {
        replay.add(&fixture("shelters").join(name));
    }
    let server = Musubi::serve(&replay.data(), &["--adapter", &replay.mapping()]);
    let http = Http::new(server.url()).own_context();
    let wanted = without_steps(&expected(&tables));
    until("all tables are applied", || async {
        (http.get("/ngsi-ld/v1/types").await.status == 200 && stored(&http).await == wanted)
            .then_some(())
    })
    .await;
    let letters = http.get("/musubi/v1/dead-letters").await.json();
    let letters = letters["deadLetters"].as_array().expect("a list").clone();
    let mut origins: Vec<&str> =
        letters.iter().map(|letter| letter["origin"].as_str().expect("an origin")).collect();
    origins.sort_unstable();
    assert_eq!(origins, broken, "{letters:?}");
    for letter in &letters {
        assert_eq!(letter["adapter"], "tables");
        assert!(!letter["reason"].as_str().expect("a reason").is_empty(), "{letter}");
    }
    let status = http.get("/musubi/v1/adapters/tables").await.json();
    assert_eq!(status["skipped"]["unreadable"], 3, "{status}");
}
