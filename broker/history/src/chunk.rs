//! Chunks: some thousand instances of one series, column by column.

mod columns;
mod encode;
mod gaps;
mod stats;

use std::ops::Range;
use std::sync::Arc;

use musubi_model::{AttributeType, InstanceNumber, Sequence, Timestamp};
use musubi_query::TemporalProperty;

use self::columns::Columns;
pub(crate) use self::encode::kind_code;
pub(crate) use self::gaps::cut_at_gaps;
pub(crate) use self::stats::{ChunkStats, entry_order};
use crate::column::Damaged;
use crate::series::Entry;

/// The most instances of a chunk.
pub(crate) const CHUNK: usize = 2048;

/// With more bytes of values and qualifiers than this, a chunk is full. Only a single instance may
/// be larger.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

const DAMAGED: Damaged = Damaged("a chunk");

/// Up to [`CHUNK`] instances of one series, in the order of [`entry_order`].
#[derive(Clone, Debug)]
pub(crate) struct Chunk(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Of which a reader decodes the columns that it needs.
    Columns(Columns),
    /// Few instances, which were read already.
    Few(Arc<[Entry]>),
}

impl Chunk {
    /// Finds the columns of a chunk that stands in these bytes.
    ///
    /// # Errors
    ///
    /// [`Damaged`] if no chunk stands there.
    pub(crate) fn parse(bytes: Arc<[u8]>, range: Range<usize>) -> Result<Self, Damaged> {
        Columns::parse(bytes, range).map(Form::Columns).map(Self)
    }

    /// A chunk of these.
    pub(crate) fn few(entries: Arc<[Entry]>) -> Self {
        Self(Form::Few(entries))
    }

    /// How many instances; at least one.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Columns(columns) => columns.len(),
            Form::Few(entries) => entries.len(),
        }
    }

    /// The times of one kind, in the order of the instances, if every instance has one;
    /// microseconds since 1970.
    pub(crate) fn all_times(
        &self,
        property: TemporalProperty,
    ) -> Result<Option<Vec<i64>>, Damaged> {
        match &self.0 {
            Form::Columns(columns) => columns.all_times(property),
            Form::Few(entries) => {
                let times = entries.iter().map(|entry| entry.time(property));
                Ok(times.map(|time| time.map(Timestamp::as_micros)).collect())
            }
        }
    }

    /// The numbers, if every instance has one and none is a deletion.
    pub(crate) fn numbers(&self) -> Result<Option<Vec<f64>>, Damaged> {
        match &self.0 {
            Form::Columns(columns) => columns.numbers(),
            Form::Few(entries) => {
                let number = |entry: &Entry| {
                    let is_there = entry.recorded.deleted_at.is_none();
                    entry.recorded.instance.value.json.as_f64().filter(|_| is_there)
                };
                Ok(entries.iter().map(number).collect())
            }
        }
    }

    /// Which instances they are.
    pub(crate) fn instance_numbers(&self) -> Result<Vec<InstanceNumber>, Damaged> {
        match &self.0 {
            Form::Columns(columns) => columns.instance_numbers(),
            Form::Few(entries) => Ok(entries.iter().map(|entry| entry.recorded.number).collect()),
        }
    }

    /// Which change left each instance as it is.
    pub(crate) fn versions(&self) -> Result<Vec<Sequence>, Damaged> {
        match &self.0 {
            Form::Columns(columns) => columns.versions(),
            Form::Few(entries) => Ok(entries.iter().map(|entry| entry.version).collect()),
        }
    }

    /// The instances, exactly as they were given.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Damaged> {
        match &self.0 {
            Form::Columns(columns) => columns.entries(),
            Form::Few(entries) => Ok(entries.to_vec()),
        }
    }
}

/// The kind that is kept under a number.
pub(crate) fn kind_of(code: i64) -> Result<AttributeType, Damaged> {
    let place = usize::try_from(code).map_err(|_| DAMAGED)?;
    AttributeType::ALL.get(place).copied().ok_or(DAMAGED)
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
