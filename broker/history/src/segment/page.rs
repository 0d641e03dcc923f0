//! Pages: the pieces of a file that are read at once, each with its checksum.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::checksum::crc32c;
use crate::column::Damaged;

/// How many bytes of chunks and the like a page has at most, unless one alone has more.
pub(super) const DATA_PAGE: usize = 64 << 10;

/// The same for pages of rows, which are looked through from their beginning.
pub(super) const ROW_PAGE: usize = 32 << 10;

/// What stands before the bytes of a page: how many they are, the kind of the page, the checksum.
pub(super) const HEADER: usize = 9;

const DAMAGED: Damaged = Damaged("a page");

/// What stands in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    /// Rows of entities.
    Entities,
    /// Rows of series.
    Series,
    /// Chunks, and what else is read as a whole.
    Data,
}

impl PageKind {
    fn code(self) -> u8 {
        match self {
            Self::Entities => 1,
            Self::Series => 2,
            Self::Data => 3,
        }
    }
}

/// Where a page stands in the file, and how many bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Place {
    /// The place after it.
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.length)).saturating_add(9)
    }
}

/// A file to which pages are appended.
#[derive(Debug)]
pub(super) struct PageFile {
    pub(super) file: File,
    pub(super) at: u64,
}

impl PageFile {
    /// Appends bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        self.file.write_all(bytes).map_err(SegmentError::io("writing a segment"))?;
        self.at += u64::try_from(bytes.len()).map_err(|_| SegmentError::too_large())?;
        Ok(())
    }

    /// Appends a page.
    pub(super) fn append_page(
        &mut self,
        kind: PageKind,
        payload: &[u8],
    ) -> Result<Place, SegmentError> {
        let length = u32::try_from(payload.len()).map_err(|_| SegmentError::too_large())?;
        let place = Place { offset: self.at, length };
        let head = head(kind.code(), length);
        let sum = crc32c(&[&head, payload]);
        self.append(&head)?;
        self.append(&sum.to_le_bytes())?;
        self.append(payload)?;
        Ok(place)
    }
}

fn head(kind: u8, length: u32) -> [u8; 5] {
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, kind]
}

/// Reads a page, of which the caller knows that it lies within the file.
pub(super) fn read(file: &File, kind: PageKind, place: Place) -> Result<Arc<[u8]>, SegmentError> {
    let length = usize::try_from(place.length).map_err(|_| DAMAGED)?;
    let mut bytes = vec![0; HEADER + length];
    file.read_exact_at(&mut bytes, place.offset)
        .map_err(SegmentError::io("reading a page of a segment"))?;
    let (header, payload) = bytes.split_first_chunk::<HEADER>().ok_or(DAMAGED)?;
    if parse(header, payload)? == kind.code() { Ok(payload.into()) } else { Err(DAMAGED.into()) }
}

/// Reads the page at an offset, whatever its kind; it must end before `end`.
pub(super) fn check(file: &File, offset: u64, end: u64) -> Result<Place, SegmentError> {
    let failed = SegmentError::io("reading a page of a segment");
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, offset).map_err(&failed)?;
    let [a, b, c, d, ..] = header;
    let place = Place { offset, length: u32::from_le_bytes([a, b, c, d]) };
    if place.end() > end {
        return Err(DAMAGED.into());
    }
    let mut payload = vec![0; usize::try_from(place.length).map_err(|_| DAMAGED)?];
    file.read_exact_at(&mut payload, offset.saturating_add(9)).map_err(&failed)?;
    parse(&header, &payload)?;
    Ok(place)
}

/// The kind of a page, if its checksum is right.
fn parse(header: &[u8; HEADER], payload: &[u8]) -> Result<u8, Damaged> {
    let [a, b, c, d, kind, sum @ ..] = *header;
    let length = u32::from_le_bytes([a, b, c, d]);
    let whole = usize::try_from(length).ok() == Some(payload.len());
    let right = u32::from_le_bytes(sum) == crc32c(&[&head(kind, length), payload]);
    if whole && right { Ok(kind) } else { Err(DAMAGED) }
}
