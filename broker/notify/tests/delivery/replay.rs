//! Dead notifications that a person sends once more.

use musubi_model::Tenant;
use musubi_notify::{NotifierOptions, Replayer, SubscriptionId};
use musubi_outbound::{Client, Guard};
use musubi_store::RecordKind;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::town::{Running, Town, ledger, quick, to};

fn replayer(town: &Town) -> Replayer {
    let client = Client::guarded(Guard::default());
    Replayer::new(&quick(), town.store.clone(), client, town.clock.clone())
}

async fn replay(town: &Town, tenant: &Tenant, letter: &Value) -> Result<(), String> {
    let payload = RawValue::from_string(letter["payload"].to_string()).unwrap();
    replayer(town).replay(tenant, letter, Some(&payload)).await
}

/// A change that the endpoint refused for good, and the value of the dead letter of it.
async fn one_dead_letter(town: &Town, receiver: &Receiver) -> (Running, SubscriptionId, Value) {
    receiver.always("/a", 410);
    let subscription = town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { refusals: 1, ..quick() });
    town.write(7).await;
    running.settled().await;
    let letters = town.records(RecordKind::DeadLetter).await;
    assert_eq!(letters.len(), 1);
    let letter = serde_json::from_slice(&letters[0].value).unwrap();
    (running, subscription, letter)
}

#[tokio::test]
async fn a_dead_notification_reaches_its_repaired_endpoint_with_the_same_id() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let (running, subscription, letter) = one_dead_letter(&town, &receiver).await;
    receiver.always("/a", 204);
    replay(&town, &town.tenant, &letter).await.unwrap();
    let arrivals = receiver.arrivals("/a");
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[1].body, arrivals[0].body, "it is the notification that was refused");
    assert_eq!(arrivals[1].id(), letter["id"].as_str().unwrap());
    assert_eq!(arrivals[1].headers["link"], arrivals[0].headers["link"]);
    assert_eq!(running.ledger(&subscription), ledger([0, 0, 1, 0]), "what was given up stays so");
}

#[tokio::test]
async fn it_goes_to_where_the_subscription_points_now() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let (running, subscription, letter) = one_dead_letter(&town, &receiver).await;
    let endpoint = json!({
        "uri": receiver.url("/b"),
        "receiverInfo": [{"key": "X-Token", "value": "new"}],
    });
    town.patch(&subscription, &json!({"notification": {"endpoint": endpoint}})).await;
    running.caught_up().await;
    replay(&town, &town.tenant, &letter).await.unwrap();
    assert_eq!(receiver.arrivals("/a").len(), 1);
    let arrivals = receiver.arrivals("/b");
    assert_eq!(arrivals[0].id(), letter["id"].as_str().unwrap());
    assert_eq!(arrivals[0].headers["x-token"], "new");
}

#[tokio::test]
async fn without_its_subscription_it_is_sent_nowhere() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let (running, subscription, letter) = one_dead_letter(&town, &receiver).await;
    receiver.always("/a", 200);
    // One whose id begins so is another one.
    town.subscribe(&to("10", &receiver.url("/b"))).await;
    let other: Tenant = "other".parse().unwrap();
    let refused = replay(&town, &other, &letter).await.unwrap_err();
    assert!(refused.contains("is gone"), "{refused}");
    town.unsubscribe(&subscription).await;
    running.caught_up().await;
    let refused = replay(&town, &town.tenant, &letter).await.unwrap_err();
    assert!(refused.contains(subscription.as_str()) && refused.contains("is gone"), "{refused}");
    assert_eq!((receiver.arrivals("/a").len(), receiver.arrivals("/b").len()), (1, 0));
}

#[tokio::test]
async fn an_endpoint_that_refuses_again_is_named_in_a_sentence() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let (_running, _, letter) = one_dead_letter(&town, &receiver).await;
    let refused = replay(&town, &town.tenant, &letter).await.unwrap_err();
    assert!(refused.contains("410"), "{refused}");
    assert_eq!(receiver.arrivals("/a").len(), 2, "it was tried once");
    assert_eq!(town.dead_letters().await.len(), 1, "and it is still there");
}

#[tokio::test]
async fn what_holds_no_notification_is_refused_before_anything_is_sent() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    let (_running, _, letter) = one_dead_letter(&town, &receiver).await;
    receiver.always("/a", 200);
    let check = async |change: &dyn Fn(&mut Value), reason: &str| {
        let mut letter = letter.clone();
        change(&mut letter);
        let refused = replay(&town, &town.tenant, &letter).await.unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    };
    let unwritten = |letter: &mut Value| {
        letter["reason"] = json!("the notification would be too large");
        letter["payload"] = Value::Null;
    };
    check(&unwritten, "too large, so there is nothing to send").await;
    check(&|letter| *letter = json!({"payload": "{}"}), "no notification").await;
    check(&|letter| letter["subscription"] = json!("not an id"), "no notification").await;
    assert_eq!(receiver.arrivals("/a").len(), 1);
}

#[tokio::test]
async fn it_arrives_byte_for_byte_as_it_was_first_sent() {
    let (town, receiver) = (Town::new(), Receiver::start().await);
    receiver.always("/a", 410);
    town.subscribe(&to("1", &receiver.url("/a"))).await;
    let running = town.run(NotifierOptions { refusals: 1, ..quick() });
    let number = RawValue::from_string("12345678901234567890123".to_owned()).unwrap();
    let entity = format!(
        r#"{{"id":"urn:ngsi-ld:Sensor:1","type":"Sensor","count":{{"type":"Property","value":{number}}}}}"#
    );
    town.write_text(&entity).await;
    running.settled().await;
    receiver.always("/a", 200);
    let records = town.records(RecordKind::DeadLetter).await;
    let content: Value = serde_json::from_slice(&records[0].value).unwrap();
    let letter = &town.dead_letters().await[0];
    let replayer = replayer(&town);
    replayer.replay(&town.tenant, &content, letter.payload.as_deref()).await.unwrap();
    let arrivals = receiver.arrivals("/a");
    assert!(arrivals[0].text.contains(number.get()), "{}", arrivals[0].text);
    assert_eq!(arrivals[1].text, arrivals[0].text);
}
