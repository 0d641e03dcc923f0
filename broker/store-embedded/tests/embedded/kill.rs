//! A process that is killed while it writes. This test's binary runs itself as that process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use musubi_model::Sequence;
use musubi_store::{Group, RecordKind, Store};
use musubi_store_embedded::{Durability, EmbeddedOptions};
use tokio::task::JoinSet;

use crate::town::{find, group, open, put, record_of, records, value_of};

const FOLDER: &str = "MUSUBI_TEST_KILL_FOLDER";
const DURABILITY: &str = "MUSUBI_TEST_KILL_DURABILITY";
const WRITERS: u64 = 8;

/// The kinds of the writers' records in turn: one that is in memory, and two that are not.
fn kind_of(writer: u64) -> RecordKind {
    match writer % 3 {
        0 => RecordKind::Cursor,
        1 => RecordKind::Outbox,
        _ => RecordKind::DeadLetter,
    }
}

fn options(folder: &Path, durability: &str) -> EmbeddedOptions {
    let durability = match durability {
        "sync" => Durability::Sync,
        _ => Durability::Interval(Duration::from_millis(50)),
    };
    // Small enough that the tables are being written when the kill comes.
    let sizes = EmbeddedOptions { pending_bytes: 16 << 10, ..EmbeddedOptions::new(folder) };
    EmbeddedOptions { durability, log_segment: 500, ..sizes }
}

/// What the killed process does: writers that each count, in two entities and a record at once,
/// and say so when the count is acknowledged.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let durability = std::env::var(DURABILITY).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(&options(folder.as_ref(), &durability)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let store = store.clone();
            writers.spawn(async move {
                let left = format!("{writer}-left");
                let right = format!("{writer}-right");
                let start = match find(&*store, &left).await {
                    Some(found) => value_of(&found.entity).parse::<u64>().unwrap(),
                    None => 0,
                };
                for count in start + 1.. {
                    let text = count.to_string();
                    let group = Group {
                        records: vec![record_of(kind_of(writer), &writer.to_string(), Some(&text))],
                        ..group(vec![put(&left, &text), put(&right, &text)])
                    };
                    store.commit(vec![group]).await.unwrap();
                    println!("ack {writer} {count}");
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    });
}

/// Starts the process.
fn start(folder: &Path, durability: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(DURABILITY, durability)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The last acknowledgement of each writer.
type Last = BTreeMap<u64, u64>;

/// Reads what the process says until it ends; `seen` is told how much has been acknowledged.
fn listen(output: ChildStdout, mut seen: impl FnMut(usize)) -> Last {
    let mut last = Last::new();
    let mut count_of_all = 0;
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        let (Some("ack"), Some(writer), Some(count)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // The last line may be cut, but then it was not written whole either.
        if let (Ok(writer), Ok(count)) = (writer.parse(), count.parse()) {
            last.insert(writer, count);
        }
        count_of_all += 1;
        seen(count_of_all);
    }
    last
}

/// Kills the process after so many acknowledgements, and gives the last of each writer.
fn kill_after(mut process: Child, acknowledgements: usize) -> Last {
    let mut all = 0;
    let last = listen(process.stdout.take().unwrap(), |seen| {
        all = seen;
        if seen == acknowledgements {
            process.kill().unwrap();
        }
    });
    process.wait().unwrap();
    assert!(all >= acknowledgements, "the process ended by itself after {all}");
    last
}

/// Kills the process when the condition has come true, which stays so, and gives the last acknowledgement of each
/// writer.
fn kill_when(mut process: Child, is_time: impl Fn() -> bool) -> Last {
    let output = process.stdout.take().unwrap();
    let acknowledged = AtomicUsize::new(0);
    let last = std::thread::scope(|scope| {
        let listening =
            scope.spawn(|| listen(output, |seen| acknowledged.store(seen, Ordering::Relaxed)));
        // Far more than it takes until the tables are made.
        while !is_time()
            && !listening.is_finished()
            && acknowledged.load(Ordering::Relaxed) < 50_000
        {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        listening.join().unwrap()
    });
    process.wait().unwrap();
    assert!(is_time(), "after {acknowledged:?} acknowledgements");
    last
}

/// Asserts that all that was acknowledged is there, and nothing by half.
async fn is_there(folder: &Path, durability: &str, last: Last) {
    let store = open(&options(folder, durability));
    let mut counters = Vec::new();
    for kind in [RecordKind::Cursor, RecordKind::Outbox, RecordKind::DeadLetter] {
        counters.extend(records(&store, kind).await.unwrap());
    }
    for (writer, acknowledged) in last {
        let left = find(&store, &format!("{writer}-left")).await.unwrap();
        let right = find(&store, &format!("{writer}-right")).await.unwrap();
        let count: u64 = value_of(&left.entity).parse().unwrap();
        assert!(count >= acknowledged, "{writer}: {count} is there, {acknowledged} was said");
        assert_eq!(value_of(&right.entity), count.to_string());
        let key = writer.to_string();
        let counter = counters.iter().find(|record| record.key.key == key).unwrap();
        assert_eq!(*counter.value, *count.to_string().as_bytes());
    }
    let changes = store.changes(Sequence(0), usize::MAX).await.unwrap();
    let numbers: Vec<u64> = changes.iter().map(|change| change.sequence.0).collect();
    assert_eq!(numbers, (1..=store.newest().borrow().0).collect::<Vec<_>>());
    store.close().await.unwrap();
}

async fn kill_five_times(durability: &str) {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let last = kill_after(start(folder.path(), durability), 60 + 217 * round);
        is_there(folder.path(), durability, last).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_in_sync_is_there_after_a_kill() {
    kill_five_times("sync").await;
}

#[tokio::test]
async fn what_was_acknowledged_in_intervals_is_there_after_a_kill() {
    kill_five_times("interval").await;
}

/// Where the tables are, and where they are made.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_while_the_tables_are_made() {
    for name in ["", "0.jnl", "version", "keyspaces/0/current", "keyspaces/3/current"] {
        for _ in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let (made, making) = ("engine", "engine.unfinished");
            let is_seen = |place| folder.path().join(place).join(name).exists();
            let process = start(folder.path(), "interval");
            let last = kill_when(process, || is_seen(making) || is_seen(made));
            is_there(folder.path(), "interval", last).await;
        }
    }
}
