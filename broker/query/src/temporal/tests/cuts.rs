use super::*;
use crate::{Cut, EvolutionPage, ScopeQuery, TimeRelation, evolution_page};

fn two() -> [Evolution; 2] {
    let one = Builder::new("1")
        .property("fuel", "10", 40)
        .property("speed", "1", 1)
        .property("speed", "2", 2)
        .property("speed", "3", 3);
    let other = Builder::new("2").property("speed", "4", 2).property("speed", "5", 4);
    [one.0, other.0]
}

fn page(instances: usize, last: Option<usize>) -> EvolutionPage {
    evolution_page(&two(), &TemporalQuery { last, instances, ..TemporalQuery::default() }).unwrap()
}

fn check(page: &EvolutionPage, expected: &[&str], cut: Option<(i64, i64)>) {
    let found: Vec<String> = page.items.iter().map(|item| shown(&item.evolution)).collect();
    let cut = cut.map(|(first, last)| Cut { first: minute(first), last: minute(last) });
    assert_eq!(
        (found.iter().map(String::as_str).collect::<Vec<_>>(), page.cut),
        (expected.to_vec(), cut)
    );
}

#[test]
fn a_page_with_few_instances_is_whole() {
    check(&page(6, None), &["fuel: 10; speed: 1 2 3", "speed: 4 5"], None);
    check(&page(6, Some(9)), &["fuel: 10; speed: 1 2 3", "speed: 4 5"], None);
}

#[test]
fn what_is_too_much_is_cut_at_one_moment_for_all_entities() {
    check(&page(5, None), &["fuel: ; speed: 1 2 3", "speed: 4 5"], Some((1, 4)));
    check(&page(4, None), &["fuel: ; speed: 1 2 3", "speed: 4"], Some((1, 3)));
    check(&page(3, None), &["fuel: ; speed: 1 2", "speed: 4"], Some((1, 2)));
    // Both of the second minute or none.
    check(&page(2, None), &["fuel: ; speed: 1", "speed: "], Some((1, 1)));
}

#[test]
fn with_the_last_ones_the_earliest_are_cut() {
    check(&page(5, Some(9)), &["fuel: 10; speed: 2 3", "speed: 4 5"], Some((2, 40)));
    check(&page(4, Some(9)), &["fuel: 10; speed: 3", "speed: 5"], Some((3, 40)));
    check(&page(1, Some(9)), &["fuel: 10; speed: ", "speed: "], Some((40, 40)));
    // The last ones of each attribute are chosen before.
    check(&page(3, Some(1)), &["fuel: 10; speed: 3", "speed: 5"], None);
}

#[test]
fn of_a_first_moment_that_is_too_much_a_part_is_there() {
    let evolutions = ["2", "1"].map(|short| {
        let both = Builder::new(short).property("fuel", "1", 5).property("speed", "2", 5);
        both.property("speed", "3", 6).0
    });
    for last in [None, Some(9)] {
        let query = TemporalQuery { instances: 3, last, ..TemporalQuery::default() };
        let page = evolution_page(&evolutions, &query).unwrap();
        match last {
            None => check(&page, &["fuel: 1; speed: 2", "fuel: 1; speed: "], Some((5, 5))),
            Some(_) => check(&page, &["fuel: ; speed: 3", "fuel: ; speed: 3"], Some((6, 6))),
        }
    }
}

#[test]
fn a_scope_of_before_the_range_stays_and_does_not_count() {
    let evolution = Builder::new("1")
        .property("scope", "\"/A\"", -90)
        .property("speed", "1", 1)
        .property("speed", "2", 2)
        .0;
    let query = TemporalQuery {
        range: Some(TimeRelation::After(minute(0))),
        scope: Some(ScopeQuery::parse("/A").unwrap()),
        instances: 1,
        ..TemporalQuery::default()
    };
    for (last, expected, at) in
        [(None, "speed: 1; scope: /A", 1), (Some(5), "speed: 2; scope: /A", 2)]
    {
        let query = TemporalQuery { last, ..query.clone() };
        let page = evolution_page(std::slice::from_ref(&evolution), &query);
        check(&page.unwrap(), &[expected], Some((at, at)));
    }
}

/// `count` values of so many bytes each, minute by minute.
fn sized(count: i64, bytes: usize) -> Evolution {
    let text = format!("\"{}\"", "x".repeat(bytes - 2));
    let add = |evolution: Builder, at| evolution.property("a", &text, at);
    (1..=count).fold(Builder::new("1"), add).0
}

#[test]
fn an_answer_with_too_much_text_is_cut_like_one_with_too_many_instances() {
    let evolution = sized(5, 100);
    for (bytes, last, expected) in [
        (500, None, None),
        (499, None, Some((1, 4))),
        (299, None, Some((1, 2))),
        (299, Some(9), Some((4, 5))),
        // One is always there.
        (0, None, Some((1, 1))),
        (0, Some(9), Some((5, 5))),
    ] {
        let query = TemporalQuery { last, bytes, ..TemporalQuery::default() };
        let page = evolution_page(std::slice::from_ref(&evolution), &query).unwrap();
        let expected =
            expected.map(|(first, last)| Cut { first: minute(first), last: minute(last) });
        assert_eq!(page.cut, expected, "{bytes} bytes");
    }
}

#[test]
fn one_instance_with_too_much_text_is_a_whole_answer() {
    let query = TemporalQuery { bytes: 10, ..TemporalQuery::default() };
    let page = evolution_page(&[sized(1, 100)], &query).unwrap();
    assert_eq!(page.cut, None);
    assert_eq!(page.items[0].evolution, sized(1, 100));
}

#[test]
fn of_a_first_moment_with_too_much_text_a_part_is_there() {
    let evolution = Builder::new("1")
        .property("fuel", "12345", 5)
        .property("size", "123456", 5)
        .property("speed", "1", 5)
        .property("speed", "2", 6)
        .0;
    let query = TemporalQuery { bytes: 10, ..TemporalQuery::default() };
    let page = evolution_page(&[evolution], &query).unwrap();
    // What follows the first that does not fit is not there, be it short.
    check(&page, &["fuel: 12345; size: ; speed: "], Some((5, 5)));
}
