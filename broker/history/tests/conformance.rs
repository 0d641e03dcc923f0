//! The suite that every history passes, over a history that writes and merges segments all the time
//! and is never ended in an orderly way.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_history::{Archive, HistoryOptions};
use musubi_store::conformance::{
    Failure, HistoryPlace, HistoryPlan, HistorySubject, check_history,
};
use musubi_store::{History, ReferenceStore, Store};
use tempfile::TempDir;

struct Segments;

struct Disk {
    store: Arc<ReferenceStore>,
    folder: TempDir,
    archive: Option<Archive>,
    tidied: u32,
}

#[expect(clippy::unwrap_used, reason = "without a folder there is no test")]
impl HistorySubject for Segments {
    fn place(&self) -> Box<dyn HistoryPlace> {
        let (store, folder) = (Arc::new(ReferenceStore::new()), tempfile::tempdir().unwrap());
        Box::new(Disk { store, folder, archive: None, tidied: 0 })
    }
}

impl HistoryPlace for Disk {
    fn open(&mut self) -> BoxFuture<'_, Result<(Arc<dyn Store>, Arc<dyn History>), Failure>> {
        async move {
            self.store = Arc::new(self.store.reopen());
            let options =
                HistoryOptions { merge_width: 2, ..HistoryOptions::new(self.folder.path()) };
            let archive = Archive::open(options, self.store.clone())?;
            self.archive = Some(archive.clone());
            let pair: (Arc<dyn Store>, Arc<dyn History>) = (self.store.clone(), Arc::new(archive));
            Ok(pair)
        }
        .boxed()
    }

    fn close(
        &mut self,
        _store: Arc<dyn Store>,
        _history: Arc<dyn History>,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        self.archive = None;
        futures_util::future::ready(Ok(())).boxed()
    }

    fn tidy(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        async move {
            let Some(archive) = &self.archive else { return Ok(()) };
            self.tidied += 1;
            match self.tidied % 5 {
                0 => archive.compact().await?,
                2 | 4 => archive.merge().await?,
                _ => archive.flush().await?,
            }
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn the_archive_passes_the_suite_of_histories() {
    check_history(&Segments, HistoryPlan::default()).await.unwrap();
}
