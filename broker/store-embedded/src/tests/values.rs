//! Queries whose values get indexed, in a whole store.

use musubi_query::{AttributePath, Comparison, Literal};

use super::*;
use crate::plan;

/// A write of an entity with this value of `urn:x:a`.
fn valued(number: usize, value: usize) -> Write {
    let mut write = put(number);
    let mut attribute = entity_attribute("urn:x:a");
    for instance in &mut attribute.instances {
        instance.value.json = Json::parse(&value.to_string()).unwrap();
    }
    Arc::make_mut(write.state.as_mut().unwrap()).attributes.push(attribute);
    write
}

fn asked(number: f64) -> Filter {
    let names = vec!["urn:x:a".parse().unwrap()];
    let path = AttributePath { links: vec![], names, members: vec![] };
    let comparison = Comparison::Equal(vec![Literal::Number(number)]);
    Filter::Query(Query::Compare { path, comparison })
}

#[tokio::test]
async fn a_query_finds_the_same_before_its_values_are_indexed_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { index_after: 100, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options).unwrap();
    let writes = (0..1_000).map(|number| valued(number, number % 50)).collect();
    commit(&store, writes, vec![]).await.unwrap();
    let is_indexed = || {
        let table = store.shared().resident.tables.get(&Tenant::default()).unwrap();
        plan::unindexed(&table.read(), &asked(7.0)).is_none()
    };
    assert!(!is_indexed());
    let page = select(&store, asked(7.0), 3).await.unwrap();
    assert_eq!((page.items.len(), page.total), (3, Some(20)));
    assert!(is_indexed());
    let again = select(&store, asked(7.0), 3).await.unwrap();
    assert_eq!((again.items, again.total, again.more), (page.items, page.total, page.more));
    let writes = (0..1_000).map(|number| valued(number, 9)).collect();
    commit(&store, writes, vec![]).await.unwrap();
    assert_eq!(select(&store, asked(7.0), 3).await.unwrap().total, Some(0));
    assert_eq!(select(&store, asked(9.0), 3).await.unwrap().total, Some(1_000));
}

#[tokio::test]
async fn a_query_about_more_paths_than_can_be_indexed_ends() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { index_after: 10, ..EmbeddedOptions::new(folder.path()) };
    let store = EmbeddedStore::open(options).unwrap();
    let names: Vec<String> = (0..9).map(|number| format!("urn:x:{number}")).collect();
    let writes = (0..3_000).map(|number| {
        let mut write = put(number);
        let entity = Arc::make_mut(write.state.as_mut().unwrap());
        entity.attributes.extend(names.iter().map(|name| {
            let mut attribute = entity_attribute(name);
            for instance in &mut attribute.instances {
                instance.value.json = Json::parse(&number.to_string()).unwrap();
            }
            attribute
        }));
        write
    });
    commit(&store, writes.collect(), vec![]).await.unwrap();
    let compare = |name: &String, number| {
        let path =
            AttributePath { links: vec![], names: vec![name.parse().unwrap()], members: vec![] };
        let comparison = Comparison::Equal(vec![Literal::Number(number)]);
        Query::Compare { path, comparison }
    };
    // The first path is asked for once, and the second so often that the first seems forgotten.
    let (first, second) = (names.first().unwrap(), names.get(1).unwrap());
    let mut any: Vec<Query> = names.iter().map(|name| compare(name, 7.0)).collect();
    any.extend((0..100).map(|_| compare(second, 7.0)));
    any.push(compare(first, 8.0));
    for _ in 0..5 {
        let page = select(&store, Filter::Query(Query::Or(any.clone())), 3).await.unwrap();
        assert_eq!(page.total, Some(2));
    }
}
