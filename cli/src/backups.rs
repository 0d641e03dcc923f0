//! Backups of the server that runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::unfold;
use musubi_history::Archive;
use musubi_model::Clock;
use musubi_store::{BackupError, BackupStream, Backups, StoreError};
use musubi_store_embedded::{AttachedFile, EmbeddedStore};
use tokio::task::JoinHandle;

use crate::parts::{self, HISTORY};

/// Makes backups of the store, and of the history that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct LiveBackups {
    store: Arc<EmbeddedStore>,
    /// The history; none if it is switched off, and then nobody writes what there is of it.
    archive: Option<Archive>,
    data: PathBuf,
    clock: Arc<dyn Clock>,
}

/// Compares all checksums of what is attached, until it is done or given up.
#[derive(Debug)]
struct Comparison {
    is_given_up: Arc<AtomicBool>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Comparison {
    fn begin(work: impl FnOnce(&AtomicBool) -> Result<(), StoreError> + Send + 'static) -> Self {
        let is_given_up = Arc::new(AtomicBool::new(false));
        let flag = is_given_up.clone();
        Self { is_given_up, task: tokio::task::spawn_blocking(move || work(&flag)) }
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        (&mut self.task).await.map_err(|error| failed(io::Error::other(error)))?
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Failed { doing: "reading the history for a backup", source: error.into() }
}

impl LiveBackups {
    pub(crate) fn new(
        store: Arc<EmbeddedStore>,
        archive: Option<Archive>,
        data: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, archive, data, clock }
    }

    /// Begins. Blocks while files are opened.
    fn start(&self) -> Result<BackupStream, BackupError> {
        // What the history does not have yet is in the log, which stays as it is from here on.
        let hold = self.store.hold_log();
        let Some(archive) = &self.archive else {
            let files = parts::attached(&self.data).map_err(failed)?;
            return Ok(self.store.backup(hold, files, self.clock.now())?.into_stream());
        };
        let frozen = archive.freeze()?;
        let mut files = Vec::with_capacity(frozen.files.len() + 1);
        for file in &frozen.files {
            // Open, it stays readable when the segment has been merged into another.
            let name = format!("{}/{}", HISTORY.folder, file.name);
            files.push(AttachedFile::from_path(&name, &file.path).map_err(failed)?);
        }
        let name = format!("{}/{}", HISTORY.folder, Archive::MANIFEST);
        files.push(AttachedFile::from_bytes(&name, frozen.manifest.clone()).map_err(failed)?);
        let backup = self.store.backup(hold, files, self.clock.now())?;
        let comparison =
            Comparison::begin(move |flag| frozen.verify(|| !flag.load(Ordering::Relaxed)));
        Ok(compared(backup.into_stream(), comparison))
    }
}

/// The pieces; the last one, without which the rest is no backup, only when all that was copied has been
/// compared with its checksums.
fn compared(pieces: BackupStream, comparison: Comparison) -> BackupStream {
    unfold(Some((pieces, None, comparison)), async |state| {
        let (mut pieces, mut held, mut comparison) = state?;
        loop {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    if let Some(before) = held.replace(piece) {
                        return Some((Ok(before), Some((pieces, held, comparison))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let compared = comparison.end().await;
                    return held.map(|last| (compared.map(|()| last), None));
                }
            }
        }
    })
    .boxed()
}

impl Backups for LiveBackups {
    fn begin(&self) -> BoxFuture<'_, Result<BackupStream, BackupError>> {
        let this = self.clone();
        async move {
            let started = tokio::task::spawn_blocking(move || this.start()).await;
            started.map_err(|error| failed(io::Error::other(error)))?
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(compare: Result<(), StoreError>) -> Vec<Result<Vec<u8>, String>> {
        let pieces = futures_util::stream::iter([Ok(vec![1]), Ok(vec![2])]).boxed();
        let pieces = compared(pieces, Comparison::begin(move |_| compare));
        pieces.map(|piece| piece.map_err(|error| error.to_string())).collect().await
    }

    #[tokio::test]
    async fn the_end_of_a_backup_comes_only_if_what_was_copied_is_whole() {
        assert_eq!(all(Ok(())).await, [Ok(vec![1]), Ok(vec![2])]);
        let pieces = all(Err(failed(io::Error::other("damaged")))).await;
        assert_eq!(pieces.first(), Some(&Ok(vec![1])));
        assert!(pieces.last().unwrap().is_err(), "{pieces:?}");
        assert_eq!(pieces.len(), 2);
    }
}
