//! What types and attributes there are (CIM 009, clauses 5.7.5 to 5.7.10). What has expired counts
//! until it is swept, about a second later.

use musubi_model::{AttrName, TypeName};
use musubi_store::{AttributeSummary, TypeSummary};

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

    /// How many entities of this type there are, and the attributes that they have, sorted by name
    /// (CIM 009, clause 5.7.7).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if no entity is of this type; [`Error::NonexistentTenant`],
    /// [`Error::Store`].
    pub async fn entity_type(
        &self,
        name: &TypeName,
    ) -> Result<(TypeSummary, Vec<AttributeSummary>), Error> {
        let mut types = self.types().await?;
        let at = types.iter().position(|summary| summary.name == *name);
        let missing = || Error::ResourceNotFound(format!("entity of type {name}"));
        let summary = types.swap_remove(at.ok_or_else(missing)?);
        let attributes = self.broker.store().attributes(&self.tenant, Some(name)).await?;
        Ok((summary, attributes))
    }

    /// The attributes that entities of the tenant have, sorted by name (CIM 009, clauses 5.7.8 and
    /// 5.7.9).
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn attributes(&self) -> Result<Vec<AttributeSummary>, Error> {
        self.caller.require(Right::ReadTypes)?;
        self.require_tenant().await?;
        Ok(self.broker.store().attributes(&self.tenant, None).await?)
    }

    /// What there is of one attribute (CIM 009, clause 5.7.10).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if no entity has it; [`Error::NonexistentTenant`],
    /// [`Error::Store`].
    pub async fn attribute(&self, name: &AttrName) -> Result<AttributeSummary, Error> {
        let attributes = self.attributes().await?;
        let missing = || Error::ResourceNotFound(format!("entity with the attribute {name}"));
        attributes.into_iter().find(|summary| summary.name == *name).ok_or_else(missing)
    }
}
