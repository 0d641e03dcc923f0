//! Queries whose pages are cut from a map (CIM 009, clauses 5.5.9.3 and 5.5.14).

use musubi_model::{EntityId, Timestamp};
use musubi_query::{EntityQuery, EvolutionPage, EvolutionStart, Filter, TemporalQuery};
use musubi_store::{Look, Page, Shown};

use super::bound::Bound;
use super::kept::Live;
use super::{MapOfAnswer, MapTerms, MapWish};
use crate::{Error, IdOrder, Right, Session};

impl Session {
    /// As [`query_entities`](Self::query_entities), of those entities alone that the map lists which
    /// the request names or wants to have made, if it does.
    ///
    /// # Errors
    ///
    /// As [`query_entities`](Self::query_entities); [`Error::BadRequestData`] if the map was made
    /// for another query; [`Error::TooManyResults`] if a new one would list more than a map does.
    pub async fn query_entities_of_map(
        &self,
        query: EntityQuery,
        terms: &MapTerms,
    ) -> Result<(Page, Option<MapOfAnswer>), Error> {
        if terms.wish == MapWish::None {
            return Ok((self.query_entities(query).await?, None));
        }
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let now = self.now();
        let bound = Bound::of(&query, &terms.context)?;
        let Some(map) = self.map_in_use(terms, &bound, now).await? else {
            let ids = self.matching(&query, now).await?;
            let page = self.query_entities(among(&query, &ids)).await?;
            let map = self.make_map(&bound, ids, (terms, now)).await?;
            return Ok((page, Some(MapOfAnswer::Created(map.id))));
        };
        // The count tells whether anything has left.
        let counting = EntityQuery { count: true, ..among(&query, &map.ids) };
        let mut page = self.query_entities(counting).await?;
        if is_short(page.total, &map.ids) && map.head.is_judged_by(&bound) {
            let left = self.matching(&among(&query, &map.ids), now).await?;
            self.leave_out(&map, &left, now).await?;
        }
        page.total = page.total.filter(|_| query.count);
        Ok((page, Some(MapOfAnswer::Used(map.id))))
    }

    /// As [`query_entities_of_map`](Self::query_entities_of_map), but lends the entities to `look`,
    /// which is called once. It must not take long.
    ///
    /// # Errors
    ///
    /// As [`query_entities_of_map`](Self::query_entities_of_map).
    pub async fn show_entities_of_map(
        &self,
        query: EntityQuery,
        terms: &MapTerms,
        look: &mut Look<'_>,
    ) -> Result<(Shown, Option<MapOfAnswer>), Error> {
        if terms.wish == MapWish::None {
            return Ok((self.show_entities(query, look).await?, None));
        }
        let (page, map) = self.query_entities_of_map(query, terms).await?;
        Ok((page.show(look), map))
    }

    /// As [`evolutions`](Self::evolutions), of those entities alone that the map lists which the
    /// request names or wants to have made, if it does. The map may have been made with other times.
    ///
    /// # Errors
    ///
    /// As [`evolutions`](Self::evolutions) and
    /// [`query_entities_of_map`](Self::query_entities_of_map).
    pub async fn evolutions_of_map(
        &self,
        query: TemporalQuery,
        order: IdOrder,
        terms: &MapTerms,
    ) -> Result<(EvolutionPage, Option<MapOfAnswer>), Error> {
        if terms.wish == MapWish::None {
            return Ok((self.evolutions(query, order).await?, None));
        }
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let now = self.now();
        let bound = Bound::of_temporal(&query, &terms.context)?;
        let Some(map) = self.map_in_use(terms, &bound, now).await? else {
            let ids = self.matching_evolutions(&query).await?;
            let page = self.evolutions(among_evolutions(&query, &ids), order).await?;
            let map = self.make_map(&bound, ids, (terms, now)).await?;
            return Ok((page, Some(MapOfAnswer::Created(map.id))));
        };
        let narrowed = among_evolutions(&query, &map.ids);
        let page = self.evolutions(narrowed.clone(), order).await?;
        // To count is a walk through all of them, so who does not ask finds out at the end.
        if is_short(page.total.or(end(&query.start, &page)), &map.ids)
            && map.head.is_judged_by(&bound)
        {
            let left = self.matching_evolutions(&narrowed).await?;
            self.leave_out(&map, &left, now).await?;
        }
        Ok((page, Some(MapOfAnswer::Used(map.id))))
    }

    /// The map that a query is to be answered from; none if one has to be made.
    async fn map_in_use(
        &self,
        terms: &MapTerms,
        bound: &Bound,
        now: Timestamp,
    ) -> Result<Option<Live>, Error> {
        let MapWish::This(id) = terms.wish else { return Ok(None) };
        let map = self.live_map(id, now).await?;
        if let Some(map) = &map {
            map.head.require_same(bound)?;
        }
        Ok(map)
    }

    /// Takes out of a map what is not among those that are left.
    async fn leave_out(&self, map: &Live, left: &[EntityId], now: Timestamp) -> Result<(), Error> {
        let left: rustc_hash::FxHashSet<&EntityId> = left.iter().collect();
        let mut ids = map.ids.clone();
        ids.retain(|id| left.contains(id));
        self.rewrite_ids(map, &ids, now).await
    }
}

/// The query, of these entities alone.
fn among(query: &EntityQuery, ids: &[EntityId]) -> EntityQuery {
    EntityQuery { filter: narrowed(&query.filter, ids), ..query.clone() }
}

fn among_evolutions(query: &TemporalQuery, ids: &[EntityId]) -> TemporalQuery {
    TemporalQuery { filter: narrowed(&query.filter, ids), ..query.clone() }
}

/// The condition, and that the id is one of these. That stands first, where a store finds it.
fn narrowed(filter: &Filter, ids: &[EntityId]) -> Filter {
    Filter::and(vec![Filter::Ids(ids.to_vec()), filter.clone()])
}

/// Whether fewer entities are in the answer than the map lists.
fn is_short(total: Option<u64>, ids: &[EntityId]) -> bool {
    total.is_some_and(|total| usize::try_from(total).is_ok_and(|total| total < ids.len()))
}

/// How many entities the answer has, if this is its last page and not behind its end.
fn end(start: &EvolutionStart, page: &EvolutionPage) -> Option<u64> {
    let EvolutionStart::Offset(offset) = start else { return None };
    let is_end = !page.more && (*offset == 0 || !page.items.is_empty());
    is_end.then(|| offset.saturating_add(page.items.len())).and_then(|end| u64::try_from(end).ok())
}
