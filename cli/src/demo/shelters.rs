//! The town's shelters: each posts its head count to the real endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use musubi_model::{Clock as _, SystemClock};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::town::Town;
use crate::api::Api;

/// How often one of the shelters counts its people.
const PERIOD: Duration = Duration::from_millis(1500);

/// How many reports were taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports(Arc<AtomicU64>);

impl Reports {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reports until `shutdown`.
pub(super) async fn run(
    base: String,
    town: Arc<Mutex<Town>>,
    reports: Reports,
    shutdown: CancellationToken,
) {
    let Ok(api) = Api::new(&base, None) else { return };
    let mut ticks = tokio::time::interval(PERIOD);
    let mut step = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let counted = town.lock().shelter(step).map(|shelter| (shelter.id.clone(), shelter.people));
        step += 1;
        let Some((shelter, people)) = counted else { continue };
        let at = SystemClock.now().to_string();
        let report = json!({ "shelter": shelter, "at": at, "people": people });
        let path = "/musubi/v1/adapters/shelters/reports";
        match api.call(Method::POST, path, Some(&report)).await {
            Ok(_) => {
                reports.0.fetch_add(1, Ordering::Relaxed);
            }
            Err(reason) => tracing::warn!(reason, "a shelter's report was not taken"),
        }
    }
}
