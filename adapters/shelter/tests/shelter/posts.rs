//! Reports and check-ins that are posted.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use musubi_adapter_kit::{Adapter, ReceiveError};
use musubi_model::Tenant;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Fate, Town, again, counts, table};

/// A time of day.
fn at(time: &str) -> String {
    format!("2024-02-01T{time}:00Z")
}

fn check_in(event: &str, time: &str, delta: i64) -> Value {
    json!({ "eventId": event, "shelter": "1", "at": at(time), "delta": delta })
}

fn report(time: &str, people: u64) -> Value {
    json!({ "shelter": "1", "at": at(time), "people": people })
}

async fn try_post(
    adapter: &Arc<dyn Adapter>,
    what: &str,
    body: &Value,
) -> Result<Value, ReceiveError> {
    adapter.receive(what, &Tenant::default(), body.to_string().as_bytes()).await
}

/// Posts, and gives how many were applied, duplicate, late and rejected.
async fn post(adapter: &Arc<dyn Adapter>, what: &str, body: &Value) -> (u64, u64, u64, usize) {
    let answer = try_post(adapter, what, body).await.unwrap();
    let number = |name: &str| answer[name].as_u64().unwrap();
    let rejected = answer["rejected"].as_array().unwrap().len();
    (number("applied"), number("duplicate"), number("late"), rejected)
}

#[tokio::test]
async fn a_count_is_the_baseline_of_what_comes_and_goes_after_it() {
    let town = Town::new();
    let doors = town.posts();
    assert_eq!(post(&doors, "reports", &report("09:00", 40)).await, (1, 0, 0, 0));
    assert_eq!(town.value("1", "countMethod"), Some(json!("headcount")));
    let body = json!([
        check_in("a", "09:05", 3),
        check_in("b", "09:10", -1),
        check_in("a", "09:05", 3),
        check_in("c", "08:55", 9),
    ]);
    assert_eq!(post(&doors, "checkins", &body).await, (2, 1, 1, 0));
    assert_eq!(town.people("1"), Some(42));
    assert_eq!(town.value("1", "countMethod"), Some(json!("checkin")));
    assert_eq!(post(&doors, "checkins", &body).await, (0, 3, 1, 0));
    assert_eq!(town.people("1"), Some(42));
    // A report that comes late, but is newer than the last: what came after it is kept.
    assert_eq!(post(&doors, "reports", &report("09:07", 50)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(49));
    assert_eq!(town.value("1", "countMethod"), Some(json!("checkin")));
    assert_eq!(post(&doors, "reports", &report("09:07", 50)).await, (0, 1, 0, 0));
    assert_eq!(post(&doors, "reports", &report("09:06", 10)).await, (0, 0, 1, 0));
    // What is forgotten, because a report has settled it, does not count again.
    assert_eq!(post(&doors, "checkins", &check_in("a", "09:05", 3)).await, (0, 0, 1, 0));
    assert_eq!(town.people("1"), Some(49));
    let status = doors.status();
    assert_eq!(status["skipped"], json!({ "duplicate": 5, "late": 4 }));
}

#[tokio::test]
async fn each_item_of_a_body_stands_for_itself() {
    let town = Town::new();
    let body = json!([
        { "shelter": "1", "at": at("09:00"), "people": 5 },
        { "shelter": "2", "at": at("09:00"), "people": 5, "status": "shut" },
        { "shelter": "3", "at": "2024-06-01T01:00:01Z", "people": 5 },
        { "shelter": "4", "at": "2024-06-01T00:59:59Z", "people": 5 },
        { "shelter": "5", "at": at("09:00"), "people": -5 },
        { "shelter": "6", "at": at("09:00"), "people": 5, "name": "somebody" },
        { "shelter": "urn:x y", "at": at("09:00"), "people": 5 },
        7,
    ]);
    let answer = try_post(&town.posts(), "reports", &body).await.unwrap();
    assert_eq!(answer["applied"], 2);
    let rejected: Vec<(u64, &str)> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].as_u64().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        (1, "status: \"shut\" is none of planned,"),
        (2, "at: 2024-06-01T01:00:01Z lies in the future"),
        (4, "people is a whole number"),
        (5, "\"name\" is none of the members"),
        (6, "shelter: an entity id"),
        (7, "an item is an object"),
    ];
    assert_eq!(rejected.len(), expected.len());
    for ((index, reason), (expected_index, expected_reason)) in rejected.iter().zip(expected) {
        assert_eq!(*index, expected_index);
        assert!(reason.starts_with(expected_reason), "{reason}");
    }
    assert_eq!(town.open(), counts(&[("1", 5), ("4", 5)]));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_as_a_whole() {
    let town = Town::new();
    let doors = town.posts();
    let many = json!(vec![check_in("a", "09:00", 1); 10_001]).to_string();
    let twice = format!("{{\"delta\": 5, {}", &check_in("a", "09:00", 1).to_string()[1..]);
    let bodies: [&[u8]; 7] =
        [b"", b"<html>", b"[]", b"{\"delta\":", b"\xff\xfe", many.as_bytes(), twice.as_bytes()];
    for body in bodies {
        let refused = doors.receive("checkins", &Tenant::default(), body).await;
        assert!(matches!(refused, Err(ReceiveError::BadBody(_))), "{refused:?}");
    }
    assert_eq!(town.memory.write_calls(), 0);
}

#[tokio::test]
async fn nothing_is_taken_for_another_tenant_or_under_another_name() {
    let town = Town::new();
    let body = report("09:00", 5).to_string();
    let other: Tenant = "other".parse().unwrap();
    let here = Tenant::default();
    for (adapter, tenant, what) in [
        (town.posts(), &other, "reports"),
        (town.posts(), &here, "people"),
        (town.tables("path = \"tables\""), &here, "reports"),
    ] {
        let refused = adapter.receive(what, tenant, body.as_bytes()).await;
        assert!(matches!(refused, Err(ReceiveError::NotSupported(_))), "{refused:?}");
    }
    assert_eq!(town.memory.write_calls(), 0);
}

#[tokio::test]
async fn a_shelter_has_one_count_however_it_is_named() {
    let town = Town::new();
    let doors = town.posts();
    for (event, shelter) in [("a", "1"), ("b", "１"), ("c", "urn:ngsi-ld:EvacuationShelter:1")] {
        let body = json!({ "eventId": event, "shelter": shelter, "at": at("09:00"), "delta": 2 });
        assert_eq!(post(&doors, "checkins", &body).await, (1, 0, 0, 0));
    }
    assert_eq!(town.people("1"), Some(6));
    let other = json!([
        { "shelter": "A B", "at": at("09:00"), "people": 1 },
        { "shelter": "A/B", "at": at("09:00"), "people": 2 },
    ]);
    assert_eq!(post(&doors, "reports", &other).await, (2, 0, 0, 0));
    assert_eq!(town.open(), counts(&[("1", 6), ("A%20B", 1), ("A%2FB", 2)]));
}

#[tokio::test]
async fn a_body_that_could_not_be_written_counts_once_when_it_is_sent_again() {
    let body = json!([check_in("a", "09:05", 3), check_in("b", "09:06", 4)]);
    for (fate, again) in [(Fate::Lost, (2, 0, 0, 0)), (Fate::Unanswered, (0, 2, 0, 0))] {
        let town = Town::new();
        let doors = town.posts();
        post(&doors, "reports", &report("09:00", 10)).await;
        town.sink.next(fate);
        let failed = try_post(&doors, "checkins", &body).await;
        assert!(matches!(failed, Err(ReceiveError::Unavailable(_))), "{failed:?}");
        assert_eq!(post(&doors, "checkins", &body).await, again);
        assert_eq!(town.people("1"), Some(17));
        assert_eq!(post(&doors, "checkins", &body).await, (0, 2, 0, 0));
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_read_leaves_no_trace_of_a_body() {
    let town = Town::new();
    let doors = town.posts();
    let body = json!([check_in("a", "09:05", 3)]);
    town.sink.fail_reads(true);
    let failed = try_post(&doors, "checkins", &body).await;
    assert!(matches!(failed, Err(ReceiveError::Unavailable(_))), "{failed:?}");
    town.sink.fail_reads(false);
    assert_eq!(post(&doors, "checkins", &body).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(3));
}

#[tokio::test]
async fn a_restart_remembers_what_has_been_counted() {
    let town = Town::new();
    let body = json!([check_in("a", "09:05", 3), check_in("b c/d", "09:06", 4)]);
    post(&town.posts(), "reports", &report("09:00", 10)).await;
    post(&town.posts(), "checkins", &body).await;
    assert_eq!(post(&town.posts(), "checkins", &body).await, (0, 2, 0, 0));
    assert_eq!(post(&town.posts(), "reports", &report("08:00", 99)).await, (0, 0, 1, 0));
    assert_eq!(post(&town.posts(), "checkins", &check_in("e", "09:07", -2)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(15));
    // The report settles the first of them, and only that.
    assert_eq!(post(&town.posts(), "reports", &report("09:05", 20)).await, (1, 0, 0, 0));
    assert_eq!(post(&town.posts(), "checkins", &body).await, (0, 1, 1, 0));
    assert_eq!(town.people("1"), Some(22));
}

#[tokio::test]
async fn what_the_broker_refuses_is_rejected_and_does_not_count() {
    let town = Town::new();
    let doors = town.posts();
    post(&doors, "reports", &report("09:00", 10)).await;
    town.sink.refuse("1", true);
    let body = json!([
        check_in("a", "09:05", 3),
        { "eventId": "b", "shelter": "2", "at": at("09:05"), "delta": 7 },
    ]);
    let answer = try_post(&doors, "checkins", &body).await.unwrap();
    assert_eq!((&answer["applied"], &answer["rejected"][0]["index"]), (&json!(1), &json!(0)));
    assert_eq!(answer["rejected"][0]["reason"], "the test wants it refused");
    assert_eq!(town.letters().len(), 1);
    town.sink.refuse("1", false);
    assert_eq!(post(&doors, "checkins", &body).await, (1, 1, 0, 0));
    assert_eq!(town.open(), counts(&[("1", 13), ("2", 7)]));
}

#[tokio::test]
async fn of_several_reports_the_broker_can_refuse_some_and_the_rest_is_right() {
    let town = Town::new();
    let doors = town.posts();
    post(&doors, "checkins", &check_in("a", "09:30", 3)).await;
    town.sink.refuse("1", true);
    let refused = json!([report("09:00", 10), report("09:10", 20)]);
    assert_eq!(post(&doors, "reports", &refused).await, (0, 0, 0, 2));
    town.sink.refuse("1", false);
    assert_eq!(town.people("1"), Some(3));
    assert_eq!(post(&doors, "checkins", &check_in("b", "09:31", 1)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(4));
}

#[tokio::test]
async fn a_letter_of_what_was_posted_can_be_replayed() {
    let town = Town::new();
    let doors = town.posts();
    town.sink.refuse("1", true);
    let body = json!({
        "shelter": "1", "at": at("09:00"), "people": 10, "households": 4, "status": "closing",
    });
    post(&doors, "reports", &body).await;
    let letter = town.memory.dead_letters(&Tenant::default()).remove(0);
    let tenant = Tenant::default();
    let replay = || doors.replay(&tenant, &letter);
    assert_eq!(replay().await, Err("the test wants it refused".to_owned()));
    assert_eq!(town.letters().len(), 1, "it is the same letter");
    town.sink.refuse("1", false);
    assert_eq!(replay().await, Ok(()));
    assert_eq!((town.status("1").as_str(), town.people("1")), ("closing", Some(10)));
    assert_eq!(town.value("1", "occupancyHouseholds"), Some(json!(4)));
    let other: Tenant = "other".parse().unwrap();
    assert!(doors.replay(&other, &letter).await.is_err());
    assert!(doors.replay(&tenant, &again("x", b"")).await.is_err());
    let long = Bytes::from(vec![b' '; 64 * 1024]);
    assert!(
        doors
            .replay(&tenant, &again(&letter.origin, &long))
            .await
            .unwrap_err()
            .contains("beginning")
    );
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_body_half_way() {
    let town = Town::new();
    let doors = town.posts();
    post(&doors, "reports", &report("09:00", 10)).await;
    town.sink.arrivals.forget_permits(1);
    town.sink.hold();
    let body = check_in("a", "09:05", 3).to_string();
    let tenant = Tenant::default();
    let mut receiving = doors.receive("checkins", &tenant, body.as_bytes());
    assert!((&mut receiving).now_or_never().is_none());
    town.sink.arrivals.acquire().await.unwrap().forget();
    drop(receiving);
    town.sink.release();
    // The next body is counted after it.
    assert_eq!(post(&doors, "checkins", &check_in("b", "09:06", 4)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(17));
    assert_eq!(post(&doors, "checkins", &check_in("a", "09:05", 3)).await, (0, 1, 0, 0));
}

#[tokio::test]
async fn the_end_waits_for_the_body_that_is_being_taken() {
    let town = Town::new();
    let doors = town.posts();
    town.sink.hold();
    let body = check_in("a", "09:05", 3).to_string();
    let tenant = Tenant::default();
    let mut receiving = doors.receive("checkins", &tenant, body.as_bytes());
    assert!((&mut receiving).now_or_never().is_none());
    town.sink.arrivals.acquire().await.unwrap().forget();
    let stop = CancellationToken::new();
    stop.cancel();
    let mut running = Arc::clone(&doors).run(stop);
    assert!((&mut running).now_or_never().is_none());
    town.sink.release();
    running.await.unwrap();
    assert_eq!(town.people("1"), Some(3));
    assert_eq!(receiving.await.unwrap()["applied"], 1);
}

#[tokio::test]
async fn ten_thousand_check_ins_of_one_body_are_one_change_of_each_shelter() {
    let town = Town::new();
    let doors = town.posts();
    let body: Vec<Value> = (0..10_000)
        .map(|index| {
            let shelter = (index % 2 + 1).to_string();
            let at = format!("2024-02-01T09:{:02}:{:02}Z", index / 60 % 60, index % 60);
            json!({ "eventId": index.to_string(), "shelter": shelter, "at": at, "delta": 1 })
        })
        .collect();
    let body = Value::from(body);
    assert_eq!(post(&doors, "checkins", &body).await, (10_000, 0, 0, 0));
    assert_eq!(town.open(), counts(&[("1", 5000), ("2", 5000)]));
    assert_eq!(town.memory.written_entities(), 2);
    assert_eq!(post(&town.posts(), "checkins", &body).await, (0, 10_000, 0, 0));
}

#[tokio::test]
async fn reports_of_one_body_are_changes_of_their_own() {
    let town = Town::new();
    let doors = town.posts();
    let body =
        json!([report("09:00", 1), report("10:00", 2), report("08:00", 9), report("11:00", 3)]);
    assert_eq!(post(&doors, "reports", &body).await, (3, 0, 1, 0));
    assert_eq!(town.memory.written_entities(), 3);
    assert_eq!(town.people("1"), Some(3));
    // Beyond a number that nobody needs, the rest is one change.
    let many: Vec<Value> = (0..600)
        .map(|index| report(&format!("{}:{:02}", 12 + index / 60, index % 60), index))
        .collect();
    assert_eq!(post(&doors, "reports", &Value::from(many)).await, (600, 0, 0, 0));
    assert_eq!(town.people("1"), Some(599));
    assert!(town.memory.written_entities() < 100);
}

#[tokio::test]
async fn a_table_is_a_baseline_too() {
    let town = Town::new();
    town.put("1.csv", &table("2024-02-01T09:00:00Z", &[("1", "100")]));
    town.run().await;
    let doors = town.posts();
    let body = json!([check_in("a", "08:59", 5), check_in("b", "09:01", 2)]);
    assert_eq!(post(&doors, "checkins", &body).await, (1, 0, 1, 0));
    assert_eq!(town.people("1"), Some(102));
    // Also after a restart, when only what was remembered tells it.
    assert_eq!(post(&town.posts(), "checkins", &check_in("c", "09:02", 3)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(105));
    town.put("2.csv", &table("2024-02-01T10:00:00Z", &[("1", "90")]));
    town.run().await;
    assert_eq!(post(&doors, "checkins", &check_in("d", "10:01", 1)).await, (1, 0, 0, 0));
    assert_eq!(town.people("1"), Some(91));
}

#[tokio::test]
async fn people_decide_how_crowded_a_shelter_is_and_the_level_does_not_flicker() {
    let town = Town::new();
    let table =
        "ID,名称,人数,時点,想定収容人数\n1,合成の避難所,50,2024-02-01T08:00:00Z,屋内100人\n";
    town.put("1.csv", table);
    town.run().await;
    let doors = town.posts();
    let steps = [
        (69, "open", "free"),
        (70, "open", "congested"),
        (66, "open", "congested"),
        (64, "open", "free"),
        (100, "full", "full"),
        (96, "full", "full"),
        (94, "open", "congested"),
        (10, "open", "free"),
    ];
    for (index, (people, status, level)) in steps.into_iter().enumerate() {
        post(&doors, "reports", &report(&format!("09:{index:02}"), people)).await;
        assert_eq!(town.status("1"), status, "{people}");
        assert_eq!(town.value("1", "congestionLevel"), Some(json!(level)), "{people}");
    }
    assert_eq!(town.value("1", "occupancyRate"), Some(json!(0.1)));
    assert_eq!(town.value("1", "openedAt"), Some(json!(at("08:00"))));
}

#[tokio::test]
async fn a_shelter_lives_as_it_is_said() {
    let town = Town::new();
    let doors = town.posts();
    let said = |time: &str, people: u64, status: &str| json!({ "shelter": "1", "at": at(time), "people": people, "status": status });
    post(&doors, "reports", &said("08:00", 0, "opening")).await;
    assert_eq!(town.value("1", "openedAt"), None);
    post(&doors, "checkins", &check_in("a", "08:10", 3)).await;
    assert_eq!(town.status("1"), "open");
    assert_eq!(town.value("1", "openedAt"), Some(json!(at("08:10"))));
    post(&doors, "reports", &said("12:00", 3, "closing")).await;
    // Those who leave do not open it.
    post(&doors, "checkins", &check_in("b", "12:10", -3)).await;
    assert_eq!(town.status("1"), "closing");
    post(&doors, "reports", &said("13:00", 0, "closed")).await;
    assert_eq!(town.value("1", "closedAt"), Some(json!(at("13:00"))));
    post(&doors, "checkins", &check_in("c", "13:10", -1)).await;
    assert_eq!((town.status("1").as_str(), town.people("1")), ("closed", Some(0)));
    // Somebody who comes does; the one who left without having come is not counted against it.
    post(&doors, "checkins", &check_in("d", "14:00", 4)).await;
    assert_eq!(town.status("1"), "open");
    post(&doors, "reports", &said("15:00", 9, "closed")).await;
    assert_eq!(town.value("1", "dataQuality"), Some(json!("closed with 9 people")));
    post(&doors, "reports", &said("16:00", 9, "full")).await;
    assert_eq!(town.value("1", "dataQuality"), Some(json!("full after closed")));
}

#[tokio::test]
async fn a_late_report_of_a_closing_does_not_shut_out_who_came_after_it() {
    let town = Town::new();
    let doors = town.posts();
    post(&doors, "checkins", &check_in("a", "10:00", 2)).await;
    let closed = json!({ "shelter": "1", "at": at("09:00"), "people": 0, "status": "closed" });
    post(&doors, "reports", &closed).await;
    assert_eq!((town.status("1").as_str(), town.people("1")), ("open", Some(2)));
    assert_eq!(town.value("1", "openedAt"), Some(json!(at("10:00"))));
    assert_eq!(town.value("1", "closedAt"), Some(json!(at("09:00"))));
}
