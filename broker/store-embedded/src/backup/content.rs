//! The frames of a backup as rows and files: how they are written, and read one after another.
//!
//! The order is fixed: the head, entities, records, the store's own rows, the log, the attached
//! files, the end. A row stands in its frame as the lengths of key and value, 4 bytes each, and then
//! the two.

use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::archive::{ArchiveError, FrameKind, FrameReader};
use super::contents::{BackupHead, Contents};
use crate::engine::Table;

/// The head of an attached file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileHead {
    /// Where it belongs, below the data folder, with `/` between the names.
    pub(super) name: String,
    /// Its length.
    pub(super) bytes: u64,
}

/// What the frames before it come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) contents: Contents,
    /// The checksum of the frames' checksums.
    pub(super) total: u64,
}

/// The longest name of an attached file, in bytes.
const LONGEST_NAME: usize = 1000;

/// What the store itself puts into a data folder.
const OWN: [&str; 9] = [
    "engine",
    "engine.new",
    "engine.old",
    "engine.unfinished",
    "log",
    "FORMAT",
    "FORMAT.new",
    "FORMAT.unfinished",
    "LOCK",
];

/// Whether a file may have this name in a data folder: it stays below the folder, and takes the
/// place of nothing that is the store's own.
pub(super) fn is_fit(name: &str) -> bool {
    let path = Path::new(name);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.contains('\0')
        && name.split('/').all(|part| !part.is_empty())
        && path.components().all(is_plain)
        && !path
            .components()
            .next()
            .is_some_and(|first| OWN.iter().any(|own| first.as_os_str() == *own))
}

/// Key and value of a row.
pub(super) type Row<'r> = (&'r [u8], &'r [u8]);

/// The kind of the frames with rows of this table.
pub(super) fn kind_of(table: Table) -> FrameKind {
    match table {
        Table::State => FrameKind::State,
        Table::Records => FrameKind::Records,
        Table::Meta => FrameKind::Meta,
        Table::Log => FrameKind::Log,
    }
}

/// Appends a row to a frame.
pub(super) fn add_row(key: &[u8], value: &[u8], frame: &mut Vec<u8>) {
    // What is longer than a frame may be is refused when the frame is written.
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    frame.extend_from_slice(&length(key));
    frame.extend_from_slice(&length(value));
    frame.extend_from_slice(key);
    frame.extend_from_slice(value);
}

/// Reads a backup from its beginning to its end. What is in it is asked for in its order.
#[derive(Debug)]
pub(super) struct ContentReader<R> {
    frames: FrameReader<R>,
    head: BackupHead,
    /// The kind of the frame that has been read and not been used up.
    kind: FrameKind,
    /// How far it has been used.
    used: usize,
    /// The checksum of the frames before it.
    total: u64,
    contents: Contents,
    /// Bytes that the file still has which was named last.
    file_left: u64,
}

impl<R: Read> ContentReader<R> {
    /// Reads the beginning.
    pub(super) fn open(source: R) -> Result<Self, ArchiveError> {
        let mut frames = FrameReader::open(source)?;
        if frames.advance()? != FrameKind::Begin {
            return Err(frames.damaged("it is not the first"));
        }
        let head = postcard::from_bytes(frames.payload());
        let head = head.map_err(|error| frames.damaged(error.to_string()))?;
        let total = frames.total();
        let kind = frames.advance()?;
        let contents = Contents::default();
        Ok(Self { frames, head, kind, used: 0, total, contents, file_left: 0 })
    }

    /// Of what it is a backup.
    pub(super) fn head(&self) -> &BackupHead {
        &self.head
    }

    /// The next row of this table; none if there is no more.
    pub(super) fn row(&mut self, table: Table) -> Result<Option<Row<'_>>, ArchiveError> {
        let Some((from, middle, to)) = self.place(table)? else { return Ok(None) };
        self.used = to;
        let payload = self.frames.payload();
        let key = payload.get(from..middle).unwrap_or_default();
        self.contents.add(table, key);
        Ok(Some((key, payload.get(middle..to).unwrap_or_default())))
    }

    /// Where the next row of this table stands: beginning, end of the key, end.
    fn place(&mut self, table: Table) -> Result<Option<(usize, usize, usize)>, ArchiveError> {
        while self.kind == kind_of(table) {
            let rest = self.frames.payload().get(self.used..).unwrap_or_default();
            if rest.is_empty() {
                self.advance()?;
                continue;
            }
            let lengths = rest.first_chunk::<8>().map(|[a, b, c, d, e, f, g, h]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
            });
            let sizes = lengths.and_then(|(key, value)| {
                Some((usize::try_from(key).ok()?, usize::try_from(value).ok()?))
            });
            let place = sizes.and_then(|(key, value)| {
                let from = self.used + 8;
                let middle = from.checked_add(key)?;
                Some((from, middle, middle.checked_add(value)?))
            });
            let place = place.filter(|(.., to)| *to <= self.frames.payload().len());
            return match place {
                Some(place) => Ok(Some(place)),
                None => Err(self.frames.damaged("a row ends too late")),
            };
        }
        Ok(None)
    }

    /// The next attached file; none if there is no more. The one before has to be read to its end.
    pub(super) fn file(&mut self) -> Result<Option<FileHead>, ArchiveError> {
        if self.kind != FrameKind::File {
            return Ok(None);
        }
        let head: Result<FileHead, _> = postcard::from_bytes(self.frames.payload());
        let head = head.map_err(|error| self.frames.damaged(error.to_string()))?;
        if !is_fit(&head.name) {
            let what = format!("no file may have the name {:?}", head.name);
            return Err(self.frames.damaged(what));
        }
        self.contents.add_file(head.bytes);
        self.file_left = head.bytes;
        // The frame that follows may be of this file.
        self.advance()?;
        Ok(Some(head))
    }

    /// The next bytes of the file that was named last; none at its end.
    pub(super) fn data(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        if self.used > 0 {
            self.advance()?;
        }
        if self.file_left == 0 {
            return Ok(None);
        }
        let payload = self.frames.payload().len();
        let length = u64::try_from(payload).unwrap_or(u64::MAX);
        if self.kind != FrameKind::Data || length == 0 || length > self.file_left {
            return Err(self.frames.damaged("a file has another length than it should"));
        }
        self.file_left -= length;
        self.used = payload;
        Ok(Some(self.frames.payload()))
    }

    /// Reads the end, and gives what the whole held.
    pub(super) fn end(mut self) -> Result<Contents, ArchiveError> {
        if self.kind != FrameKind::End {
            return Err(self.frames.damaged("its place is another"));
        }
        let end: Result<End, _> = postcard::from_bytes(self.frames.payload());
        let end = end.map_err(|error| self.frames.damaged(error.to_string()))?;
        if end != (End { contents: self.contents, total: self.total }) {
            return Err(self.frames.damaged("what came before is not what was written"));
        }
        self.frames.finish()?;
        Ok(end.contents)
    }

    fn advance(&mut self) -> Result<(), ArchiveError> {
        self.total = self.frames.total();
        self.used = 0;
        self.kind = self.frames.advance()?;
        Ok(())
    }
}
