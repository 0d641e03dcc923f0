use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn observed(shelter: &Shelter, said: &Observation) -> Shelter {
    shelter.observed(said, &Thresholds::default())
}

fn count(seconds: i64, people: u64) -> Observation {
    Observation::count(at(seconds), people)
}

fn listed(seconds: i64, people: u64) -> Observation {
    Observation { stated: Stated::Listed, ..count(seconds, people) }
}

fn stated(seconds: i64, people: u64, status: Status) -> Observation {
    Observation { stated: Stated::As(status), ..count(seconds, people) }
}

fn in_state(status: Status) -> Shelter {
    Shelter { status, ..Shelter::default() }
}

#[test]
fn a_level_falls_only_when_the_count_has_fallen_well_below() {
    let thresholds = Thresholds::default();
    let mut level = Congestion::Unknown;
    let mut seen = Vec::new();
    for rate in [0.5, 0.69, 0.7, 0.66, 0.64, 0.99, 1.0, 0.96, 0.94, 0.66, 0.5, 1.0, 0.5] {
        level = thresholds.level(rate, level);
        seen.push(level.as_str());
    }
    let expected = [
        "free",
        "free",
        "congested",
        "congested",
        "free",
        "congested",
        "full",
        "full",
        "congested",
        "congested",
        "free",
        "full",
        "free",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_shelter_opens_once_and_closes_once() {
    let first = observed(&Shelter::default(), &listed(1, 10));
    assert_eq!((first.status, first.opened_at), (Status::Open, Some(at(1))));
    let second = observed(&first, &listed(2, 12));
    assert_eq!((second.people, second.opened_at), (Some(12), Some(at(1))));
    let closed = observed(&second, &Observation::closing(at(3)));
    assert_eq!(
        (closed.status, closed.people, closed.closed_at),
        (Status::Closed, Some(0), Some(at(3)))
    );
    assert_eq!(observed(&closed, &Observation::closing(at(4))).closed_at, Some(at(3)));
}

#[test]
fn a_shelter_that_is_opened_again_forgets_the_households_and_the_crowd_of_before() {
    let full = Shelter {
        capacity: Some(10),
        households: Some(4),
        ..observed(&Shelter::default(), &listed(1, 10))
    };
    let closed = observed(&observed(&full, &listed(2, 10)), &Observation::closing(at(3)));
    assert_eq!((closed.households, closed.congestion), (Some(0), Congestion::Unknown));
    let again = observed(&closed, &listed(4, 6));
    assert_eq!((again.status, again.congestion), (Status::Open, Congestion::Free));
    assert_eq!((again.households, again.opened_at), (None, Some(at(4))));
    assert_eq!(again.closed_at, Some(at(3)));
}

#[test]
fn a_closing_that_is_taken_back_at_its_own_moment_leaves_no_trace() {
    let open = observed(&Shelter::default(), &listed(1, 10));
    let closed = observed(&open, &Observation::closing(at(3)));
    let corrected = observed(&closed, &listed(3, 11));
    assert_eq!((corrected.opened_at, corrected.closed_at), (Some(at(1)), None));
}

#[test]
fn what_happened_earlier_and_comes_later_moves_the_opening() {
    let open = observed(&Shelter::default(), &count(10, 3));
    assert_eq!(observed(&open, &count(5, 4)).opened_at, Some(at(5)));
    let reopened = Shelter { closed_at: Some(at(7)), ..open };
    assert_eq!(observed(&reopened, &count(5, 4)).opened_at, Some(at(10)));
}

#[test]
fn an_odd_transition_is_made_and_flagged_until_the_next_observation() {
    let next = observed(&in_state(Status::Closed), &stated(1, 10, Status::Full));
    assert_eq!(next.status, Status::Full);
    assert_eq!(next.data_quality.as_deref(), Some("full after closed"));
    assert_eq!(observed(&next, &stated(2, 10, Status::Full)).data_quality, None);
    let closed = observed(&next, &Observation::closing(at(2)));
    assert_eq!(closed.data_quality, None);
    let closed = observed(&next, &stated(2, 30, Status::Closed));
    assert_eq!((closed.status, closed.people), (Status::Closed, Some(30)));
    assert_eq!(closed.data_quality.as_deref(), Some("closed with 30 people"));
}

#[test]
fn full_is_derived_from_the_count() {
    let shelter = Shelter { capacity: Some(100), ..in_state(Status::Open) };
    let full = observed(&shelter, &count(1, 100));
    assert_eq!((full.status, full.congestion), (Status::Full, Congestion::Full));
    let still = observed(&full, &count(2, 96));
    assert_eq!(still.status, Status::Full);
    let open = observed(&still, &count(3, 94));
    assert_eq!((open.status, open.congestion), (Status::Open, Congestion::Congested));
}

#[test]
fn a_count_alone_opens_what_was_not_open_and_changes_no_other_state() {
    let check = |status, people, expected| {
        let shelter = Shelter { capacity: Some(10), ..in_state(status) };
        assert_eq!(observed(&shelter, &count(1, people)).status, expected, "{status:?} {people}");
    };
    check(Status::Unknown, 0, Status::Open);
    check(Status::Planned, 2, Status::Open);
    check(Status::Opening, 10, Status::Full);
    check(Status::Closed, 0, Status::Closed);
    check(Status::Closed, 1, Status::Open);
    check(Status::Closing, 3, Status::Closing);
    check(Status::Closing, 10, Status::Closing);
    check(Status::Permanent, 10, Status::Permanent);
    check(Status::Suspended, 5, Status::Suspended);
}

#[test]
fn a_listed_shelter_is_open() {
    let check = |status, expected| {
        assert_eq!(observed(&in_state(status), &listed(1, 0)).status, expected, "{status:?}");
    };
    check(Status::Closed, Status::Open);
    check(Status::Suspended, Status::Open);
    check(Status::Unknown, Status::Open);
    check(Status::Closing, Status::Closing);
    check(Status::Permanent, Status::Permanent);
}

#[test]
fn without_a_count_the_people_stay_as_they_were() {
    let open = observed(&Shelter::default(), &listed(1, 10));
    let next = observed(&open, &Observation { people: None, ..listed(2, 0) });
    assert_eq!((next.status, next.people), (Status::Open, Some(10)));
}

#[test]
fn every_state_has_a_name_of_its_own() {
    for (status, name) in Status::NAMES {
        assert_eq!((status.as_str(), Status::from_name(name)), (name, Some(status)));
    }
    assert_eq!(Status::from_name("shut"), None);
}
