//! Rows of the outbox that grow because many are open.

use std::sync::Arc;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::{RecordKind, Store};

use crate::receiver::Receiver;
use crate::store::Unreliable;
use crate::town::{Running, Town, at_most, id, ledger, one_by_one, quick, to};

/// So many rows are there before one grows.
const MANY: usize = 16;

fn windowed(lane_window: usize) -> NotifierOptions {
    NotifierOptions { lane_window, attempts: u32::MAX, refusals: u32::MAX, ..quick() }
}

/// Writes changes with these counts, each of which is saved as due before the next one.
async fn write(town: &Town, running: &Running, counts: std::ops::Range<u64>) {
    for count in counts {
        town.write(count).await;
        running.caught_up().await;
    }
}

async fn delivered(running: &Running, name: &str, number: u64) {
    let reaches = |it: &musubi_notify::Notifications| {
        it.ledger(&Tenant::default(), &id(name)).is_some_and(|it| it.delivered >= number)
    };
    running.until("delivery", reaches).await;
}

/// All of it arrived, and no row is left.
async fn all_told(town: &Town, running: &Running, receiver: &Receiver, told: &[(&str, u64, u64)]) {
    running.settled().await;
    for (name, from, to) in told {
        let path = format!("/{name}");
        assert_eq!(receiver.witnessed(&path), (*from..*to).collect::<Vec<_>>(), "{path}");
        assert_eq!(running.ledger(&id(name)), ledger([to - from, 0, 0, 0]), "{path}");
    }
    assert!(town.records(RecordKind::Outbox).await.is_empty());
}

#[tokio::test]
async fn what_has_no_room_when_its_row_grows_is_told_later() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    town.subscribe(&to("a", &receiver.url("/a"))).await;
    let running = town.run(windowed(100));
    write(&town, &running, 0..600).await;
    assert!(town.records(RecordKind::Outbox).await.len() < MANY + 10);
    receiver.always("/a", 200);
    all_told(&town, &running, &receiver, &[("a", 0, 600)]).await;
}

#[tokio::test]
async fn one_who_goes_takes_nothing_from_those_who_stay() {
    for (taken, is_killed) in [(0, false), (3, true), (12, false), (20, true), (33, false)] {
        let (town, receiver) = (Town::new(), Receiver::start().await);
        town.subscribe(&one_by_one("goes", &receiver.url("/goes"))).await;
        town.subscribe(&to("stays", &receiver.url("/stays"))).await;
        receiver.always("/goes", 503);
        receiver.always("/stays", 503);
        let mut running = town.run(windowed(4));
        write(&town, &running, 0..40).await;
        receiver.answer("/goes", &vec![200; taken]);
        delivered(&running, "goes", u64::try_from(taken).unwrap()).await;
        town.unsubscribe(&id("goes")).await;
        // Another one of the same id.
        town.subscribe(&to("goes", &receiver.url("/new"))).await;
        write(&town, &running, 40..50).await;
        if is_killed {
            running.kill().await;
            running = town.run(windowed(4));
        }
        receiver.always("/stays", 200);
        all_told(&town, &running, &receiver, &[("stays", 0, 50)]).await;
        assert_eq!(receiver.witnessed("/new"), (40..50).collect::<Vec<_>>());
        assert_eq!(running.metric("musubi_notify_lost_total"), 0);
    }
}

#[tokio::test]
async fn killed_when_a_row_has_grown_and_is_partly_settled_it_tells_the_rest() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/slow", 503);
    receiver.always("/down", 503);
    town.subscribe(&at_most(2, to("slow", &receiver.url("/slow")))).await;
    town.subscribe(&to("down", &receiver.url("/down"))).await;
    let mut running = town.run(windowed(5));
    for round in 0..6 {
        write(&town, &running, 12 * round..12 * (round + 1)).await;
        receiver.answer("/slow", &[200; 5]);
        delivered(&running, "slow", 5 * round + 5).await;
        running.kill().await;
        running = town.run(windowed(5));
        running.caught_up().await;
        assert_eq!(running.metric("musubi_notify_lost_total"), 0);
    }
    receiver.always("/slow", 200);
    receiver.always("/down", 200);
    all_told(&town, &running, &receiver, &[("slow", 0, 72), ("down", 0, 72)]).await;
}

#[tokio::test]
async fn a_row_that_grows_while_the_store_fails_is_told_to_the_end() {
    let store = Arc::new(Unreliable::default());
    let town = Town::over(Arc::clone(&store) as Arc<dyn Store>);
    let receiver = Receiver::start().await;
    receiver.always("/a", 503);
    receiver.always("/b", 503);
    town.subscribe(&one_by_one("a", &receiver.url("/a"))).await;
    town.subscribe(&to("b", &receiver.url("/b"))).await;
    let running = town.run(windowed(3));
    write(&town, &running, 0..24).await;
    for count in 24..30 {
        // Only the notifier's commits fail.
        store.fail(false);
        town.write(count).await;
        store.fail(true);
        receiver.answer("/a", &[200; 4]);
        delivered(&running, "a", 4 * (count - 23)).await;
    }
    receiver.always("/a", 200);
    receiver.always("/b", 200);
    all_told(&town, &running, &receiver, &[("a", 0, 30), ("b", 0, 30)]).await;
}

#[tokio::test]
async fn when_few_rows_are_open_again_the_last_one_stays_as_it_is() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 503);
    town.subscribe(&one_by_one("a", &receiver.url("/a"))).await;
    let running = town.run(windowed(4));
    write(&town, &running, 0..40).await;
    receiver.answer("/a", &[200; 30]);
    delivered(&running, "a", 30).await;
    write(&town, &running, 40..50).await;
    let rows = town.records(RecordKind::Outbox).await.len();
    assert!((2..MANY).contains(&rows), "{rows} rows");
    receiver.always("/a", 200);
    all_told(&town, &running, &receiver, &[("a", 0, 50)]).await;
}
