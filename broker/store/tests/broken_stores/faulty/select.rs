//! Answers to questions for entities, each wrong in its own way.

use std::sync::Arc;

use musubi_model::{Entity, EntityId, Tenant};
use musubi_query::{EntityQuery, Filter, LinkedEntities, Order, Query, Start};
use musubi_store::{Found, Page, Store, StoreError};
use tokio::task::yield_now;

use super::{Fault, Faulty};

impl Faulty {
    /// The answer with the fault.
    pub(super) async fn select_faultily(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
    ) -> Result<Page, StoreError> {
        match self.fault {
            Fault::TenantByPrefix => {
                let mut found = self.whole(tenant, query).await?;
                if tenant.as_str() == "a"
                    && !matches!(query.filter, Filter::Ids(_))
                    && let Ok(other) = "a-b".parse()
                {
                    found.extend(self.whole(&other, query).await?);
                }
                Ok(page(found, query))
            }
            Fault::OnePieceOnly => {
                let mut found = self.whole(tenant, query).await?;
                found.truncate(4096);
                Ok(page(found, query))
            }
            Fault::ScanByCounting => {
                let mut found = Vec::new();
                loop {
                    let start = Start::Offset(found.len());
                    let part = EntityQuery { start, limit: 100, ..query.clone() };
                    let part = self.inner.select(tenant, &part).await?;
                    found.extend(part.items);
                    if !part.more {
                        return Ok(page(found, query));
                    }
                    yield_now().await;
                }
            }
            Fault::IndexStaleAfterUpdate | Fault::OrderedById | Fault::PlaceReused => {
                self.select_out_of_place(tenant, query).await
            }
            Fault::ExpiredInstanceShown | Fault::ExpiredEntityCounted | Fault::ExpiryComesLate => {
                self.select_expired(tenant, query).await
            }
            Fault::ExpiredPartAsked
            | Fault::LinkedAsKept
            | Fault::LinksNotFollowed
            | Fault::SubAttributeExpiryMissed => self.select_asking_wrongly(tenant, query).await,
            Fault::TiesTurnedRound | Fault::DescendingIgnored | Fault::OrderedAfterCut => {
                self.select_out_of_order(tenant, query).await
            }
            _ => {
                let page = self.inner.select(tenant, query).await?;
                Ok(self.spoiled(page, query))
            }
        }
    }

    /// Stores that lose sight of what is where.
    async fn select_out_of_place(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
    ) -> Result<Page, StoreError> {
        let mut found = self.whole(tenant, query).await?;
        match self.fault {
            // Of a plain question alone: otherwise other sentences break as well.
            Fault::IndexStaleAfterUpdate if is_plain(query) => {
                found = self.all(tenant, Filter::All(Vec::new())).await?;
                found.retain(|found| query.filter.matches(&self.first(tenant, found).1));
            }
            Fault::OrderedById if query.order.is_creation() => {
                found.sort_by(|left, right| left.entity.id.cmp(&right.entity.id));
            }
            Fault::PlaceReused => {
                for found in &mut found {
                    found.position = self.first(tenant, found).0;
                }
                if query.order.is_creation() {
                    found.sort_by_key(|found| found.position);
                }
            }
            _ => {}
        }
        Ok(page(found, query))
    }

    /// Stores that do not see well what has expired.
    async fn select_expired(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
    ) -> Result<Page, StoreError> {
        let kept = EntityQuery { at: None, ..query.clone() };
        match self.fault {
            Fault::ExpiryComesLate => {
                let at = query.at.map(|at| at.plus_micros(-1));
                self.inner.select(tenant, &EntityQuery { at, ..kept }).await
            }
            Fault::ExpiredEntityCounted => {
                let mut page = self.inner.select(tenant, query).await?;
                page.total = self.inner.select(tenant, &kept).await?.total;
                Ok(page)
            }
            _ => {
                let mut page = self.inner.select(tenant, query).await?;
                for found in &mut page.items {
                    let filter = Filter::Ids(vec![found.entity.id.clone()]);
                    *found = self.all(tenant, filter).await?.remove(0);
                }
                Ok(page)
            }
        }
    }

    /// Stores that ask of other entities than they should, or something else.
    async fn select_asking_wrongly(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
    ) -> Result<Page, StoreError> {
        let kept = self.all(tenant, Filter::All(Vec::new())).await?;
        let everything = EntityQuery { filter: Filter::All(Vec::new()), ..query.clone() };
        let mut found = self.whole(tenant, &everything).await?;
        let seen = Town(found.clone());
        let kept = Town(kept);
        found.retain(|found| {
            let as_kept = || kept.entity(&found.entity.id).unwrap_or(found.entity.clone());
            match self.fault {
                Fault::ExpiredPartAsked => query.filter.matches_among(&as_kept(), &seen),
                Fault::LinkedAsKept => query.filter.matches_among(&found.entity, &kept),
                Fault::SubAttributeExpiryMissed
                    if expects_expiry(&query.filter)
                        && self.first(tenant, found).1 != as_kept() =>
                {
                    let mut entity = (*found.entity).clone();
                    forget_expiry_below(&mut entity);
                    query.filter.matches_among(&entity, &seen)
                }
                Fault::LinksNotFollowed => {
                    without_links(&query.filter).matches_among(&found.entity, &seen)
                }
                _ => query.filter.matches_among(&found.entity, &seen),
            }
        });
        Ok(page(found, query))
    }

    /// Stores that cannot put in order.
    async fn select_out_of_order(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
    ) -> Result<Page, StoreError> {
        let order = &query.order;
        if order.is_creation() {
            return self.inner.select(tenant, query).await;
        }
        match self.fault {
            Fault::DescendingIgnored => {
                let mut query = query.clone();
                query.order.terms.iter_mut().for_each(|term| term.descending = false);
                self.inner.select(tenant, &query).await
            }
            Fault::TiesTurnedRound => {
                let mut found = self.whole(tenant, query).await?;
                found.sort_by(|one, other| {
                    let keys = [one, other].map(|found| order.key(&found.entity));
                    order.compare(&keys[0], &keys[1]).then(other.position.cmp(&one.position))
                });
                Ok(page(found, query))
            }
            _ => {
                let unordered = EntityQuery { order: Order::default(), ..query.clone() };
                let mut page = self.inner.select(tenant, &unordered).await?;
                page.items.sort_by(|one, other| {
                    let keys = [one, other].map(|found| order.key(&found.entity));
                    order.compare(&keys[0], &keys[1])
                });
                Ok(page)
            }
        }
    }
}

/// Some entities, for a filter that looks into others.
struct Town(Vec<Found>);

impl LinkedEntities for Town {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        let found = self.0.iter().find(|found| found.entity.id == *id);
        found.map(|found| found.entity.clone())
    }
}

/// Whether a question is about the entities as they are kept, each by itself, as they stand.
fn is_plain(query: &EntityQuery) -> bool {
    query.at.is_none() && query.order.is_creation() && !follows_links(&query.filter)
}

fn follows_links(filter: &Filter) -> bool {
    match filter {
        Filter::Query(query) => query.link_depth() > 0,
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(follows_links),
        _ => false,
    }
}

fn expects_expiry(filter: &Filter) -> bool {
    match filter {
        Filter::ExpiresBy(_) => true,
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(expects_expiry),
        _ => false,
    }
}

/// Forgets when attributes of attributes expire.
fn forget_expiry_below(entity: &mut Entity) {
    let instances = entity.attributes.iter_mut().flat_map(|attribute| &mut attribute.instances);
    for qualifiers in instances.filter_map(|instance| instance.qualifiers.as_mut()) {
        let below = qualifiers.attributes.iter_mut().flat_map(|below| &mut below.instances);
        for qualifiers in below.filter_map(|instance| instance.qualifiers.as_mut()) {
            qualifiers.expires_at = None;
        }
    }
}

/// The same filter, with every path beginning at the entity itself.
fn without_links(filter: &Filter) -> Filter {
    let all = |filters: &[Filter]| filters.iter().map(without_links).collect();
    match filter {
        Filter::Query(query) => Filter::Query(query_without_links(query)),
        Filter::All(filters) => Filter::All(all(filters)),
        Filter::Any(filters) => Filter::Any(all(filters)),
        other => other.clone(),
    }
}

fn query_without_links(query: &Query) -> Query {
    let all = |queries: &[Query]| queries.iter().map(query_without_links).collect();
    let mut query = query.clone();
    match &mut query {
        Query::And(queries) | Query::Or(queries) => *queries = all(queries),
        Query::Exists { path, .. } | Query::Compare { path, .. } => path.links.clear(),
    }
    query
}

/// The page out of everything that matches.
fn page(found: Vec<Found>, query: &EntityQuery) -> Page {
    let total = query.count.then_some(found.len()).and_then(|total| u64::try_from(total).ok());
    let mut rest: Vec<_> = match query.start {
        Start::Offset(offset) => found.into_iter().skip(offset).collect(),
        Start::After(position) => {
            found.into_iter().filter(|found| found.position > position).collect()
        }
    };
    let more = rest.len() > query.limit;
    rest.truncate(query.limit);
    Page { items: rest, total, more }
}
