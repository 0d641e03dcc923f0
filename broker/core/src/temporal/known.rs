//! What the caller may know of what is recorded. Whatever is changed was read here before, so that
//! nobody changes, or learns of, what they may not see.

use musubi_model::{AttrName, Entity, EntityId, Recorded, Timestamp, TypeName};
use musubi_store::{History, Outline};

use crate::turns::Turn;
use crate::{Error, Right, Session};

impl Session {
    /// Where the past is kept.
    pub(crate) fn history(&self) -> Result<&dyn History, Error> {
        let history = self.broker.shared().options.history.as_deref();
        history.ok_or(Error::NoHistory)
    }

    /// Waits for the turn to change what is recorded of an entity, from reading it to the commit.
    pub(super) async fn turn(&self, id: &EntityId) -> Turn<'_> {
        self.broker.shared().turns.take(&self.tenant, [id]).await
    }

    /// What is recorded of an entity, in outline, if the caller may see it.
    pub(super) async fn outline(&self, id: &EntityId) -> Result<Option<Outline>, Error> {
        let outline = self.history()?.outline(&self.tenant, id).await?;
        Ok(outline.filter(|outline| self.sees(id, &outline.types)))
    }

    /// What is recorded of an entity, in outline, for somebody who adds to it and creates it if
    /// nothing is. That the id is taken cannot be kept from them, if the caller may not see by what.
    pub(super) async fn outline_to_extend(&self, id: &EntityId) -> Result<Option<Outline>, Error> {
        let outline = self.history()?.outline(&self.tenant, id).await?;
        match outline {
            Some(outline) if !self.sees(id, &outline.types) => {
                Err(Error::Forbidden(Right::ChangeEntities))
            }
            outline => Ok(outline),
        }
    }

    /// The outline of an evolution that has to be known.
    pub(super) async fn known_evolution(&self, id: &EntityId) -> Result<Outline, Error> {
        self.history()?;
        self.require_tenant().await?;
        let unknown = || Error::ResourceNotFound(format!("evolution of entity {id}"));
        self.outline(id).await?.ok_or_else(unknown)
    }

    /// The instance that has this `instanceId`, if it is of this attribute of this entity.
    pub(super) async fn recorded(
        &self,
        id: &EntityId,
        name: &AttrName,
        instance_id: &str,
    ) -> Result<Recorded, Error> {
        self.known_evolution(id).await?;
        let unknown = || {
            let shown: String = instance_id.chars().take(120).collect();
            let what = format!("instance {shown:?} of attribute {name} in entity {id}");
            Error::ResourceNotFound(what)
        };
        let number = self.seal().await.instance(instance_id).ok_or_else(unknown)?;
        let recorded = self.history()?.instance(&self.tenant, id, name, number).await?;
        recorded.ok_or_else(unknown)
    }

    /// Whether the caller may see what is recorded of an entity that has or had these types.
    fn sees(&self, id: &EntityId, types: &[TypeName]) -> bool {
        self.caller.visible().is_none_or(|visible| {
            visible.matches(&Entity {
                id: id.clone(),
                types: types.to_vec(),
                scopes: Vec::new(),
                created_at: Timestamp::EPOCH,
                modified_at: Timestamp::EPOCH,
                expires_at: None,
                attributes: Vec::new(),
            })
        })
    }
}
