//! Where instances are looked for among what is recorded of one entity: at moments, in attributes and
//! data sets.

use std::collections::BTreeSet;
use std::time::Duration;

use musubi_model::{AttrName, DatasetId, EntityId, Recorded, SCOPE, Timestamp};
use musubi_query::{EvolutionPage, Filter, TemporalProperty, TemporalQuery, TimeRelation};

use crate::{Error, Session};

/// How many instances are read at once.
const SLICE: usize = 1_000;
/// The most instances that are read of one moment.
const MOST_OF_A_MOMENT: usize = 100_000;
/// How often is read for one entity at most. A slice begins at a moment that was not read yet, so
/// many are needed only if the moments are far apart among many others.
const MOST_SLICES: usize = 1_000;
/// How long reading takes at most for one entity.
const LONGEST: Duration = Duration::from_secs(10);

/// Where to look.
#[derive(Debug)]
pub(super) struct Places {
    property: TemporalProperty,
    names: BTreeSet<AttrName>,
    datasets: BTreeSet<Option<DatasetId>>,
    moments: BTreeSet<Timestamp>,
}

impl Places {
    /// No places, for moments of this kind.
    pub(super) fn new(property: TemporalProperty) -> Self {
        let (names, datasets, moments) = Default::default();
        Self { property, names, datasets, moments }
    }

    /// Adds a place.
    pub(super) fn add(&mut self, name: &AttrName, dataset: Option<&DatasetId>, moment: Timestamp) {
        if !self.names.contains(name) {
            self.names.insert(name.clone());
        }
        self.datasets.insert(dataset.cloned());
        self.moments.insert(moment);
    }
}

impl Session {
    /// Calls `found` with every instance at these places, those of one attribute ascending by moment
    /// and number, and with some that are near.
    ///
    /// # Errors
    ///
    /// [`Error::TooComplex`] if there is too much to read; [`Error::NoHistory`]; [`Error::Store`].
    pub(super) async fn recorded_at(
        &self,
        id: &EntityId,
        places: Places,
        found: impl FnMut(&AttrName, Recorded) + Send,
    ) -> Result<(), Error> {
        let reading = self.read_slices(id, places, found);
        match tokio::time::timeout(LONGEST, reading).await {
            Ok(read) => read,
            Err(_) => Err(too_much()),
        }
    }

    async fn read_slices(
        &self,
        id: &EntityId,
        places: Places,
        mut found: impl FnMut(&AttrName, Recorded) + Send,
    ) -> Result<(), Error> {
        let history = self.history()?;
        let Places { property, names, datasets, mut moments } = places;
        let mut query = TemporalQuery {
            filter: self.caller.narrow(Filter::Ids(vec![id.clone()])),
            property,
            attributes: Some(names.into_iter().collect()),
            datasets: Some(datasets.into_iter().collect()),
            limit: 1,
            instances: SLICE,
            ..TemporalQuery::default()
        };
        for _ in 0..MOST_SLICES {
            let (Some(first), Some(last)) = (moments.first().copied(), moments.last().copied())
            else {
                return Ok(());
            };
            query.range = Some(stretch(first, last));
            let page = history.evolutions(&self.tenant, &query).await?;
            let cut = page.cut;
            if cut.is_some_and(|cut| cut.first == cut.last) && size(&page) >= query.instances {
                // One moment alone may be too much for a slice.
                if query.instances >= MOST_OF_A_MOMENT {
                    return Err(too_much());
                }
                query.instances = query.instances.saturating_mul(10).min(MOST_OF_A_MOMENT);
                continue;
            }
            hand_over(page, &mut found);
            let Some(cut) = cut else { return Ok(()) };
            let read = cut.last.max(first);
            moments.retain(|moment| *moment > read);
            query.instances = SLICE;
        }
        if moments.is_empty() { Ok(()) } else { Err(too_much()) }
    }
}

/// From one moment to another, both in it. No moment comes after the last one that there is.
fn stretch(first: Timestamp, last: Timestamp) -> TimeRelation {
    let end = last.plus_micros(1);
    if end > last { TimeRelation::Between(first, end) } else { TimeRelation::After(first) }
}

/// How many instances a page has.
fn size(page: &EvolutionPage) -> usize {
    let of_attributes = page.items.iter().flat_map(|item| &item.evolution.attributes);
    let of_scopes = page.items.iter().map(|item| item.evolution.scopes.len());
    of_attributes.map(|attribute| attribute.instances.len()).chain(of_scopes).sum()
}

fn hand_over(page: EvolutionPage, found: &mut impl FnMut(&AttrName, Recorded)) {
    let scope = SCOPE.parse::<AttrName>().ok();
    for item in page.items {
        for attribute in item.evolution.attributes {
            for recorded in attribute.instances {
                found(&attribute.name, recorded);
            }
        }
        for recorded in item.evolution.scopes {
            if let Some(scope) = &scope {
                found(scope, recorded);
            }
        }
    }
}

pub(super) fn too_much() -> Error {
    let reason = "too much is recorded between the moments of the request to see which of its \
                  instances are there already: send fewer at once, of moments closer together";
    Error::TooComplex(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_its_last_moment_even_if_none_comes_after_it() {
        let last = Timestamp::from_micros(i64::MAX);
        for moment in [last, Timestamp::EPOCH, Timestamp::from_micros(i64::MIN)] {
            assert!(stretch(moment, moment).contains(moment));
            assert!(
                stretch(Timestamp::EPOCH, moment.max(Timestamp::EPOCH))
                    .contains(moment.max(Timestamp::EPOCH))
            );
        }
        assert!(!stretch(Timestamp::EPOCH, Timestamp::EPOCH).contains(last));
    }
}
