//! Retrievals of one entity that have to do with a map (CIM 009, clauses 5.7.1.4 and 5.7.3.4).

use musubi_model::{EntityId, Timestamp};
use musubi_query::{EvolutionPage, TemporalQuery};
use musubi_store::Found;

use super::bound::Bound;
use super::{EntityMapId, MapOfAnswer, MapTerms, MapWish};
use crate::{Error, Right, Selection, Session};

impl Session {
    /// As [`retrieve_entity`](Self::retrieve_entity), of an entity that the map lists which the
    /// request names, if it does. A map that is to be made lists this entity alone.
    ///
    /// # Errors
    ///
    /// As [`retrieve_entity`](Self::retrieve_entity), and [`Error::ResourceNotFound`] if the map
    /// does not list the entity; [`Error::BadRequestData`] if the map goes with another context.
    pub async fn retrieve_entity_of_map(
        &self,
        id: &EntityId,
        selection: &Selection,
        terms: &MapTerms,
    ) -> Result<(Found, Option<MapOfAnswer>), Error> {
        if terms.wish == MapWish::None {
            return Ok((self.retrieve_entity(id, selection).await?, None));
        }
        let now = self.now();
        let used = self.map_with(id, terms, now).await?;
        let found = self.retrieve_entity(id, selection).await?;
        let bound = Bound::of_one(selection, &terms.context)?;
        Ok((found, self.map_of_one(id, used, (&bound, terms, now)).await?))
    }

    /// As [`evolution`](Self::evolution), of an entity that the map lists which the request names,
    /// if it does. A map that is to be made lists this entity alone.
    ///
    /// # Errors
    ///
    /// As [`evolution`](Self::evolution) and
    /// [`retrieve_entity_of_map`](Self::retrieve_entity_of_map).
    pub async fn evolution_of_map(
        &self,
        id: &EntityId,
        query: TemporalQuery,
        terms: &MapTerms,
    ) -> Result<(EvolutionPage, Option<MapOfAnswer>), Error> {
        if terms.wish == MapWish::None {
            return Ok((self.evolution(id, query).await?, None));
        }
        let now = self.now();
        let used = self.map_with(id, terms, now).await?;
        let bound = Bound::of_temporal(&query, &terms.context)?;
        let page = self.evolution(id, query).await?;
        Ok((page, self.map_of_one(id, used, (&bound, terms, now)).await?))
    }

    /// The map that a request names, if it is there; then it lists the entity.
    async fn map_with(
        &self,
        id: &EntityId,
        terms: &MapTerms,
        now: Timestamp,
    ) -> Result<Option<EntityMapId>, Error> {
        let MapWish::This(map) = terms.wish else { return Ok(None) };
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let Some(live) = self.live_map(map, now).await? else { return Ok(None) };
        live.head.require_context(&terms.context)?;
        if live.ids.contains(id) {
            return Ok(Some(map));
        }
        Err(Error::ResourceNotFound(format!("entity {id} in the entity map {map}")))
    }

    /// The map of the answer to a request that wants one, made if need be.
    async fn map_of_one(
        &self,
        id: &EntityId,
        used: Option<EntityMapId>,
        (bound, terms, now): (&Bound, &MapTerms, Timestamp),
    ) -> Result<Option<MapOfAnswer>, Error> {
        if let Some(used) = used {
            return Ok(Some(MapOfAnswer::Used(used)));
        }
        let map = self.make_map(bound, vec![id.clone()], (terms, now)).await?;
        Ok(Some(MapOfAnswer::Created(map.id)))
    }
}
