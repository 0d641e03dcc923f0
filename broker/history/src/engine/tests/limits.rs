//! Questions that would need more memory or time than there is for one.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::{
    AttributeType, EvolutionAction, EvolutionChange, Instance, Json, NewInstance, Tenant,
    Timestamp, Value,
};
use musubi_query::{Filter, Query, TemporalQuery};
use musubi_store::{
    EvolutionWrite, Group, History, HistoryError, ReferenceStore, Store, StoreError,
};

use super::questions::values;
use super::{Archive, HistoryOptions, options};

const BYTES: usize = 100;

/// A store with the history of one entity that has so many instances of [`BYTES`] each.
async fn store(instances: i64) -> Arc<dyn Store> {
    let store = ReferenceStore::new();
    let instances = (1..=instances).map(|second| {
        let time = Timestamp::from_seconds(second);
        let json = Json::from("x".repeat(BYTES - 2).as_str());
        let instance = Instance {
            value: Value { kind: AttributeType::Property, json },
            observed_at: Some(time),
            created_at: time,
            modified_at: time,
            qualifiers: None,
        };
        ("urn:p:a".parse().unwrap(), NewInstance { instance, deleted_at: None })
    });
    let types = vec!["urn:t:1".parse().unwrap()];
    let action = EvolutionAction::Add { types, instances: instances.collect() };
    let change = EvolutionChange { id: "urn:e:1".parse().unwrap(), action };
    let evolutions = vec![EvolutionWrite { tenant: Tenant::default(), change }];
    store.commit(vec![Group { evolutions, ..Group::default() }]).await.unwrap();
    Arc::new(store)
}

fn is_too_complex<T>(answer: &Result<T, HistoryError>) -> bool {
    matches!(answer, Err(HistoryError::Store(StoreError::TooComplex(_))))
}

fn with_values(query: Query) -> TemporalQuery {
    TemporalQuery { values: Some(query), ..TemporalQuery::default() }
}

#[tokio::test]
async fn an_answer_with_too_much_text_is_cut_and_refused_where_it_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let entity_bytes = 20 * BYTES;
    let little = HistoryOptions { entity_bytes, ..options(folder.path()) };
    let archive = Archive::open(little, store(100).await).unwrap();
    let tenant = Tenant::default();
    for is_written in [false, true] {
        if is_written {
            archive.flush().await.unwrap();
        }
        for (last, first_and_last) in [(None, (1, 5)), (Some(50), (96, 100))] {
            let all = TemporalQuery { last, ..TemporalQuery::default() };
            let page = archive.evolutions(&tenant, &all).await.unwrap();
            let cut = page.cut.unwrap();
            let (first, last) = first_and_last;
            let expected = (Timestamp::from_seconds(first), Timestamp::from_seconds(last));
            assert_eq!((cut.first, cut.last), expected);
        }
        let refused = archive.evolutions(&tenant, &with_values(values("a==\"x\""))).await;
        assert!(is_too_complex(&refused), "{refused:?}");
        let few = TemporalQuery {
            range: Some(musubi_query::TimeRelation::Before(Timestamp::from_seconds(11))),
            ..with_values(values("a"))
        };
        let page = archive.evolutions(&tenant, &few).await.unwrap();
        assert_eq!(page.items.len(), 1);
    }
}

#[tokio::test]
async fn who_has_no_time_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let hasty = HistoryOptions { query_time_limit: Duration::ZERO, ..options(folder.path()) };
    let archive = Archive::open(hasty, store(3).await).unwrap();
    let query = TemporalQuery {
        filter: Filter::Ids(vec!["urn:e:1".parse().unwrap()]),
        ..with_values(values("a==\"x\""))
    };
    let refused = archive.evolutions(&Tenant::default(), &query).await;
    assert!(is_too_complex(&refused), "{refused:?}");
}
