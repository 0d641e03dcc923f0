//! One entity as a whole: create, retrieve, merge, replace, delete (CIM 009, clauses 5.6.1,
//! 5.7.1, 5.6.17, 5.6.18 and 5.6.6).

use std::sync::Arc;

use musubi_model::{
    AttrName, AttributeType, Entity, EntityFragment, EntityId, FragmentValue, Json, JsonKind,
    NotUpdated, Older, Patch, Timestamp, UpdateResult, Value,
};
use musubi_query::{Filter, TypeSelection};
use musubi_store::{Expect, Found};

use crate::commit::{Change, Plan};
use crate::schemas::Extent;
use crate::{Error, Right, Session};

/// What an entity must have to be the one that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Its types satisfy this.
    pub types: Option<TypeSelection>,
    /// It has at least one of these attributes.
    pub attributes: Option<Vec<AttrName>>,
}

/// What a merge says once for all attributes of its fragment (CIM 009, clauses 5.6.17.4 and
/// 6.5.3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// When what is merged was observed: for instances that have an `observedAt` and get none from
    /// the fragment.
    pub observed_at: Option<Timestamp>,
    /// The tag of the language of texts without one that are merged into language properties.
    pub language: Option<String>,
}

impl Session {
    /// Creates an entity (CIM 009, clause 5.6.1).
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if the fragment is not a whole entity, or too large a one;
    /// [`Error::AlreadyExists`] if the tenant has an entity of that id, or
    /// [`Error::PreconditionFailed`] if the client said that it must not.
    pub async fn create_entity(&self, fragment: EntityFragment) -> Result<EntityId, Error> {
        self.caller.require(Right::CreateEntities)?;
        if self.conditions.matches.is_some() {
            let reason = "there is nothing at this id whose version If-Match could name";
            return Err(Error::PreconditionFailed(reason.to_owned()));
        }
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let now = self.now();
            let entity = Entity::create(fragment.clone(), now)?;
            self.broker.rules().check_size(&entity, None)?;
            let wrong = self.check_schemas(None, &entity, Extent::Whole)?;
            let id = entity.id.clone();
            let change =
                Change { id: id.clone(), expect: Expect::Absent, state: Some(Arc::new(entity)) };
            if self.commit_one(Plan::of_request(change), now).await?.is_some() {
                self.tell(wrong);
                return Ok(id);
            }
            // What is in the way may be there no more for any reader, only not be swept yet.
            if !self.remove_expired(vec![id.clone()], now).await? {
                return Err(self.already_there(&id));
            }
        }
        Err(Error::Contended("the entity".to_owned()))
    }

    fn already_there(&self, id: &EntityId) -> Error {
        if self.conditions.concern_creation() {
            return Error::PreconditionFailed(format!("entity {id} exists already"));
        }
        Error::AlreadyExists(format!("entity {id}"))
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
            return self.find(id, selection.types.as_ref(), self.now()).await;
        };
        let mut filters = vec![Filter::Ids(vec![id.clone()]), Filter::HasAny(names.clone())];
        filters.extend(selection.types.clone().map(Filter::Type));
        let missing =
            || Error::ResourceNotFound(format!("entity {id} with any of the attributes asked for"));
        self.first(Filter::All(filters), self.now()).await?.ok_or_else(missing)
    }

    /// Merges a fragment into an entity (CIM 009, clause 5.6.17), to whose attributes `common`
    /// belongs too. The result names what was left alone because it is no news.
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
        common: Common,
    ) -> Result<UpdateResult, Error> {
        self.caller.require(Right::ChangeEntities)?;
        same_id(id, &fragment)?;
        self.change(id, types, |entity, now| {
            let mut fragment = fragment.clone();
            if let Some(time) = common.observed_at {
                observe(&mut fragment, entity, time);
            }
            if let Some(language) = &common.language {
                translate(&mut fragment, entity, language);
            }
            let older = self.conditions.take_older(&mut fragment, entity);
            let result = left_alone(&fragment, older);
            if !result.not_updated.is_empty() && has_nothing_new(&fragment, entity) {
                return Ok((Some(entity.clone()), result));
            }
            Ok((Some(entity.merge(fragment, now)?), result))
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
        self.change_as(Extent::Whole, id, types, |entity, now| {
            Ok((Some(entity.replace(&fragment, now)?), ()))
        })
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
        self.some(Filter::Ids(ids), limit, Some(self.now())).await
    }
}

/// What is told of a write of the fragment, after what is older than that which is there was taken
/// out of it.
pub(crate) fn left_alone(fragment: &EntityFragment, older: Vec<Older>) -> UpdateResult {
    UpdateResult {
        updated: fragment.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
        not_updated: older.into_iter().map(NotUpdated::from).collect(),
    }
}

/// Whether a merge of the fragment would touch the entity without changing it.
fn has_nothing_new(fragment: &EntityFragment, entity: &Entity) -> bool {
    fragment.attributes.is_empty()
        && fragment.scopes == Patch::Keep
        && fragment.expires_at == Patch::Keep
        && fragment.types.iter().all(|name| entity.types.contains(name))
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

/// Puts the texts for language properties under the tag of their language.
fn translate(fragment: &mut EntityFragment, entity: &Entity, language: &str) {
    for attribute in &mut fragment.attributes {
        let Some(there) = entity.attribute(&attribute.name) else { continue };
        for instance in &mut attribute.instances {
            let previous = there.instance(instance.dataset_id.as_ref());
            let kind = previous.map(|previous| previous.value.kind);
            let text = instance.value.as_ref().and_then(texts);
            if let (Some(AttributeType::LanguageProperty), Some(text)) = (kind, text) {
                let json = Json::from(&serde_json::json!({ language: text }));
                let value = Value { kind: AttributeType::LanguageProperty, json };
                instance.value = Some(FragmentValue::Typed(value));
            }
        }
    }
}

/// A string or an array of strings, if that is the value.
fn texts(value: &FragmentValue) -> Option<serde_json::Value> {
    let json = match value {
        FragmentValue::Simplified(json)
        | FragmentValue::Typed(Value { kind: AttributeType::Property, json }) => json,
        FragmentValue::Typed(_) | FragmentValue::Null => return None,
    };
    let value =
        matches!(json.kind(), JsonKind::String | JsonKind::Array).then(|| json.to_value())?;
    let are_texts = value.as_array().is_none_or(|all| all.iter().all(serde_json::Value::is_string));
    are_texts.then_some(value)
}
