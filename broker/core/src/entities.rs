//! One entity as a whole: create, retrieve, merge, replace, delete (CIM 009, clauses 5.6.1,
//! 5.7.1, 5.6.17, 5.6.18 and 5.6.6).

use std::sync::Arc;

use musubi_model::{AttrName, Cause, Entity, EntityFragment, EntityId, Patch, Timestamp};
use musubi_query::{Filter, TypeSelection};
use musubi_store::{Expect, Found};

use crate::commit::{Change, Plan};
use crate::{Error, Right, Session};

/// What an entity must have to be the one that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Its types satisfy this.
    pub types: Option<TypeSelection>,
    /// It has at least one of these attributes.
    pub attributes: Option<Vec<AttrName>>,
}

impl Session {
    /// Creates an entity (CIM 009, clause 5.6.1).
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if the fragment is not a whole entity; [`Error::AlreadyExists`]
    /// if the tenant has an entity of that id.
    pub async fn create_entity(&self, fragment: EntityFragment) -> Result<EntityId, Error> {
        self.caller.require(Right::CreateEntities)?;
        let now = self.now();
        let entity = Entity::create(fragment, now)?;
        let id = entity.id.clone();
        let change =
            Change { id: id.clone(), expect: Expect::Absent, state: Some(Arc::new(entity)) };
        let plan =
            Plan { cause: Cause::Request, writes: vec![change], records: Vec::new(), answer: () };
        match self.commit_one(plan, now).await? {
            Some(_) => Ok(id),
            None => Err(Error::AlreadyExists(format!("entity {id}"))),
        }
    }

    /// The entity of this id (CIM 009, clause 5.7.1).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none that satisfies the selection.
    pub async fn retrieve_entity(
        &self,
        id: &EntityId,
        selection: &Selection,
    ) -> Result<Found, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let Some(names) = &selection.attributes else {
            return self.find(id, selection.types.as_ref()).await;
        };
        let mut filters = vec![Filter::Ids(vec![id.clone()]), Filter::HasAny(names.clone())];
        filters.extend(selection.types.clone().map(Filter::Type));
        let missing =
            || Error::ResourceNotFound(format!("entity {id} with any of the attributes asked for"));
        self.first(Filter::All(filters)).await?.ok_or_else(missing)
    }

    /// Merges a fragment into an entity (CIM 009, clause 5.6.17). Instances that have an
    /// `observedAt` and get none from the fragment get `observed_at`, if it is given.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity; [`Error::BadRequestData`] if the
    /// fragment cannot be merged into it; [`Error::Contended`].
    pub async fn merge_entity(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        fragment: EntityFragment,
        observed_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        same_id(id, &fragment)?;
        self.change(id, types, |entity, now| {
            let mut fragment = fragment.clone();
            if let Some(time) = observed_at {
                observe(&mut fragment, entity, time);
            }
            Ok((Some(entity.merge(fragment, now)?), ()))
        })
        .await
    }

    /// Replaces an entity (CIM 009, clause 5.6.18).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity; [`Error::BadRequestData`] if the
    /// fragment is not a whole entity; [`Error::Contended`].
    pub async fn replace_entity(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
        fragment: EntityFragment,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        same_id(id, &fragment)?;
        self.change(id, types, |entity, now| Ok((Some(entity.replace(fragment.clone(), now)?), ())))
            .await
    }

    /// Deletes an entity (CIM 009, clause 5.6.6).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such entity; [`Error::Contended`].
    pub async fn delete_entity(
        &self,
        id: &EntityId,
        types: Option<&TypeSelection>,
    ) -> Result<(), Error> {
        self.caller.require(Right::DeleteEntities)?;
        self.change(id, types, |_, _| Ok((None, ()))).await
    }

    /// The entities of these ids, those that there are, in no certain order.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn entities(&self, ids: Vec<EntityId>) -> Result<Vec<Found>, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let limit = ids.len();
        self.some(Filter::Ids(ids), limit).await
    }
}

/// A body may repeat the id of the path, but not name another one.
fn same_id(id: &EntityId, fragment: &EntityFragment) -> Result<(), Error> {
    match &fragment.id {
        Some(other) if other != id => Err(Error::BadRequestData(format!(
            "the body has the id {other}, and the path has {id}"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Gives a common time of observation to the instances that had one.
fn observe(fragment: &mut EntityFragment, entity: &Entity, time: Timestamp) {
    for attribute in &mut fragment.attributes {
        let Some(there) = entity.attribute(&attribute.name) else { continue };
        for instance in &mut attribute.instances {
            let previous = there.instance(instance.dataset_id.as_ref());
            let had = previous.is_some_and(|previous| previous.observed_at.is_some());
            if had && instance.observed_at == Patch::Keep {
                instance.observed_at = Patch::Set(time);
            }
        }
    }
}
