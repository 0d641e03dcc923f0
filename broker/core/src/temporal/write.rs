//! Evolutions as a whole, and their attributes (CIM 009, clauses 5.6.11 to 5.6.13 and 5.6.16).

use musubi_model::{
    AttrName, Cause, Datasets, Entity, EntityId, EvolutionAction, EvolutionChange,
    EvolutionFragment, Instances, NewInstance, Timestamp,
};
use musubi_store::{EvolutionWrite, Group, Outline};

use super::repeated::Repeated;
use crate::{Error, Right, Session, tenants};

/// What a request to create or update an evolution did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// The evolution was not known, and is now.
    Created(EntityId),
    /// The evolution was known; what the request has was added to it.
    Added,
}

impl Session {
    /// Creates the evolution of an entity, or adds to it if it is known (CIM 009, clause 5.6.11).
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if the fragment has no id or type, an instance without a value, or
    /// too much of something; [`Error::TooComplex`] if too much is recorded to see what of it is told
    /// again; [`Error::Forbidden`] if the evolution is known and the caller may not see it;
    /// [`Error::NoHistory`]; [`Error::Store`].
    pub async fn upsert_evolution(&self, fragment: EvolutionFragment) -> Result<Upserted, Error> {
        self.caller.require(Right::CreateEntities)?;
        self.history()?;
        let Some(id) = fragment.id.clone() else {
            return Err(Error::BadRequestData("an entity needs an id".to_owned()));
        };
        if fragment.types.is_empty() {
            return Err(Error::BadRequestData("an entity needs at least one type".to_owned()));
        }
        let _turn = self.turn(&id).await;
        if let Some(outline) = self.outline_to_extend(&id).await? {
            self.caller.require(Right::ChangeEntities)?;
            self.add(&id, &outline, fragment).await?;
            return Ok(Upserted::Added);
        }
        if fragment.attributes.is_empty() {
            let reason = "an evolution begins with an attribute instance or a scope at least";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let now = self.now();
        let types = fragment.types.clone();
        let action = EvolutionAction::Add { types, instances: fragment.record(now)? };
        let change = EvolutionChange { id: id.clone(), action };
        self.commit_evolution(vec![change], now).await?;
        Ok(Upserted::Created(id))
    }

    /// Adds instances to the evolution of an entity (CIM 009, clause 5.6.12). One that is recorded
    /// already, of the same data set and observed at the same moment, is corrected.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if the evolution is not known; [`Error::BadRequestData`] as for
    /// [`upsert_evolution`](Self::upsert_evolution), or if the fragment has another id;
    /// [`Error::TooComplex`] if too much is recorded to see what of it is told again;
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`].
    pub async fn add_to_evolution(
        &self,
        id: &EntityId,
        fragment: EvolutionFragment,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        let _turn = self.turn(id).await;
        let outline = self.known_evolution(id).await?;
        if let Some(other) = fragment.id.as_ref().filter(|other| *other != id) {
            let reason = format!("the body has the id {other}, and the path has {id}");
            return Err(Error::BadRequestData(reason));
        }
        self.add(id, &outline, fragment).await
    }

    /// Removes the evolution of an entity (CIM 009, clause 5.6.16). The entity itself stays as it
    /// is.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if it is not known; [`Error::NonexistentTenant`];
    /// [`Error::NoHistory`]; [`Error::Store`].
    pub async fn remove_evolution(&self, id: &EntityId) -> Result<(), Error> {
        self.caller.require(Right::DeleteEntities)?;
        let _turn = self.turn(id).await;
        self.known_evolution(id).await?;
        let change = EvolutionChange { id: id.clone(), action: EvolutionAction::Remove };
        self.commit_evolution(vec![change], self.now()).await
    }

    /// Removes what is recorded of an attribute (CIM 009, clause 5.6.13).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if nothing is recorded of such instances;
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`].
    pub async fn remove_evolution_attribute(
        &self,
        id: &EntityId,
        name: &AttrName,
        which: &Instances,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        let _turn = self.turn(id).await;
        let outline = self.known_evolution(id).await?;
        let datasets = match which {
            Instances::All => Datasets::All,
            Instances::Default => Datasets::One(None),
            Instances::Dataset(dataset) => Datasets::One(Some(dataset.clone())),
        };
        let is_meant = |(attribute, dataset): &(AttrName, _)| {
            attribute == name
                && match &datasets {
                    Datasets::All => true,
                    Datasets::One(one) => dataset == one,
                }
        };
        if !outline.series.iter().any(is_meant) {
            let what = format!("such instance of attribute {name} in the evolution of entity {id}");
            return Err(Error::ResourceNotFound(what));
        }
        let action = EvolutionAction::RemoveAttribute { attribute: name.clone(), datasets };
        let change = EvolutionChange { id: id.clone(), action };
        self.commit_evolution(vec![change], self.now()).await
    }

    /// Adds what the fragment has to an evolution that is known. The caller has the turn.
    async fn add(
        &self,
        id: &EntityId,
        outline: &Outline,
        fragment: EvolutionFragment,
    ) -> Result<(), Error> {
        let new_types = fragment.types.iter().filter(|name| !outline.types.contains(name));
        let types: Vec<_> = new_types.cloned().collect();
        if outline.types.len() + types.len() > Entity::MAX_TYPES {
            let reason = format!("an entity has at most {} types", Entity::MAX_TYPES);
            return Err(Error::BadRequestData(reason));
        }
        let sought = fragment.clone().record(self.now())?;
        let mut repeated = Repeated::find(self, id, outline, &sought).await?;
        // Finding takes its time, and who follows what is modified relies on when that was.
        let now = self.now();
        let given = fragment.record(now)?;
        let mut instances: Vec<(AttrName, NewInstance)> = Vec::new();
        let mut changes = Vec::new();
        for (name, new) in given {
            match repeated.take(&name, &new) {
                None => instances.push((name, new)),
                Some(recorded) => {
                    changes.extend(
                        recorded
                            .corrected(name, new)
                            .map(|action| EvolutionChange { id: id.clone(), action }),
                    );
                }
            }
        }
        if !(types.is_empty() && instances.is_empty()) {
            let action = EvolutionAction::Add { types, instances };
            changes.push(EvolutionChange { id: id.clone(), action });
        }
        self.commit_evolution(changes, now).await
    }

    /// Commits changes of evolutions, all or none; with the tenant's own record, if they may be the
    /// tenant's first.
    pub(super) async fn commit_evolution(
        &self,
        changes: Vec<EvolutionChange>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let size: usize = changes.iter().map(EvolutionChange::text_size).sum();
        let most = self.broker.rules().entity_limit;
        if size > most {
            return Err(Error::BadRequestData(format!(
                "the request has {size} bytes of names and values to record, and at most {most} \
                 are taken at once"
            )));
        }
        let tenant = &self.tenant;
        let is_known = self.broker.shared().tenants.is_known(tenant);
        let records = if is_known { Vec::new() } else { vec![tenants::creation(tenant)] };
        let write = |change| EvolutionWrite { tenant: tenant.clone(), change };
        let evolutions = changes.into_iter().map(write).collect();
        let cause = Cause::Request;
        let group = Group { time: now, cause, writes: Vec::new(), records, evolutions };
        match self.commit(vec![group]).await?.first() {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => {
                Err(Error::Internal("what expects nothing was refused".to_owned()))
            }
        }
    }
}
