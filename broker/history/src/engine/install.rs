//! How a new segment comes to count, in the place of others or behind them.

use std::fs;
use std::sync::Arc;

use musubi_model::Sequence;
use musubi_store::StoreError;

use super::faults::Step;
use super::shared::Shared;
use crate::live::LiveSegment;
use crate::manifest::{Listed, Manifest};
use crate::segment::{SegmentError, SegmentSummary, SegmentWriter};

/// Why a segment was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The segment, or one that is merged into it.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The manifest, or the folder.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What later segments or the memory say of what is merged.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// What is merged would not fit on the disk.
    #[error("there is not enough room on the disk to merge segments")]
    NoRoom,
    /// What was merged does not stand any more where it stood. Nobody else replaces anything.
    #[error("the segments that were merged are not there any more")]
    Moved,
    /// The process ends.
    #[error("the merge was given up, because the process ends")]
    Closing,
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        Self::Failed { doing: "writing a segment of the history", source: error.into() }
    }
}

/// What a new segment is to be.
#[derive(Debug)]
pub(super) struct Place {
    /// The numbers of those in whose place it comes, which stand one after another; none if it comes
    /// behind all.
    pub(super) replaced: Vec<u64>,
    pub(super) level: u32,
    /// The last change in it. If it comes behind all, segments reach up to there from then on.
    pub(super) upto: Sequence,
}

impl Place {
    /// Puts a segment there. Returns those that it replaces; none if they do not stand there.
    fn take(
        &self,
        segments: &mut Vec<Arc<LiveSegment>>,
        segment: Option<Arc<LiveSegment>>,
    ) -> Option<Vec<Arc<LiveSegment>>> {
        let first = match self.replaced.first() {
            Some(first) => segments.iter().position(|live| live.listed().id == *first)?,
            None => segments.len(),
        };
        let range = first..first + self.replaced.len();
        let standing = segments.get(range.clone())?.iter().map(|live| live.listed().id);
        standing
            .eq(self.replaced.iter().copied())
            .then(|| segments.splice(range, segment).collect())
    }
}

impl Shared {
    /// Writes a segment and makes it durable. It does not count yet.
    pub(super) fn write_segment(
        &self,
        place: &Place,
        write: impl FnOnce(&mut SegmentWriter) -> Result<(), WriteError>,
    ) -> Result<Arc<LiveSegment>, WriteError> {
        let id = self.next_id();
        self.write_file(id, place, write).inspect_err(|_| self.abandon(id))
    }

    fn write_file(
        &self,
        id: u64,
        place: &Place,
        write: impl FnOnce(&mut SegmentWriter) -> Result<(), WriteError>,
    ) -> Result<Arc<LiveSegment>, WriteError> {
        let path = self.folder.segment(id);
        self.faults.before(Step::Segment)?;
        let mut writer = SegmentWriter::create(&path)?;
        write(&mut writer)?;
        let SegmentSummary { bytes, .. } = writer.finish()?;
        self.faults.before(Step::SegmentNamed)?;
        self.folder.sync()?;
        let listed = Listed { id, level: place.level, upto: place.upto, bytes };
        Ok(Arc::new(LiveSegment::open(listed, path)?))
    }

    /// Lets a segment count. A kill at any moment leaves what was or what is. Others may have come to
    /// count while it was written.
    pub(super) fn install(
        &self,
        place: &Place,
        segment: Option<Arc<LiveSegment>>,
    ) -> Result<(), WriteError> {
        let alone = self.installing.lock();
        let id = segment.as_ref().map(|live| live.listed().id);
        let abandon = |_: &WriteError| {
            if let Some(id) = id {
                self.abandon(id);
            }
        };
        let (replaced, abandoned) = self.replace(place, segment).inspect_err(abandon)?;
        drop(alone);
        self.room.notify_waiters();
        for id in abandoned {
            // What cannot be removed now is removed when the folder is opened next.
            let _ = fs::remove_file(self.folder.segment(id));
        }
        for live in replaced {
            live.replaced();
        }
        Ok(())
    }

    /// Writes the manifest and brings the state up to it. Returns what was replaced, and the numbers of
    /// those that were abandoned and that no manifest names any more.
    fn replace(
        &self,
        place: &Place,
        segment: Option<Arc<LiveSegment>>,
    ) -> Result<(Vec<Arc<LiveSegment>>, Vec<u64>), WriteError> {
        let (mut manifest, mut segments) = {
            let state = self.state.read();
            (state.manifest.clone(), state.segments.to_vec())
        };
        let Some(replaced) = place.take(&mut segments, segment) else {
            return Err(WriteError::Moved);
        };
        manifest.segments = segments.iter().map(|live| live.listed()).collect();
        if place.replaced.is_empty() {
            manifest.cursor = place.upto;
        }
        let cursor = manifest.cursor;
        self.write_manifest(&manifest)?;
        let mut state = self.state.write();
        // Changes that were taken in meanwhile may have shown another gap.
        manifest.gap_upto = state.manifest.gap_upto;
        manifest.gap_until = state.manifest.gap_until;
        manifest.next = state.manifest.next;
        state.manifest = manifest;
        state.segments = segments.into();
        if state.frozen.as_ref().is_some_and(|(_, upto)| *upto <= cursor) {
            state.frozen = None;
        }
        let abandoned = std::mem::take(&mut state.abandoned);
        self.show(&state);
        Ok((replaced, abandoned))
    }

    /// Notes that what the entities are was recorded behind a gap that ends with this change.
    pub(super) fn mark_seeded(&self, upto: Sequence) -> Result<(), WriteError> {
        let _alone = self.installing.lock();
        let manifest = Manifest { seeded_upto: upto, ..self.state.read().manifest.clone() };
        self.write_manifest(&manifest)?;
        self.state.write().manifest.seeded_upto = upto;
        Ok(())
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<(), WriteError> {
        self.faults.before(Step::Manifest)?;
        manifest.write_beside(self.folder.path())?;
        self.faults.before(Step::Replace)?;
        Manifest::replace(self.folder.path())?;
        self.faults.before(Step::Replaced)?;
        self.folder.sync()?;
        Ok(())
    }

    /// A number that no segment has or had.
    fn next_id(&self) -> u64 {
        let mut state = self.state.write();
        let id = state.manifest.next;
        state.manifest.next = id.saturating_add(1);
        id
    }

    /// Notes that a segment does not come to count.
    fn abandon(&self, id: u64) {
        self.state.write().abandoned.push(id);
    }
}
