use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_704_963_600 + seconds)
}

fn open() -> Shelter {
    Shelter {
        status: Status::Open,
        people: Some(12),
        households: Some(4),
        opened_at: Some(at(0)),
        ..Shelter::default()
    }
}

fn fragment(before: &Shelter, after: &Shelter) -> EntityFragment {
    let mut fragment = Fragment::new(shelter_id("CC0000000518").unwrap());
    let people = Some(CountMethod::HeadCount);
    fragment.step(&Step { before, after, at: at(0), people, households: None });
    fragment.into_inner()
}

fn names(fragment: &EntityFragment, of: fn(&InstanceFragment) -> bool) -> Vec<&str> {
    fragment
        .attributes
        .iter()
        .filter(|attribute| attribute.instances.iter().all(of))
        .map(|attribute| attribute.name.as_str())
        .collect()
}

#[test]
fn what_is_written_is_known_again() {
    let shelter = Shelter { data_quality: Some("full after closed".to_owned()), ..open() };
    for shelter in [open(), shelter] {
        let written = fragment(&Shelter::default(), &shelter);
        let known = Known::of(&Entity::create(written, at(9)).unwrap());
        assert_eq!(known.shelter, shelter);
        assert_eq!((known.counted_at, known.said_at), (Some(at(0)), Some(at(0))));
    }
}

#[test]
fn what_has_no_value_any_more_is_taken_away() {
    let is_null: fn(&InstanceFragment) -> bool =
        |instance| instance.value == Some(FragmentValue::Null);
    let before = Shelter { closed_at: Some(at(0)), ..open() };
    let after = Shelter { households: None, closed_at: None, ..open() };
    let written = fragment(&before, &after);
    assert_eq!(names(&written, is_null), [HOUSEHOLDS, CLOSED_AT]);
    assert!(names(&fragment(&after, &after), is_null).is_empty());
}

#[test]
fn a_number_that_nobody_counted_is_not_written() {
    let mut written = Fragment::new(shelter_id("1").unwrap());
    let (before, after) = (&open(), &open());
    written.step(&Step { before, after, at: at(60), people: None, households: None });
    let written = written.into_inner();
    let names = names(&written, |_| true);
    assert!(names.contains(&STATUS));
    for name in [OCCUPANCY, HOUSEHOLDS, RATE, COUNT_METHOD] {
        assert!(!names.contains(&name), "{name}");
    }
}

#[test]
fn every_shelter_gets_an_id_of_its_own() {
    let check = |id: &str, expected: &str| assert_eq!(shelter_id(id).unwrap().as_str(), expected);
    check("001", "urn:ngsi-ld:EvacuationShelter:001");
    check("００１ ", "urn:ngsi-ld:EvacuationShelter:001");
    check("urn:ngsi-ld:EvacuationShelter:001", "urn:ngsi-ld:EvacuationShelter:001");
    check("urn:x:1", "urn:x:1");
    check("寄合い処 みそぎ", "urn:ngsi-ld:EvacuationShelter:寄合い処%20みそぎ");
    check("A/B%", "urn:ngsi-ld:EvacuationShelter:A%2FB%25");
    assert!(shelter_id("urn:a b").is_err());
    assert!(shelter_id("　").is_err());
    assert!(shelter_id(&"あ".repeat(2000)).is_err());
}
