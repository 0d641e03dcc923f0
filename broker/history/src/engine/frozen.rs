//! The history as it is at a moment, for the one who copies it.

use std::path::PathBuf;
use std::sync::Arc;

use musubi_model::Sequence;
use musubi_store::StoreError;

use super::shared::Shared;
use crate::OpenError;
use crate::folder::Folder;
use crate::live::LiveSegment;

/// The segments of a history as they are at a moment. Its files stay for as long as it is held.
/// Whoever copies them, writes [`manifest`](Self::manifest) beside them as `MANIFEST` and keeps the
/// log after [`cursor`](Self::cursor) has a copy of the history.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// What the file `MANIFEST` has to hold.
    pub manifest: Vec<u8>,
    /// The files.
    pub files: Vec<FrozenFile>,
    /// The last change of the log that is in them.
    pub cursor: Sequence,
    segments: Arc<[Arc<LiveSegment>]>,
}

/// A file of a [`Frozen`] history. It does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenFile {
    /// What it has to be called.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub length: u64,
}

impl Frozen {
    /// Reads every segment and compares all checksums, for as long as `goes_on` says so. Blocks until
    /// that is done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if one is damaged or cannot be read.
    pub fn verify(&self, goes_on: impl Fn() -> bool) -> Result<(), StoreError> {
        let doing = "comparing the checksums of the history for a backup";
        for live in self.segments.iter().take_while(|_| goes_on()) {
            live.segment().verify().map_err(|error| {
                let (path, what) = (live.path().to_owned(), error.to_string());
                StoreError::Failed { doing, source: OpenError::Damaged { path, what }.into() }
            })?;
        }
        Ok(())
    }
}

impl Shared {
    pub(super) fn freeze(&self) -> std::io::Result<Frozen> {
        let state = self.state.read();
        let file = |live: &Arc<LiveSegment>| FrozenFile {
            name: Folder::segment_name(live.listed().id),
            path: live.path().to_owned(),
            length: live.listed().bytes,
        };
        Ok(Frozen {
            manifest: state.manifest.to_bytes()?,
            files: state.segments.iter().map(file).collect(),
            cursor: state.manifest.cursor,
            segments: state.segments.clone(),
        })
    }
}
