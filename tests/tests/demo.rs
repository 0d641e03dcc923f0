//! The demo: what it says is there is there, its commands work as printed, and a second start
//! finds what the first one left.

use std::path::Path;
use std::process::Command;

use musubi_tests::{Http, Musubi, binary, finish};
use serde_json::Value;

/// Docks, shelters and sensors.
const TOWN: [(&str, usize); 3] =
    [("BikeHireDockingStation", 40), ("EvacuationShelter", 12), ("WeatherObserved", 200)];

fn start(data: &Path, seed: &str) -> Musubi {
    Musubi::start(
        Command::new(binary())
            .args(["demo", "--seed", seed, "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .args(["--receiver", "127.0.0.1:0", "--town", "127.0.0.1:0", "--data-dir"])
            .arg(data),
    )
}

/// What one of the lines says that come every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    entities: u64,
    changes: u64,
    due: u64,
    delivered: u64,
    pending: u64,
    unplugged: bool,
}

/// `252 entities, 1204 changes (55/s) | … | notifications: 9 due, 9 delivered, 0 pending`
fn counts(line: &str) -> Option<Counts> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let before = |word: &str| -> Option<u64> {
        let at = words.iter().position(|w| w.trim_end_matches([',', ':']) == word)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    Some(Counts {
        entities: before("entities")?,
        changes: before("changes")?,
        due: before("due")?,
        delivered: before("delivered")?,
        pending: before("pending")?,
        unplugged: line.contains("unplugged"),
    })
}

/// The lines until there are counts that are as wanted, and these counts.
fn until(demo: &Musubi, what: &str, wanted: impl Fn(&Counts) -> bool) -> Counts {
    for _ in 0..60 {
        let line = demo.line().unwrap_or_else(|| panic!("the demo ended before {what}"));
        if let Some(counts) = counts(&line).filter(&wanted) {
            return counts;
        }
    }
    panic!("{what} did not happen in 60 lines");
}

/// What the demo says before its counts.
fn introduction(demo: &Musubi) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = demo.line().expect("an introduction");
        let last = line.starts_with("Ctrl-C");
        lines.push(line);
        if last {
            return lines;
        }
    }
}

fn commands(introduction: &[String]) -> Vec<String> {
    let commands =
        introduction.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl "));
    commands.map(str::to_owned).collect()
}

fn shell(command: &str) -> String {
    let finished = finish(Command::new("sh").args(["-c", command]));
    assert_eq!(finished.code, Some(0), "{command}: {}", finished.stderr);
    finished.stdout
}

/// All ids of a type.
async fn ids(http: &Http, kind: &str) -> Vec<String> {
    let answer =
        http.get(&format!("/ngsi-ld/v1/entities?type={kind}&limit=1000&format=simplified")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json();
    let ids = list.as_array().expect("a list").iter().filter_map(|entity| entity["id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

async fn check_town(http: &Http) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (kind, number) in TOWN {
        let ids = ids(http, kind).await;
        assert_eq!(ids.len(), number, "{kind}");
        all.push(ids);
    }
    all
}

/// Every command that is printed works, and shows something.
fn check_commands(commands: &[String]) {
    let (switches, questions): (Vec<&String>, Vec<&String>) =
        commands.iter().partition(|command| command.contains("/receiver/"));
    assert_eq!(switches.len(), 2, "{commands:?}");
    assert!(questions.len() >= 4, "{commands:?}");
    for question in questions {
        let answer = shell(question);
        let json: Value =
            serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{question}: {answer}"));
        let is_problem = json["status"].is_number();
        assert!(!is_problem && (json.is_array() || json.is_object()), "{question}: {answer}");
    }
}

/// Unplugs the receiver, sees what is due wait, plugs it in, and sees it drain.
fn check_unplugging(demo: &Musubi, commands: &[String]) {
    let command = |name: &str| {
        let ending = format!("/receiver/{name}");
        commands.iter().find(|command| command.ends_with(&ending)).expect("a command").clone()
    };
    shell(&command("unplug"));
    let waiting = until(demo, "pending", |counts| counts.unplugged && counts.pending > 0);
    assert_eq!(waiting.due, waiting.delivered + waiting.pending);
    shell(&command("plug"));
    until(demo, "drained", |counts| !counts.unplugged && counts.delivered >= waiting.due);
}

#[tokio::test]
async fn the_demo_does_what_it_says_and_finds_its_data_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("town");
    let demo = start(&data, "1");
    assert!(demo.mqtt.is_some(), "the MQTT listener has a ready line");
    let introduction = introduction(&demo);
    let all = until(&demo, "252 entities", |counts| counts.entities >= 252);
    let http = Http::new(demo.url()).own_context();
    let before = check_town(&http).await;
    let page = http.get("/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{}",
        page.header("content-type")
    );
    assert!(page.text.contains("Musubi") && page.text.contains("curl"), "{}", page.text);
    let commands = commands(&introduction);
    check_commands(&commands);
    check_unplugging(&demo, &commands);
    let last = until(&demo, "more changes", |counts| counts.changes > all.changes);
    demo.kill();

    let demo = start(&data, "1");
    let found = until(&demo, "counts that grow", |counts| counts.changes > last.changes);
    assert!(found.entities >= last.entities, "{found:?} after {last:?}");
    assert!(found.due >= last.delivered, "{found:?} after {last:?}");
    let http = Http::new(demo.url()).own_context();
    assert_eq!(check_town(&http).await, before);
    until(&demo, "growth", |counts| {
        counts.changes > found.changes && counts.delivered > found.delivered
    });
    let (code, _) = demo.stop();
    assert_eq!(code, Some(0), "Ctrl-C ends it cleanly");
}

/// What the first poll said of each dock: what never changes, and the bikes, as long as they are
/// those of the first poll.
async fn first_poll(demo: &Musubi) -> Vec<(Value, Option<Value>)> {
    introduction(demo);
    let http = Http::new(demo.url()).own_context();
    let path = "/ngsi-ld/v1/entities?type=BikeHireDockingStation&limit=1000&options=sysAttrs";
    let list = musubi_tests::until("the first poll", || async {
        let list = http.get(path).await.json();
        list.as_array().filter(|list| list.len() == 40).cloned()
    })
    .await;
    let mut docks: Vec<(Value, Option<Value>)> = list
        .iter()
        .map(|dock| {
            let fixed = ["id", "name", "location", "totalSlotNumber"]
                .map(|name| dock[name].get("value").unwrap_or(&dock[name]).clone());
            let bikes = &dock["availableBikeNumber"];
            let first = bikes["createdAt"] == bikes["modifiedAt"];
            (Value::from(fixed.to_vec()), first.then(|| bikes["value"].clone()))
        })
        .collect();
    docks.sort_by_key(|(fixed, _)| fixed[0].to_string());
    docks
}

#[tokio::test]
async fn the_same_seed_gives_the_same_first_poll_and_another_seed_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let poll = async |name: &str, seed: &str| {
        let demo = start(&folder.path().join(name), seed);
        let docks = first_poll(&demo).await;
        assert_eq!(demo.stop().0, Some(0));
        docks
    };
    let one = poll("one", "7").await;
    let same = poll("same", "7").await;
    let other = poll("other", "8").await;
    let fixed = |docks: &[(Value, Option<Value>)]| -> Vec<Value> {
        docks.iter().map(|(fixed, _)| fixed.clone()).collect()
    };
    assert_eq!(fixed(&one), fixed(&same));
    assert_ne!(fixed(&one), fixed(&other));
    let comparable = |docks: &[(Value, Option<Value>)]| -> Vec<(Value, Value)> {
        let pairs = one.iter().zip(docks);
        pairs.filter_map(|(one, other)| Some((one.1.clone()?, other.1.clone()?))).collect()
    };
    let bikes = comparable(&same);
    assert!(!bikes.is_empty(), "no dock shows its first poll any more");
    assert!(bikes.iter().all(|(one, same)| one == same), "{bikes:?}");
}

#[test]
fn a_line_of_counts_is_read() {
    let line = "252 entities, 1204 changes (55/s) | arrived: 9 sensor messages, 3 reports, 40 docks | \
                notifications: 9 due, 7 delivered, 2 pending (receiver unplugged)";
    let expected =
        Counts { entities: 252, changes: 1204, due: 9, delivered: 7, pending: 2, unplugged: true };
    assert_eq!(counts(line), Some(expected));
    assert_eq!(counts("    last delivered: urn:x: availableBikeNumber 3"), None);
}
