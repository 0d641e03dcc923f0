//! What the row of an entity says of it, its key apart.
//!
//! It begins with the numbers of its names, so that a row can be put into another segment, where they
//! have other numbers, without reading what follows.

use musubi_model::{Sequence, Timestamp};

use super::few::{FewReader, FewWriter};
use super::names::{Foreign, Names, NewNames};
use super::row::{bounded, length};
use super::tail::Version;
use crate::column::{Damaged, Input, put_signed, put_unsigned};
use crate::series::Head;

/// Of the first byte: series of few instances stand in the row.
const HOLDS_FEW: u8 = 1;
/// There are series that stand elsewhere.
const OTHERS: u8 = 2;
/// Everything of before was removed.
const REMOVED: u8 = 4;

const DAMAGED: Damaged = Damaged("an entity's row");

/// The numbers of attribute and data set of a series.
pub(crate) type SeriesNumbers = (u32, u32);

/// What a row says of an entity.
#[derive(Debug)]
pub(crate) struct EntityBody<'a> {
    pub(crate) head: Head,
    pub(crate) names: Vec<SeriesNumbers>,
    /// What [`FewReader`] reads; nothing if there is nothing in the row.
    pub(crate) few: &'a [u8],
}

impl<'a> EntityBody<'a> {
    /// Appends the body of an entity's row. The types of the head are not looked at, but their numbers.
    pub(crate) fn write(
        (head, types): (&Head, &[u32]),
        names: &[SeriesNumbers],
        few: &FewWriter,
        out: &mut Vec<u8>,
    ) {
        let (holds_few, has_others) = few.holds();
        let is_removed = head.removed_upto > Sequence(0);
        let flags = [(holds_few, HOLDS_FEW), (has_others, OTHERS), (is_removed, REMOVED)];
        out.push(flags.into_iter().map(|(is_so, flag)| if is_so { flag } else { 0 }).sum());
        put_unsigned(out, length(types.len()));
        for number in types {
            put_unsigned(out, u64::from(*number));
        }
        put_unsigned(out, length(names.len()));
        for (attribute, dataset) in names {
            put_unsigned(out, u64::from(*attribute));
            put_unsigned(out, u64::from(*dataset));
        }
        let created = head.created_at.to_bits();
        put_signed(out, created);
        put_signed(out, head.modified_at.to_bits().wrapping_sub(created));
        match head.deleted_at {
            Some(time) => {
                out.push(1);
                put_signed(out, time.to_bits().wrapping_sub(created));
            }
            None => out.push(0),
        }
        put_unsigned(out, head.existence_of.0);
        put_unsigned(out, head.removed_upto.0);
        few.write(out);
    }

    /// Reads what [`write`](Self::write) wrote, or what was written in the format before.
    pub(crate) fn read(names: &Names, version: Version, body: &'a [u8]) -> Result<Self, Damaged> {
        let mut input = Input::new(body);
        let types = read_types(version, &mut input)?;
        let types: Result<Vec<_>, _> =
            types.into_iter().map(|number| names.type_name(number).cloned()).collect();
        let (head, names) = match version {
            Version::Before => {
                let head = read_head(&mut input)?;
                (head, read_names(&mut input)?)
            }
            Version::Now => {
                let names = read_names(&mut input)?;
                (read_head(&mut input)?, names)
            }
        };
        let head = Head { types: types?, ..head };
        Ok(Self { head, names, few: input.take(input.len())? })
    }
}

/// The types, with which the body of a row begins.
pub(super) fn read_types(version: Version, input: &mut Input<'_>) -> Result<Vec<u32>, Damaged> {
    if version == Version::Now {
        input.byte()?;
    }
    let number = bounded(input)?;
    (0..number).map(|_| input.short()).collect()
}

fn read_names(input: &mut Input<'_>) -> Result<Vec<SeriesNumbers>, Damaged> {
    let number = bounded(input)?;
    (0..number).map(|_| Ok((input.short()?, input.short()?))).collect()
}

fn read_head(input: &mut Input<'_>) -> Result<Head, Damaged> {
    let created = input.signed()?;
    let modified = created.wrapping_add(input.signed()?);
    let deleted = match input.byte()? {
        0 => None,
        _ => Some(created.wrapping_add(input.signed()?)),
    };
    Ok(Head {
        types: Vec::new(),
        created_at: Timestamp::from_bits(created),
        modified_at: Timestamp::from_bits(modified),
        deleted_at: deleted.map(Timestamp::from_bits),
        existence_of: Sequence(input.unsigned()?),
        removed_upto: Sequence(input.unsigned()?),
    })
}

/// Whether all that a row says stands in it, and nothing of it is about what older segments say.
pub(crate) fn is_whole(version: Version, body: &[u8]) -> bool {
    version == Version::Now && body.first() == Some(&HOLDS_FEW)
}

/// How many series and instances a row has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) series: usize,
    pub(super) instances: u64,
}

/// Appends a row that [is whole](is_whole) with other numbers for its names.
pub(super) fn renumber(
    body: &[u8],
    (foreign, own): (&mut Foreign<'_>, &mut NewNames),
    out: &mut Vec<u8>,
) -> Result<Counted, Damaged> {
    let mut input = Input::new(body);
    out.push(input.byte()?);
    let types = bounded(&mut input)?;
    put_unsigned(out, length(types));
    for _ in 0..types {
        put_unsigned(out, u64::from(foreign.type_name(input.short()?, own)?));
    }
    let series = bounded(&mut input)?;
    put_unsigned(out, length(series));
    for _ in 0..series {
        put_unsigned(out, u64::from(foreign.attribute(input.short()?, own)?));
        put_unsigned(out, u64::from(foreign.dataset(input.short()?, own)?));
    }
    let rest = input.take(input.len())?;
    out.extend_from_slice(rest);
    let mut rest = Input::new(rest);
    read_head(&mut rest)?;
    let few = FewReader::new(rest.take(rest.len())?)?;
    if series == 0 { Err(DAMAGED) } else { Ok(Counted { series, instances: few.instances() }) }
}
