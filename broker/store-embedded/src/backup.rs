//! Copies of a store: made while it serves, verified, and restored.
//!
//! A backup is of one moment: a view of the engine as it was between two batches. So
//! it holds every write that was acknowledged before it was asked for, and the committer does not
//! wait for it. It is made as fast as it is read, with a pause after each piece, so that writes go
//! on; what it needs in memory is one piece. The view is lent: when the engine fails or is closed it
//! is taken back, and the backup ends without an end, which everybody who reads it finds.

mod archive;
mod content;
mod contents;
mod copier;
mod hold;
mod restore;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use musubi_model::Timestamp;
use musubi_store::{BackupError, BackupStream, StoreError};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::archive::ArchiveError;
pub use self::contents::{BackupHead, Contents, RowProblem};
pub use self::copier::AttachedFile;
use self::copier::{Copier, CopyError};
pub(crate) use self::hold::Holds;
pub use self::hold::LogHold;
pub use self::restore::{RestoreError, restore, restore_if};
pub use self::verify::{BackupFile, VerifyError, verify_backup, verify_backup_files, verify_store};
use crate::EmbeddedStore;
use crate::engine::View;
use crate::folder::{self, Folder};
use crate::health::Trouble;
use crate::store::Shared;

const DOING: &str = "making a backup";

/// The view that a backup reads: there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    view: Mutex<Option<View>>,
    /// Whether a backup is being made, be it that it still has its view or not.
    is_busy: AtomicBool,
}

impl Lent {
    /// Takes the view back: the engine is to be closed.
    pub(crate) fn take_back(&self) {
        let view = self.view.lock().take();
        if let Some(view) = view {
            view.abandon();
        }
    }
}

/// A backup in the making. To drop it gives it up.
#[derive(Debug)]
pub struct Backup {
    shared: Arc<Shared>,
    /// The part that makes the bytes; none after a failure.
    copier: Option<Copier>,
    /// When the next piece may be made.
    due: Instant,
    _hold: LogHold,
}

impl EmbeddedStore {
    /// Keeps the log from being truncated for as long as what this gives is there.
    pub fn hold_log(&self) -> LogHold {
        LogHold::new(self.shared())
    }

    /// Begins a backup of everything that has been acknowledged by now, and of these files, made at
    /// `now`. The hold is to be taken before it is settled which files these are; then the log in
    /// the backup reaches back to wherever they were, if the log itself did.
    ///
    /// # Errors
    ///
    /// [`BackupError::Busy`] while another one is being made; [`BackupError::Store`] while the
    /// engine has failed or is closed.
    pub fn backup(
        &self,
        hold: LogHold,
        files: Vec<AttachedFile>,
        now: Timestamp,
    ) -> Result<Backup, BackupError> {
        let shared = self.shared().clone();
        if shared.lent.is_busy.swap(true, Ordering::AcqRel) {
            return Err(BackupError::Busy);
        }
        let copier = Copier::new(folder::NEWEST, now, files);
        // It is busy until this is dropped.
        let backup = Backup {
            shared: shared.clone(),
            copier: Some(copier),
            due: Instant::now(),
            _hold: hold,
        };
        // Under the lock of what is published: a view that is lent later would not be taken back.
        let published = shared.published.read();
        let Some(engine) = published.clone() else {
            let trouble = shared.health.trouble().unwrap_or(Trouble::Failed);
            return Err(trouble.answer(DOING).into());
        };
        let view = engine.view();
        engine.abandon();
        let failed = |error| StoreError::Failed { doing: DOING, source: Box::new(error) };
        *shared.lent.view.lock() = Some(view.map_err(failed)?);
        drop(published);
        Ok(backup)
    }
}

impl Backup {
    /// The next piece, of some 256 KiB; none when the backup is whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine has failed or was closed meanwhile, or a file cannot be read.
    /// Then the backup is not whole and does not become so.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        tokio::time::sleep_until(self.due).await;
        let Some(mut copier) = self.copier.take() else { return Err(self.taken_back()) };
        let Some(view) = self.shared.lent.view.lock().clone() else {
            return Err(self.taken_back());
        };
        let work = move || {
            let start = Instant::now();
            let piece = copier.piece(&view);
            view.abandon();
            (piece, copier, start.elapsed())
        };
        let failed = |source| StoreError::Failed { doing: DOING, source };
        let done = tokio::task::spawn_blocking(work).await;
        let (piece, copier, took) = done.map_err(|error| failed(error.into()))?;
        let piece = piece.map_err(|error| failed(error.into()))?;
        self.copier = Some(copier);
        self.due = Instant::now() + pause_after(took);
        Ok(piece)
    }

    /// The pieces as a stream.
    pub fn into_stream(self) -> BackupStream {
        unfold(Some(self), async |backup| {
            let mut backup = backup?;
            match backup.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(backup))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    fn taken_back(&self) -> StoreError {
        self.shared.health.trouble().unwrap_or(Trouble::Failed).answer(DOING)
    }
}

/// A backup works half of the time, so that it takes at most half of a processor, and of the disk,
/// from whoever writes meanwhile.
fn pause_after(work: Duration) -> Duration {
    work
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.shared.lent.take_back();
        self.shared.lent.is_busy.store(false, Ordering::Release);
    }
}

/// Makes a backup of the store in a folder that no process has open, and hands its pieces to
/// `write`, one after another. `files` are attached.
///
/// # Errors
///
/// [`StoreError::Failed`] if the folder is in use or is none of a store, or if it cannot be read; and
/// what `write` says.
pub fn backup_folder<E: From<StoreError>>(
    path: &std::path::Path,
    files: Vec<AttachedFile>,
    now: Timestamp,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| StoreError::Failed { doing: DOING, source };
    let (folder, format) = Folder::claim_as_it_is(path).map_err(failed)?;
    let view = verify::view(&folder).map_err(|error| failed(error.into()))?;
    let mut copier = Copier::new(format, now, files);
    let result = loop {
        match copier.piece(&view) {
            Ok(Some(piece)) => {
                if let Err(error) = write(&piece) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(failed(Box::<CopyError>::from(error)).into()),
        }
    };
    view.abandon();
    result
}
