//! A folder that is watched. The clock of these tests is a virtual one: it moves on when nothing
//! is left to do, so nobody waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::{Fate, Town, counts, table};

const SOURCE: &str = "path = \"tables\"\nwatch = true";

struct Watch {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

fn watch(town: &Town) -> Watch {
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    let running = town.tables(SOURCE).run(stop.clone());
    tasks.spawn(async move { running.await.unwrap() });
    Watch { tasks, stop }
}

impl Watch {
    async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn new_tables_are_applied_as_they_come() {
    let town = Town::new();
    let watch = watch(&town);
    seconds(5).await;
    assert!(town.open().is_empty());
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    seconds(10).await;
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
    let calls = town.memory.write_calls();
    town.put("2.csv", &table("令和6年2月2日", &[("2", "6")]));
    seconds(10).await;
    assert_eq!(town.open(), counts(&[("2", 6)]));
    seconds(600).await;
    assert_eq!(town.memory.write_calls(), calls + 1);
    watch.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_left_alone() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5"), ("3", "4")]));
    let watch = watch(&town);
    seconds(5).await;
    // Cut where a line ends, it looks like a table of fewer shelters.
    let rows = [("1", "11"), ("2", "6"), ("3", "5")];
    for end in 1..=3 {
        town.put("2.csv", &table("令和6年2月2日", &rows[..end]));
        seconds(2).await;
        assert_eq!(town.open(), counts(&[("1", 10), ("2", 5), ("3", 4)]));
    }
    seconds(4).await;
    assert_eq!(town.open(), counts(&[("1", 11), ("2", 6), ("3", 5)]));
    assert!(town.value("3", "closedAt").is_none());
    watch.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_comes_while_another_is_applied_is_not_overlooked() {
    let town = Town::new();
    town.sink.hold();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    let watch = watch(&town);
    town.sink.arrivals.acquire().await.unwrap().forget();
    town.put("2.csv", &table("令和6年2月2日", &[("1", "20")]));
    town.sink.release();
    seconds(10).await;
    assert_eq!(town.open(), counts(&[("1", 20)]));
    watch.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_waited_for() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    town.sink.after(0, Fate::Lost);
    let watch = watch(&town);
    seconds(3600).await;
    assert!(town.open().is_empty());
    town.sink.after(0, Fate::Pass);
    seconds(60).await;
    assert_eq!(town.open(), counts(&[("1", 10)]));
    watch.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_not_there_yet_is_waited_for() {
    let town = Town::new();
    std::fs::remove_dir(town.folder.path().join("tables")).unwrap();
    let watch = watch(&town);
    seconds(60).await;
    std::fs::create_dir(town.folder.path().join("tables")).unwrap();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    seconds(60).await;
    assert_eq!(town.open(), counts(&[("1", 10)]));
    watch.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_been_begun_is_finished_before_the_end() {
    let town = Town::new();
    town.sink.hold();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    town.put("2.csv", &table("令和6年2月2日", &[("1", "20")]));
    let mut watch = watch(&town);
    town.sink.arrivals.acquire().await.unwrap().forget();
    watch.stop.cancel();
    seconds(10).await;
    assert!(watch.tasks.try_join_next().is_none(), "it has to wait for the broker");
    town.sink.release();
    watch.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(town.open(), counts(&[("1", 10)]), "and begins nothing new");
}

#[tokio::test(start_paused = true)]
async fn without_watching_a_folder_is_worked_through_once() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    let stop = CancellationToken::new();
    let adapter = town.tables("path = \"tables\"");
    let mut tasks = JoinSet::new();
    let running = Arc::clone(&adapter).run(stop.clone());
    tasks.spawn(async move { running.await.unwrap() });
    seconds(60).await;
    town.put("2.csv", &table("令和6年2月2日", &[("1", "20")]));
    seconds(60).await;
    assert_eq!(town.open(), counts(&[("1", 10)]));
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
