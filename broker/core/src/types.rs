//! What types of entity there are (CIM 009, clause 5.7.5).

use musubi_store::TypeSummary;

use crate::{Error, Right, Session};

impl Session {
    /// The types that entities of the tenant have, sorted by name.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn types(&self) -> Result<Vec<TypeSummary>, Error> {
        self.caller.require(Right::ReadTypes)?;
        self.require_tenant().await?;
        Ok(self.broker.store().types(&self.tenant).await?)
    }
}
