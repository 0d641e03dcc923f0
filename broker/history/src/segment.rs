//! Segments: immutable files in which a part of the history is kept.
//!
//! A file begins with a magic number and the version of the format and is then made of pages, each
//! with a checksum, of three kinds that stand among each other: rows of entities, rows of series,
//! and data, which are chunks and lists. A series of a few instances stands in the row of its entity,
//! and has no other; so a new entity is one row, which is taken over as it is when segments are
//! merged. Entities can be looked through without touching long series, and chunks can be chosen by
//! what their series' row says of them. The end holds the names, the directory of the pages, and a
//! summary; it is read when the file is opened, and everything else when it is asked for.

mod blocks;
mod body;
mod checksum;
mod error;
mod few;
mod heads;
mod names;
mod open;
mod page;
mod reader;
mod rollup;
mod row;
mod scan;
mod series;
mod tail;
mod writer;

pub(crate) use self::body::{EntityBody, SeriesNumbers};
pub(crate) use self::checksum::crc32c;
pub(crate) use self::error::SegmentError;
pub(crate) use self::few::{FEW_BYTES, FewReader, FewWriter};
pub(crate) use self::heads::Heads;
pub(crate) use self::names::{Foreign, Names, NewNames};
pub(crate) use self::reader::{ChunkRef, EntityRow, PageSlot, RawChunk, Segment};
pub(crate) use self::rollup::{Level, RollUp};
pub(crate) use self::scan::{Row, Scan};
pub(crate) use self::series::SeriesSummary;
pub(crate) use self::tail::Version;
pub(crate) use self::writer::{SegmentSummary, SegmentWriter};

#[cfg(test)]
mod tests;
