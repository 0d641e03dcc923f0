//! Notifiers that are killed, stopped, and run again.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Sequence, Tenant};
use musubi_notify::NotifierOptions;
use musubi_store::{RecordKind, Store};

use crate::receiver::{Arrival, Receiver};
use crate::store::{Halting, Unreliable};
use crate::town::{Town, at_most, id, ledger, one_by_one, patiently, quick, to};

/// Does not save by itself what became of deliveries.
fn forgetful() -> NotifierOptions {
    let delay = Duration::from_hours(1);
    NotifierOptions { save_delay: delay, cursor_delay: delay, ..quick() }
}

#[tokio::test]
async fn what_was_under_way_when_it_was_killed_is_delivered_again_with_the_same_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let running = town.run(quick());
    town.write(1).await;
    town.write(2).await;
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    running.kill().await;
    receiver.hold(false);
    let running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals.iter().map(Arrival::count).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(arrivals[0].id(), arrivals[1].id());
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
}

#[tokio::test]
async fn results_that_were_not_saved_are_had_again_and_counted_once() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(forgetful());
    town.write(1).await;
    receiver.expect("/a", 1).await;
    running.until("delivery", |it| it.totals().delivered == 1).await;
    assert!(running.notifications.log_needed_from() <= Sequence(2), "it may be needed again");
    running.kill().await;
    let running = town.run(quick());
    running.settled().await;
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[0].id(), arrivals[1].id());
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_stop_waits_for_deliveries_under_way_and_nothing_is_sent_twice() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    let running = town.run(forgetful());
    town.write(1).await;
    town.write(2).await;
    receiver.expect("/a", 1).await;
    running.caught_up().await;
    let notifications = running.notifications.clone();
    let mut task = running.ask_to_stop();
    tokio::task::yield_now().await;
    assert!(task.try_join_next().is_none(), "it waits");
    receiver.hold(false);
    patiently("end", task.join_next()).await.unwrap().unwrap().unwrap();
    let stopped = notifications.ledger(&Tenant::default(), &subscription).unwrap();
    assert_eq!(stopped, ledger([1, 1, 0, 0]));
    let running = town.run(quick());
    running.settled().await;
    assert_eq!(receiver.told("/a"), [1, 2]);
    assert_eq!(running.ledger(&subscription), ledger([2, 0, 0, 0]));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { grace: Duration::ZERO, ..quick() });
    town.write(1).await;
    receiver.expect("/a", 1).await;
    running.stop().await;
}

#[tokio::test]
async fn killed_again_and_again_it_leaves_nothing_out_and_overtakes_nothing() {
    let town = Town::new();
    let (up, flaky) = (Receiver::start().await, Receiver::start().await);
    let paths = ["/a", "/b", "/c"];
    for path in paths {
        let receiver = if path == "/c" { &flaky } else { &up };
        town.subscribe(&to(&path[1..], &receiver.url(path))).await;
    }
    let mut count = 0;
    for round in 0..12_usize {
        let options = NotifierOptions {
            lane_window: 1 + round % 4,
            batch_changes: 1 + round % 5,
            save_delay: Duration::from_millis(u64::try_from(round % 3).unwrap()),
            attempts: 1_000_000,
            ..quick()
        };
        flaky.answer("/c", &[500, 500, 200, 503]);
        let running = town.run(options);
        for _ in 0..10 {
            town.write(count).await;
            count += 1;
        }
        up.expect(paths[round % 2], round * 7).await;
        running.kill().await;
    }
    let running = town.run(quick());
    running.settled().await;
    for path in paths {
        let receiver = if path == "/c" { &flaky } else { &up };
        assert_eq!(receiver.witnessed(path), (0..count).collect::<Vec<_>>(), "{path}");
        assert_eq!(running.ledger(&id(&path[1..])), ledger([count, 0, 0, 0]));
    }
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_again_and_nothing_is_lost() {
    let store = Arc::new(Unreliable::default());
    let town = Town::over(Arc::clone(&store) as Arc<dyn Store>);
    // Nobody listens there, so every change ends in the dead letters.
    let subscription = town.subscribe(&to("1", "http://127.0.0.1:9/")).await;
    for count in 0..10 {
        town.write(count).await;
    }
    store.fail_from_now_on();
    let running = town.run(NotifierOptions { attempts: 1, batch_changes: 2, ..quick() });
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 10, 0]));
    let letters = town.dead_letters().await;
    assert_eq!(letters.iter().map(|letter| letter.changes).sum::<u64>(), 10);
}

#[tokio::test]
async fn a_log_that_was_cut_too_far_is_survived() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let lost = town.write(1).await;
    town.store.truncate(lost).await.unwrap();
    town.write(2).await;
    let running = town.run(quick());
    running.settled().await;
    assert_eq!(receiver.told("/a"), [2]);
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_row_that_disappears_is_noticed() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.hold(true);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let mut running = town.run(quick());
    for count in 0..3 {
        town.write(count).await;
        running.caught_up().await;
    }
    running.kill().await;
    running = town.run(quick());
    running.caught_up().await;
    assert_eq!(running.metric("musubi_notify_lost_total"), 0);
    running.stop().await;
    for row in town.records(RecordKind::Outbox).await {
        town.forget(row.key).await;
    }
    running = town.run(quick());
    running.caught_up().await;
    assert_eq!(running.metric("musubi_notify_lost_total"), 3);
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 0]));
}

/// What was due and what arrived agree, whichever of its commits a notifier was waiting for when
/// it was killed, and whether that commit had happened or not.
#[tokio::test]
async fn killed_at_any_commit_it_loses_nothing_and_repeats_under_the_same_id() {
    let mut longest = 0;
    for commits in 0..40 {
        let mut were_halted = false;
        for is_done in [false, true] {
            were_halted |= killed_twice(commits, is_done).await;
        }
        if were_halted {
            longest = commits;
        }
    }
    assert!((8..39).contains(&longest), "{longest} commits: fewer, or not all, were tried");
}

/// Whether the first of two notifiers got as far as its end.
async fn killed_twice(commits: usize, is_done: bool) -> bool {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&to("a", &receiver.url("/a"))).await;
    town.subscribe(&at_most(3, to("b", &receiver.url("/b")))).await;
    receiver.answer("/b", &[200, 503, 200, 500, 500]);
    let mut count = 0;
    let mut write = async |more: u64| {
        for _ in 0..more {
            town.write(count).await;
            count += 1;
        }
    };
    let mut was_halted = false;
    for (commits, window) in [(commits, 4), (commits / 3, 2)] {
        let store = Arc::new(Halting::after(commits, is_done, Arc::clone(&town.store)));
        let options = NotifierOptions { lane_window: window, batch_changes: 3, ..quick() };
        let running = town.run_over(Arc::clone(&store) as Arc<dyn Store>, options);
        write(1).await;
        tokio::select! {
            () = store.halted() => {}
            () = running.settled() => {}
        }
        write(7).await;
        tokio::select! {
            () = store.halted() => {}
            () = running.settled() => {}
        }
        was_halted |= store.is_halted() && window == 4;
        running.kill().await;
    }
    write(3).await;
    let running = town.run(quick());
    running.settled().await;
    for name in ["a", "b"] {
        let path = format!("/{name}");
        assert_eq!(receiver.witnessed(&path), (0..count).collect::<Vec<_>>(), "{commits} {path}");
        assert_eq!(running.ledger(&id(name)), ledger([count, 0, 0, 0]), "{commits} {path}");
    }
    assert!(town.records(RecordKind::Outbox).await.is_empty());
    was_halted
}
