//! Rows: what is kept of entities and series, one after the other in order.
//!
//! A row begins with its length and its key, of which what the id shares with that of the row before
//! is left out.

use std::ops::Range;
use std::sync::Arc;

use musubi_model::Sequence;

use super::page::{PageFile, PageKind, ROW_PAGE};
use super::tail::{FirstRow, RowPlace};
use super::{Segment, SegmentError};
use crate::chunk::ChunkStats;
use crate::column::{Damaged, Input, put_sized, put_unsigned};

const DAMAGED: Damaged = Damaged("a row");

/// Which entity or series a row is of, by the numbers of its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowKey<'a> {
    pub(super) tenant: u32,
    pub(super) id: &'a [u8],
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
    /// What stands before the body of a row.
    head: Vec<u8>,
}

impl RowPage {
    /// Whether a row fits; one row always does.
    pub(super) fn has_room(&self, key: RowKey<'_>, body: &[u8]) -> bool {
        self.first.is_none() || self.bytes.len() + key.id.len() + body.len() + 16 <= ROW_PAGE
    }

    pub(super) fn push(&mut self, key: RowKey<'_>, body: &[u8]) -> Result<(), Damaged> {
        let RowKey { tenant, id, attribute, dataset } = key;
        if self.first.is_none() {
            let id = std::str::from_utf8(id).map_err(|_| DAMAGED)?.into();
            self.first = Some(FirstRow { tenant, id, attribute, dataset });
        }
        let shared = self.id.iter().zip(id).take_while(|(left, right)| left == right).count();
        let rest = id.get(shared..).unwrap_or_default();
        self.head.clear();
        put_unsigned(&mut self.head, u64::from(tenant));
        put_unsigned(&mut self.head, length(shared));
        put_sized(&mut self.head, rest);
        put_unsigned(&mut self.bytes, length(self.head.len() + body.len()));
        self.bytes.extend_from_slice(&self.head);
        self.bytes.extend_from_slice(body);
        self.id.truncate(shared);
        self.id.extend_from_slice(rest);
        Ok(())
    }

    /// Its bytes and what its directory entry says, if there are rows; it is empty then.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, FirstRow)> {
        let first = self.first.take()?;
        self.id.clear();
        Some((std::mem::take(&mut self.bytes), first))
    }
}

/// Writes a page of rows, if there is something in it.
pub(super) fn end_rows(
    file: &mut PageFile,
    kind: PageKind,
    (page, places): (&mut RowPage, &mut Vec<RowPlace>),
) -> Result<(), SegmentError> {
    if let Some((bytes, first)) = page.take() {
        let place = file.append_page(kind, &bytes)?;
        places.push(RowPlace { place, first });
    }
    Ok(())
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
        Input::new(self.body_bytes())
    }

    pub(super) fn body_bytes(&self) -> &[u8] {
        let page = self.page.as_deref().unwrap_or_default();
        page.get(self.body.clone()).unwrap_or_default()
    }

    /// The last bytes of the body, so many, with the page in which they stand.
    pub(super) fn end_of_body(&self, length: usize) -> (Arc<[u8]>, Range<usize>) {
        let page = self.page.clone().unwrap_or_default();
        (page, self.body.end.saturating_sub(length)..self.body.end)
    }
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

pub(super) fn length(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number of things of which each takes at least a byte of the input.
pub(super) fn bounded(input: &mut Input<'_>) -> Result<usize, Damaged> {
    let number = input.size()?;
    if number > input.len() { Err(DAMAGED) } else { Ok(number) }
}
