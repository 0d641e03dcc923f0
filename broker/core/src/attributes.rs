//! Attributes of one entity: append, update, replace, delete (CIM 009, clauses 5.6.2 to 5.6.5 and
//! 5.6.19).

use musubi_model::{
    AttrName, AttributeFragment, Entity, EntityFragment, EntityId, InstanceFragment, Instances,
    NotUpdated, Overwrite, SCOPE, UpdateResult,
};
use musubi_query::TypeSelection;

use crate::entities::left_alone;
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
            let (fragment, older) = self.conditions.newer(&fragment, entity);
            let (entity, mut result) = entity.append(&*fragment, overwrite, now)?;
            result.not_updated.extend(older.into_iter().map(NotUpdated::from));
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
            let (fragment, older) = self.conditions.newer(&fragment, entity);
            let (entity, mut result) = entity.update(&*fragment, now)?;
            result.not_updated.extend(older.into_iter().map(NotUpdated::from));
            Ok((Some(entity), result))
        })
        .await
    }

    /// Updates one attribute instance in part (CIM 009, clause 5.6.4). The result says so if it was
    /// left alone because it is no news.
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
    ) -> Result<UpdateResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let changed = entity.update_attribute(name, fragment.clone(), now)?;
            let changed = changed.ok_or_else(|| no_attribute(id, name))?;
            let instances = std::iter::once(fragment.clone()).collect();
            let fragment = AttributeFragment { name: name.clone(), instances };
            let (_, result) = self.only_newer(fragment, entity);
            let state = if result.updated.is_empty() { entity.clone() } else { changed };
            Ok((Some(state), result))
        })
        .await
    }

    /// Of the fragment of an attribute, what is not left alone because it is no news; and what is
    /// told of it.
    fn only_newer(
        &self,
        fragment: AttributeFragment,
        entity: &Entity,
    ) -> (Option<AttributeFragment>, UpdateResult) {
        let attributes = vec![fragment];
        let mut fragment = EntityFragment { attributes, ..EntityFragment::default() };
        let older = self.conditions.take_older(&mut fragment, entity);
        let result = left_alone(&fragment, older);
        (fragment.attributes.pop(), result)
    }

    /// Replaces instances of one attribute (CIM 009, clause 5.6.19). The result names those that
    /// were left alone because they are no news.
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
    ) -> Result<UpdateResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        self.change(id, types, |entity, now| {
            let (newer, result) = self.only_newer(fragment.clone(), entity);
            let Some(newer) = newer else { return Ok((Some(entity.clone()), result)) };
            let changed = entity.replace_attribute(newer, now)?;
            let changed = changed.ok_or_else(|| no_attribute(id, &fragment.name))?;
            Ok((Some(changed), result))
        })
        .await
    }

    /// Deletes instances of one attribute (CIM 009, clause 5.6.5). Of one that is known from its
    /// past alone, the deletion is recorded there.
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
        let deleted = self
            .change(id, types, |entity, now| {
                let changed = entity.delete_attribute(name, which, now);
                changed.map(|entity| (Some(entity), ())).ok_or_else(|| no_attribute(id, name))
            })
            .await;
        match deleted {
            Err(missing @ Error::ResourceNotFound(_)) if self.may_be_past(types) => {
                self.record_deletion(id, name, which, missing).await
            }
            other => other,
        }
    }

    /// Takes an entity out of all its scopes (CIM 009, clause 5.6.5). Of scopes that are known from
    /// their past alone, the deletion is recorded there.
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
        let deleted = self
            .change(id, types, |entity, now| {
                if entity.scopes.is_empty() {
                    return Err(Error::ResourceNotFound(format!("scope in entity {id}")));
                }
                let state = Entity { scopes: Vec::new(), modified_at: now, ..entity.clone() };
                Ok((Some(state), ()))
            })
            .await;
        match (deleted, SCOPE.parse()) {
            (Err(missing @ Error::ResourceNotFound(_)), Ok(scope)) if self.may_be_past(types) => {
                self.record_deletion(id, &scope, &Instances::Default, missing).await
            }
            (other, _) => other,
        }
    }

    /// Whether what an entity has not may be looked for in what it had: not where the request says
    /// what the entity has to be.
    fn may_be_past(&self, types: Option<&TypeSelection>) -> bool {
        types.is_none() && !self.conditions.name_versions()
    }
}

fn no_attribute(id: &EntityId, name: &AttrName) -> Error {
    Error::ResourceNotFound(format!("such instance of attribute {name} in entity {id}"))
}
