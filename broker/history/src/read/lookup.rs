//! Answers about one entity.

use musubi_model::{AttrName, EntityId, InstanceNumber, Recorded, Tenant};
use musubi_query::{EvolutionStart, Filter, Shown, TemporalProperty, TemporalQuery};
use musubi_store::{Outline, StoreError};

use super::deadline::Deadline;
use super::view::View;

/// What is recorded of an entity, in outline.
pub(crate) fn outline(
    view: &View,
    tenant: &Tenant,
    id: &EntityId,
    deadline: &Deadline,
) -> Result<Option<Outline>, StoreError> {
    let Some(entity) = view.entity(tenant, id)? else { return Ok(None) };
    if !entity.is_left(deadline)? {
        return Ok(None);
    }
    let anything = anything();
    let mut series = Vec::new();
    for name in entity.series() {
        if entity.has_any(&name, &anything, deadline)? {
            series.push(name);
        }
    }
    Ok(Some(Outline { types: entity.types().to_vec(), series }))
}

/// The recorded instance of this number.
pub(crate) fn instance(
    view: &View,
    tenant: &Tenant,
    (id, attribute): (&EntityId, &AttrName),
    number: InstanceNumber,
) -> Result<Option<Recorded>, StoreError> {
    let Some(entity) = view.entity(tenant, id)? else { return Ok(None) };
    for name in entity.series() {
        if name.0 != *attribute {
            continue;
        }
        if let Some(found) = entity.instance(&name, number)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A question in whose range everything is.
pub(crate) fn anything() -> TemporalQuery {
    TemporalQuery {
        filter: Filter::default(),
        property: TemporalProperty::ModifiedAt,
        range: None,
        attributes: None,
        keep_empty: true,
        shown: Shown::All,
        datasets: None,
        values: None,
        geo: None,
        scope: None,
        last: None,
        start: EvolutionStart::Offset(0),
        limit: 1,
        count: false,
        instances: 1,
        bytes: usize::MAX,
        aggregation: None,
    }
}
