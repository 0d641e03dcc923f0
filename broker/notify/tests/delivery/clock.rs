//! The clock of the machine is set while deliveries are pending.

use std::time::Duration;

use musubi_notify::{NotifierOptions, SubscriptionId};
use serde_json::json;

use crate::receiver::Receiver;
use crate::town::{Running, Town, ledger, quick, to};

const MAX_AGE: Duration = Duration::from_secs(30);
/// Longer than that, and no jump.
const LONGER: Duration = Duration::from_secs(31);
const YEAR: Duration = Duration::from_hours(365 * 24);

fn options() -> NotifierOptions {
    NotifierOptions { max_age: MAX_AGE, attempts: u32::MAX, ..quick() }
}

/// A town whose receiver takes nothing, and for whom changes are pending.
struct Waiting {
    town: Town,
    receiver: Receiver,
    running: Running,
    failing: SubscriptionId,
    paused: SubscriptionId,
}

impl Waiting {
    async fn new() -> Self {
        let (town, receiver) = (Town::new(), Receiver::start().await);
        receiver.fail(true);
        let failing = town.subscribe(&to("1", &receiver.url("/a"))).await;
        let paused = town.subscribe(&to("2", &receiver.url("/b"))).await;
        let running = town.run(options());
        for count in 0..5 {
            town.write(count).await;
        }
        running.caught_up().await;
        town.patch(&paused, &json!({"isActive": false})).await;
        running.caught_up().await;
        Self { town, receiver, running, failing, paused }
    }

    /// Waits until deliveries have been tried, and failed, that began after now.
    async fn tried(&self) {
        let before = self.receiver.arrivals("/a").len();
        // Of these the first may have begun before.
        self.receiver.expect("/a", before + 3).await;
    }

    fn all_are_pending(&self) {
        for subscription in [&self.failing, &self.paused] {
            assert_eq!(self.running.ledger(subscription), ledger([0, 5, 0, 0]));
        }
    }

    /// What waits is given up, and what was paused is suppressed.
    async fn given_up(&self) {
        self.running.settled().await;
        assert_eq!(self.running.ledger(&self.failing), ledger([0, 0, 5, 0]));
        assert_eq!(self.running.ledger(&self.paused), ledger([0, 0, 0, 5]));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_gives_up_nothing_that_is_pending() {
    let waiting = Waiting::new().await;
    let Waiting { town, receiver, running, .. } = &waiting;
    // That this one's is suppressed shows that all have been looked through.
    let mut body = to("3", &receiver.url("/c"));
    body["expiresAt"] = json!("2023-11-15T00:00:00Z");
    town.subscribe(&body).await;
    town.write(5).await;
    running.caught_up().await;
    assert_eq!(running.notifications.totals(), ledger([0, 5 + 1 + 5 + 1, 0, 0]));
    town.pass(YEAR);
    running.until("end of one", |it| it.totals().suppressed == 1).await;
    waiting.tried().await;
    assert_eq!(running.ledger(&waiting.failing), ledger([0, 6, 0, 0]));
    assert_eq!(running.ledger(&waiting.paused), ledger([0, 5, 0, 0]));
    receiver.fail(false);
    town.patch(&waiting.paused, &json!({"isActive": true})).await;
    running.settled().await;
    assert_eq!(running.ledger(&waiting.failing), ledger([6, 0, 0, 0]));
    assert_eq!(running.ledger(&waiting.paused), ledger([5, 0, 0, 0]));
}

#[tokio::test]
async fn after_a_clock_was_set_ahead_age_is_counted_from_then() {
    let waiting = Waiting::new().await;
    waiting.town.pass(YEAR);
    waiting.tried().await;
    waiting.all_are_pending();
    waiting.town.pass(LONGER);
    waiting.given_up().await;
}

#[tokio::test]
async fn after_a_clock_was_set_back_age_is_counted_from_then() {
    let waiting = Waiting::new().await;
    waiting.town.set_back(YEAR);
    waiting.tried().await;
    waiting.all_are_pending();
    waiting.town.pass(LONGER);
    waiting.given_up().await;
}

#[tokio::test]
async fn a_restart_does_not_forget_that_the_clock_was_set() {
    let mut waiting = Waiting::new().await;
    waiting.town.pass(YEAR);
    waiting.tried().await;
    waiting.running.stop().await;
    waiting.running = waiting.town.run(options());
    waiting.running.caught_up().await;
    waiting.tried().await;
    waiting.all_are_pending();
    waiting.town.pass(LONGER);
    waiting.given_up().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_nobody_ran_keeps_nothing_for_ever() {
    let mut waiting = Waiting::new().await;
    waiting.running.stop().await;
    waiting.town.set_back(YEAR);
    waiting.running = waiting.town.run(options());
    waiting.running.caught_up().await;
    waiting.tried().await;
    waiting.all_are_pending();
    waiting.town.pass(LONGER);
    waiting.given_up().await;
}

#[tokio::test]
async fn a_subscription_that_expired_because_a_clock_was_set_ahead_is_active_when_it_is_set_back() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.fail(true);
    let mut body = to("1", &receiver.url("/a"));
    body["expiresAt"] = json!("2023-11-15T00:00:00Z");
    let subscription = town.subscribe(&body).await;
    let running = town.run(options());
    town.write(0).await;
    running.caught_up().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 1, 0, 0]));
    town.pass(YEAR);
    running.settled().await;
    town.write(1).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 0, 1]));
    town.set_back(YEAR);
    receiver.fail(false);
    town.write(2).await;
    running.settled().await;
    assert_eq!(running.ledger(&subscription), ledger([1, 0, 0, 1]));
}
