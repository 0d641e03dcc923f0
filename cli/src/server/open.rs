//! Opening what is kept on the disk.

use std::sync::Arc;

use musubi_history::{Archive, HistoryOptions};
use musubi_store::Store;
use musubi_store_embedded::{Durability as StoreDurability, EmbeddedOptions, EmbeddedStore};

use super::chain;
use crate::parts::HISTORY;
use crate::settings::{Durability, Settings};

/// Opens what is kept of what is.
pub(super) async fn open_store(settings: &Settings) -> Result<Arc<EmbeddedStore>, String> {
    let options = EmbeddedOptions {
        durability: match settings.durability {
            Durability::Sync => StoreDurability::Sync,
            Durability::Interval => StoreDurability::Interval(settings.durability_interval),
        },
        min_free_disk: settings.min_free_disk,
        ..EmbeddedOptions::new(&settings.data_dir)
    };
    let shown = settings.data_dir.display().to_string();
    tokio::task::spawn_blocking(move || EmbeddedStore::open(options))
        .await
        .map_err(|error| error.to_string())?
        .map(Arc::new)
        .map_err(|error| format!("--data-dir {shown}: {}", chain(&error)))
}

/// Opens what is kept of the past; none if nothing is to be kept.
pub(super) async fn open_history(
    settings: &Settings,
    store: &Arc<EmbeddedStore>,
) -> Result<Option<Archive>, String> {
    if !settings.history.enabled {
        return Ok(None);
    }
    let path = settings.data_dir.join(HISTORY.folder);
    let options = HistoryOptions {
        memory: settings.history.memory,
        min_free_disk: settings.min_free_disk,
        retention: settings.history.retention.clone(),
        ..HistoryOptions::new(&path)
    };
    let store: Arc<dyn Store> = store.clone();
    tokio::task::spawn_blocking(move || Archive::open(options, store))
        .await
        .map_err(|error| error.to_string())?
        .map(Some)
        .map_err(|error| format!("{}: {}", path.display(), chain(&error)))
}

/// As many files and connections as the system allows.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(error = %error, "the limit of open files stays as it is");
    }
}
