//! What is known of instances without reading them.

use std::borrow::Borrow;

use musubi_model::{InstanceNumber, Sequence};
use musubi_query::TemporalProperty;
use serde::{Deserialize, Serialize};

use crate::column::{Damaged, Input, put_signed, put_unsigned};
use crate::series::{Entry, EntryRef};

/// How many instances have a time of some kind, and between which moments they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// How many have one. With none, the moments say nothing.
    pub(crate) count: u64,
    /// The earliest; microseconds since 1970-01-01T00:00:00Z.
    pub(crate) first: i64,
    /// The latest; as well.
    pub(crate) last: i64,
}

impl Span {
    /// Takes a moment in.
    pub(crate) fn add(&mut self, micros: i64) {
        self.merge(&Self { count: 1, first: micros, last: micros });
    }

    /// Takes in those of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What is known of a chunk, or of a whole series, without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkStats {
    /// How many instances, deletions among them.
    pub(crate) count: u64,
    /// The lowest change that recorded one.
    pub(crate) first_sequence: Sequence,
    /// The highest.
    pub(crate) last_sequence: Sequence,
    /// The highest change that left one as it is.
    pub(crate) last_version: Sequence,
    pub(crate) observed: Span,
    pub(crate) created: Span,
    pub(crate) modified: Span,
    pub(crate) deleted: Span,
    /// By `observedAt`, or else `modifiedAt`: the order in which instances are kept.
    pub(crate) primary: Span,
}

impl ChunkStats {
    /// Of these instances.
    pub(crate) fn of<E: Borrow<Entry>>(entries: &[E]) -> Self {
        let mut stats = Self::default();
        for entry in entries {
            stats.add(entry.borrow());
        }
        stats
    }

    /// Takes an instance in.
    pub(crate) fn add<'e>(&mut self, entry: impl Into<EntryRef<'e>>) {
        let EntryRef { version, number, instance, deleted_at } = entry.into();
        let mut one = Self {
            count: 1,
            first_sequence: number.sequence,
            last_sequence: number.sequence,
            last_version: version,
            ..Self::default()
        };
        if let Some(time) = instance.observed_at {
            one.observed.add(time.as_micros());
        }
        one.created.add(instance.created_at.as_micros());
        one.modified.add(instance.modified_at.as_micros());
        if let Some(time) = deleted_at {
            one.deleted.add(time.as_micros());
        }
        one.primary.add(instance.observed_at.unwrap_or(instance.modified_at).as_micros());
        self.merge(&one);
    }

    /// Takes in what is known of others.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.first_sequence = self.first_sequence.min(other.first_sequence);
        self.last_sequence = self.last_sequence.max(other.last_sequence);
        self.last_version = self.last_version.max(other.last_version);
        self.observed.merge(&other.observed);
        self.created.merge(&other.created);
        self.modified.merge(&other.modified);
        self.deleted.merge(&other.deleted);
        self.primary.merge(&other.primary);
    }

    /// The times of this kind.
    pub(crate) fn span(&self, property: TemporalProperty) -> &Span {
        match property {
            TemporalProperty::ObservedAt => &self.observed,
            TemporalProperty::CreatedAt => &self.created,
            TemporalProperty::ModifiedAt => &self.modified,
            TemporalProperty::DeletedAt => &self.deleted,
        }
    }
}

/// The time by which instances are sorted: when it was observed, or else modified.
pub(crate) fn primary_time(entry: &Entry) -> i64 {
    let instance = &entry.recorded.instance;
    instance.observed_at.unwrap_or(instance.modified_at).as_micros()
}

/// The order in which the instances of a series are kept: by time, then by number, then by version.
pub(crate) fn entry_order(entry: &Entry) -> (i64, InstanceNumber, Sequence) {
    (primary_time(entry), entry.recorded.number, entry.version)
}

impl Span {
    fn write(&self, base: &mut i64, out: &mut Vec<u8>) {
        put_unsigned(out, self.count);
        if self.count > 0 {
            put_signed(out, self.first.wrapping_sub(*base));
            put_signed(out, self.last.wrapping_sub(self.first));
            *base = self.first;
        }
    }

    fn read(base: &mut i64, input: &mut Input<'_>) -> Result<Self, Damaged> {
        let count = input.unsigned()?;
        if count == 0 {
            return Ok(Self::default());
        }
        let first = base.wrapping_add(input.signed()?);
        let last = first.wrapping_add(input.signed()?);
        *base = first;
        Ok(Self { count, first, last })
    }
}

impl ChunkStats {
    /// Appends it in a few bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_unsigned(out, self.count);
        put_unsigned(out, self.first_sequence.0);
        for later in [self.last_sequence, self.last_version] {
            put_signed(out, later.0.wrapping_sub(self.first_sequence.0).cast_signed());
        }
        let mut base = 0;
        for span in [self.primary, self.observed, self.created, self.modified, self.deleted] {
            span.write(&mut base, out);
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let count = input.unsigned()?;
        let first_sequence = Sequence(input.unsigned()?);
        let last_sequence = first_sequence.0.wrapping_add_signed(input.signed()?);
        let last_version = first_sequence.0.wrapping_add_signed(input.signed()?);
        let mut base = 0;
        let mut span = || Span::read(&mut base, input);
        Ok(Self {
            count,
            first_sequence,
            last_sequence: Sequence(last_sequence),
            last_version: Sequence(last_version),
            primary: span()?,
            observed: span()?,
            created: span()?,
            modified: span()?,
            deleted: span()?,
        })
    }
}
