//! Purges: what they take, in pages, among other writers.

use musubi_broker::{Members, Purge, WriteRules};
use musubi_model::{EntityFragment, Patch};
use musubi_query::{EntityQuery, Filter};

use crate::crowd::Crowded;
use crate::support::{Town, fragment, id, name, plain};

fn has(attribute: &str) -> Filter {
    Filter::HasAny(vec![name(attribute)])
}

fn members(scope: bool, attributes: &[&str]) -> Members {
    Members { scope, attributes: attributes.iter().map(|attribute| name(attribute)).collect() }
}

async fn count(town: &Town) -> u64 {
    let query = EntityQuery { count: true, ..EntityQuery::default() };
    town.session.query_entities(query).await.unwrap().total.unwrap()
}

#[tokio::test]
async fn more_entities_than_a_page_are_purged_and_the_others_stay() {
    let town = Town::new();
    let attribute = |number: u32| if number.is_multiple_of(3) { "keep" } else { "go" };
    let fragments = (0..1_300).map(|number| fragment(number, &[(attribute(number), plain(1))]));
    town.session.create_entities(fragments.collect()).await.unwrap();
    let result = town.session.purge_entities(has("go"), Purge::Entities).await.unwrap();
    assert_eq!((result.changed.len(), result.errors.len()), (866, 0));
    assert_eq!(count(&town).await, 434);
    let again = town.session.purge_entities(has("go"), Purge::Entities).await.unwrap();
    assert_eq!(again.changed.len(), 0);
}

#[tokio::test]
async fn members_are_dropped_or_kept() {
    let check = async |what: Purge, attributes: &[&str], scoped: bool, changes: usize| {
        let town = Town::new();
        let first = EntityFragment {
            scopes: Patch::Set(vec!["/a".parse().unwrap()]),
            ..fragment(1, &[("x", plain(1)), ("y", plain(1)), ("z", plain(1))])
        };
        town.session.create_entity(first).await.unwrap();
        town.clock.set(5);
        town.session.purge_entities(has("x"), what.clone()).await.unwrap();
        let entity = town.entity(1).await.unwrap();
        let names: Vec<_> = entity.attributes.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, attributes, "{what:?}");
        assert_eq!(!entity.scopes.is_empty(), scoped, "{what:?}");
        assert_eq!(town.changes().await.len(), 1 + changes, "{what:?}");
    };
    let xyz = &["urn:x", "urn:y", "urn:z"][..];
    check(Purge::Drop(members(false, &["x", "other"])), &["urn:y", "urn:z"], true, 1).await;
    check(Purge::Drop(members(true, &[])), xyz, false, 1).await;
    check(Purge::Drop(members(false, &["other"])), xyz, true, 0).await;
    check(Purge::Keep(members(false, &["y"])), &["urn:y"], false, 1).await;
    check(Purge::Keep(members(true, &["x", "y", "z"])), xyz, true, 0).await;
}

#[tokio::test]
async fn an_entity_that_is_changed_meanwhile_is_looked_at_again() {
    let crowded = Crowded::empty();
    let town = Town::over(crowded.store(), crowded.clone(), WriteRules::default());
    for number in 1..=2 {
        town.session.create_entity(fragment(number, &[("x", plain(1))])).await.unwrap();
    }
    // The first entity loses what the purge looks for; nobody may delete it then.
    crowded.meanwhile(fragment(1, &[("y", plain(2))]));
    let result = town.session.purge_entities(has("x"), Purge::Entities).await.unwrap();
    assert_eq!(result.changed, [id(2)]);
    assert_eq!(town.value(1, "y").await.as_deref(), Some("2"));
}
