//! `musubi export history` and `musubi import history` against running brokers: what a town was comes
//! back as it was, whatever happens to the export on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use musubi_model::Timestamp;
use musubi_tests::{Finished, Http, Musubi, PATIENCE, binary, musubi};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How many instances an answer has at most, so that every page is cut.
const FEW: &str = "30";

fn serve(data: &Path, instances: &str) -> Musubi {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]);
    command.arg(data).env("MUSUBI_HISTORY_INSTANCES", instances);
    Musubi::start(&mut command)
}

/// The arguments of an export into a folder.
fn export_arguments<'a>(url: &'a str, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let out = out.to_str().expect("the folder's name is UTF-8");
    let mut arguments = vec!["export", "history", "--url", url, "--out", out, "--behind", "0s"];
    arguments.extend(more);
    arguments
}

fn export(url: &str, out: &Path, more: &[&str]) -> Finished {
    musubi(&export_arguments(url, out, more))
}

fn import(url: &str, files: &[&Path], more: &[&str]) -> Finished {
    let mut arguments = vec!["import", "history", "--url", url];
    arguments.extend(files.iter().map(|file| file.to_str().expect("UTF-8")));
    arguments.extend(more);
    musubi(&arguments)
}

fn ended_well(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    finished.stdout.trim_end()
}

async fn succeeds(answer: impl Future<Output = musubi_tests::Answer>) -> musubi_tests::Answer {
    let answer = answer.await;
    assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text);
    answer
}

/// A shelter with attributes of every kind, as it is in its n-th round.
fn shelter(number: usize, round: usize) -> Value {
    json!({
        "id": format!("urn:ngsi-ld:Shelter:{number:03}"),
        "type": if number.is_multiple_of(3) { json!(["Shelter", "School"]) } else { json!("Shelter") },
        "scope": if round.is_multiple_of(2) { json!("/Nanao") } else { json!(["/Nanao/East", "/Noto"]) },
        "occupancy": {
            "type": "Property", "value": number * 100 + round, "unitCode": "IE",
            "observedAt": format!("2024-01-{:02}T09:00:00.{number:03}Z", round + 1),
            "accuracy": { "type": "Property", "value": 0.5 },
            "source": [
                { "type": "Relationship", "object": "urn:ngsi-ld:Person:1", "datasetId": "urn:d:1" },
                { "type": "Relationship", "object": "urn:ngsi-ld:Person:2" }
            ]
        },
        "name": { "type": "LanguageProperty", "languageMap": { "ja": "避難所 \"雪\"\n", "en": "shelter, snow" } },
        "location": { "type": "GeoProperty", "value": { "type": "Point", "coordinates": [136.9, 37.0] } },
        "runBy": [
            { "type": "Relationship", "object": ["urn:ngsi-ld:City:1", "urn:ngsi-ld:City:2"], "objectType": "City" },
            { "type": "Relationship", "object": "urn:ngsi-ld:City:3", "datasetId": "urn:d:city" }
        ],
        "state": { "type": "VocabProperty", "vocab": ["open", "full"] },
        "rules": { "type": "JsonProperty", "json": { "type": "x", "value": [1, null, { "@id": "no" }] } },
        "beds": { "type": "ListProperty", "valueList": [1, "two", [3]] },
        "near": { "type": "ListRelationship", "objectList": [{ "object": "urn:ngsi-ld:School:1" }] }
    })
}

/// One round of the town: the shelters as they are now, and what is told of a sensor's past.
async fn live(http: &Http, round: usize) {
    let shelters: Vec<Value> = (0..12).map(|number| shelter(number, round)).collect();
    let upsert = "/ngsi-ld/v1/entityOperations/upsert";
    succeeds(http.post(upsert, &Value::from(shelters))).await;
    let gone = format!("/ngsi-ld/v1/entities/urn:ngsi-ld:Shelter:{round:03}/attrs/name");
    succeeds(http.delete(&gone)).await;
    let instance = |minute: u32| {
        json!({
            "type": "Property", "value": f64::from(minute) / 8.0,
            "observedAt": format!("2023-06-{:02}T00:{minute:02}:00Z", round + 1)
        })
    };
    let sensor = json!({
        "id": "urn:ngsi-ld:Device:雪", "type": "Device",
        "temperature": (0..25).map(instance).collect::<Vec<_>>(),
        "humidity": (20..45).map(instance).collect::<Vec<_>>(),
    });
    succeeds(http.post("/ngsi-ld/v1/temporal/entities", &sensor)).await;
}

/// Corrects an instance, and deletes an entity.
async fn correct(http: &Http) {
    let path = "/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:Device:雪";
    let question = format!("{path}?timerel=before&timeAt=2023-06-01T00:10:00Z&attrs=temperature");
    let answer = succeeds(http.get(&question)).await.json();
    let id = answer["temperature"][3]["instanceId"].as_str().expect("an id").to_owned();
    let better = json!({ "type": "Property", "value": -273.15 });
    succeeds(http.patch(&format!("{path}/attrs/temperature/{id}"), &better)).await;
    succeeds(http.delete("/ngsi-ld/v1/entities/urn:ngsi-ld:Shelter:007")).await;
}

/// All that a broker says of the past, but how it calls instances and when it heard of entities: by
/// entity and attribute, the instances sorted, their times as numbers.
async fn past(http: &Http) -> BTreeMap<String, Value> {
    let question = "/ngsi-ld/v1/temporal/entities?local=true&sysAttrs=true&timeproperty=modifiedAt\
                    &timerel=after&timeAt=0000-01-01T00:00:00Z&limit=1000";
    let answer = succeeds(http.get(question)).await;
    assert_eq!(answer.status, 200, "the answer is whole");
    let entities = answer.json().as_array().expect("an array").clone();
    let mut past = BTreeMap::new();
    for mut entity in entities {
        let members = entity.as_object_mut().expect("an entity");
        for member in ["createdAt", "modifiedAt", "deletedAt"] {
            members.remove(member);
        }
        let id = members["id"].as_str().expect("an id").to_owned();
        for (name, value) in &mut *members {
            if name != "id" && name != "type" {
                plain(value);
                let instances = value.as_array_mut().expect("instances");
                instances.sort_by_key(Value::to_string);
            }
        }
        past.insert(id, entity);
    }
    past
}

/// Leaves out how instances are called, and makes numbers of times.
fn plain(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(plain),
        Value::Object(members) => {
            members.remove("instanceId");
            for (name, value) in members {
                let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
                match time {
                    Some(time) if name.ends_with("At") => *value = json!(time.as_micros()),
                    Some(_) | None => plain(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn journal(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("export.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// How often an export is begun anew that was done before it could be killed.
const TRIES: usize = 20;

/// Begins an export and kills it when it has written a few files: in the middle, unless the machine
/// lets it finish each time before it can be killed.
fn killed_export(url: &str, out: &Path, more: &[&str]) {
    for _ in 1..TRIES {
        begin_and_kill_export(url, out, more);
        if !journal(out)["run"].is_null() {
            return;
        }
        // What was exported meanwhile is to come once.
        fs::remove_dir_all(out).expect("the folder can be removed");
    }
    begin_and_kill_export(url, out, more);
}

/// Leaves an export that was killed, or one that was faster.
fn begin_and_kill_export(url: &str, out: &Path, more: &[&str]) {
    let mut command = Command::new(binary());
    command.args(export_arguments(url, out, more)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the export starts");
    let begun = Instant::now();
    while journal(out)["parts"].as_array().is_none_or(|parts| parts.len() < 3) {
        if let Some(ended) = child.try_wait().expect("a process") {
            assert!(ended.success(), "the export failed");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the export neither goes on nor ends");
        std::thread::yield_now();
    }
    // One that has ended meanwhile is not there to be killed.
    drop(child.kill());
    child.wait().expect("the process ends");
}

fn rows(out: &Path) -> u64 {
    let journal = journal(out);
    let parts = journal["parts"].as_array().expect("parts");
    parts.iter().map(|part| part["rows"].as_u64().expect("a number")).sum()
}

async fn instances(http: &Http) -> u64 {
    let count = |entity: &Value| -> usize {
        let members = entity.as_object().expect("an entity");
        members.values().filter_map(Value::as_array).flatten().filter(|one| one.is_object()).count()
    };
    past(http).await.values().map(|entity| count(entity) as u64).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_town_comes_back_as_it_was_although_the_export_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (parquet, csv) = (path("parquet"), path("csv"));
    let town = serve(&path("town"), FEW);
    let http = Http::new(town.url());
    for round in 0..4 {
        live(&http, round).await;
    }
    let small = ["--rows", "40"];
    killed_export(&town.url(), &parquet, &small);
    live(&http, 4).await;
    ended_well(&export(&town.url(), &parquet, &small));
    let after_first = rows(&parquet);
    let said = export(&town.url(), &parquet, &small);
    assert!(ended_well(&said).starts_with("0 instances of 0 entities in 0 new files"), "{said:?}");

    live(&http, 5).await;
    correct(&http).await;
    ended_well(&export(&town.url(), &parquet, &small));
    assert!(rows(&parquet) > after_first);
    ended_well(&export(&town.url(), &csv, &["--format", "csv"]));
    town.stop();

    let town = serve(&path("town"), "10000");
    let http = Http::new(town.url());
    let was = past(&http).await;
    // One that was corrected stands in the files of several runs twice.
    let count = instances(&http).await;
    assert_eq!((rows(&parquet), rows(&csv)), (count + 1, count));

    let copy = serve(&path("copy"), "10000");
    for (tenant, out) in [("parquet", &parquet), ("csv", &csv)] {
        let copied = Http::new(copy.url()).tenant(tenant);
        let arguments = ["--tenant", tenant];
        let said = import(&copy.url(), &[out], &arguments);
        let corrected = match tenant {
            "parquet" => ", 1 left out because later rows correct them",
            _ => "",
        };
        let all = format!("{count} instances new, 0 already there{corrected}");
        assert_eq!(ended_well(&said), all);
        let is = past(&copied).await;
        for (id, was) in &was {
            assert_eq!(is.get(id), Some(was), "{tenant}");
        }
        assert_eq!(is.len(), was.len());

        let said = import(&copy.url(), &[out], &arguments);
        let none = format!("0 instances new, {count} already there{corrected}");
        assert_eq!(ended_well(&said), none);
        assert_eq!(past(&copied).await, is);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_what_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let town = serve(&folder.path().join("town"), FEW);
    let http = Http::new(town.url());
    live(&http, 0).await;
    let flags = ["--format", "csv", "--type", "School", "--attrs", "occupancy,state"];
    ended_well(&export(&town.url(), &out, &flags));
    let text = fs::read_to_string(out.join("part-000001.csv")).expect("a file");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 8, "{text}");
    assert!(lines.iter().all(|line| line.contains("School") && line.contains("Shelter")));

    let other = export(&town.url(), &out, &["--format", "csv"]);
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("holds an export of other types: School"), "{}", other.stderr);
    let unknown = export(&town.url(), &folder.path().join("no"), &["--tenant", "nobody"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
    let long_ago = ["--until", "2000-01-01T00:00:00Z"];
    let nothing = export(&town.url(), &folder.path().join("old"), &long_ago);
    assert!(ended_well(&nothing).starts_with("0 instances"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_brought_back_is_named_with_file_and_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let town = serve(&folder.path().join("town"), FEW);
    let http = Http::new(town.url());
    live(&http, 0).await;
    ended_well(&export(&town.url(), &out, &["--format", "csv"]));
    let text = fs::read_to_string(out.join("part-000001.csv")).expect("a file");
    let refused = |name: &str, text: &str, expected: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("a file");
        let said = import(&town.url(), &[&file], &["--tenant", "copy"]);
        assert_eq!(said.code, Some(1), "{name}");
        assert!(said.stderr.contains(name), "{}", said.stderr);
        assert!(said.stderr.contains(expected), "{}", said.stderr);
        assert_eq!(said.stderr.trim_end().lines().count(), 1, "{}", said.stderr);
    };
    let lines: Vec<&str> = text.lines().collect();
    let heads = lines[0];
    let good = "urn:a:1,T,x,,Property,1,1,,,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,,,";
    let of = |bad: &str| format!("{heads}\n{good}\n{good}\n{bad}\n{good}\n");
    refused("id.csv", &of(&good.replace("urn:a:1", "no uri")), "row 3: ");
    refused("time.csv", &of(&good.replace("2024-01-01T", "yesterday T")), "row 3: createdAt: ");
    refused("value.csv", &of(&good.replace(",1,1,", ",{,1,")), "row 3: value is no JSON");
    refused("column.csv", &text.replace("modifiedAt", "changed"), "no column modifiedAt");
    refused("cells.csv", &format!("{heads}\nurn:a:1,T\n"), "row 1: ");
    refused("broken.parquet", "PAR1 and so on PAR1", "");
    refused("empty.parquet", "", "");

    fs::write(out.join("part-000001.csv"), text.replace("Shelter", "Sheller")).expect("a file");
    let said = import(&town.url(), &[&out], &["--tenant", "copy"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("part-000001.csv: the file is damaged"), "{}", said.stderr);
}
