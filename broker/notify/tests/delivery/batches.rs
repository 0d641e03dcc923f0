//! Several changes in one notification.

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use serde_json::json;

use crate::receiver::{Arrival, Receiver};
use crate::town::{Running, Town, at_most, body, ledger, one_by_one, quick, to};

fn counts(receiver: &Receiver) -> Vec<Vec<u64>> {
    receiver.arrivals("/a").iter().map(Arrival::counts).collect()
}

/// A notifier whose lane is behind: of the changes that were written the first is under way.
async fn behind(town: &Town, receiver: &Receiver, changes: u64) -> Running {
    receiver.hold(true);
    let running = town.run(quick());
    town.write(0).await;
    receiver.expect("/a", 1).await;
    for count in 1..changes {
        town.write(count).await;
    }
    running.caught_up().await;
    running
}

#[tokio::test]
async fn a_lane_that_is_behind_sends_what_is_pending_as_one_notification() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = behind(&town, &receiver, 10).await;
    receiver.hold(false);
    running.settled().await;
    assert_eq!(counts(&receiver), [vec![0], (1..10).collect()]);
    assert_eq!(running.ledger(&subscription), ledger([10, 0, 0, 0]), "it counts changes");
    let status = running.notifications.delivery(&Tenant::default(), &subscription);
    assert_eq!((status.times_sent, status.times_failed), (2, 0), "and this notifications");
}

#[tokio::test]
async fn a_notification_holds_no_more_than_a_hundred_changes() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = behind(&town, &receiver, 250).await;
    receiver.hold(false);
    running.settled().await;
    let lengths: Vec<_> = counts(&receiver).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 100, 100, 49]);
    assert_eq!(receiver.told("/a"), (0..250).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_subscription_may_want_fewer_changes_in_a_notification() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&at_most(3, to("1", &receiver.url("/a")))).await;
    let running = behind(&town, &receiver, 9).await;
    receiver.hold(false);
    running.settled().await;
    assert_eq!(counts(&receiver), [vec![0], vec![1, 2, 3], vec![4, 5, 6], vec![7, 8]]);
}

#[tokio::test]
async fn large_entities_are_not_heaped_up_in_one_notification() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = behind(&town, &receiver, 1).await;
    for (count, kilobytes) in [(1, 20), (2, 20), (3, 20), (4, 100), (5, 1), (6, 1)] {
        town.write_large(count, kilobytes * 1024).await;
    }
    running.caught_up().await;
    receiver.hold(false);
    running.settled().await;
    assert_eq!(counts(&receiver), [vec![0], vec![1, 2, 3], vec![4], vec![5, 6]]);
}

#[tokio::test]
async fn what_was_sent_together_before_a_kill_is_sent_together_after_it() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    receiver.answer("/a", &[200, 503]);
    let running = behind(&town, &receiver, 6).await;
    receiver.hold(false);
    receiver.expect("/a", 2).await;
    running.kill().await;
    // There is more now, and another number of them would fit.
    for count in 6..9 {
        town.write(count).await;
    }
    let fewer = at_most(2, to("1", &receiver.url("/a")));
    town.patch(&subscription, &json!({"notification": fewer["notification"]})).await;
    let running = town.run(NotifierOptions { lane_window: 1, ..quick() });
    running.settled().await;
    assert_eq!(receiver.witnessed("/a"), (0..9).collect::<Vec<_>>());
    let together: Vec<_> = counts(&receiver).into_iter().filter(|it| it.len() > 2).collect();
    assert!(together.len() >= 2 && together.iter().all(|it| *it == [1, 2, 3, 4, 5]));
    assert_eq!(running.ledger(&subscription), ledger([9, 0, 0, 0]));
}

#[tokio::test]
async fn what_may_have_been_sent_one_by_one_before_a_kill_is_sent_so_after_it() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&one_by_one("1", &receiver.url("/a"))).await;
    for count in 0..5 {
        town.write(count).await;
    }
    let delay = std::time::Duration::from_hours(1);
    let running = town.run(NotifierOptions { save_delay: delay, ..quick() });
    running.until("delivery", |it| it.totals().delivered == 5).await;
    running.kill().await;
    receiver.hold(true);
    let running = town.run(quick());
    receiver.expect("/a", 6).await;
    let many = at_most(100, to("1", &receiver.url("/a")));
    town.patch(&subscription, &json!({"notification": many["notification"]})).await;
    running.caught_up().await;
    receiver.hold(false);
    running.settled().await;
    assert_eq!(receiver.witnessed("/a"), (0..5).collect::<Vec<_>>());
    assert_eq!(counts(&receiver).len(), 10);
    assert_eq!(running.ledger(&subscription), ledger([5, 0, 0, 0]));
}

#[tokio::test]
async fn several_changes_that_are_given_up_are_one_letter_that_counts_them() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    receiver.answer("/a", &[200, 500, 500, 500]);
    receiver.hold(true);
    let running = town.run(NotifierOptions { attempts: 3, ..quick() });
    let first = town.write(0).await;
    receiver.expect("/a", 1).await;
    for count in 1..5 {
        town.write(count).await;
    }
    running.caught_up().await;
    receiver.hold(false);
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 4, 0]));
    let [letter] = &town.dead_letters().await[..] else { panic!("one is expected") };
    assert_eq!((letter.changes, letter.sequence.0), (4, first.0 + 1));
    assert_eq!(letter.last.map(|last| last.0), Some(first.0 + 4));
    assert_eq!(letter.id, receiver.arrivals("/a")[1].id());
    assert_eq!(body(letter)["data"].as_array().unwrap().len(), 4);
}
