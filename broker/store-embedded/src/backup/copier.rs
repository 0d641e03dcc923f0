//! A backup in the making, piece by piece.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use musubi_model::Timestamp;

use super::archive::{FrameKind, FrameWriter};
use super::content::{End, FileHead, add_row, is_fit, kind_of};
use super::contents::{BackupHead, Contents};
use crate::engine::{EngineError, Reached, Table, View};

/// Bytes of rows, and of a file, in one piece; a row that is longer is a piece of its own.
pub(super) const PIECE: usize = if cfg!(test) { 300 } else { 256 << 10 };

/// A file that goes into a backup with the rows of the store, and that is open since before. What
/// becomes of its name meanwhile does not matter, and neither does what is written behind its end.
#[derive(Debug)]
pub struct AttachedFile {
    head: FileHead,
    source: Source,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
enum Source {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl AttachedFile {
    /// Opens the file `name` of the data folder, with `/` between the names; as much of it goes into
    /// the backup as it has now.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or has a name with which it could not be restored.
    pub fn open(folder: &Path, name: &str) -> io::Result<Self> {
        Self::from_path(name, &folder.join(name))
    }

    /// Opens a file from wherever it is, to be restored under this name below the data folder.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn from_path(name: &str, path: &Path) -> io::Result<Self> {
        check_name(name)?;
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { head: FileHead { name: name.to_owned(), bytes }, source: Source::File(file) })
    }

    /// A file that is not there yet, and holds this.
    ///
    /// # Errors
    ///
    /// If it has a name with which it could not be restored.
    pub fn from_bytes(name: &str, content: Vec<u8>) -> io::Result<Self> {
        check_name(name)?;
        let bytes = u64::try_from(content.len()).map_err(io::Error::other)?;
        let source = Source::Memory(Cursor::new(content));
        Ok(Self { head: FileHead { name: name.to_owned(), bytes }, source })
    }
}

fn check_name(name: &str) -> io::Result<()> {
    if is_fit(name) {
        return Ok(());
    }
    Err(io::Error::other(format!("{name:?} is no name of a file of its own")))
}

/// Why a backup could not be gone on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("an attached file, or the backup itself")]
    Io(#[from] io::Error),
    #[error("the head of the backup")]
    Head(#[from] postcard::Error),
}

/// Where a backup stands.
#[derive(Debug)]
enum Stage {
    Begin,
    Rows(Table),
    Files,
    /// Of the present file so many bytes are left.
    Data(Source, u64),
    End,
    Over,
}

/// Makes the bytes of a backup of a view of the engine.
#[derive(Debug)]
pub(super) struct Copier {
    head: BackupHead,
    /// The files that come, the next one last.
    files: Vec<AttachedFile>,
    stage: Stage,
    writer: Option<FrameWriter>,
    contents: Contents,
    /// The key of the last row of the present table.
    last: Option<Vec<u8>>,
}

impl Copier {
    pub(super) fn new(store_format: u32, made_at: Timestamp, files: Vec<AttachedFile>) -> Self {
        let made_by = env!("CARGO_PKG_VERSION").to_owned();
        let mut files = files;
        files.reverse();
        Self {
            head: BackupHead { store_format, made_at, made_by },
            files,
            stage: Stage::Begin,
            writer: None,
            contents: Contents::default(),
            last: None,
        }
    }

    /// The next piece; none when the backup is whole.
    pub(super) fn piece(&mut self, view: &View) -> Result<Option<Vec<u8>>, CopyError> {
        let mut bytes = Vec::new();
        while bytes.is_empty() {
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Begin => {
                    self.writer = Some(FrameWriter::begin(&mut bytes));
                    let head = postcard::to_stdvec(&self.head)?;
                    self.frame(FrameKind::Begin, &head, &mut bytes)?;
                    self.stage = Stage::Rows(Table::State);
                }
                Stage::Rows(table) => self.stage = self.rows(view, table, &mut bytes)?,
                Stage::Files => self.stage = self.next_file(&mut bytes)?,
                Stage::Data(file, left) => self.stage = self.data(file, left, &mut bytes)?,
                Stage::End => {
                    let total = self.writer.as_ref().map_or(0, FrameWriter::total);
                    let end = postcard::to_stdvec(&End { contents: self.contents, total })?;
                    self.frame(FrameKind::End, &end, &mut bytes)?;
                }
                Stage::Over => return Ok(None),
            }
        }
        Ok(Some(bytes))
    }

    fn frame(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), CopyError> {
        match &mut self.writer {
            Some(writer) => Ok(writer.frame(kind, payload, bytes)?),
            None => Ok(()),
        }
    }

    fn rows(&mut self, view: &View, table: Table, bytes: &mut Vec<u8>) -> Result<Stage, CopyError> {
        let mut frame = Vec::new();
        let after = self.last.take();
        let mut last = Vec::new();
        let contents = &mut self.contents;
        let reached = view.page(table, after.as_deref(), PIECE, |key, value| {
            add_row(key, value, &mut frame);
            contents.add(table, key);
            last.clear();
            last.extend_from_slice(key);
            Ok::<(), EngineError>(())
        })?;
        if !frame.is_empty() {
            self.frame(kind_of(table), &frame, bytes)?;
        }
        if reached == Reached::More {
            self.last = Some(last);
            return Ok(Stage::Rows(table));
        }
        Ok(match table {
            Table::State => Stage::Rows(Table::Records),
            Table::Records => Stage::Rows(Table::Meta),
            Table::Meta => Stage::Rows(Table::Log),
            Table::Log => Stage::Files,
        })
    }

    fn next_file(&mut self, bytes: &mut Vec<u8>) -> Result<Stage, CopyError> {
        let Some(AttachedFile { head, source }) = self.files.pop() else { return Ok(Stage::End) };
        self.contents.add_file(head.bytes);
        let payload = postcard::to_stdvec(&head)?;
        self.frame(FrameKind::File, &payload, bytes)?;
        Ok(if head.bytes == 0 { Stage::Files } else { Stage::Data(source, head.bytes) })
    }

    fn data(
        &mut self,
        mut file: Source,
        left: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<Stage, CopyError> {
        let most = left.min(u64::try_from(PIECE).unwrap_or(u64::MAX));
        let mut payload = Vec::new();
        (&mut file).take(most).read_to_end(&mut payload)?;
        let read = u64::try_from(payload.len()).unwrap_or_default();
        if read < most {
            return Err(io::Error::other("an attached file became shorter meanwhile").into());
        }
        self.frame(FrameKind::Data, &payload, bytes)?;
        Ok(if left == read { Stage::Files } else { Stage::Data(file, left - read) })
    }
}
