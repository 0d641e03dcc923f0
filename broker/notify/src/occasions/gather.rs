//! All entities that a subscription is about, as they are now.

use std::sync::Arc;

use musubi_model::{Entity, Position, Tenant, Timestamp};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Page, Store, StoreError};

use crate::Subscription;
use crate::engine::applied::Applied;
use crate::subscription::selector::EntitySelector;

/// The most entities of one page, which is one notification.
const MOST_ENTITIES: usize = 1000;

/// The most text of a page's entities, in bytes; one entity that is larger is a page of its own.
const MOST_TEXT: usize = 1024 * 1024;

/// Reads the entities that satisfy a subscription's selectors and queries, whether they change or
/// not, page by page in the order of their creation. Of the attributes that the subscription
/// watches, if it names any, an entity has to have one: another could never concern it.
///
/// What comes into being after the first page was read is left out, so that it comes to an end
/// whatever is written meanwhile.
#[derive(Debug)]
pub(crate) struct Gathering {
    store: Arc<dyn Store>,
    tenant: Tenant,
    query: EntityQuery,
    /// Where the last entity stands, once the first page has been read, unless that was all.
    last: Option<Position>,
    /// How many entities there were in all when the first page was read, and how many have been
    /// taken.
    total: u64,
    taken: u64,
    is_over: bool,
}

/// All entities that a subscription is about, as they are at `now`.
pub(crate) fn gather(store: &Arc<dyn Store>, applied: &Applied, now: Timestamp) -> Gathering {
    Gathering {
        store: Arc::clone(store),
        tenant: applied.tenant.clone(),
        query: EntityQuery {
            filter: filter(&applied.subscription),
            at: Some(now),
            limit: MOST_ENTITIES,
            count: true,
            ..EntityQuery::default()
        },
        last: None,
        total: 0,
        taken: 0,
        is_over: false,
    }
}

impl Gathering {
    /// The next page, which is not empty; none after the last one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer; the same page can be asked for again.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Arc<Entity>>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.store.select(&self.tenant, &self.query).await?;
        if self.query.count && page.more {
            self.last = self.find_last(page.total).await?;
        }
        if self.query.count {
            self.total = page.total.unwrap_or_default();
        }
        self.query.count = false;
        let taken = self.take(page);
        self.taken += u64::try_from(taken.len()).unwrap_or(u64::MAX);
        Ok((!taken.is_empty()).then_some(taken))
    }

    /// How many entities come after the pages that were given, but for those that go meanwhile.
    pub(crate) fn left(&self) -> u64 {
        if self.is_over { 0 } else { self.total.saturating_sub(self.taken) }
    }

    /// Where the last of all entities stands.
    async fn find_last(&self, total: Option<u64>) -> Result<Option<Position>, StoreError> {
        let place = total.and_then(|total| usize::try_from(total).ok()).unwrap_or_default();
        let start = Start::Offset(place.saturating_sub(1));
        let query = EntityQuery { start, limit: 1, count: false, ..self.query.clone() };
        let page = self.store.select(&self.tenant, &query).await?;
        Ok(page.items.first().map(|found| found.position))
    }

    /// What of these is a page. Remembers where the next one begins.
    fn take(&mut self, page: Page) -> Vec<Arc<Entity>> {
        let mut taken = Vec::with_capacity(page.items.len());
        let mut text = 0_usize;
        for found in page.items {
            if self.last.is_some_and(|last| found.position > last) {
                self.is_over = true;
                return taken;
            }
            text = text.saturating_add(found.entity.text_size());
            if text > MOST_TEXT && !taken.is_empty() {
                return taken;
            }
            self.query.start = Start::After(found.position);
            taken.push(found.entity);
        }
        self.is_over = !page.more || taken.is_empty();
        taken
    }
}

/// The entities that satisfy the subscription.
pub(crate) fn filter(subscription: &Subscription) -> Filter {
    let selectors = subscription.entities.iter().map(selected).collect::<Vec<_>>();
    let watched = &subscription.watched_attributes;
    let conditions = [
        (!selectors.is_empty()).then_some(Filter::Any(selectors)),
        (!watched.is_empty()).then(|| Filter::HasAny(watched.clone())),
        subscription.query.as_ref().map(|query| Filter::Query(query.meaning.clone())),
        subscription.geo_query.as_ref().map(|query| Filter::Geo(query.meaning.clone())),
        subscription.scope_query.as_ref().map(|query| Filter::Scope(query.meaning.clone())),
    ];
    Filter::and(conditions.into_iter().flatten().collect())
}

fn selected(selector: &EntitySelector) -> Filter {
    let named = match (&*selector.ids, &selector.id_pattern) {
        ([], None) => None,
        ([], Some(pattern)) => Some(Filter::IdPattern(pattern.clone())),
        (ids, _) => Some(Filter::Ids(ids.to_vec())),
    };
    let typed = selector.types.clone().map(Filter::Type);
    Filter::and(named.into_iter().chain(typed).collect())
}

#[cfg(test)]
mod tests {
    use musubi_store::{Expect, Group, ReferenceStore, Write};
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{applied, entity, time};

    async fn town(entities: impl Iterator<Item = Value>) -> Arc<dyn Store> {
        let store = ReferenceStore::new();
        let writes = entities.map(|json| {
            let entity = entity(&json, time(0));
            let tenant = "town".parse().unwrap();
            Write {
                tenant,
                id: entity.id.clone(),
                expect: Expect::Any,
                state: Some(Arc::new(entity)),
            }
        });
        let group = Group { time: time(0), writes: writes.collect(), ..Group::default() };
        store.commit(vec![group]).await.unwrap();
        Arc::new(store)
    }

    async fn pages(store: &Arc<dyn Store>, subscription: &Value) -> Vec<Vec<String>> {
        let applied = applied("town", subscription);
        let mut gathering = gather(store, &applied, time(1));
        let mut pages = Vec::new();
        while let Some(page) = gathering.next().await.unwrap() {
            pages.push(page.iter().map(|entity| entity.id.to_string()).collect());
        }
        pages
    }

    fn sensor(number: usize) -> Value {
        json!({
            "id": format!("urn:x:{number}"),
            "type": if number.is_multiple_of(2) { "Even" } else { "Odd" },
            "scope": if number < 5 { "/low" } else { "/high" },
            "count": {"type": "Property", "value": number},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [number % 90, 0]}},
        })
    }

    #[tokio::test]
    async fn what_is_gathered_satisfies_selectors_and_queries() {
        let store = town((0..10).map(sensor)).await;
        let check = async |subscription: Value, expected: &[usize]| {
            let expected: Vec<_> =
                expected.iter().map(|number| format!("urn:x:{number}")).collect();
            assert_eq!(pages(&store, &subscription).await.concat(), expected, "{subscription}");
        };
        check(json!({"entities": [{"type": "Odd"}]}), &[1, 3, 5, 7, 9]).await;
        check(json!({"entities": [{"type": "Odd", "id": "urn:x:3", "idPattern": "."}]}), &[3])
            .await;
        check(json!({"entities": [{"type": "Odd", "id": "urn:x:4"}]}), &[]).await;
        let two =
            json!([{"type": "Odd", "idPattern": "[13]$"}, {"type": "Even", "idPattern": "4"}]);
        check(json!({"entities": two}), &[1, 3, 4]).await;
        check(json!({"entities": [{"type": "Even"}], "q": "count>5"}), &[6, 8]).await;
        check(json!({"entities": [{"type": "Even"}], "scopeQ": "/high"}), &[6, 8]).await;
        let near =
            json!({"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": [2, 0]});
        check(json!({"entities": [{"type": "Even"}], "geoQ": near}), &[2]).await;
        check(json!({"watchedAttributes": ["other"]}), &[]).await;
        check(json!({"watchedAttributes": ["other", "count"], "q": "count<2"}), &[0, 1]).await;
    }

    #[tokio::test]
    async fn a_page_has_a_thousand_entities_at_most_and_every_entity_stands_in_one() {
        let store = town((0..2_500).map(sensor)).await;
        let pages = pages(&store, &json!({"watchedAttributes": ["count"]})).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
        let expected: Vec<_> = (0..2_500).map(|number| format!("urn:x:{number}")).collect();
        assert_eq!(pages.concat(), expected);
    }

    #[tokio::test]
    async fn large_entities_make_small_pages() {
        let store = town((0..5).map(|number| {
            let text = "x".repeat(if number == 3 { 2 * MOST_TEXT } else { MOST_TEXT / 5 * 2 });
            json!({"id": format!("urn:x:{number}"), "type": "T", "text": {"value": text}})
        }))
        .await;
        let pages = pages(&store, &json!({"entities": [{"type": "T"}]})).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 1]);
    }

    async fn write(store: &Arc<dyn Store>, entity: Entity) {
        let write = Write {
            tenant: "town".parse().unwrap(),
            id: entity.id.clone(),
            expect: Expect::Any,
            state: Some(Arc::new(entity)),
        };
        let group = Group { time: time(2), writes: vec![write], ..Group::default() };
        store.commit(vec![group]).await.unwrap();
    }

    #[tokio::test]
    async fn what_comes_into_being_meanwhile_is_left_out_and_what_changes_is_not() {
        let store = town((0..1_500).map(sensor)).await;
        let applied = applied("town", &json!({"watchedAttributes": ["count"]}));
        let mut gathering = gather(&store, &applied, time(1));
        assert_eq!(gathering.next().await.unwrap().unwrap().len(), 1000);
        for number in 1_400..1_600 {
            // Whatever the clock says.
            write(&store, entity(&sensor(number), time(-1))).await;
        }
        assert_eq!(gathering.next().await.unwrap().unwrap().len(), 500);
        assert!(gathering.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_has_expired_is_left_out() {
        let store = town((0..3).map(sensor)).await;
        let mut gone = entity(&sensor(4), time(0));
        gone.expires_at = Some(time(1));
        write(&store, gone).await;
        let pages = pages(&store, &json!({"watchedAttributes": ["count"]})).await;
        assert_eq!(pages, [["urn:x:0", "urn:x:1", "urn:x:2"]]);
    }
}
