//! Series of few instances. They stand in the row of their entity, one after the other, so that whoever
//! merges segments takes them over as they are: most entities that are new have one instance of each
//! attribute. Times and changes are written as what they are behind the first ones of the row.

use musubi_model::{
    AttributeType, Instance, InstanceNumber, Json, Recorded, Sequence, Timestamp, Value,
};

use crate::chunk::{kind_code, kind_of};
use crate::column::{Damaged, Input, put_signed, put_sized, put_unsigned};
use crate::series::{Entry, EntryRef};

/// The most instances of such a series.
pub(crate) const FEW: usize = 8;

/// The most bytes of values and qualifiers of such a series.
pub(crate) const FEW_BYTES: usize = 1 << 10;

/// With more bytes than this no further series is put into a row.
pub(crate) const FULL: usize = 8 << 10;

/// Of the first byte of an instance: its kind, and what is said of it.
const KIND: u8 = 0b111;
const OBSERVED: u8 = 1 << 3;
/// It was not created when it was modified.
const OLDER: u8 = 1 << 4;
const QUALIFIED: u8 = 1 << 5;
/// Another change than the one that recorded it left it as it is.
const CORRECTED: u8 = 1 << 6;
const DELETED: u8 = 1 << 7;

const DAMAGED: Damaged = Damaged("an instance in an entity's row");

/// What the instances of a row are written behind: the first one's change, and its modification.
#[derive(Clone, Copy, Debug)]
struct Base {
    sequence: u64,
    modified: i64,
}

/// The few instances of an entity's series, as they are put into its row.
#[derive(Debug, Default)]
pub(crate) struct FewWriter {
    base: Option<Base>,
    instances: u64,
    /// Series that do not stand here.
    others: usize,
    bytes: Vec<u8>,
}

impl FewWriter {
    /// Nothing yet, for another entity.
    pub(crate) fn clear(&mut self) {
        (self.base, self.instances, self.others) = (None, 0, 0);
        self.bytes.clear();
    }

    /// Whether there is room for another series.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.len() < FULL
    }

    /// The next series does not stand here.
    pub(crate) fn pass(&mut self) {
        self.others += 1;
        self.bytes.push(0);
    }

    /// The next series has so many instances, from 1 to [`FEW`], which are [put](Self::put) now.
    pub(crate) fn begin(&mut self, count: usize) {
        put_unsigned(&mut self.bytes, u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Puts an instance of the series that was begun.
    pub(crate) fn put(&mut self, entry: EntryRef<'_>) {
        let EntryRef { version, number, instance, deleted_at } = entry;
        let sequence = number.sequence.0;
        let modified = instance.modified_at.to_bits();
        let base = *self.base.get_or_insert(Base { sequence, modified });
        self.instances = self.instances.saturating_add(1);
        let behind = |time: Timestamp| time.to_bits().wrapping_sub(modified);
        let created = behind(instance.created_at);
        let mut flags = kind_code(instance.value.kind);
        let said = [
            (instance.observed_at.is_some(), OBSERVED),
            (created != 0, OLDER),
            (instance.qualifiers.is_some(), QUALIFIED),
            (version != number.sequence, CORRECTED),
            (deleted_at.is_some(), DELETED),
        ];
        for (is_said, flag) in said {
            flags |= if is_said { flag } else { 0 };
        }
        let out = &mut self.bytes;
        out.push(flags);
        put_signed(out, sequence.wrapping_sub(base.sequence).cast_signed());
        put_unsigned(out, u64::from(number.ordinal));
        put_signed(out, modified.wrapping_sub(base.modified));
        if let Some(time) = instance.observed_at {
            put_signed(out, behind(time));
        }
        if created != 0 {
            put_signed(out, created);
        }
        if version != number.sequence {
            put_signed(out, version.0.wrapping_sub(sequence).cast_signed());
        }
        if let Some(time) = deleted_at {
            put_signed(out, behind(time));
        }
        put_sized(out, instance.value.json.as_str().as_bytes());
        if let Some(qualifiers) = &instance.qualifiers {
            // Only what cannot be written at all fails, such as a map of unknown length; there is none.
            put_sized(out, &postcard::to_stdvec(qualifiers).unwrap_or_default());
        }
    }

    /// Whether any series stands here, and whether any does not.
    pub(crate) fn holds(&self) -> (bool, bool) {
        (self.base.is_some(), self.others > 0)
    }

    /// Appends all of it, of which there is something.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Some(base) = self.base else { return };
        put_unsigned(out, self.instances);
        put_unsigned(out, base.sequence);
        put_signed(out, base.modified);
        out.extend_from_slice(&self.bytes);
    }
}

/// The few instances in an entity's row, series by series in the order of their names.
#[derive(Clone, Debug)]
pub(crate) struct FewReader<'a> {
    instances: u64,
    base: Base,
    input: Input<'a>,
}

impl<'a> FewReader<'a> {
    /// Reads what [`FewWriter::write`] wrote.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut input = Input::new(bytes);
        let instances = input.unsigned()?;
        let base = Base { sequence: input.unsigned()?, modified: input.signed()? };
        Ok(Self { instances, base, input })
    }

    /// How many instances there are, of all series.
    pub(crate) fn instances(&self) -> u64 {
        self.instances
    }

    /// The instances of the next series; there are none if it does not stand here.
    pub(crate) fn entries(&mut self) -> Result<Vec<Entry>, Damaged> {
        let count = self.count()?;
        (0..count).map(|_| self.entry()).collect()
    }

    /// Passes over the next series.
    pub(crate) fn skip(&mut self) -> Result<(), Damaged> {
        for _ in 0..self.count()? {
            let flags = self.input.byte()?;
            let numbers = [OBSERVED, OLDER, CORRECTED, DELETED];
            let said = numbers.into_iter().filter(|flag| flags & flag != 0).count();
            for _ in 0..3 + said {
                self.input.unsigned()?;
            }
            self.input.sized()?;
            if flags & QUALIFIED != 0 {
                self.input.sized()?;
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.input.size()?;
        if count > FEW { Err(DAMAGED) } else { Ok(count) }
    }

    fn entry(&mut self) -> Result<Entry, Damaged> {
        let input = &mut self.input;
        let flags = input.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let sequence = self.base.sequence.wrapping_add_signed(input.signed()?);
        let ordinal = input.short()?;
        let modified = self.base.modified.wrapping_add(input.signed()?);
        let mut time = |is_said: bool| -> Result<Option<i64>, Damaged> {
            is_said.then(|| Ok(modified.wrapping_add(input.signed()?))).transpose()
        };
        let observed = time(has(OBSERVED))?;
        let created = time(has(OLDER))?.unwrap_or(modified);
        let later = if has(CORRECTED) { input.signed()? } else { 0 };
        let deleted = if has(DELETED) { Some(input.signed()?) } else { None };
        let value = std::str::from_utf8(input.sized()?).map_err(|_| DAMAGED)?;
        let qualifiers = if has(QUALIFIED) {
            Some(postcard::from_bytes(input.sized()?).map_err(|_| DAMAGED)?)
        } else {
            None
        };
        let instance = Instance {
            value: Value { kind: kind(flags)?, json: Json::from_compact(value) },
            observed_at: observed.map(Timestamp::from_bits),
            created_at: Timestamp::from_bits(created),
            modified_at: Timestamp::from_bits(modified),
            qualifiers,
        };
        let number = InstanceNumber { sequence: Sequence(sequence), ordinal };
        let deleted_at = deleted.map(|time| Timestamp::from_bits(modified.wrapping_add(time)));
        Ok(Entry {
            version: Sequence(sequence.wrapping_add_signed(later)),
            recorded: Recorded { number, instance, deleted_at },
        })
    }
}

fn kind(flags: u8) -> Result<AttributeType, Damaged> {
    kind_of(i64::from(flags & KIND))
}
