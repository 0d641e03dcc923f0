//! A disk that is full for a while. The disk is a small one in memory, which takes the right to
//! mount it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use musubi_store::{Group, RecordKind, Store, StoreError};
use musubi_store_embedded::{EmbeddedOptions, EmbeddedStore};

use crate::town::{all, commit, figure, find, group, open, put, record_of, records, value_of};

/// A small disk; none where it may not be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: a disk in memory cannot be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves about so many bytes free.
    fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let filler = vec![1; usize::try_from(free.saturating_sub(left)).unwrap()];
        std::fs::write(self.path().join("filler"), filler).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

async fn until_healthy(store: &EmbeddedStore) {
    let mut healthy = store.healthy();
    let waited = tokio::time::timeout(Duration::from_mins(1), healthy.wait_for(|healthy| *healthy));
    drop(waited.await.unwrap().unwrap());
}

fn failures(store: &EmbeddedStore) -> String {
    figure(store, "store_engine_failures_total")
}

#[tokio::test]
async fn writes_are_refused_below_the_limit_and_taken_again_above_it() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.path().join("data");
    let store = open(&EmbeddedOptions { min_free_disk: 8 << 20, ..EmbeddedOptions::new(data) });
    commit(&store, vec![put("a", "1")]).await.unwrap();
    disk.fill(4 << 20);
    let refused = commit(&store, vec![put("a", "2")]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    let refused = commit(&store, vec![put("a", "3")]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    assert_eq!(value_of(&find(&store, "a").await.unwrap().entity), "1");
    disk.free();
    until_healthy(&store).await;
    commit(&store, vec![put("a", "4")]).await.unwrap();
    assert_eq!(value_of(&find(&store, "a").await.unwrap().entity), "4");
    assert_eq!(failures(&store), "0");
}

#[tokio::test]
async fn an_engine_that_ran_out_of_room_is_opened_again_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.path().join("data");
    let options = EmbeddedOptions { min_free_disk: 0, ..EmbeddedOptions::new(data) };
    let store = open(&options);
    let text = "long ".repeat(4_000);
    let mut written = 0;
    disk.fill(6 << 20);
    let refused = loop {
        let name = written.to_string();
        let letter = record_of(RecordKind::DeadLetter, &name, Some(&name));
        let group = Group { records: vec![letter], ..group(vec![put(&name, &text)]) };
        match store.commit(vec![group]).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(written > 10, "{written}");
    assert!(all(&store).await.len() >= written);
    disk.free();
    // The engine may come back once while there is no room, and fail again with the next write.
    until_healthy(&store).await;
    while commit(&store, vec![put("after", "1")]).await.is_err() {
        until_healthy(&store).await;
    }
    let found = all(&store).await;
    // The write that was answered with an error may be there, whole.
    assert!((written + 1..=written + 2).contains(&found.len()), "{} of {written}", found.len());
    // So may its letter, which it was written together with.
    let letters = records(&store, RecordKind::DeadLetter).await.unwrap();
    assert_eq!(letters.len(), found.len() - 1);
    assert_ne!(failures(&store), "0");
    store.close().await.unwrap();
    drop(store);
    let store = open(&options);
    assert_eq!(all(&store).await, found);
    assert_eq!(records(&store, RecordKind::DeadLetter).await.unwrap(), letters);
}
