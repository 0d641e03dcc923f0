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
