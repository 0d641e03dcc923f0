//! The merge rules: how a fragment changes an entity. Pure functions; the only definition of
//! what each operation of CIM 009, clause 5.6, does to an entity.
//!
//! A write of an attribute instance sets its `modifiedAt`, with another value or the same; the
//! `createdAt` of an instance that was there stays. What a write does not mention stays exactly
//! as it was. The `id` of a fragment is not looked at: that it is the target's is for the caller
//! to check.

use std::borrow::Borrow;

use crate::{
    AttrName, AttributeFragment, DatasetId, Entity, EntityFragment, EntityId, InstanceFragment,
    InvalidName, NGSI_LD, Patch, Scope, Timestamp, TypeName,
};

mod attributes;
mod instance;
mod newer;
mod record;
mod value;

use attributes::{Rule, Writer};
pub use newer::Older;

/// Whether an attribute that is there already is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// What is there is replaced.
    Yes,
    /// What is there stays.
    No,
}

/// What an operation on several attributes did (CIM 009, clause 5.2.18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateResult {
    /// The attributes that were written, each once.
    pub updated: Vec<AttrName>,
    /// The attributes that were not, once per instance.
    pub not_updated: Vec<NotUpdated>,
}

/// An attribute that an operation left alone (CIM 009, clause 5.2.19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUpdated {
    /// The attribute.
    pub name: AttrName,
    /// Why, in a sentence for the client.
    pub reason: String,
}

/// Why a fragment cannot be used in an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFragment(pub String);

/// Which instances of an attribute are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instances {
    /// The one without a data set.
    Default,
    /// The one of this data set.
    Dataset(DatasetId),
    /// All of them.
    All,
}

impl Entity {
    /// The most attributes of an entity, and the most sub-attributes of an attribute instance.
    pub const MAX_ATTRIBUTES: usize = 2_000;

    /// The most instances of one attribute.
    pub const MAX_INSTANCES: usize = 1_000;

    /// The most types of an entity.
    pub const MAX_TYPES: usize = 200;

    /// The most scopes of an entity.
    pub const MAX_SCOPES: usize = 1_000;

    /// The entity that a creation makes (CIM 009, clause 5.6.1).
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] if id or type is missing, if an attribute has no value or a Null, or
    /// if there are more than [`MAX_ATTRIBUTES`](Self::MAX_ATTRIBUTES) attributes,
    /// [`MAX_INSTANCES`](Self::MAX_INSTANCES) instances of one, [`MAX_TYPES`](Self::MAX_TYPES)
    /// types or [`MAX_SCOPES`](Self::MAX_SCOPES) scopes.
    pub fn create(
        fragment: impl Borrow<EntityFragment>,
        now: Timestamp,
    ) -> Result<Self, InvalidFragment> {
        let fragment = fragment.borrow();
        let Some(id) = &fragment.id else {
            return Err(InvalidFragment("an entity needs an id".to_owned()));
        };
        Self::create_as(id, fragment, now)
    }

    /// The entity that a creation makes, with this id whatever the fragment says.
    fn create_as(
        id: &EntityId,
        fragment: &EntityFragment,
        now: Timestamp,
    ) -> Result<Self, InvalidFragment> {
        if fragment.types.is_empty() {
            return Err(InvalidFragment("an entity needs at least one type".to_owned()));
        }
        let mut entity = Self {
            id: id.clone(),
            types: Vec::with_capacity(fragment.types.len().min(Self::MAX_TYPES)),
            scopes: Vec::new(),
            created_at: now,
            modified_at: now,
            expires_at: set_or_absent("expiresAt", &fragment.expires_at)?.copied(),
            attributes: Vec::new(),
        };
        entity.add_types(&fragment.types)?;
        if let Some(scopes) = set_or_absent("scope", &fragment.scopes)? {
            entity.add_scopes(scopes)?;
        }
        let writer = Writer { rule: Rule::Append(Overwrite::Yes), now };
        writer.apply(&mut entity.attributes, &fragment.attributes)?;
        Ok(entity)
    }

    /// This entity with the fragment's attributes appended (CIM 009, clause 5.6.3). Types are
    /// added to those that are there; scopes replace them, or with [`Overwrite::No`] are added
    /// to them. If nothing is written, the entity is unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] as for [`create`](Self::create), but neither id nor type is needed.
    pub fn append(
        &self,
        fragment: impl Borrow<EntityFragment>,
        overwrite: Overwrite,
        now: Timestamp,
    ) -> Result<(Self, UpdateResult), InvalidFragment> {
        let fragment = fragment.borrow();
        let mut entity = self.clone();
        let mut touched = entity.add_types(&fragment.types)?;
        if let Some(scopes) = set_or_absent("scope", &fragment.scopes)? {
            if overwrite == Overwrite::Yes {
                entity.scopes.clear();
                touched = true;
            }
            touched |= entity.add_scopes(scopes)?;
        }
        let expires_at = set_or_absent("expiresAt", &fragment.expires_at)?.copied();
        if expires_at.is_some() && (overwrite == Overwrite::Yes || entity.expires_at.is_none()) {
            entity.expires_at = expires_at;
            touched = true;
        }
        let writer = Writer { rule: Rule::Append(overwrite), now };
        let result = writer.apply(&mut entity.attributes, &fragment.attributes)?;
        if touched || !result.updated.is_empty() {
            entity.modified_at = now;
        }
        Ok((entity, result))
    }

    /// This entity with the fragment's attributes in the place of those that it has, instance by
    /// instance (CIM 009, clauses 5.6.2 and 5.5.8). Attributes that it has not are added, Nulls
    /// delete. Types are added to those that are there; a scope replaces the one that is there. If
    /// nothing is written, the entity is unchanged.
    ///
    /// A Null for an instance that is not there is not updated, nor is the scope of an entity that
    /// has none.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] as for [`append`](Self::append), but for Nulls.
    pub fn update(
        &self,
        fragment: impl Borrow<EntityFragment>,
        now: Timestamp,
    ) -> Result<(Self, UpdateResult), InvalidFragment> {
        let fragment = fragment.borrow();
        let mut entity = self.clone();
        let mut touched = entity.add_types(&fragment.types)?;
        let no_scope = entity.scopes.is_empty() && fragment.scopes != Patch::Keep;
        if !no_scope {
            touched |= entity.patch_scopes(&fragment.scopes)?;
        }
        touched |= entity.patch_expiry(&fragment.expires_at);
        let writer = Writer { rule: Rule::Update, now };
        let mut result = writer.apply(&mut entity.attributes, &fragment.attributes)?;
        if no_scope {
            let reason = "the entity has no scope, and an update adds none".to_owned();
            result.not_updated.push(NotUpdated { name: scope_name()?, reason });
        }
        if touched || !result.updated.is_empty() {
            entity.modified_at = now;
        }
        Ok((entity, result))
    }

    /// This entity with the fragment merged into it, member by member and into the values that
    /// are JSON objects, Nulls deleting (CIM 009, clauses 5.6.17 and 5.5.12). Types are added to
    /// those that are there, a scope replaces the one that is there.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] if an attribute would have no value, would change its kind, or if
    /// there would be too much, as for [`create`](Self::create).
    pub fn merge(
        &self,
        fragment: impl Borrow<EntityFragment>,
        now: Timestamp,
    ) -> Result<Self, InvalidFragment> {
        let fragment = fragment.borrow();
        let mut entity = self.clone();
        entity.add_types(&fragment.types)?;
        entity.patch_scopes(&fragment.scopes)?;
        entity.patch_expiry(&fragment.expires_at);
        let writer = Writer { rule: Rule::Merge, now };
        writer.apply(&mut entity.attributes, &fragment.attributes)?;
        entity.modified_at = now;
        Ok(entity)
    }

    /// The entity that takes this one's place: only the id and the time of its creation stay
    /// (CIM 009, clause 5.6.18).
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] as for [`create`](Self::create), but no id is needed.
    pub fn replace(
        &self,
        fragment: impl Borrow<EntityFragment>,
        now: Timestamp,
    ) -> Result<Self, InvalidFragment> {
        let entity = Self::create_as(&self.id, fragment.borrow(), now)?;
        Ok(Self { created_at: self.created_at, ..entity })
    }

    /// This entity with one attribute instance updated in part (CIM 009, clauses 5.6.4 and
    /// 5.5.8): its members and sub-attributes that the fragment has are replaced, or deleted by a
    /// Null; a Null as the value deletes the instance. None if there is no such instance.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] if the kind of the attribute would change.
    pub fn update_attribute(
        &self,
        name: &AttrName,
        fragment: InstanceFragment,
        now: Timestamp,
    ) -> Result<Option<Self>, InvalidFragment> {
        let there = self
            .attribute(name)
            .is_some_and(|attribute| attribute.instance(fragment.dataset_id.as_ref()).is_some());
        if !there {
            return Ok(None);
        }
        let mut entity = self.clone();
        let fragment =
            AttributeFragment { name: name.clone(), instances: smallvec::smallvec![fragment] };
        Writer { rule: Rule::Partial, now }.apply(&mut entity.attributes, &[fragment])?;
        entity.modified_at = now;
        Ok(Some(entity))
    }

    /// This entity with the fragment's instances of one attribute in the place of those of the
    /// same data sets (CIM 009, clause 5.6.19); other instances stay. None if one of them is not
    /// there.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] as for [`append`](Self::append).
    pub fn replace_attribute(
        &self,
        fragment: AttributeFragment,
        now: Timestamp,
    ) -> Result<Option<Self>, InvalidFragment> {
        let all_there = self.attribute(&fragment.name).is_some_and(|attribute| {
            fragment
                .instances
                .iter()
                .all(|instance| attribute.instance(instance.dataset_id.as_ref()).is_some())
        });
        if !all_there {
            return Ok(None);
        }
        let mut entity = self.clone();
        let writer = Writer { rule: Rule::Append(Overwrite::Yes), now };
        writer.apply(&mut entity.attributes, &[fragment])?;
        entity.modified_at = now;
        Ok(Some(entity))
    }

    /// This entity without these instances of an attribute (CIM 009, clause 5.6.5); none if there
    /// are no such instances.
    pub fn delete_attribute(
        &self,
        name: &AttrName,
        which: &Instances,
        now: Timestamp,
    ) -> Option<Self> {
        let attribute = self.attribute(name)?;
        let stays = |dataset: Option<&DatasetId>| match which {
            Instances::Default => dataset.is_some(),
            Instances::Dataset(wanted) => dataset != Some(wanted),
            Instances::All => false,
        };
        if attribute.instances.iter().all(|instance| stays(instance.dataset_id())) {
            return None;
        }
        let mut entity = self.clone();
        entity.attributes.retain_mut(|attribute| {
            if attribute.name == *name {
                attribute.instances.retain(|instance| stays(instance.dataset_id()));
            }
            !attribute.instances.is_empty()
        });
        entity.modified_at = now;
        Some(entity)
    }

    /// Adds the types that are not there yet; whether there were any.
    fn add_types(&mut self, types: &[TypeName]) -> Result<bool, InvalidFragment> {
        let before = self.types.len();
        for name in types {
            if self.types.contains(name) {
                continue;
            }
            if self.types.len() == Self::MAX_TYPES {
                return Err(too_many(Self::MAX_TYPES, "types"));
            }
            self.types.push(name.clone());
        }
        Ok(self.types.len() > before)
    }

    /// Adds the scopes that are not there yet; whether there were any.
    fn add_scopes(&mut self, scopes: &[Scope]) -> Result<bool, InvalidFragment> {
        let before = self.scopes.len();
        for scope in scopes {
            if self.scopes.contains(scope) {
                continue;
            }
            if self.scopes.len() == Self::MAX_SCOPES {
                return Err(too_many(Self::MAX_SCOPES, "scopes"));
            }
            self.scopes.push(scope.clone());
        }
        Ok(self.scopes.len() > before)
    }

    /// Replaces or removes the scopes; whether the request mentions them.
    fn patch_scopes(&mut self, scopes: &Patch<Vec<Scope>>) -> Result<bool, InvalidFragment> {
        match scopes {
            Patch::Keep => return Ok(false),
            Patch::Remove => self.scopes.clear(),
            Patch::Set(scopes) => {
                self.scopes.clear();
                self.add_scopes(scopes)?;
            }
        }
        Ok(true)
    }

    /// Sets or removes the expiry; whether the request mentions it.
    fn patch_expiry(&mut self, expires_at: &Patch<Timestamp>) -> bool {
        let mentioned = *expires_at != Patch::Keep;
        self.expires_at = expires_at.clone().apply(self.expires_at);
        mentioned
    }
}

/// What a scope is called in the result of an operation.
fn scope_name() -> Result<AttrName, InvalidFragment> {
    format!("{NGSI_LD}scope")
        .parse()
        .map_err(|error: InvalidName| InvalidFragment(error.to_string()))
}

fn too_many(most: usize, what: &str) -> InvalidFragment {
    InvalidFragment(format!("an entity has at most {most} {what}"))
}

/// The value of a member in an operation that knows no Nulls.
fn set_or_absent<'p, T>(
    member: &str,
    patch: &'p Patch<T>,
) -> Result<Option<&'p T>, InvalidFragment> {
    match patch {
        Patch::Keep => Ok(None),
        Patch::Set(value) => Ok(Some(value)),
        Patch::Remove => Err(InvalidFragment(format!(
            "{member} is urn:ngsi-ld:null, which only update and merge accept"
        ))),
    }
}

#[cfg(test)]
mod tests;
