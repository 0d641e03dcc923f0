//! What is new of one entity.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, DatasetId, Datasets, Effect, EvolutionStep, InstanceNumber, NewRecord,
    Recorded, Recordings, Sequence,
};

use super::entries::Entries;
use super::{Added, ROW};
use crate::column::Damaged;
use crate::segment::{EntityBody, FewReader, Names, Version};
use crate::series::{Corrections, Entry, Head, SeriesName, Superseded};

/// So many series are looked at one after the other.
const LOOKED_AT: usize = 16;

/// What is new of an entity, as it was at a moment: what changes while somebody holds it is a copy.
#[derive(Clone, Debug)]
pub(crate) struct RecentEntity {
    head: Head,
    /// Up to which change all data sets of an attribute were removed.
    removed: BTreeMap<AttrName, Sequence>,
    /// In order.
    series: Vec<(SeriesName, Arc<RecentSeries>)>,
}

#[derive(Clone, Debug, Default)]
struct RecentSeries {
    entries: Entries,
    removed_upto: Sequence,
    superseded: BTreeMap<InstanceNumber, Sequence>,
}

impl RecentEntity {
    pub(super) fn nothing() -> Self {
        Self { head: Head::nothing(), removed: BTreeMap::new(), series: Vec::new() }
    }

    /// What is known here of it apart from its series.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The attributes of which all data sets were removed.
    pub(crate) fn removed(&self) -> &BTreeMap<AttrName, Sequence> {
        &self.removed
    }

    /// The series of which anything is said here, in order.
    pub(crate) fn series(&self) -> impl Iterator<Item = &SeriesName> {
        self.series.iter().map(|(name, _)| name)
    }

    /// What is said here of what earlier places hold of a series.
    pub(crate) fn corrections(&self, series: &SeriesName) -> Corrections {
        let all = self.removed.get(&series.0).copied().unwrap_or_default();
        let Some(series) = self.get(series) else {
            return Corrections { removed_upto: all, superseded: Vec::new() };
        };
        let superseded = series.superseded.iter();
        Corrections {
            removed_upto: series.removed_upto.max(all),
            superseded: superseded
                .map(|(number, version)| Superseded { number: *number, version: *version })
                .collect(),
        }
    }

    /// Shows the entries of a series, those of the last numbers first, for as long as the visitor
    /// wants to see more.
    pub(crate) fn visit(
        &self,
        series: &SeriesName,
        visitor: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let series = self.get(series).into_iter();
        let mut entries = series.flat_map(|series| series.entries.iter().rev());
        entries.try_for_each(visitor)
    }

    /// All entries of a series.
    pub(crate) fn entries(&self, series: &SeriesName) -> impl Iterator<Item = &Entry> {
        self.get(series).into_iter().flat_map(|series| series.entries.iter())
    }

    /// The entry of this number.
    pub(crate) fn entry(&self, series: &SeriesName, number: InstanceNumber) -> Option<&Entry> {
        self.get(series)?.entries.get(number)
    }

    /// What a row says that was made of one change.
    pub(super) fn of_row(names: &Names, row: &[u8]) -> Result<Self, Damaged> {
        let EntityBody { head, names: series, few } = EntityBody::read(names, Version::Now, row)?;
        let mut few = FewReader::new(few)?;
        let mut entity = Self { head, ..Self::nothing() };
        for numbers in series {
            let mut kept = RecentSeries::default();
            few.entries()?.into_iter().for_each(|entry| kept.entries.insert(entry));
            entity.series.push((names.series(numbers)?, Arc::new(kept)));
        }
        Ok(entity)
    }

    /// Bytes that it takes, about, the id apart.
    pub(super) fn bytes(&self) -> usize {
        let of_series = |series: &RecentSeries| -> usize {
            2 * ROW + series.entries.iter().map(|entry| size(&entry.recorded)).sum::<usize>()
        };
        4 * ROW + self.series.iter().map(|(_, series)| of_series(series)).sum::<usize>()
    }

    /// Takes in what a change records, if it does nothing else.
    pub(super) fn record(&mut self, sequence: Sequence, recordings: Recordings<'_>) -> Added {
        let Recordings { types, time, existence, records, .. } = recordings;
        self.head.add_types(types);
        self.head.note((sequence, time), existence, !records.is_empty());
        let mut added = Added::default();
        for NewRecord { name, number, instance, deleted_at } in records {
            let recorded = Recorded { number, instance: instance.into_owned(), deleted_at };
            added += self.insert(&name, Entry { version: sequence, recorded });
        }
        added
    }

    /// Takes in what a change does, of the changes after one.
    pub(super) fn step(
        &mut self,
        after: Sequence,
        sequence: Sequence,
        step: EvolutionStep,
    ) -> Added {
        let records = step.effects.iter().any(|effect| matches!(effect, Effect::Record(..)));
        self.head.add_types(&step.types);
        self.head.note((sequence, step.time), step.existence, records);
        let mut added = Added::default();
        for effect in step.effects {
            added += self.apply(after, sequence, effect);
        }
        added
    }

    fn insert(&mut self, name: &AttrName, entry: Entry) -> Added {
        let bytes = size(&entry.recorded);
        let (series, more) = self.series_of(name, entry.recorded.instance.dataset_id());
        series.entries.insert(entry);
        Added { bytes: bytes + more, instances: 1 }
    }

    /// Does one thing.
    fn apply(&mut self, after: Sequence, version: Sequence, effect: Effect) -> Added {
        let bytes = match effect {
            Effect::Record(name, recorded) => {
                return self.insert(&name, Entry { version, recorded });
            }
            Effect::Correct(name, recorded) => {
                let (series, more) = self.series_of(&name, recorded.instance.dataset_id());
                series.supersede(after, recorded.number, version);
                let added = self.insert(&name, Entry { version, recorded });
                return Added { bytes: added.bytes + more + ROW, ..added };
            }
            Effect::RemoveInstance(name, dataset, number) => {
                let (series, more) = self.series_of(&name, dataset.as_ref());
                series.supersede(after, number, version);
                series.entries.remove(number);
                more + ROW
            }
            Effect::RemoveAttribute(name, Datasets::One(dataset)) => {
                let (series, more) = self.series_of(&name, dataset.as_ref());
                series.remove(version);
                more
            }
            Effect::RemoveAttribute(name, Datasets::All) => {
                let of_name =
                    self.series.iter_mut().filter(|((attribute, _), _)| *attribute == name);
                for (_, series) in of_name {
                    Arc::make_mut(series).remove(version);
                }
                let more = ROW + name.as_str().len();
                self.removed.insert(name, version);
                more
            }
            Effect::RemoveAll => {
                self.series.clear();
                self.removed.clear();
                self.head = Head { removed_upto: version, ..Head::nothing() };
                0
            }
        };
        Added { bytes, instances: 0 }
    }

    fn get(&self, (attribute, dataset): &SeriesName) -> Option<&RecentSeries> {
        let place = self.place(attribute, dataset.as_ref()).ok()?;
        self.series.get(place).map(|(_, series)| &**series)
    }

    fn series_of(
        &mut self,
        name: &AttrName,
        dataset: Option<&DatasetId>,
    ) -> (&mut RecentSeries, usize) {
        let mut more = 0;
        let place = self.place(name, dataset).unwrap_or_else(|place| {
            let text = name.as_str().len() + dataset.map_or(0, |id| id.as_str().len());
            more = 2 * ROW + text;
            let name = (name.clone(), dataset.cloned());
            self.series.insert(place, (name, Arc::default()));
            place
        });
        match self.series.get_mut(place) {
            Some((_, series)) => (Arc::make_mut(series), more),
            None => unreachable!("it is there, or was put there"),
        }
    }

    /// Where a series stands, or would.
    fn place(&self, name: &AttrName, dataset: Option<&DatasetId>) -> Result<usize, usize> {
        // Mostly there are few, and the name is the same one, so that its text does not matter.
        let mut first = self.series.iter().take(LOOKED_AT);
        let found =
            first.position(|((known, of), _)| known.shares_with(name) && of.as_ref() == dataset);
        if let Some(place) = found {
            return Ok(place);
        }
        self.series.binary_search_by(|((known, of), _)| (known, of.as_ref()).cmp(&(name, dataset)))
    }
}

impl RecentSeries {
    /// Older versions of an instance are not there any more. What was recorded in this table is
    /// simply taken out of it.
    fn supersede(&mut self, after: Sequence, number: InstanceNumber, version: Sequence) {
        if number.sequence <= after {
            self.superseded.insert(number, version);
        }
    }

    fn remove(&mut self, version: Sequence) {
        self.entries.clear();
        self.superseded.clear();
        self.removed_upto = version;
    }
}

/// What an instance takes in memory, about.
fn size(recorded: &Recorded) -> usize {
    let value = recorded.instance.value.json.as_str().len();
    let beside = recorded
        .instance
        .qualifiers
        .as_ref()
        .map_or(0, |qualifiers| 2 * ROW + attributes_size(&qualifiers.attributes));
    size_of::<Entry>() + ROW / 2 + value + beside
}

fn attributes_size(attributes: &[Attribute]) -> usize {
    let instances = attributes.iter().flat_map(|attribute| &attribute.instances);
    let each = instances.map(|instance| {
        2 * ROW + instance.value.json.as_str().len() + attributes_size(instance.attributes())
    });
    each.sum()
}
