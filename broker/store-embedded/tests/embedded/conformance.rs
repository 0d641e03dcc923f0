//! The suite that every store passes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_store::Store;
use musubi_store::conformance::{Failure, Place, Plan, Subject, check};
use musubi_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use tempfile::TempDir;

/// Embedded stores of one setting.
struct Embedded(fn(&Path) -> EmbeddedOptions);

struct Folder {
    options: fn(&Path) -> EmbeddedOptions,
    path: TempDir,
    /// The open store; the suite's handles are of the trait only.
    open: Option<Arc<EmbeddedStore>>,
}

impl Subject for Embedded {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Folder { options: self.0, path: tempfile::tempdir().unwrap(), open: None })
    }
}

impl Place for Folder {
    fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        async {
            let store = Arc::new(EmbeddedStore::open((self.options)(self.path.path()))?);
            self.open = Some(store.clone());
            Ok(store as Arc<dyn Store>)
        }
        .boxed()
    }

    fn close(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        drop(store);
        async {
            let store = self.open.take().ok_or("no store is open")?;
            Ok(store.close().await?)
        }
        .boxed()
    }

    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        drop(store);
        async {
            let copy = copy_at_rest(self.path.path())?;
            drop(self.open.take());
            self.path = copy;
            Ok(())
        }
        .boxed()
    }
}

/// Copies the folder as it is at one moment, as a kill would leave it: again, if the tables were written
/// to meanwhile.
fn copy_at_rest(from: &Path) -> std::io::Result<TempDir> {
    loop {
        let tables = || -> std::io::Result<_> {
            Ok((files(&from.join("engine"))?, files(&from.join("engine.unfinished"))?))
        };
        let before = tables()?;
        let copy = tempfile::tempdir()?;
        let copied = copy_folder(from, copy.path());
        if tables()? == before {
            return copied.map(|()| copy);
        }
    }
}

/// The files below a folder, with their lengths and when they were last written to.
fn files(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, (u64, i64, i64)>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        // There are no tables before something is put into them.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        match fs::metadata(&path) {
            Ok(known) if known.is_dir() => found.extend(files(&path)?),
            Ok(known) => {
                found.insert(path, (known.len(), known.mtime(), known.mtime_nsec()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Copies tables before journals: what a journal has grown by meanwhile belongs to no table yet. The log,
/// which holds what the tables do not, comes last by its name.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| {
        (entry.path().extension().is_some_and(|end| end == "jnl"), entry.file_name())
    });
    for entry in entries {
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            copy_folder(&entry.path(), &to)?;
        } else {
            copy_file(&entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Leaves the empty end of a journal empty.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let empty = vec![0; 1 << 16];
    let mut block = empty.clone();
    let mut length = 0;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return to.set_len(length);
        }
        length += read as u64;
        if block[..read] == empty[..read] {
            to.seek(SeekFrom::Start(length))?;
        } else {
            to.write_all(&block[..read])?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite_in_sync() {
    let subject = Embedded(|path| EmbeddedOptions::new(path));
    check(&subject, Plan::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite_in_intervals() {
    let subject = Embedded(|path| EmbeddedOptions {
        durability: Durability::Interval(Duration::from_millis(20)),
        // Whatever is asked for is indexed at once, and what is written goes to the tables soon.
        index_after: 0,
        pending_bytes: 4 << 10,
        ..EmbeddedOptions::new(path)
    });
    check(&subject, Plan { seed: 1_000, ..Plan::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite_with_a_log_on_the_disk_alone() {
    let subject = Embedded(|path| EmbeddedOptions {
        durability: Durability::Interval(Duration::from_millis(20)),
        recent_changes: 5,
        index_after: 50,
        pending_bytes: 16 << 10,
        ..EmbeddedOptions::new(path)
    });
    check(&subject, Plan { seed: 2_000, cases: 12, population: 1_500, ..Plan::default() })
        .await
        .unwrap();
}
