//! New maps (CIM 009, clauses 5.14.4 and 5.14.5).

use std::collections::HashSet;

use musubi_model::{EntityId, Timestamp};
use musubi_query::{EntityQuery, EvolutionStart, Filter, Shown, Start, TemporalQuery};

use super::bound::Bound;
use super::kept::{Head, bytes};
use super::{EntityMap, MAX_BYTES, MAX_IDS, MapTerms, expiry};
use crate::{Error, IdOrder, Right, Session};

/// How many evolutions are asked for at once.
const SLICE: usize = 1_000;

impl Session {
    /// Makes a map of the entities that the query finds, all of them (CIM 009, clause 5.14.4).
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::TooManyResults`] if the query finds more than a map
    /// lists; [`Error::Contended`]; [`Error::Store`].
    pub async fn create_entity_map(
        &self,
        query: &EntityQuery,
        terms: &MapTerms,
    ) -> Result<EntityMap, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let now = self.now();
        let bound = Bound::of(query, &terms.context)?;
        let ids = self.matching(query, now).await?;
        self.make_map(&bound, ids, (terms, now)).await
    }

    /// Makes a map of the entities whose evolutions the query finds, all of them (CIM 009, clause
    /// 5.14.5).
    ///
    /// # Errors
    ///
    /// As [`create_entity_map`](Self::create_entity_map), and [`Error::NoHistory`].
    pub async fn create_temporal_entity_map(
        &self,
        query: &TemporalQuery,
        terms: &MapTerms,
    ) -> Result<EntityMap, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let bound = Bound::of_temporal(query, &terms.context)?;
        let ids = self.matching_evolutions(query).await?;
        self.make_map(&bound, ids, (terms, self.now())).await
    }

    /// Those of the ids of which the caller may see the entity, or what is recorded of it.
    pub(super) async fn visible_of(
        &self,
        ids: Vec<EntityId>,
        now: Timestamp,
    ) -> Result<Vec<EntityId>, Error> {
        if self.caller.visible().is_none() {
            return Ok(ids);
        }
        let filter = Filter::Ids(ids.clone());
        let entities = EntityQuery { filter: filter.clone(), ..EntityQuery::default() };
        let mut visible: HashSet<EntityId> =
            self.matching(&entities, now).await?.into_iter().collect();
        if self.history().is_ok() {
            let evolutions = TemporalQuery { filter, ..TemporalQuery::default() };
            visible.extend(self.matching_evolutions(&evolutions).await?);
        }
        Ok(ids.into_iter().filter(|id| visible.contains(id)).collect())
    }

    /// Keeps a map of these.
    pub(super) async fn make_map(
        &self,
        bound: &Bound,
        entities: Vec<EntityId>,
        (terms, now): (&MapTerms, Timestamp),
    ) -> Result<EntityMap, Error> {
        let expires_at = expiry(terms.lifetime, now);
        let id = self.keep_map(&Head::new(bound, &entities, expires_at), &entities, now).await?;
        Ok(EntityMap { id, expires_at, entities })
    }

    /// The ids of all entities that the query finds, in its order.
    pub(super) async fn matching(
        &self,
        query: &EntityQuery,
        now: Timestamp,
    ) -> Result<Vec<EntityId>, Error> {
        let all = EntityQuery {
            filter: self.caller.narrow(query.filter.clone()),
            order: query.order.clone(),
            at: Some(now),
            start: Start::Offset(0),
            limit: MAX_IDS + 1,
            count: false,
        };
        let page = self.broker.store().select(&self.tenant, &all).await?;
        let ids = page.items.iter().map(|found| found.entity.id.clone()).collect();
        few_enough(ids)
    }

    /// The ids of all entities whose evolutions the query finds, sorted.
    pub(super) async fn matching_evolutions(
        &self,
        query: &TemporalQuery,
    ) -> Result<Vec<EntityId>, Error> {
        let mut slice = TemporalQuery {
            shown: Shown::Only(Vec::new()),
            last: Some(1),
            instances: 1,
            aggregation: None,
            keep_empty: false,
            start: EvolutionStart::Offset(0),
            limit: SLICE,
            count: false,
            ..query.clone()
        };
        let mut ids = Vec::new();
        loop {
            let page = self.evolutions(slice.clone(), IdOrder::Ascending).await?;
            ids.extend(page.items.into_iter().map(|item| item.evolution.id));
            ids = few_enough(ids)?;
            match ids.last() {
                Some(last) if page.more => slice.start = EvolutionStart::After(last.clone()),
                Some(_) | None => return Ok(ids),
            }
        }
    }
}

fn few_enough(ids: Vec<EntityId>) -> Result<Vec<EntityId>, Error> {
    if ids.len() <= MAX_IDS && bytes(&ids) <= MAX_BYTES {
        return Ok(ids);
    }
    let reason = format!(
        "an entity map lists at most {MAX_IDS} entities, whose ids have at most {MAX_BYTES} bytes"
    );
    Err(Error::TooManyResults(reason))
}
