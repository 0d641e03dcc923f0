//! Recorded instances, one by one (CIM 009, clauses 5.6.14 and 5.6.15).

use musubi_model::{AttrName, EntityId, EvolutionAction, EvolutionChange, RecordFragment};

use crate::{Error, Right, Session};

impl Session {
    /// Puts the instance of the fragment, a whole one, in the place of the one with this
    /// `instanceId` (CIM 009, clause 5.6.14). The instance keeps its id, its data set and the time
    /// of its creation. If two correct the same instance at once, the last one stays.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such evolution, attribute or instance;
    /// [`Error::BadRequestData`] if the fragment has no value or is of another data set;
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`].
    pub async fn correct_instance(
        &self,
        id: &EntityId,
        name: &AttrName,
        instance_id: &str,
        fragment: RecordFragment,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        let _turn = self.turn(id).await;
        let recorded = self.recorded(id, name, instance_id).await?;
        let now = self.now();
        let corrected = recorded.correct(name, fragment, now)?;
        let (attribute, recorded) = (name.clone(), Box::new(corrected));
        let action = EvolutionAction::Correct { attribute, recorded };
        self.commit_evolution(vec![EvolutionChange { id: id.clone(), action }], now).await
    }

    /// Removes the instance with this `instanceId` (CIM 009, clause 5.6.15).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such evolution, attribute or instance;
    /// [`Error::NonexistentTenant`]; [`Error::NoHistory`]; [`Error::Store`].
    pub async fn remove_instance(
        &self,
        id: &EntityId,
        name: &AttrName,
        instance_id: &str,
    ) -> Result<(), Error> {
        self.caller.require(Right::ChangeEntities)?;
        let _turn = self.turn(id).await;
        let recorded = self.recorded(id, name, instance_id).await?;
        let action = EvolutionAction::RemoveInstance {
            attribute: name.clone(),
            dataset: recorded.instance.dataset_id().cloned(),
            number: recorded.number,
        };
        let change = EvolutionChange { id: id.clone(), action };
        self.commit_evolution(vec![change], self.now()).await
    }
}
