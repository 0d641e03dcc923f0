//! What is asked of evolutions: one by its id, and many by a query.

use musubi_model::EntityId;
use musubi_query::{EvolutionPage, EvolutionStart, Filter, TemporalQuery};

use crate::{Error, Right, Session};

/// In which order of their ids evolutions come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdOrder {
    /// The least first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

impl Session {
    /// The evolution of one entity, as a page with that one item (CIM 009, clause 5.7.3). What the
    /// query says of which entities it means does not count.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`];
    /// [`Error::Aggregation`]; [`Error::ResourceNotFound`] if the entity is not known, or has nothing of what is asked for.
    pub async fn evolution(
        &self,
        id: &EntityId,
        query: TemporalQuery,
    ) -> Result<EvolutionPage, Error> {
        let query = TemporalQuery {
            filter: Filter::Ids(vec![id.clone()]),
            start: EvolutionStart::Offset(0),
            limit: 1,
            count: false,
            // Whoever names attributes asks for one of them (clause 5.7.3.4).
            keep_empty: query.attributes.is_none(),
            ..query
        };
        let page = self.evolutions(query, IdOrder::Ascending).await?;
        if page.items.is_empty() {
            let what = format!("evolution of entity {id} with anything of what is asked for");
            return Err(Error::ResourceNotFound(what));
        }
        Ok(page)
    }

    /// The evolutions that the query wants, of those that the caller may see (CIM 009, clause
    /// 5.7.4). An [`EvolutionStart::After`] goes with the ascending order alone, and means the
    /// beginning with the other.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`];
    /// [`Error::Aggregation`].
    pub async fn evolutions(
        &self,
        mut query: TemporalQuery,
        order: IdOrder,
    ) -> Result<EvolutionPage, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        query.filter = self.caller.narrow(query.filter);
        let Some(history) = self.broker.shared().options.history.as_ref() else {
            return Err(Error::NoHistory);
        };
        if order == IdOrder::Ascending {
            return Ok(history.evolutions(&self.tenant, &query).await?);
        }
        let counting = TemporalQuery {
            start: EvolutionStart::Offset(0),
            limit: 0,
            count: true,
            ..query.clone()
        };
        let counted = history.evolutions(&self.tenant, &counting).await?;
        let total = counted.total.unwrap_or(0);
        let skipped = match query.start {
            EvolutionStart::Offset(offset) => offset,
            EvolutionStart::After(_) => 0,
        };
        let end = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(skipped);
        let start = end.saturating_sub(query.limit);
        query.start = EvolutionStart::Offset(start);
        query.limit = end - start;
        let total = query.count.then_some(total);
        query.count = false;
        if query.limit == 0 {
            let incomplete_before = counted.incomplete_before;
            return Ok(EvolutionPage { total, incomplete_before, ..EvolutionPage::default() });
        }
        let mut page = history.evolutions(&self.tenant, &query).await?;
        page.items.reverse();
        page.more = start > 0;
        page.total = total;
        Ok(page)
    }
}
