//! Many entities at once (CIM 009, clause 5.7.2).

use musubi_query::EntityQuery;
use musubi_store::{Found, Look, Page, Shown};

use crate::{Error, Right, Session};

impl Session {
    /// The entities that the query wants, of those that the caller may see, as they are now: what
    /// has expired is not there.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::Store`], also if the query takes too long.
    pub async fn query_entities(&self, mut query: EntityQuery) -> Result<Page, Error> {
        self.prepare(&mut query).await?;
        Ok(self.broker.store().select(&self.tenant, &query).await?)
    }

    /// As [`query_entities`](Self::query_entities), but lends the entities to `look`, which is called
    /// once. It must not take long.
    ///
    /// # Errors
    ///
    /// As [`query_entities`](Self::query_entities).
    pub async fn show_entities(
        &self,
        mut query: EntityQuery,
        look: &mut Look<'_>,
    ) -> Result<Shown, Error> {
        self.prepare(&mut query).await?;
        // What is given on has to live as long as the answer is waited for, and no longer.
        let mut look = |items: &[&Found]| look(items);
        Ok(self.broker.store().show(&self.tenant, &query, &mut look).await?)
    }

    /// Says what the caller may see, and when.
    async fn prepare(&self, query: &mut EntityQuery) -> Result<(), Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        query.filter = self.caller.narrow(std::mem::take(&mut query.filter));
        query.at = Some(self.now());
        Ok(())
    }
}
