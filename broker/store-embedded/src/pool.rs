//! The threads for what takes long.

use std::sync::Arc;

use musubi_store::StoreError;
use tokio::sync::Semaphore;

/// The threads for what takes long: few at a time, beside those of the runtime.
#[derive(Clone, Debug)]
pub(crate) struct ScanPool {
    permits: Arc<Semaphore>,
}

impl ScanPool {
    pub(crate) fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Runs something there. A caller that goes away does not end it, but its own limit does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |source| StoreError::Failed { doing, source };
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|error| failed(error.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|error| failed(error.into()))?
    }
}
