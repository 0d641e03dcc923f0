//! Tables that cannot be used, and a broker that cannot be written to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use musubi_model::Tenant;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Fate, Town, again, counts, fixtures, table};

/// What is open before the first table and after each.
async fn moments() -> Vec<BTreeMap<String, u64>> {
    let town = Town::new();
    let mut moments = vec![town.open()];
    for file in fixtures("town") {
        town.copy(&file);
        town.run().await;
        moments.push(town.open());
    }
    moments
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_broken_off_anywhere_and_run_again_ends_the_same() {
    let whole = Town::new();
    whole.copy_all(&fixtures("town"));
    whole.copy_all(&fixtures("broken"));
    whole.run().await;
    let writes = whole.memory.write_calls();
    assert_eq!(writes, fixtures("town").len() + fixtures("broken").len());
    let moments = moments().await;
    for fate in [Fate::Lost, Fate::Unanswered] {
        for passing in 0..writes {
            let town = Town::new();
            town.copy_all(&fixtures("town"));
            town.copy_all(&fixtures("broken"));
            town.sink.after(passing, fate);
            let adapter = town.tables("path = \"tables\"");
            let broken_off = Arc::clone(&adapter).run_once().await;
            assert!(
                broken_off.is_err() || fate == Fate::Unanswered,
                "{passing} of {writes} passed, and all is well"
            );
            assert!(moments.contains(&town.open()), "a table by half: {:?}", town.open());
            town.sink.after(0, Fate::Pass);
            town.run().await;
            assert_eq!(town.everything(), whole.everything(), "{fate:?} after {passing}");
            assert_eq!(town.letters().len(), fixtures("broken").len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_waited_for() {
    let town = Town::new();
    town.copy_all(&fixtures("town"));
    town.sink.next(Fate::Lost);
    let status = town.run().await;
    assert_eq!(town.open(), counts(&[("K01", 90), ("K04", 75)]));
    assert_eq!(status["retried"], 1);
}

#[tokio::test]
async fn what_is_no_table_changes_nothing_and_is_a_dead_letter_once() {
    let town = Town::new();
    town.copy_all(&fixtures("town"));
    town.run().await;
    let (everything, calls) = (town.everything(), town.memory.write_calls());
    town.copy_all(&fixtures("broken"));
    let adapter = town.tables("path = \"tables\"");
    Arc::clone(&adapter).run_once().await.unwrap();
    let written = town.memory.write_calls();
    assert_eq!(written - calls, fixtures("broken").len());
    let expected = BTreeSet::from([
        ("empty.csv", "it is empty"),
        ("half.csv", "may be cut off"),
        ("page.csv", "it is not CSV"),
        ("unavailable.csv", "no column for the head count"),
        ("without_counts.csv", "no column for the head count"),
    ]);
    let letters = town.letters();
    assert_eq!(letters.len(), expected.len());
    for (origin, reason) in expected {
        assert!(
            letters.iter().any(|(from, why)| from == origin && why.contains(reason)),
            "{origin}: {reason} is not in {letters:?}"
        );
    }
    Arc::clone(&adapter).run_once().await.unwrap();
    town.run().await;
    assert_eq!(town.memory.write_calls(), written, "each is kept once");
    assert_eq!(town.everything(), everything);
    // Each of the two adapters has come across them once.
    assert_eq!(adapter.status()["skipped"]["unreadable"], 10);
    assert!(adapter.status()["lastError"].as_str().unwrap().contains(".csv: "));
}

#[tokio::test]
async fn a_file_in_an_encoding_that_was_not_meant_is_refused() {
    let town = Town::new();
    town.copy(&fixtures("town")[2]);
    let only_utf8 = "[source]\nkind = \"file\"\npath = \"tables\"\n[decode]\nformat = \"csv\"\n\
                     encoding = \"utf-8\"\n[map]\npreset = \"shelter-snapshot\"\n";
    town.adapter(only_utf8).unwrap().run_once().await.unwrap();
    assert!(town.open().is_empty());
    assert_eq!(town.letters()[0].1, "byte 1 is not UTF-8");
    std::fs::write(town.path("noise.csv"), [0xFF, 0x80, b'\n', 0xA0, 0xFE]).unwrap();
    town.run().await;
    assert!(town.letters().iter().any(|(_, why)| why.contains("neither UTF-8 nor Shift_JIS")));
}

#[tokio::test(start_paused = true)]
async fn a_table_of_the_future_waits_until_its_moment_has_come() {
    let town = Town::new();
    town.put("1.csv", &table("2024-05-01 06:00", &[("1", "10")]));
    town.put("2.csv", &table("2034-05-02 06:00", &[("1", "20")]));
    town.put("3.csv", &table("2024-05-03 06:00", &[("1", "30")]));
    let error = town.tables("path = \"tables\"").run_once().await.unwrap_err();
    assert!(error.to_string().contains("2.csv speaks of 2034-05-01T21:00:00Z"), "{error}");
    assert_eq!(town.open(), counts(&[("1", 30)]), "the others are not held up");
    assert!(town.letters().is_empty());
    town.clock.set("2034-05-03T00:00:00Z".parse().unwrap());
    town.run().await;
    assert_eq!(town.open(), counts(&[("1", 20)]));
}

#[tokio::test]
async fn a_table_that_the_broker_refuses_is_a_dead_letter_once_and_can_be_replayed() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    town.sink.refuse("2", true);
    town.run().await;
    assert!(town.open().is_empty(), "a table is there entirely or not at all");
    assert_eq!(town.letters(), [("1.csv".to_owned(), "the test wants it refused".to_owned())]);
    town.run().await;
    assert_eq!(town.letters().len(), 1);
    let letter = town.memory.dead_letters(&Tenant::default()).remove(0);
    let adapter = town.tables("path = \"tables\"");
    let payload = Bytes::from(letter.payload);
    let replay = |payload: Bytes| {
        let adapter = Arc::clone(&adapter);
        async move { adapter.replay(&Tenant::default(), &again("1.csv", &payload)).await }
    };
    assert_eq!(replay(payload.clone()).await, Err("the test wants it refused".to_owned()));
    town.sink.refuse("2", false);
    assert_eq!(replay(payload.clone()).await, Ok(()));
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
    let again = replay(payload).await.unwrap_err();
    assert!(again.contains("has been applied"), "{again}");
}

#[tokio::test]
async fn a_letter_that_cannot_be_used_is_refused_with_a_sentence() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月2日", &[("1", "10"), ("2", "5")]));
    town.run().await;
    let adapter = town.tables("path = \"tables\"");
    let older = table("令和6年2月1日", &[("1", "7")]);
    // As much of a table as a letter holds: what follows is missing, and would be closed.
    let mut long = table("令和6年2月3日", &[("1", "10")]);
    while long.len() < 64 * 1024 {
        long.push_str(",,,\n");
    }
    long.truncate(64 * 1024);
    let tenant = Tenant::default();
    for (text, expected) in [
        ("unavailable", "no column"),
        (&older, "has been applied"),
        (&long, "only the beginning"),
        (&table("2094-01-01", &[("1", "1")]), "in the future"),
    ] {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let reason = adapter.replay(&tenant, &again("x.csv", &payload)).await.unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
    let other: Tenant = "other".parse().unwrap();
    let newer = Bytes::from(table("令和6年2月4日", &[("1", "7")]));
    assert!(adapter.replay(&other, &again("x.csv", &newer)).await.is_err());
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
}

#[tokio::test(start_paused = true)]
async fn a_place_without_files_is_an_error_that_names_it() {
    let town = Town::new();
    for path in ["tables", "nowhere", "nowhere/*.csv"] {
        let error = town.tables(&format!("path = {path:?}")).run_once().await.unwrap_err();
        assert!(error.to_string().contains("has no CSV files"), "{error}");
    }
    let error = town.tables("path = \"a[\"").run_once().await.unwrap_err();
    assert!(error.to_string().contains("is no pattern"), "{error}");
}

type Page = Arc<Mutex<(StatusCode, String)>>;

async fn serve(tasks: &mut JoinSet<()>) -> (Page, String) {
    let page: Page = Arc::new(Mutex::new((StatusCode::OK, String::new())));
    let answer = |State(page): State<Page>| async move { page.lock().clone() };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&page));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tables/now.csv?key=secret", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (page, url)
}

#[tokio::test]
async fn an_address_is_as_good_as_a_file() {
    let town = Town::new();
    let mut tasks = JoinSet::new();
    let (page, url) = serve(&mut tasks).await;
    let ask = |status, text: &str| {
        *page.lock() = (status, text.to_owned());
        town.tables(&format!("url = {url:?}")).run_once()
    };
    ask(StatusCode::OK, &table("令和6年2月1日", &[("1", "10"), ("2", "5")])).await.unwrap();
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
    for _ in 0..2 {
        ask(StatusCode::OK, "<html>ただいま準備中です。</html>").await.unwrap();
        town.clock.advance(60);
    }
    ask(StatusCode::OK, "").await.unwrap();
    ask(StatusCode::OK, &table("令和6年2月1日", &[("1", "10"), ("2", "5")])).await.unwrap();
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
    let letters = town.letters();
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().all(|(origin, _)| origin == "127.0.0.1/tables/now.csv"));
    ask(StatusCode::OK, &table("令和6年2月2日", &[("2", "6")])).await.unwrap();
    assert_eq!(town.open(), counts(&[("2", 6)]));
}

#[tokio::test]
async fn an_address_that_does_not_answer_changes_nothing_and_shows_no_secret() {
    let town = Town::new();
    let mut tasks = JoinSet::new();
    let (page, url) = serve(&mut tasks).await;
    *page.lock() = (StatusCode::SERVICE_UNAVAILABLE, "unavailable".to_owned());
    let adapter = town.tables(&format!("url = {url:?}"));
    let reason = adapter.preview(5).await.unwrap_err().to_string();
    assert!(reason.contains("503") && !reason.contains("secret"), "{reason}");
    assert!(town.letters().is_empty());
    assert_eq!(adapter.status()["written"], json!(0));
}
