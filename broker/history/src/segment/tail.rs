//! The end of a segment: what is read when it is opened.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::checksum::crc32c;
use super::names::Names;
use super::page::{PageFile, Place};
use super::{SegmentError, SegmentSummary};
use crate::column::Damaged;

const MAGIC: [u8; 8] = *b"MusubiHi";

/// The version of the format. One that is not known is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// No instances stand in the rows of entities. It is read, and not written any more.
    Before,
    /// That in which segments are written.
    Now,
}

/// What stands at the beginning of a segment.
pub(super) const START: [u8; 12] = Version::Now.start();

impl Version {
    /// What stands at the beginning of a segment of this version.
    const fn start(self) -> [u8; 12] {
        match self {
            Self::Before => *b"MusubiHi\x01\0\0\0",
            Self::Now => *b"MusubiHi\x02\0\0\0",
        }
    }

    /// The version of which this is the beginning of a segment.
    fn of(start: [u8; 12]) -> Option<Self> {
        [Self::Before, Self::Now].into_iter().find(|version| version.start() == start)
    }
}

/// The last bytes: where the tail stands, its length and checksum, a checksum of these, the magic.
const FOOTER: usize = 32;

const DAMAGED: Damaged = Damaged("the end of a segment");

/// A page of rows, and what its first row is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowPlace {
    pub(super) place: Place,
    pub(super) first: FirstRow,
}

/// Which entity or series a row is of, by the numbers of its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstRow {
    pub(super) tenant: u32,
    pub(super) id: Box<str>,
    /// Of a series only; else 0.
    pub(super) attribute: u32,
    /// Of a series only; 0 is the default one.
    pub(super) dataset: u32,
}

/// Everything that is known of a segment when it is open.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tail {
    pub(super) names: Names,
    pub(super) entities: Vec<RowPlace>,
    pub(super) series: Vec<RowPlace>,
    pub(super) data: Vec<Place>,
    pub(super) summary: SegmentSummary,
}

/// A tail as it was read.
#[derive(Debug)]
pub(super) struct OldTail {
    pub(super) tail: Tail,
    /// Where it begins: there the pages end.
    pub(super) end: u64,
    pub(super) version: Version,
}

impl Tail {
    /// Appends it.
    pub(super) fn write(&mut self, file: &mut PageFile) -> Result<(), SegmentError> {
        let offset = file.at;
        let bytes = postcard::to_stdvec(self).map_err(|_| SegmentError::too_large())?;
        file.append(&bytes)?;
        let length = u64::try_from(bytes.len()).map_err(|_| SegmentError::too_large())?;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&offset.to_le_bytes());
        footer.extend_from_slice(&length.to_le_bytes());
        footer.extend_from_slice(&crc32c(&[&bytes]).to_le_bytes());
        footer.extend_from_slice(&crc32c(&[&footer]).to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        file.append(&footer)?;
        self.summary.bytes = file.at;
        Ok(())
    }

    /// Reads it.
    pub(super) fn read(file: &File) -> Result<OldTail, SegmentError> {
        let size = file.metadata().map_err(SegmentError::io("reading a segment's length"))?.len();
        let failed = SegmentError::io("reading the end of a segment");
        let start_bytes = u64::try_from(START.len()).map_err(|_| DAMAGED)?;
        let footer_at = size.checked_sub(32).filter(|at| *at >= start_bytes).ok_or(DAMAGED)?;
        let mut start = [0; START.len()];
        file.read_exact_at(&mut start, 0).map_err(&failed)?;
        let Some(version) = Version::of(start) else {
            return Err(Damaged("the beginning of a segment, or its version is unknown; it").into());
        };
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, footer_at).map_err(&failed)?;
        let (offset, length, sum) = parse_footer(&footer)?;
        if offset < start_bytes || offset.checked_add(length) != Some(footer_at) {
            return Err(DAMAGED.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| DAMAGED)?];
        file.read_exact_at(&mut bytes, offset).map_err(&failed)?;
        if crc32c(&[&bytes]) != sum {
            return Err(DAMAGED.into());
        }
        let mut tail: Self = postcard::from_bytes(&bytes).map_err(|_| DAMAGED)?;
        if tail.places().any(|place| place.offset < start_bytes || place.end() > offset) {
            return Err(DAMAGED.into());
        }
        tail.summary.bytes = size;
        Ok(OldTail { tail, end: offset, version })
    }

    /// Where all pages stand.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let rows = self.entities.iter().chain(&self.series).map(|page| page.place);
        rows.chain(self.data.iter().copied())
    }
}

/// Where the tail begins, its length and its checksum.
fn parse_footer(footer: &[u8; FOOTER]) -> Result<(u64, u64, u32), Damaged> {
    let (covered, rest) = footer.split_first_chunk::<20>().ok_or(DAMAGED)?;
    let (sum, magic) = rest.split_first_chunk::<4>().ok_or(DAMAGED)?;
    if magic != MAGIC.as_slice() || u32::from_le_bytes(*sum) != crc32c(&[covered]) {
        return Err(DAMAGED);
    }
    let (offset, rest) = covered.split_first_chunk::<8>().ok_or(DAMAGED)?;
    let (length, tail_sum) = rest.split_first_chunk::<8>().ok_or(DAMAGED)?;
    let tail_sum = tail_sum.first_chunk::<4>().ok_or(DAMAGED)?;
    Ok((u64::from_le_bytes(*offset), u64::from_le_bytes(*length), u32::from_le_bytes(*tail_sum)))
}
