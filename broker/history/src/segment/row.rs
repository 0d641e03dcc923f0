//! Rows: what is kept of entities and series, one after the other in order.
//!
//! A row begins with its length and its key, of which what the id shares with that of the row before
//! is left out.

use std::ops::Range;
use std::sync::Arc;

use musubi_model::{Sequence, Timestamp};

use super::names::Names;
use super::page::{PageKind, ROW_PAGE};
use super::tail::{FirstRow, RowPlace};
use super::{Segment, SegmentError};
use crate::chunk::ChunkStats;
use crate::column::{Damaged, Input, put_measured, put_signed, put_sized, put_unsigned};
use crate::series::Head;

const DAMAGED: Damaged = Damaged("a row");

/// Which entity or series a row is of, by the numbers of its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowKey<'a> {
    pub(super) tenant: u32,
    pub(super) id: &'a str,
    pub(super) attribute: u32,
    pub(super) dataset: u32,
}

/// Bytes that a row takes at first: enough for what there is in most.
const SMALL: usize = 128;

/// A page of rows on its way into the file.
#[derive(Debug, Default)]
pub(super) struct RowPage {
    pub(super) bytes: Vec<u8>,
    /// What the first row is of.
    first: Option<FirstRow>,
    /// The id of the row before.
    id: Vec<u8>,
}

impl RowPage {
    /// Whether a row fits; one row always does.
    pub(super) fn has_room(&self, key: RowKey<'_>, body: &[u8]) -> bool {
        self.first.is_none() || self.bytes.len() + key.id.len() + body.len() + 16 <= ROW_PAGE
    }

    pub(super) fn push(&mut self, key: RowKey<'_>, body: &[u8]) {
        let id = key.id.as_bytes();
        let shared = self.id.iter().zip(id).take_while(|(left, right)| left == right).count();
        put_measured(&mut self.bytes, |row| {
            put_unsigned(row, u64::from(key.tenant));
            put_unsigned(row, u64::try_from(shared).unwrap_or_default());
            put_sized(row, id.get(shared..).unwrap_or_default());
            row.extend_from_slice(body);
        });
        self.id.clear();
        self.id.extend_from_slice(id);
        let RowKey { tenant, id, attribute, dataset } = key;
        self.first.get_or_insert_with(|| FirstRow { tenant, id: id.into(), attribute, dataset });
    }

    /// Its bytes and what its directory entry says, if there are rows; it is empty then.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, FirstRow)> {
        let first = self.first.take()?;
        self.id.clear();
        Some((std::mem::take(&mut self.bytes), first))
    }
}

/// The rows of one kind, read one after the other.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    segment: &'a Segment,
    kind: PageKind,
    /// The page that is read next.
    next_page: usize,
    page: Option<Arc<[u8]>>,
    /// The next row in the page.
    at: usize,
    /// Of the row that was read last.
    tenant: u32,
    id: Vec<u8>,
    body: Range<usize>,
}

impl<'a> Rows<'a> {
    /// Begins at a page.
    pub(super) fn new(segment: &'a Segment, kind: PageKind, page: usize) -> Self {
        let (id, body) = (Vec::new(), 0..0);
        Self { segment, kind, next_page: page, page: None, at: 0, tenant: 0, id, body }
    }

    fn places(&self) -> &'a [RowPlace] {
        match self.kind {
            PageKind::Entities => &self.segment.tail.entities,
            PageKind::Series => &self.segment.tail.series,
            PageKind::Data => &[],
        }
    }

    /// Goes to the next row; there is none if this says so.
    pub(super) fn advance(&mut self) -> Result<bool, SegmentError> {
        loop {
            if let Some(page) = &self.page
                && self.at < page.len()
            {
                break;
            }
            let Some(row_place) = self.places().get(self.next_page) else {
                return Ok(false);
            };
            self.page = Some(self.segment.page(self.kind, row_place.place)?);
            self.next_page += 1;
            self.at = 0;
            self.id.clear();
        }
        self.read_key()?;
        Ok(true)
    }

    fn read_key(&mut self) -> Result<(), Damaged> {
        let page = self.page.as_deref().ok_or(DAMAGED)?;
        let mut input = Input::new(page.get(self.at..).ok_or(DAMAGED)?);
        let mut row = Input::new(input.sized()?);
        self.at = page.len() - input.len();
        self.tenant = row.short()?;
        let shared = row.size()?;
        if shared > self.id.len() {
            return Err(DAMAGED);
        }
        self.id.truncate(shared);
        self.id.extend_from_slice(row.sized()?);
        self.body = self.at - row.len()..self.at;
        Ok(())
    }

    /// In which page the row stands.
    pub(super) fn page(&self) -> usize {
        self.next_page.saturating_sub(1)
    }

    pub(super) fn tenant(&self) -> u32 {
        self.tenant
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(super) fn id_text(&self) -> Result<&str, Damaged> {
        std::str::from_utf8(&self.id).map_err(|_| DAMAGED)
    }

    pub(super) fn body(&self) -> Input<'_> {
        let page = self.page.as_deref().unwrap_or_default();
        Input::new(page.get(self.body.clone()).unwrap_or_default())
    }
}

/// What a row says of an entity, after its types: see [`read_types`].
#[derive(Debug)]
pub(super) struct EntityBody {
    pub(super) head: Head,
    pub(super) names: Vec<(u32, u32)>,
}

impl EntityBody {
    pub(super) fn write(head: &Head, types: &[u32], names: &[(u32, u32)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(SMALL);
        put_unsigned(&mut out, length(types.len()));
        for number in types {
            put_unsigned(&mut out, u64::from(*number));
        }
        let created = head.created_at.to_bits();
        put_signed(&mut out, created);
        put_signed(&mut out, head.modified_at.to_bits().wrapping_sub(created));
        match head.deleted_at {
            Some(time) => {
                out.push(1);
                put_signed(&mut out, time.to_bits().wrapping_sub(created));
            }
            None => out.push(0),
        }
        put_unsigned(&mut out, head.existence_of.0);
        put_unsigned(&mut out, head.removed_upto.0);
        put_unsigned(&mut out, length(names.len()));
        for (attribute, dataset) in names {
            put_unsigned(&mut out, u64::from(*attribute));
            put_unsigned(&mut out, u64::from(*dataset));
        }
        out
    }

    /// Reads what follows the types.
    pub(super) fn read(
        names: &Names,
        types: &[u32],
        input: &mut Input<'_>,
    ) -> Result<Self, Damaged> {
        let types: Result<Vec<_>, _> =
            types.iter().map(|number| names.type_name(*number).cloned()).collect();
        let created = input.signed()?;
        let modified = created.wrapping_add(input.signed()?);
        let deleted = match input.byte()? {
            0 => None,
            _ => Some(created.wrapping_add(input.signed()?)),
        };
        let head = Head {
            types: types?,
            created_at: Timestamp::from_bits(created),
            modified_at: Timestamp::from_bits(modified),
            deleted_at: deleted.map(Timestamp::from_bits),
            existence_of: Sequence(input.unsigned()?),
            removed_upto: Sequence(input.unsigned()?),
        };
        let number = bounded(input)?;
        let mut names = Vec::with_capacity(number);
        for _ in 0..number {
            names.push((input.short()?, input.short()?));
        }
        Ok(Self { head, names })
    }
}

/// The types at the beginning of an entity's row.
pub(super) fn read_types(input: &mut Input<'_>) -> Result<Vec<u32>, Damaged> {
    let number = bounded(input)?;
    (0..number).map(|_| input.short()).collect()
}

/// Where something stands that is read as a whole: in which page of data, where in it, how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) page: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Blob {
    fn write(self, out: &mut Vec<u8>) {
        for number in [self.page, self.offset, self.length] {
            put_unsigned(out, u64::from(number));
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, Damaged> {
        Ok(Self { page: input.short()?, offset: input.short()?, length: input.short()? })
    }
}

/// What a row says of a series. A long series has several rows, of which only the first has the
/// corrections.
#[derive(Clone, Debug, Default)]
pub(super) struct SeriesPart {
    /// Up to where all was removed, and where the list of what was superseded stands.
    pub(super) first: Option<(Sequence, Vec<Blob>)>,
    pub(super) chunks: Vec<(Blob, ChunkStats)>,
    /// With how many roll-ups there are.
    pub(super) rollups: Vec<(Blob, u64)>,
}

impl SeriesPart {
    /// The most blobs of one row.
    const FULL: usize = 64;

    pub(super) fn is_full(&self) -> bool {
        self.chunks.len() + self.rollups.len() >= Self::FULL
    }

    pub(super) fn write(&self, attribute: u32, dataset: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(SMALL);
        put_unsigned(&mut out, u64::from(attribute));
        put_unsigned(&mut out, u64::from(dataset));
        match &self.first {
            Some((removed_upto, superseded)) => {
                out.push(1);
                put_unsigned(&mut out, removed_upto.0);
                put_unsigned(&mut out, length(superseded.len()));
                for blob in superseded {
                    blob.write(&mut out);
                }
            }
            None => out.push(0),
        }
        put_unsigned(&mut out, length(self.chunks.len()));
        for (blob, stats) in &self.chunks {
            blob.write(&mut out);
            stats.write(&mut out);
        }
        put_unsigned(&mut out, length(self.rollups.len()));
        for (blob, number) in &self.rollups {
            blob.write(&mut out);
            put_unsigned(&mut out, *number);
        }
        out
    }

    /// Reads what follows the numbers of attribute and data set.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let mut part = Self::default();
        if input.byte()? != 0 {
            let removed_upto = Sequence(input.unsigned()?);
            let number = bounded(input)?;
            let superseded: Result<Vec<_>, _> = (0..number).map(|_| Blob::read(input)).collect();
            part.first = Some((removed_upto, superseded?));
        }
        for _ in 0..bounded(input)? {
            part.chunks.push((Blob::read(input)?, ChunkStats::read(input)?));
        }
        for _ in 0..bounded(input)? {
            part.rollups.push((Blob::read(input)?, input.unsigned()?));
        }
        Ok(part)
    }
}

fn length(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number of things of which each takes at least a byte of the input.
fn bounded(input: &mut Input<'_>) -> Result<usize, Damaged> {
    let number = input.size()?;
    if number > input.len() { Err(DAMAGED) } else { Ok(number) }
}
