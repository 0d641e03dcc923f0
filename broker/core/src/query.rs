//! Many entities at once (CIM 009, clause 5.7.2).

use musubi_query::EntityQuery;
use musubi_store::Page;

use crate::{Error, Right, Session};

impl Session {
    /// The entities that the query wants, of those that the caller may see, as they are now: what
    /// has expired is not there.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::Store`], also if the query takes too long.
    pub async fn query_entities(&self, mut query: EntityQuery) -> Result<Page, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        query.filter = self.caller.narrow(query.filter);
        query.at = Some(self.now());
        Ok(self.broker.store().select(&self.tenant, &query).await?)
    }
}
