//! Reading a chunk that is kept column by column.

use std::ops::Range;
use std::sync::Arc;

use musubi_model::{Instance, InstanceNumber, Qualifiers, Recorded, Sequence, Timestamp, Value};
use musubi_query::TemporalProperty;

use super::kind_of;
use crate::column::{Damaged, Input, Integers, MAX_COUNT, Texts, Times, Values};
use crate::series::Entry;

const DAMAGED: Damaged = Damaged("a chunk");

/// The columns, in the order in which they stand in a chunk.
#[derive(Clone, Copy, Debug)]
enum Column {
    Sequence,
    Ordinal,
    /// What the version is more than the sequence.
    Version,
    Observed,
    Modified,
    Created,
    Deleted,
    Kind,
    Value,
    Qualifiers,
}

impl Column {
    const NUMBER: usize = 10;

    fn of(property: TemporalProperty) -> Self {
        match property {
            TemporalProperty::ObservedAt => Self::Observed,
            TemporalProperty::CreatedAt => Self::Created,
            TemporalProperty::ModifiedAt => Self::Modified,
            TemporalProperty::DeletedAt => Self::Deleted,
        }
    }

    fn place(self) -> usize {
        match self {
            Self::Sequence => 0,
            Self::Ordinal => 1,
            Self::Version => 2,
            Self::Observed => 3,
            Self::Modified => 4,
            Self::Created => 5,
            Self::Deleted => 6,
            Self::Kind => 7,
            Self::Value => 8,
            Self::Qualifiers => 9,
        }
    }
}

/// A chunk in columns, of which a reader decodes those that it needs.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    bytes: Arc<[u8]>,
    places: [Range<usize>; Column::NUMBER],
    count: usize,
}

impl Columns {
    /// Finds the columns of a chunk that stands in these bytes.
    ///
    /// # Errors
    ///
    /// [`Damaged`] if no chunk stands there.
    pub(super) fn parse(bytes: Arc<[u8]>, range: Range<usize>) -> Result<Self, Damaged> {
        let mut input = Input::new(bytes.get(range.clone()).ok_or(DAMAGED)?);
        let count = input.size()?;
        if count == 0 || count > MAX_COUNT {
            return Err(DAMAGED);
        }
        let mut columns = [const { 0..0 }; Column::NUMBER];
        for column in &mut columns {
            let length = input.size()?;
            let start = range.end - input.len();
            input.take(length)?;
            *column = start..start + length;
        }
        if !input.is_empty() {
            return Err(DAMAGED);
        }
        Ok(Self { bytes, places: columns, count })
    }

    /// How many instances; at least one.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The times of one kind, in the order of the instances, if every instance has one;
    /// microseconds since 1970.
    pub(super) fn all_times(
        &self,
        property: TemporalProperty,
    ) -> Result<Option<Vec<i64>>, Damaged> {
        self.time_column(property).map(|(times, _)| times.into_all())
    }

    /// The numbers, if every instance has one and none is a deletion.
    pub(super) fn numbers(&self) -> Result<Option<Vec<f64>>, Damaged> {
        if !Times::decode(&mut self.column(Column::Deleted)?, self.count)?.is_empty() {
            return Ok(None);
        }
        Ok(Values::decode(&mut self.column(Column::Value)?, self.count)?.numbers())
    }

    /// Which instances they are.
    pub(super) fn instance_numbers(&self) -> Result<Vec<InstanceNumber>, Damaged> {
        let ordinals = self.integers(Column::Ordinal)?;
        let numbers = self.integers(Column::Sequence)?.into_iter().zip(ordinals);
        let number = |(sequence, ordinal): (i64, i64)| {
            let ordinal = u32::try_from(ordinal).map_err(|_| DAMAGED)?;
            Ok(InstanceNumber { sequence: Sequence(sequence.cast_unsigned()), ordinal })
        };
        numbers.map(number).collect()
    }

    /// Which change left each instance as it is.
    pub(super) fn versions(&self) -> Result<Vec<Sequence>, Damaged> {
        let sequences = self.integers(Column::Sequence)?;
        let later = self.integers(Column::Version)?;
        let version = |(sequence, later): (i64, i64)| sequence.wrapping_add(later).cast_unsigned();
        Ok(sequences.into_iter().zip(later).map(|pair| Sequence(version(pair))).collect())
    }

    /// The instances, exactly as they were given.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Damaged> {
        let mut versions = self.versions()?.into_iter();
        let mut observed = self.written(TemporalProperty::ObservedAt)?.into_iter();
        let mut created = self.written(TemporalProperty::CreatedAt)?.into_iter();
        let mut modified = self.written(TemporalProperty::ModifiedAt)?.into_iter();
        let mut deleted = self.written(TemporalProperty::DeletedAt)?.into_iter();
        let mut kinds = self.integers(Column::Kind)?.into_iter();
        let values = Values::decode(&mut self.column(Column::Value)?, self.count)?;
        let mut values = values.into_json()?.into_iter();
        let mut qualifiers = self.qualifiers()?.into_iter();
        let mut entries = Vec::with_capacity(self.count);
        for number in self.instance_numbers()? {
            let instance = Instance {
                value: Value {
                    kind: kind_of(kinds.next().ok_or(DAMAGED)?)?,
                    json: values.next().ok_or(DAMAGED)?,
                },
                observed_at: observed.next().ok_or(DAMAGED)?,
                created_at: created.next().flatten().ok_or(DAMAGED)?,
                modified_at: modified.next().flatten().ok_or(DAMAGED)?,
                qualifiers: qualifiers.next().ok_or(DAMAGED)?,
            };
            let deleted_at = deleted.next().ok_or(DAMAGED)?;
            entries.push(Entry {
                version: versions.next().ok_or(DAMAGED)?,
                recorded: Recorded { number, instance, deleted_at },
            });
        }
        Ok(entries)
    }

    fn column(&self, column: Column) -> Result<Input<'_>, Damaged> {
        let range = self.places.get(column.place()).ok_or(DAMAGED)?;
        self.bytes.get(range.clone()).map(Input::new).ok_or(DAMAGED)
    }

    fn integers(&self, column: Column) -> Result<Vec<i64>, Damaged> {
        Integers::decode(&mut self.column(column)?, self.count)
    }

    /// The times of a kind, and where it is said how they are written. Creation is kept beside
    /// modification, and that beside observation.
    fn time_column(&self, property: TemporalProperty) -> Result<(Times, Input<'_>), Damaged> {
        let mut input = self.column(Column::of(property))?;
        let mut times = Times::decode(&mut input, self.count)?;
        if times.is_beside() {
            let other = match property {
                TemporalProperty::CreatedAt => TemporalProperty::ModifiedAt,
                TemporalProperty::ModifiedAt => TemporalProperty::ObservedAt,
                TemporalProperty::ObservedAt | TemporalProperty::DeletedAt => return Err(DAMAGED),
            };
            times.resolve(&self.all_times(other)?.ok_or(DAMAGED)?)?;
        }
        Ok((times, input))
    }

    fn written(&self, property: TemporalProperty) -> Result<Vec<Option<Timestamp>>, Damaged> {
        let (times, mut input) = self.time_column(property)?;
        times.written(&mut input)
    }

    fn qualifiers(&self) -> Result<Vec<Option<Box<Qualifiers>>>, Damaged> {
        let texts = Texts::decode(&mut self.column(Column::Qualifiers)?, self.count)?;
        let read = |index| {
            let bytes = texts.distinct(index).ok_or(DAMAGED)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            postcard::from_bytes(bytes).map(Some).map_err(|_| DAMAGED)
        };
        let mut different = Vec::with_capacity(texts.distinct_count());
        for index in 0..texts.distinct_count() {
            different.push(read(index)?);
        }
        match texts.indices() {
            Some(indices) => {
                let one = |index: &usize| different.get(*index).cloned().ok_or(DAMAGED);
                indices.iter().map(one).collect()
            }
            None => Ok(different),
        }
    }
}
