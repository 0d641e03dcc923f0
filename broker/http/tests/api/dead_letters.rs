//! Dead letters: listed, shown, replayed, thrown away, all of them or those that are meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use musubi_broker::{DeadLetter, Replay};
use musubi_http::HttpOptions;
use musubi_model::{Tenant, Timestamp};
use musubi_store::{Expect, Group, RecordKey, RecordKind, RecordWrite};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Answer, Api, broker, request};

const LETTERS: &str = "/musubi/v1/dead-letters";
const SHELTERS: &str = "urn:ngsi-ld:Subscription:shelters";

/// Accepts letters once it is told to, but for those that it never accepts, and says which it saw.
#[derive(Debug, Default)]
struct Receiver {
    accepts: AtomicBool,
    never: Mutex<Vec<String>>,
    seen: Mutex<Vec<String>>,
}

impl Replay for Receiver {
    fn replay<'a>(
        &'a self,
        _: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>> {
        self.seen.lock().push(letter.id.clone());
        let never = self.never.lock().contains(&letter.id);
        let accepts = self.accepts.load(Ordering::Relaxed) && !never;
        async move { if accepts { Ok(()) } else { Err("still down".to_owned()) } }.boxed()
    }
}

async fn put(api: &Api, letters: impl IntoIterator<Item = (String, Value)>) {
    let letter = |(key, value): (String, Value)| {
        let tenant = Tenant::default();
        let key = RecordKey { kind: RecordKind::DeadLetter, tenant, key };
        let value = Some(Arc::from(value.to_string().as_bytes()));
        RecordWrite { key, expect: Expect::Absent, value }
    };
    let records = letters.into_iter().map(letter).collect();
    let group = Group { time: Timestamp::from_seconds(1), records, ..Group::default() };
    api.store.commit(vec![group]).await.unwrap();
}

async fn put_letters(api: &Api, count: u32) {
    let value = json!({ "adapter": "mqtt", "reason": "no such device", "payload": [123, 125] });
    put(api, (0..count).map(|number| (format!("letter-{number}"), value.clone()))).await;
}

/// A notification of the change of this number, which was given up a minute after the last.
fn notification(subscription: &str, sequence: u64) -> Value {
    let at = Timestamp::from_seconds(1_700_000_000 + 60 * i64::try_from(sequence).unwrap());
    json!({
        "kind": "notification", "subscription": subscription, "endpoint": "receiver:8080",
        "reason": "still down", "at": at.as_micros(), "sequence": sequence, "changes": 1,
        "payload": { "type": "Notification" },
    })
}

/// Five notifications of one subscription, whose ids are in another order than their changes; one of
/// another; and a sensor's message.
async fn put_many(api: &Api) {
    let of_shelters = [("e", 1), ("c", 2), ("d", 3), ("a", 4), ("b", 5)];
    let of_shelters =
        of_shelters.map(|(id, number)| (id.to_owned(), notification(SHELTERS, number)));
    let of_docks = ("f".to_owned(), notification("urn:ngsi-ld:Subscription:docks", 3));
    let sensor = json!({ "adapter": "mqtt", "at": "2023-11-14T22:14:30Z", "reason": "no JSON" });
    put(api, of_shelters.into_iter().chain([of_docks, ("g".to_owned(), sensor)])).await;
}

async fn post(api: &Api, path: &str) -> Answer {
    api.send(request(Method::POST, path, &[], String::new())).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["deadLetters"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn they_are_listed_replayed_and_thrown_away() {
    let receiver = Arc::new(Receiver::default());
    let api = Api::with(HttpOptions::default(), Some(receiver.clone()));
    put_letters(&api, 5).await;
    let page = api.get(&format!("{LETTERS}?limit=2")).await.value();
    assert_eq!(page["deadLetters"][1]["id"], "letter-1");
    assert_eq!(page["deadLetters"][1]["payload"], "{}");
    assert_eq!(page["next"], "letter-1");
    let page = api.get(&format!("{LETTERS}?limit=3&after=letter-1")).await.value();
    assert_eq!(page["deadLetters"][0]["id"], "letter-2");
    assert_eq!(page["next"], Value::Null);
    let path = format!("{LETTERS}/letter-0");
    assert_eq!(api.get(&path).await.value()["reason"], "no such device");
    let replay = format!("{path}/replay");
    post(&api, &replay).await.is_problem(409, "Conflict");
    assert_eq!(api.get(&path).await.status, 200, "a letter that is refused again stays");
    receiver.accepts.store(true, Ordering::Relaxed);
    assert_eq!(post(&api, &replay).await.status, 204);
    post(&api, &replay).await.is_problem(404, "ResourceNotFound");
    assert_eq!(api.delete(&format!("{LETTERS}/letter-1")).await.status, 204);
    api.delete(&format!("{LETTERS}/letter-1")).await.is_problem(404, "ResourceNotFound");
    assert_eq!(api.delete(LETTERS).await.value(), json!({ "purged": 3, "next": null }));
    assert_eq!(api.get(LETTERS).await.value()["deadLetters"], json!([]));
}

#[tokio::test]
async fn without_a_way_to_replay_it_is_refused() {
    let api = Api::new();
    put_letters(&api, 1).await;
    for path in [format!("{LETTERS}/letter-0/replay"), format!("{LETTERS}/replay")] {
        post(&api, &path).await.is_problem(422, "OperationNotSupported");
    }
}

#[tokio::test]
async fn those_that_are_meant_are_listed() {
    let api = Api::new();
    put_many(&api).await;
    let list = async |query: &str| api.get(&format!("{LETTERS}?{query}")).await.value();
    let page = list(&format!("subscription={SHELTERS}&limit=3")).await;
    assert_eq!((ids(&page), page["next"].as_str()), (vec!["a", "b", "c"], Some("c")));
    let page = list(&format!("subscription={SHELTERS}&limit=3&after=c")).await;
    assert_eq!((ids(&page), page["next"].as_str()), (vec!["d", "e"], None));
    assert_eq!(page["deadLetters"][0]["at"], "2023-11-14T22:16:20Z");
    assert_eq!(ids(&list("adapter=mqtt").await), ["g"]);
    assert_eq!(ids(&list("before=2023-11-14T22:15:20Z").await), ["e", "g"]);
    assert_eq!(ids(&list("adapter=mqtt&before=2023-11-14T22:14:30Z").await), [""; 0]);
    for query in ["before=yesterday", "limit=0", "limit=x"] {
        api.get(&format!("{LETTERS}?{query}")).await.is_problem(400, "BadRequestData");
    }
    api.get(&format!("{LETTERS}?limit=1001")).await.is_problem(403, "TooManyResults");
}

#[tokio::test]
async fn where_many_others_lie_between_a_page_says_that_there_may_be_more() {
    let api = Api::new();
    let many = (0..20_500).map(|number| (format!("{number:06}"), json!({ "adapter": "gbfs" })));
    put(&api, many).await;
    put(&api, [("999999".to_owned(), notification(SHELTERS, 1))]).await;
    let mut after = String::new();
    let mut pages = 0;
    let found = loop {
        let path = format!("{LETTERS}?subscription={SHELTERS}&after={after}");
        let page = api.get(&path).await.value();
        pages += 1;
        match page["next"].as_str() {
            Some(next) => {
                assert!(ids(&page).is_empty() && next > after.as_str(), "{page}");
                next.clone_into(&mut after);
            }
            None => break ids(&page).len(),
        }
    };
    assert_eq!((found, pages), (1, 2));
}

#[tokio::test]
async fn those_of_a_subscription_are_replayed_in_the_order_of_their_changes() {
    let receiver = Arc::new(Receiver::default());
    receiver.accepts.store(true, Ordering::Relaxed);
    receiver.never.lock().push("d".to_owned());
    let api = Api::with(HttpOptions::default(), Some(receiver.clone()));
    put_many(&api).await;
    let path = format!("{LETTERS}/replay?subscription={SHELTERS}&limit=2");
    let first = post(&api, &path).await.value();
    assert_eq!((first["replayed"].as_u64(), first["left"].as_u64()), (Some(2), Some(3)));
    assert_eq!(*receiver.seen.lock(), ["e", "c"]);
    let after = first["next"].as_str().unwrap();
    let second = post(&api, &format!("{path}&after={after}")).await.value();
    assert_eq!((second["replayed"].as_u64(), second["left"].as_u64()), (Some(1), Some(1)));
    assert_eq!(second["failed"], json!([{ "id": "d", "reason": "still down" }]));
    let after = second["next"].as_str().unwrap();
    let third = post(&api, &format!("{path}&after={after}")).await.value();
    assert_eq!(third, json!({ "replayed": 1, "failed": [], "left": 0, "next": null }));
    assert_eq!(*receiver.seen.lock(), ["e", "c", "d", "a", "b"]);
    let page = api.get(LETTERS).await.value();
    assert_eq!(ids(&page), ["d", "f", "g"], "what was refused, and what was not meant");
    let answer = post(&api, &format!("{path}&after=nonsense")).await;
    answer.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn those_that_are_meant_are_thrown_away() {
    let api = Api::new();
    put_many(&api).await;
    let purge = async |query: &str| {
        let answer = api.delete(&format!("{LETTERS}?{query}")).await.value();
        assert_eq!(answer["next"], Value::Null);
        answer["purged"].as_u64().unwrap()
    };
    assert_eq!(purge(&format!("subscription={SHELTERS}&before=2023-11-14T22:15:20Z")).await, 1);
    assert_eq!(purge("adapter=gbfs").await, 0);
    assert_eq!(purge("adapter=mqtt").await, 1);
    assert_eq!(ids(&api.get(LETTERS).await.value()), ["a", "b", "c", "d", "f"]);
    assert_eq!(purge("after=b").await, 3);
    assert_eq!(purge("").await, 2);
}

#[tokio::test]
async fn old_ones_are_thrown_away_in_all_tenants() {
    let api = Api::new();
    put_many(&api).await;
    let tenant: Tenant = "nanao".parse().unwrap();
    let key = RecordKey { kind: RecordKind::DeadLetter, tenant, key: "a".to_owned() };
    let value = Some(Arc::from(notification(SHELTERS, 1).to_string().as_bytes()));
    let records = vec![RecordWrite { key, expect: Expect::Any, value }];
    api.store.commit(vec![Group { records, ..Group::default() }]).await.unwrap();
    let moment = "2023-11-14T22:15:20Z".parse().unwrap();
    let broker = broker(api.store.clone(), None);
    assert_eq!(broker.remove_dead_letters_before(moment).await.unwrap(), 3);
    assert_eq!(broker.remove_dead_letters_before(moment).await.unwrap(), 0);
    assert_eq!(ids(&api.get(LETTERS).await.value()), ["a", "b", "c", "d", "f"]);
}

#[tokio::test]
async fn how_much_all_tenants_write_is_in_no_answer() {
    let receiver = Arc::new(Receiver::default());
    receiver.accepts.store(true, Ordering::Relaxed);
    let api = Api::with(HttpOptions::default(), Some(receiver));
    let mut several = notification(SHELTERS, 86_753_091);
    several["last"] = json!(86_753_095);
    let others = [("b".to_owned(), 86_753_097), ("c".to_owned(), 86_753_099)];
    let others = others.map(|(id, number)| (id, notification(SHELTERS, number)));
    put(&api, [("a".to_owned(), several)].into_iter().chain(others)).await;
    let list = api.get(LETTERS).await.value();
    let one = api.get(&format!("{LETTERS}/a")).await.value();
    let first = post(&api, &format!("{LETTERS}/replay?limit=1")).await.value();
    let next = first["next"].as_str().unwrap();
    let second = post(&api, &format!("{LETTERS}/replay?limit=1&after={next}")).await.value();
    for answer in [&list, &one, &first, &second] {
        assert!(!answer.to_string().contains("867530"), "{answer}");
    }
    assert_eq!(one["sequence"], list["deadLetters"][0]["sequence"]);
    assert_ne!(one["sequence"], one["last"]);
    for name in ["sequence", "last"] {
        assert_eq!(one[name].as_str().unwrap().len(), 32, "{one}");
    }
    let plain = format!("{LETTERS}/replay?after=86753097:1700000000000000:b");
    post(&api, &plain).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn a_page_ends_by_bytes_and_leaves_payloads_out_if_it_is_asked_to() {
    let api = Api::new();
    let large =
        |mebibytes: usize| json!({ "adapter": "gbfs", "payload": "x".repeat(mebibytes << 20) });
    put(&api, (0..20).map(|number| (format!("{number:02}"), large(1)))).await;
    put(&api, [("20".to_owned(), large(17)), ("21".to_owned(), json!({ "adapter": "gbfs" }))])
        .await;
    let mut after = String::new();
    let mut pages = Vec::new();
    loop {
        let page = api.get(&format!("{LETTERS}?limit=1000&after={after}")).await.value();
        pages.push(ids(&page).len());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(pages, [15, 5, 1, 1]);
    let page = api.get(&format!("{LETTERS}?limit=1000&payload=false")).await.value();
    assert_eq!((ids(&page).len(), &page["next"]), (22, &Value::Null));
    assert!(page["deadLetters"].as_array().unwrap().iter().all(|it| it.get("payload").is_none()));
    api.get(&format!("{LETTERS}?payload=no")).await.is_problem(400, "InvalidRequest");
}

#[tokio::test]
async fn a_payload_is_shown_as_it_is_written() {
    let api = Api::new();
    let body = r#"{"value":12345678901234567890123,"other":1.10}"#;
    let value = notification(SHELTERS, 1).to_string().replace(r#"{"type":"Notification"}"#, body);
    assert!(value.contains(body), "{value}");
    let key =
        RecordKey { kind: RecordKind::DeadLetter, tenant: Tenant::default(), key: "a".to_owned() };
    let write = RecordWrite { key, expect: Expect::Any, value: Some(Arc::from(value.as_bytes())) };
    api.store.commit(vec![Group { records: vec![write], ..Group::default() }]).await.unwrap();
    for path in [LETTERS.to_owned(), format!("{LETTERS}/a")] {
        let answer = api.get(&path).await;
        let text = &answer.body;
        assert!(text.contains(body), "{text}");
    }
}

#[tokio::test]
async fn a_replay_of_several_requests_looks_at_the_letters_once() {
    let receiver = Arc::new(Receiver::default());
    receiver.accepts.store(true, Ordering::Relaxed);
    let api = Api::with(HttpOptions::default(), Some(receiver.clone()));
    put_many(&api).await;
    let path = format!("{LETTERS}/replay?subscription={SHELTERS}&limit=2");
    let first = post(&api, &path).await.value();
    // One that comes meanwhile is not looked for, and one that goes is left out.
    put(&api, [("h".to_owned(), notification(SHELTERS, 4))]).await;
    assert_eq!(api.delete(&format!("{LETTERS}/d")).await.status, 204);
    let after = first["next"].as_str().unwrap();
    let second = post(&api, &format!("{path}&after={after}")).await.value();
    assert_eq!((second["replayed"].as_u64(), second["left"].as_u64()), (Some(1), Some(1)));
    // Another replay takes the place of this one, which then looks again.
    post(&api, &format!("{LETTERS}/replay?limit=1")).await;
    assert_eq!(*receiver.seen.lock(), ["e", "c", "a", "g"]);
    post(&api, &format!("{LETTERS}/replay?limit=1")).await;
    let after = second["next"].as_str().unwrap();
    let third = post(&api, &format!("{path}&after={after}")).await.value();
    assert_eq!(third, json!({ "replayed": 2, "failed": [], "left": 0, "next": null }));
    assert_eq!(*receiver.seen.lock(), ["e", "c", "a", "g", "f", "h", "b"]);
}
