//! Attributes of one entity: append, update, replace, delete (CIM 009, clauses 5.6.2 to 5.6.5 and
//! 5.6.19).

use musubi_model::{
    AttrName, AttributeFragment, Entity, EntityFragment, EntityId, InstanceFragment, Instances,
    Overwrite, UpdateResult,
};
use musubi_query::TypeSelection;

use crate::{Error, Right, Session};

impl Session {
    /// Appends attributes to an entity (CIM 009, clause 5.6.3).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity; [`Error::BadRequestData`] if an
    /// attribute has no value; [`Error::Contended`].
    pub async fn append_attributes(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        fragment: EntityFragment,
        overwrite: Overwrite,
    ) -> Result<UpdateResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let (entity, result) = entity.append(fragment.clone(), overwrite, now)?;
            Ok((Some(entity), result))
        })
        .await
    }

    /// Updates attributes of an entity (CIM 009, clause 5.6.2).
    ///
    /// # Errors
    ///
    /// As for [`append_attributes`](Self::append_attributes).
    pub async fn update_attributes(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        fragment: EntityFragment,
    ) -> Result<UpdateResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let (entity, result) = entity.update(fragment.clone(), now)?;
            Ok((Some(entity), result))
        })
        .await
    }

    /// Updates one attribute instance in part (CIM 009, clause 5.6.4).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity or instance;
    /// [`Error::BadRequestData`] if the kind of the attribute would change; [`Error::Contended`].
    pub async fn update_attribute(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        name: &AttrName,
        fragment: InstanceFragment,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let changed = entity.update_attribute(name, fragment.clone(), now)?;
            changed.map(|entity| (Some(entity), ())).ok_or_else(|| no_attribute(id, name))
        })
        .await
    }

    /// Replaces instances of one attribute (CIM 009, clause 5.6.19).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity or attribute;
    /// [`Error::BadRequestData`] if an instance has no value; [`Error::Contended`].
    pub async fn replace_attribute(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        fragment: AttributeFragment,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let changed = entity.replace_attribute(fragment.clone(), now)?;
            changed.map(|entity| (Some(entity), ())).ok_or_else(|| no_attribute(id, &fragment.name))
        })
        .await
    }

    /// Deletes instances of one attribute (CIM 009, clause 5.6.5).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity or instance; [`Error::Contended`].
    pub async fn delete_attribute(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        name: &AttrName,
        which: &Instances,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let changed = entity.delete_attribute(name, which, now);
            changed.map(|entity| (Some(entity), ())).ok_or_else(|| no_attribute(id, name))
        })
        .await
    }

    /// Takes an entity out of all its scopes (CIM 009, clause 5.6.5).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity, or it has no scope;
    /// [`Error::Contended`].
    pub async fn delete_scope(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            if entity.scopes.is_empty() {
                return Err(Error::ResourceNotFound(format!("scope in entity {id}")));
            }
            let state = Entity { scopes: Vec::new(), modified_at: now, ..entity.clone() };
            Ok((Some(state), ()))
        })
        .await
    }
}

fn no_attribute(id: &EntityId, name: &AttrName) -> Error {
    Error::ResourceNotFound(format!("such instance of attribute {name} in entity {id}"))
}
