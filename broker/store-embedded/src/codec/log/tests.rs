use musubi_model::{Attribute, AttributeType, Entity, EvolutionAction, Instance, Json, Value};
use musubi_store::RecordKind;
use proptest::prelude::*;

use super::*;
use crate::codec::{entity_bytes, samples};

fn change(subject: Subject) -> Change {
    Change {
        sequence: Sequence(7),
        tenant: "town".parse().unwrap(),
        time: Timestamp::from_seconds(1_700_000_000),
        cause: Cause::Adapter("sensors".into()),
        subject,
    }
}

fn row(change: &Change) -> Vec<u8> {
    let (mut after, mut row) = (Vec::new(), vec![1, 2, 3]);
    if let Subject::Entity(EntityChange { after: Some(entity), .. }) = &change.subject {
        entity_bytes(entity, &mut after);
    }
    log_row(change, &after, &mut row).unwrap();
    assert!(row.ends_with(&after));
    row
}

fn read_again(change: &Change) -> Change {
    read_log(&log_key(change.sequence), &row(change)).unwrap()
}

/// The state as it is written beside the log.
fn state_by_itself(change: &Change) -> Option<KeyAndState> {
    let Subject::Entity(subject) = &change.subject else { return None };
    let (mut key, mut entity, mut state) = (Vec::new(), Vec::new(), Vec::new());
    state_key(&change.tenant, &subject.id, &mut key);
    let after = subject.after.as_ref().map(|after| {
        entity_bytes(after, &mut entity);
        state_row((subject.revision, subject.position), &entity, &mut state);
        state
    });
    Some((key, after))
}

/// Equal to the last digit of every time, which `==` does not look at.
fn assert_same(one: &Change, other: &Change) {
    assert_eq!(one, other);
    assert_eq!(postcard::to_stdvec(one).unwrap(), postcard::to_stdvec(other).unwrap());
}

/// `old` with as much of `other` as the picks say.
fn mixed(old: &Entity, other: &Entity, picks: &[bool]) -> Entity {
    let mut picks = picks.iter().copied().cycle();
    let mut pick = || picks.next().unwrap();
    let mut new = old.clone();
    if pick() {
        new.types.clone_from(&other.types);
    }
    if pick() {
        new.scopes.clone_from(&other.scopes);
    }
    if pick() {
        (new.created_at, new.expires_at) = (other.created_at, other.expires_at);
    }
    new.modified_at = other.modified_at;
    new.attributes.retain(|_| pick());
    for attribute in &other.attributes {
        match new.attributes.iter_mut().find(|known| known.name == attribute.name) {
            Some(known) if pick() => *known = attribute.clone(),
            Some(known) => known.instances.extend(attribute.instances.iter().cloned()),
            None if pick() => new.attributes.push(attribute.clone()),
            None => {}
        }
    }
    if pick() {
        new.attributes.reverse();
    }
    new
}

fn between(old: Option<&Entity>, new: Option<Entity>) -> Change {
    let numbers = (Revision(300), Position(70_000));
    let id = old.or(new.as_ref()).map(|entity| entity.id.clone()).unwrap();
    change(Subject::Entity(EntityChange::between(id, numbers, old, new.map(Arc::new))))
}

proptest! {
    #[test]
    fn a_write_is_read_as_it_was_written(
        old in samples::entity(),
        other in samples::entity(),
        picks in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let new = mixed(&old, &other, &picks);
        for change in [
            between(None, Some(new.clone())),
            between(Some(&old), Some(new)),
            between(Some(&old), Some(old.clone())),
            between(Some(&old), None),
        ] {
            assert_same(&read_again(&change), &change);
            assert_eq!(state_of_log(&row(&change)).unwrap(), state_by_itself(&change));
        }
    }

    #[test]
    fn a_change_that_no_write_brings_about_is_read_as_it_was_written(
        before in proptest::option::of(samples::entity()),
        after in proptest::option::of(samples::entity()),
        id in proptest::sample::select(vec!["urn:x:1", "urn:x:2"]),
        changed in proptest::collection::vec("urn:x:[a-h]", 0..5),
    ) {
        let changed = changed.iter().map(|name| name.parse().unwrap()).collect();
        let numbers = (Revision(u64::MAX), Position(0));
        let (before, after) = (before.map(Arc::new), after.map(Arc::new));
        let (id, (revision, position)) = (id.parse().unwrap(), numbers);
        let subject = EntityChange { id, revision, position, before, after, changed };
        let change = change(Subject::Entity(subject));
        assert_same(&read_again(&change), &change);
    }
}

#[test]
fn what_is_no_entity_is_read_as_it_was_written() {
    let value = Some(vec![1, 2, 255].into());
    let (kind, key) = (RecordKind::Subscription, "urn:s:1".to_owned());
    let record = RecordChange { kind, key, revision: Revision(3), value };
    for cause in [Cause::Request, Cause::Expiry, Cause::Adapter("a".into())] {
        let change = Change { cause, ..change(Subject::Record(record.clone())) };
        assert_same(&read_again(&change), &change);
    }
    let evolution =
        EvolutionChange { id: "urn:x:1".parse().unwrap(), action: EvolutionAction::Remove };
    let change = change(Subject::Evolution(evolution));
    assert_same(&read_again(&change), &change);
}

/// An entity with an attribute for each of these names and values.
fn entity(attributes: &[(&str, &str)], modified: i64) -> Entity {
    let attribute = |(name, json): &(&str, &str)| {
        let instance = Instance {
            value: Value { kind: AttributeType::Property, json: Json::parse(json).unwrap() },
            observed_at: Some(Timestamp::parse_utc("2024-05-01T00:00:00.120Z").unwrap()),
            created_at: Timestamp::from_seconds(1_600_000_000),
            modified_at: Timestamp::from_seconds(modified),
            qualifiers: None,
        };
        let name = format!("https://example.org/{name}").parse().unwrap();
        Attribute { name, instances: std::iter::once(instance).collect() }
    };
    Entity {
        id: "urn:ngsi-ld:Room:1".parse().unwrap(),
        types: vec!["https://example.org/Room".parse().unwrap()],
        scopes: vec!["/a".parse().unwrap()],
        created_at: Timestamp::from_seconds(1_600_000_000),
        modified_at: Timestamp::from_seconds(modified),
        expires_at: None,
        attributes: attributes.iter().map(attribute).collect(),
    }
}

fn some_changes() -> [Change; 3] {
    let old = entity(&[("kept", "1"), ("written", "2.50"), ("gone", "\"x\"")], 1_700_000_000);
    let mut new = entity(&[("kept", "1"), ("written", "3"), ("new", "[1]")], 1_700_000_001);
    new.attributes[0] = old.attributes[0].clone();
    let created = between(None, Some(old.clone()));
    [created, between(Some(&old), Some(new)), between(Some(&old), None)]
}

/// The rows of [`some_changes`] as the first format has them.
const FIRST: [&[u8]; 3] = [
    b"\x01\x04town\x80\x80\xf2\x81\x83\x89\x85\x06\x01\x07sensors\x00\x12urn:ngsi-ld:Room:\
      1\xac\x02\xf0\xa2\x04\x00\x03\x18https://example.org/kept\x1bhttps://example.org/wri\
      tten\x18https://example.org/gone\x00\x12urn:ngsi-ld:Room:1\x01\x18https://example.or\
      g/Room\x01\x02/a\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\
      \x03\x18https://example.org/kept\x01\x00\x011\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\
      \x10\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x1bhttps://\
      example.org/written\x01\x00\x042.50\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\
      \xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x18https://example.org/\
      gone\x01\x00\x03\"x\"\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\xa0\xfa\xa0\
      \xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00",
    b"\x01\x04town\x80\x80\xf2\x81\x83\x89\x85\x06\x01\x07sensors\x00\x12urn:ngsi-ld:Room:\
      1\xac\x02\xf0\xa2\x04\x01\x12urn:ngsi-ld:Room:1\x01\x18https://example.org/Room\x01\
      \x02/a\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x02\x1bht\
      tps://example.org/written\x01\x00\x042.50\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\
      \x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x18https://exam\
      ple.org/gone\x01\x00\x03\"x\"\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\xa0\
      \xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x03\x1bhttps://example.org/\
      written\x17https://example.org/new\x18https://example.org/gone\x00\x12urn:ngsi-ld:Ro\
      om:1\x01\x18https://example.org/Room\x01\x02/a\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\
      \x89\xec\x82\x83\x89\x85\x06\x00\x03\x18https://example.org/kept\x01\x00\x011\x01\
      \x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\
      \x83\x89\x85\x06\x00\x1bhttps://example.org/written\x01\x00\x013\x01\x80\xd3\xfa\xae\
      \xa5\xd6\x8b\x86\x10\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x89\xec\x82\x83\x89\x85\x06\
      \x00\x17https://example.org/new\x01\x00\x03[1]\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\
      \x10\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x89\xec\x82\x83\x89\x85\x06\x00",
    b"\x01\x04town\x80\x80\xf2\x81\x83\x89\x85\x06\x01\x07sensors\x00\x12urn:ngsi-ld:Room:\
      1\xac\x02\xf0\xa2\x04\x01\x12urn:ngsi-ld:Room:1\x01\x18https://example.org/Room\x01\
      \x02/a\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x03\x18ht\
      tps://example.org/kept\x01\x00\x011\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\
      \xa0\xfa\xa0\xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x1bhttps://example.org/\
      written\x01\x00\x042.50\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\xa0\xfa\xa0\
      \xcc\xd7\x05\x80\x80\xf2\x81\x83\x89\x85\x06\x00\x18https://example.org/gone\x01\x00\
      \x03\"x\"\x01\x80\xd3\xfa\xae\xa5\xd6\x8b\x86\x10\x80\x80\xa0\xfa\xa0\xcc\xd7\x05\
      \x80\x80\xf2\x81\x83\x89\x85\x06\x00\x03\x18https://example.org/kept\x1bhttps://exam\
      ple.org/written\x18https://example.org/gone\x01",
];

#[test]
fn rows_of_the_first_format_are_still_read() {
    for (change, row) in some_changes().iter().zip(FIRST) {
        assert_same(&read_log(&log_key(change.sequence), row).unwrap(), change);
    }
}

#[test]
fn the_row_of_a_small_change_says_little_more_than_the_entity() {
    let attributes = ["one", "two", "three", "four", "five"].map(|name| (name, "12.5"));
    let old = entity(&attributes, 1_700_000_000);
    let mut new = entity(&attributes, 1_700_000_001);
    new.attributes[..4].clone_from_slice(&old.attributes[..4]);
    let mut bytes = Vec::new();
    entity_bytes(&new, &mut bytes);
    let length = row(&between(Some(&old), Some(new))).len() - bytes.len();
    assert!(length <= 110, "{length}");
    let length = row(&between(None, Some(old))).len() - bytes.len();
    assert!(length <= 64, "{length}");
}

#[test]
fn what_is_cut_off_or_damaged_is_refused_or_read_but_never_ends_the_program() {
    for change in some_changes() {
        let key = log_key(change.sequence);
        let row = row(&change);
        for length in 0..row.len() {
            assert!(read_log(&key, &row[..length]).is_err(), "{length}");
        }
        for place in 0..row.len() {
            for wrong in [0, 1, 2, 3, 0x7F, 0x80, 0xFF] {
                let mut damaged = row.clone();
                damaged[place] = wrong;
                let _ = read_log(&key, &damaged);
            }
        }
    }
    assert!(matches!(read_log(&[0; 8], &[3, 1]), Err(RowError::Format(Some(3)))));
    assert!(matches!(read_log(&[0; 8], &[]), Err(RowError::Format(None))));
}

#[test]
fn what_refers_to_an_entity_or_an_attribute_that_is_not_there_is_refused() {
    let deletion = between(Some(&entity(&[("gone", "1")], 0)), None);
    let row = row(&deletion);
    // The last byte is the place of the name that was deleted: the first one.
    assert_eq!(row.last(), Some(&0));
    let mut damaged = row.clone();
    *damaged.last_mut().unwrap() = 1;
    assert!(matches!(read_log(&[0; 8], &damaged), Err(RowError::Malformed)));
    // A type of its own, as a deletion has it, made one that is shared.
    let name = b"https://example.org/Room";
    let place = row.windows(name.len()).position(|bytes| bytes == name).unwrap();
    let mut damaged = row[..place - 3].to_vec();
    damaged.push(0);
    damaged.extend_from_slice(&row[place + name.len()..]);
    assert!(matches!(read_log(&[0; 8], &damaged), Err(RowError::Malformed)));
}
