//! An entity of which one change alone is in memory, as most that are new: it is kept as the row that a
//! segment is going to have of it.

use musubi_model::{AttrName, DatasetId, NewRecord, Recordings, Sequence};
use smallvec::SmallVec;

use crate::chunk::ChunkStats;
use crate::segment::{EntityBody, FEW_BYTES, FewWriter, NewNames, SeriesNumbers};
use crate::series::{EntryRef, Head};

/// The most series of such an entity.
const MOST: usize = 64;

/// What makes rows, and what is known of all instances in them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) names: NewNames,
    pub(super) stats: ChunkStats,
    few: FewWriter,
    body: Vec<u8>,
}

impl Rows {
    /// The row of an entity of which nothing else is known than what this change records; none if one
    /// row cannot hold that.
    pub(super) fn make(
        &mut self,
        sequence: Sequence,
        recordings: &mut Recordings<'_>,
    ) -> Option<Box<[u8]>> {
        let Recordings { types, time, existence, records, .. } = recordings;
        if records.is_empty() || records.len() > MOST {
            return None;
        }
        records.sort_by(|one, other| name(one).cmp(&name(other)));
        let is_twice = |pair: &[NewRecord<'_>]| match pair {
            [one, other] => name(one) == name(other),
            _ => false,
        };
        if records.windows(2).any(is_twice) {
            return None;
        }
        self.few.clear();
        for record in &*records {
            let is_small = record.instance.value.json.as_str().len() <= FEW_BYTES;
            if !is_small || !self.few.has_room() {
                return None;
            }
            self.few.begin(1);
            self.few.put(entry(sequence, record));
        }
        if !self.few.has_room() {
            return None;
        }
        let numbers = |record: &NewRecord<'_>| {
            let dataset = record.instance.dataset_id();
            (self.names.attribute(&record.name), self.names.dataset(dataset))
        };
        let series: SmallVec<[SeriesNumbers; 8]> = records.iter().map(numbers).collect();
        let mut numbers: SmallVec<[u32; 2]> = SmallVec::new();
        for name in *types {
            let number = self.names.type_name(name);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let mut head = Head::nothing();
        head.note((sequence, *time), *existence, true);
        records.iter().for_each(|record| self.stats.add(entry(sequence, record)));
        self.body.clear();
        EntityBody::write((&head, &numbers), &series, &self.few, &mut self.body);
        Some(self.body.as_slice().into())
    }
}

/// Of which series it is.
fn name<'r>(record: &'r NewRecord<'_>) -> (&'r AttrName, Option<&'r DatasetId>) {
    (&record.name, record.instance.dataset_id())
}

fn entry<'r>(version: Sequence, record: &'r NewRecord<'_>) -> EntryRef<'r> {
    let NewRecord { number, instance, deleted_at, .. } = record;
    EntryRef { version, number: *number, instance, deleted_at: *deleted_at }
}
