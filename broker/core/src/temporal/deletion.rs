//! Deletions of attributes that are known from what was told of the past alone.
//!
//! The temporal API records attributes without an entity that has them now. When such an attribute
//! is deleted as if the entity had it, nothing can be taken away from the entity; but that it is
//! gone is recorded, as it is of any other (CIM 009, clauses 4.5.7 and 4.5.8).

use musubi_model::{
    AttrName, DatasetId, EntityId, EvolutionAction, EvolutionChange, Instance, Instances,
    NewInstance, Recorded, SCOPE, Timestamp,
};
use musubi_query::{EntityQuery, Filter, TemporalProperty, TemporalQuery};
use musubi_store::{History, HistoryError};

use crate::{Error, Session};

impl Session {
    /// Whether there is an entity of this id, be it one that the caller may see or not. Not to be
    /// told to the caller.
    async fn is_there(&self, id: &EntityId) -> Result<bool, Error> {
        let filter = Filter::Ids(vec![id.clone()]);
        let query = EntityQuery { filter, at: None, limit: 1, ..EntityQuery::default() };
        Ok(!self.broker.store().select(&self.tenant, &query).await?.items.is_empty())
    }

    /// Records that these instances of an attribute, or of [`SCOPE`], were deleted, if there is no
    /// such entity, something that the caller may see is recorded of them and the last of it is no
    /// deletion. Gives `missing` if not; so too if there is such an entity that the caller may not see.
    pub(crate) async fn record_deletion(
        &self,
        id: &EntityId,
        name: &AttrName,
        which: &Instances,
        missing: Error,
    ) -> Result<(), Error> {
        let Ok(history) = self.history() else { return Err(missing) };
        let _turn = self.turn(id).await;
        if self.is_there(id).await? {
            return Err(missing);
        }
        let Some(outline) = self.outline(id).await? else { return Err(missing) };
        let is_meant = |dataset: &Option<DatasetId>| match which {
            Instances::Default => dataset.is_none(),
            Instances::Dataset(wanted) => dataset.as_ref() == Some(wanted),
            Instances::All => true,
        };
        let series = outline.series.into_iter();
        let now = self.now();
        let mut instances = Vec::new();
        for (attribute, dataset) in series.filter(|(attribute, _)| attribute == name) {
            if !is_meant(&dataset) {
                continue;
            }
            let last = last(history, self, (id, name), dataset).await?;
            let Some(last) = last.filter(|last| last.deleted_at.is_none()) else { continue };
            instances.push((attribute, deletion(name, &last.instance, now)));
        }
        if instances.is_empty() {
            return Err(missing);
        }
        let action = EvolutionAction::Add { types: Vec::new(), instances };
        self.commit_evolution(vec![EvolutionChange { id: id.clone(), action }], now).await
    }
}

/// The scopes of an entity are observed when they are modified; its attributes are not.
fn deletion(name: &AttrName, last: &Instance, now: Timestamp) -> NewInstance {
    let mut new = NewInstance::deletion(last, now);
    if name.as_str() == SCOPE {
        new.instance.observed_at = Some(now);
    }
    new
}

/// What was recorded last of an attribute's data set.
async fn last(
    history: &dyn History,
    session: &Session,
    (id, name): (&EntityId, &AttrName),
    dataset: Option<DatasetId>,
) -> Result<Option<Recorded>, HistoryError> {
    let query = TemporalQuery {
        filter: session.caller.narrow(Filter::Ids(vec![id.clone()])),
        property: TemporalProperty::ModifiedAt,
        attributes: Some(vec![name.clone()]),
        datasets: Some(vec![dataset]),
        last: Some(1),
        limit: 1,
        ..TemporalQuery::default()
    };
    let page = history.evolutions(&session.tenant, &query).await?;
    let Some(item) = page.items.into_iter().next() else { return Ok(None) };
    let mut attributes = item.evolution.attributes.into_iter();
    let named = attributes.find(|attribute| attribute.name == *name);
    Ok(named.map_or(item.evolution.scopes, |attribute| attribute.instances).pop())
}
