//! A new log that is filled in bulk.

use std::fs;
use std::path::{Path, PathBuf};

use musubi_model::Sequence;

use super::super::tables::Batch;
use super::super::{EngineError, Result};
use super::frame::Frame;
use super::segment::Segment;
use super::{LONGEST, failed};
use crate::folder::create_durably;

/// Bytes of the frames that changes are put into.
const TOGETHER: usize = 256 << 10;

/// A log in the making.
#[derive(Debug)]
pub(in super::super) struct Filler {
    folder: PathBuf,
    segment: Option<Segment>,
    frame: Frame,
    /// Changes in the last file.
    changes: u64,
    batch: Batch,
    next: Option<Sequence>,
}

/// Changes of a file of the log.
const SEGMENT: u64 = if cfg!(test) { 7 } else { 100_000 };

impl Filler {
    /// Makes a log in this folder. What is there of one is removed.
    pub(in super::super) fn create(folder: &Path) -> Result<Self> {
        let make = || {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            create_durably(folder)
        };
        make().map_err(|source| failed("making the log", source))?;
        let (segment, frame) = (None, Frame::default());
        Ok(Self { folder: folder.to_owned(), segment, frame, changes: 0, batch: 0, next: None })
    }

    /// Adds a change. The first one may have any number, and those that follow it the next ones.
    pub(in super::super) fn change(&mut self, sequence: Sequence, row: &[u8]) -> Result<()> {
        if self.next.is_some_and(|next| next != sequence) {
            let what = format!("the changes before {} are missing", sequence.0);
            return Err(EngineError::Damaged(what));
        }
        let is_full = |segment: &Segment| segment.len() >= LONGEST || self.changes >= SEGMENT;
        if self.segment.as_ref().is_some_and(is_full) {
            self.end_segment()?;
        }
        if self.segment.is_none() {
            let made = Segment::create(&self.folder, self.batch + 1, sequence);
            self.segment = Some(made.map_err(|source| failed("making the log", source))?);
            self.changes = 0;
        }
        self.next = Some(Sequence(sequence.0 + 1));
        self.changes += 1;
        self.frame.change(sequence, row);
        if self.frame.len() >= TOGETHER {
            self.end_frame()?;
        }
        Ok(())
    }

    fn end_frame(&mut self) -> Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        let Some(segment) = self.segment.as_ref().filter(|_| !frame.is_empty()) else {
            return Ok(());
        };
        self.batch += 1;
        let sealed = frame.seal(self.batch, Sequence(0))?;
        segment.append(sealed).map_err(|source| failed("writing the log", source))
    }

    fn end_segment(&mut self) -> Result<()> {
        self.end_frame()?;
        let Some(segment) = self.segment.take() else { return Ok(()) };
        segment.sync().map_err(|source| failed("syncing the log", source))
    }

    /// Makes everything safe from a power cut, and gives the last batch.
    pub(in super::super) fn finish(mut self) -> Result<Batch> {
        self.end_segment()?;
        Ok(self.batch)
    }
}
