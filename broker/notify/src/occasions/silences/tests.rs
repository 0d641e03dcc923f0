use serde_json::{Value, json};

use super::*;
use crate::testing::{change, entity, subscription, time};

fn key(name: &str) -> AccountKey {
    let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
    AccountKey { tenant: "town".parse().unwrap(), id }
}

/// A watch of ten seconds.
fn begin(silences: &mut Silences, name: &str, members: &Value, told: &[(EntityId, Told)]) {
    let silence = SilenceWatch::new(10_000_000, Timestamp::EPOCH, told.iter().cloned());
    silences.begin(&key(name), &subscription(members), silence);
}

fn sensor(count: u32) -> Value {
    json!({
        "id": "urn:x:1", "type": "Sensor",
        "count": {"type": "Property", "value": count},
        "name": {"type": "Property", "value": "a"},
    })
}

fn hot() -> Value {
    json!({"entities": [{"type": "Sensor"}], "watchedAttributes": ["count"], "q": "count>5"})
}

fn listen(silences: &mut Silences, change: &EntityChange, at: i64) -> Vec<Option<End>> {
    let watchers = silences.watchers(&"town".parse().unwrap(), &change.id);
    watchers.iter().map(|key| silences.listen(key, (change, time(at)), Sign::None)).collect()
}

fn alive(silences: &mut Silences, name: &str, change: &EntityChange, at: i64) -> Option<End> {
    silences.listen(&key(name), (change, time(at)), Sign::Alive)
}

#[test]
fn the_last_change_is_that_of_a_watched_attribute() {
    let mut older = entity(&sensor(9), time(1));
    older.modified_at = time(7);
    older.attributes[1].instances[0].modified_at = time(7);
    let count: AttrName = older.attributes[0].name.clone();
    let other: AttrName = "https://example.org/other".parse().unwrap();
    assert_eq!(last_change(&older, &[]), Some(time(7)));
    assert_eq!(last_change(&older, &[count, other.clone()]), Some(time(1)));
    assert_eq!(last_change(&older, &[other]), None);
}

#[test]
fn what_no_longer_matches_is_forgotten_and_what_matches_again_is_watched_again() {
    let mut silences = Silences::default();
    begin(&mut silences, "a", &hot(), &[]);
    let cold = change(Some(&sensor(9)), Some(&sensor(1)));
    let warm = change(Some(&sensor(1)), Some(&sensor(9)));
    assert_eq!(listen(&mut silences, &cold, 0), []);
    assert_eq!(silences.watched, 0);
    assert_eq!(alive(&mut silences, "a", &warm, 0), None);
    assert_eq!((silences.watched, silences.next()), (1, Some(time(10))));
    assert_eq!(silences.tell(time(10), 9).len(), 1);
    assert_eq!(listen(&mut silences, &cold, 11), [Some(End::Forgotten)]);
    assert_eq!((silences.watched, silences.next()), (0, None));
    assert_eq!(listen(&mut silences, &warm, 12), []);
    // A deletion is no return either.
    assert_eq!(alive(&mut silences, "a", &warm, 12), None);
    let gone = change(Some(&sensor(9)), None);
    assert_eq!(alive(&mut silences, "a", &gone, 13), None);
    assert_eq!((silences.watched, silences.next()), (0, None));
    assert!(silences.watchers.is_empty());
}

#[test]
fn an_attribute_that_is_not_watched_is_no_sign_of_life() {
    let mut silences = Silences::default();
    begin(&mut silences, "a", &hot(), &[]);
    begin(&mut silences, "b", &json!({"entities": [{"type": "Sensor"}]}), &[]);
    let found = entity(&sensor(9), time(0));
    for name in ["a", "b"] {
        assert_eq!(silences.found(&key(name), &found), None);
    }
    let mut renamed = sensor(9);
    renamed["name"]["value"] = json!("b");
    let rename = change(Some(&sensor(9)), Some(&renamed));
    assert_eq!(listen(&mut silences, &rename, 5)[..1], [None]);
    assert_eq!(alive(&mut silences, "b", &rename, 5), None);
    let told: Vec<_> = silences.tell(time(10), 9).into_iter().map(|it| it.0).collect();
    assert_eq!(told, [Arc::new(key("a"))]);
    let told: Vec<_> = silences.tell(time(15), 9).into_iter().map(|it| it.0).collect();
    assert_eq!(told, [Arc::new(key("b"))]);
    let count = change(Some(&sensor(9)), Some(&sensor(8)));
    let (a, b) = ((0, 10), (5, 15));
    let ends = [a, b].map(|(since, at)| {
        Some(End::Returned(Told { since: time(since), at: time(at) }, time(20)))
    });
    assert_eq!(["a", "b"].map(|name| alive(&mut silences, name, &count, 20)), ends);
}

#[test]
fn a_watch_that_ends_gives_back_what_it_told_and_leaves_nothing_behind() {
    let mut silences = Silences::default();
    begin(&mut silences, "a", &hot(), &[]);
    silences.found(&key("a"), &entity(&sensor(9), time(0)));
    let told = silences.tell(time(10), 9);
    let ended = silences.end(&key("a"));
    assert_eq!(ended, told.iter().map(|it| (it.1.clone(), it.2)).collect::<Vec<_>>());
    assert!(silences.is_empty() && silences.watchers.is_empty() && silences.turns.is_empty());
    assert_eq!(silences.watched, 0);
    // Begun again it still knows, unless nothing of it is found.
    begin(&mut silences, "a", &hot(), &ended);
    assert_eq!((silences.watched, silences.next()), (1, None));
    assert_eq!(silences.found(&key("a"), &entity(&sensor(9), time(0))), None);
    assert_eq!(silences.all_found(&key("a")), []);
    assert_eq!(silences.tell(time(100), 9), []);
    begin(&mut silences, "a", &hot(), &ended);
    assert_eq!(silences.all_found(&key("a")), [ended[0].0.clone()]);
    assert_eq!(silences.watched, 0);
    assert!(silences.watchers.is_empty());
}

#[test]
fn what_is_beyond_the_limit_is_not_watched() {
    let mut silences = Silences::with_most(2);
    begin(&mut silences, "a", &json!({"entities": [{"type": "Sensor"}]}), &[]);
    for number in 0..4 {
        let mut json = sensor(1);
        json["id"] = json!(format!("urn:x:{number}"));
        assert_eq!(silences.found(&key("a"), &entity(&json, time(0))), None);
    }
    assert_eq!(silences.watched, 2);
    assert_eq!(silences.tell(time(10), 9).len(), 2);
    // One that goes makes room.
    let mut first = sensor(1);
    first["id"] = json!("urn:x:0");
    assert_eq!(listen(&mut silences, &change(Some(&first), None), 11), [Some(End::Forgotten)]);
    assert_eq!(silences.watched, 1);
    for id in ["urn:x:7", "urn:x:8"] {
        first["id"] = json!(id);
        assert_eq!(alive(&mut silences, "a", &change(None, Some(&first)), 12), None);
        assert_eq!(silences.watched, 2);
    }
    assert!(silences.is_full());
}
