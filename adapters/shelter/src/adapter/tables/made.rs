//! From a table to what is written of its shelters.

use std::collections::HashSet;

use musubi_adapter_kit::{Item, SinkError};
use musubi_model::{EntityFragment, EntityId, Timestamp};

use crate::adapter::Base;
use crate::adapter::remembered::Applied;
use crate::files::Reading;
use crate::map::{CountMethod, Known, Step};
use crate::snapshot::{Row, Snapshot};
use crate::{Observation, Shelter, Stated};

/// What a table becomes.
pub(super) struct Made {
    pub(super) item: Item,
    pub(super) applied: Applied,
    /// Shelters of which something newer is known.
    pub(super) late: usize,
}

/// What a table says of the shelters that it names, and of those that it does not name any more.
pub(super) async fn make(
    base: &Base,
    reading: &Reading,
    snapshot: &Snapshot,
    before: &Applied,
) -> Result<Made, SinkError> {
    let named: HashSet<&EntityId> = snapshot.rows.iter().map(|row| &row.id).collect();
    let gone: Vec<EntityId> =
        before.open.iter().filter(|id| !named.contains(id)).cloned().collect();
    let mut ids: Vec<EntityId> = snapshot.rows.iter().map(|row| row.id.clone()).collect();
    let mut applied = before.with(snapshot.at, &reading.mark, ids.clone());
    ids.extend(gone.iter().cloned());
    let known = base.known(&ids).await?;
    let known = |id: &EntityId| known.get(id).cloned().unwrap_or_default();
    let mut entities = Vec::with_capacity(ids.len());
    let mut late = 0;
    for row in &snapshot.rows {
        let known = known(&row.id);
        late += usize::from(is_newer(&known, snapshot.at));
        entities.push(listed(base, row, &known, snapshot.at));
    }
    for id in gone {
        let known = known(&id);
        if is_newer(&known, snapshot.at) {
            // Somebody has seen it later. If it is closed, the next table will say so again.
            late += 1;
            applied.open.push(id);
        } else {
            entities.push(closing(base, id, &known.shelter, snapshot.at));
        }
    }
    let item = Item {
        entities,
        state: vec![applied.write()],
        dead_letters: Vec::new(),
        origin: reading.origin.clone(),
        payload: reading.payload.clone(),
        arrival: reading.written,
    };
    Ok(Made { item, applied, late })
}

fn listed(base: &Base, row: &Row, known: &Known, at: Timestamp) -> EntityFragment {
    let mut fragment = base.fragment(row.id.clone());
    fragment.fixed(row);
    if is_newer(known, at) {
        return fragment.into_inner();
    }
    let (people, households) = (row.people.as_ref().ok().copied(), row.households);
    let said = Observation { at, people, households, stated: Stated::Listed };
    let before = &known.shelter;
    let capacity = row.capacity.or(before.capacity);
    let mut after = Shelter { capacity, ..before.clone() }.observed(&said, &base.thresholds);
    if let Err(reason) = &row.people {
        after.data_quality = Some(reason.clone());
    }
    fragment.step(&Step {
        before,
        after: &after,
        at,
        people: people.map(|_| CountMethod::HeadCount),
        households: households.map(|_| at),
    });
    fragment.into_inner()
}

fn closing(base: &Base, id: EntityId, before: &Shelter, at: Timestamp) -> EntityFragment {
    let after = before.observed(&Observation::closing(at), &base.thresholds);
    let mut fragment = base.fragment(id);
    fragment.step(&Step {
        before,
        after: &after,
        at,
        people: Some(CountMethod::HeadCount),
        households: None,
    });
    fragment.into_inner()
}

/// Whether the broker knows something of a later moment.
fn is_newer(known: &Known, at: Timestamp) -> bool {
    known.said_at.is_some_and(|said_at| said_at > at)
}
