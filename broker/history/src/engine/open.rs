//! From a folder to what there is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use musubi_model::{Clock as _, Sequence, SystemClock};
use musubi_store::Store;
use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify};

use super::archive::Verified;
use super::faults::Faults;
use super::shared::{Shared, State};
use super::turns::Turns;
use crate::OpenError;
use crate::folder::Folder;
use crate::live::LiveSegment;
use crate::manifest::{Listed, Manifest};
use crate::metrics::Metrics;
use crate::options::HistoryOptions;
use crate::recent::Recent;
use crate::segment::SegmentError;

impl Shared {
    pub(super) fn open(options: HistoryOptions, store: Arc<dyn Store>) -> Result<Self, OpenError> {
        let folder = Folder::claim(&options.path)?;
        let mut manifest = Manifest::read(folder.path())?;
        if manifest.gap_upto > Sequence(0) && manifest.gap_until.is_none() {
            // A manifest of the format before does not say it, and it was before now.
            manifest.gap_until = Some(SystemClock.now());
        }
        let newest = *store.newest().borrow();
        if newest < manifest.cursor {
            let (path, cursor) = (options.path, manifest.cursor.0);
            return Err(OpenError::Ahead { path, cursor, newest: newest.0 });
        }
        let segments = manifest.segments.iter().map(|listed| open_segment(&folder, *listed));
        let segments: Vec<_> = segments.collect::<Result<_, _>>()?;
        let paths: Vec<PathBuf> = segments.iter().map(|live| live.path().to_owned()).collect();
        let failed = |source| OpenError::Io { path: options.path.clone(), source };
        folder.sweep(|path| paths.iter().any(|listed| listed == path)).map_err(failed)?;
        let state = State {
            active: Arc::new(Recent::new(manifest.cursor)),
            frozen: None,
            segments: segments.into(),
            applied: manifest.cursor,
            manifest,
            abandoned: Vec::new(),
        };
        let shared = Self {
            turns: Turns::new(options.queries),
            options,
            store,
            folder,
            metrics: Metrics::default(),
            state: RwLock::new(state),
            flushing: Arc::new(Mutex::new(())),
            merging: Arc::new(Mutex::new(())),
            applier: Mutex::new(()),
            installing: parking_lot::Mutex::new(()),
            room: Notify::new(),
            is_put_off: AtomicBool::new(false),
            batch: Self::first_batch(),
            is_closing: AtomicBool::new(false),
            faults: Faults::default(),
        };
        shared.show(&shared.state.read());
        Ok(shared)
    }
}

impl Shared {
    pub(super) fn verify_folder(path: &Path) -> Result<Verified, OpenError> {
        let folder = Folder::claim(path)?;
        let manifest = Manifest::read(folder.path())?;
        let mut bytes = 0;
        for listed in &manifest.segments {
            let live = open_segment(&folder, *listed)?;
            live.segment().verify().map_err(|error| {
                let (path, what) = (live.path().to_owned(), error.to_string());
                OpenError::Damaged { path, what }
            })?;
            bytes += listed.bytes;
        }
        let (segments, cursor) = (manifest.segments.len(), manifest.cursor);
        Ok(Verified { segments, bytes, cursor, gap: manifest.gap() })
    }
}

fn open_segment(folder: &Folder, listed: Listed) -> Result<Arc<LiveSegment>, OpenError> {
    let path = folder.segment(listed.id);
    check_length(&path, listed.bytes)?;
    match LiveSegment::open(listed, path.clone()) {
        Ok(live) => Ok(Arc::new(live)),
        Err(SegmentError::Io { source, .. }) => Err(OpenError::Io { path, source }),
        Err(error @ (SegmentError::Damaged(_) | SegmentError::Order(_))) => {
            Err(OpenError::Damaged { path, what: error.to_string() })
        }
    }
}

fn check_length(path: &Path, expected: u64) -> Result<(), OpenError> {
    let path = path.to_owned();
    match fs::metadata(&path) {
        Ok(file) if file.len() == expected => Ok(()),
        Ok(file) => {
            let what = format!("it has {} bytes, and {expected} were written", file.len());
            Err(OpenError::Damaged { path, what })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(OpenError::Missing(path)),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}
