//! The adapters that run in the process of the broker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{Adapter, MappingError, MappingFile, ReceiveError, Services, Source};
use musubi_http::{AdapterError, Adapters};
use musubi_model::Tenant;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Makes the adapter that a mapping file describes.
///
/// # Errors
///
/// [`MappingError`] if the file cannot be used.
pub(crate) fn adapter(
    mapping: &MappingFile,
    services: Services,
) -> Result<Arc<dyn Adapter>, MappingError> {
    match &mapping.source {
        Source::Gbfs(_) => musubi_adapter_gbfs::from_mapping(mapping, services),
        Source::Mqtt(_) => Ok(musubi_adapter_mqtt::from_mapping(mapping, services)?),
        Source::File(_) | Source::HttpPush(_) => {
            musubi_adapter_shelter::from_mapping(mapping, services)
        }
    }
}

/// How long an adapter rests that has ended although it should not have, before it runs again.
const REST: Duration = Duration::from_secs(5);

/// The adapters of this process: a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry(Arc<Vec<Arc<dyn Adapter>>>);

impl Registry {
    /// A registry of these adapters.
    ///
    /// # Errors
    ///
    /// A sentence, if two have the same name.
    pub(crate) fn new(adapters: Vec<Arc<dyn Adapter>>) -> Result<Self, String> {
        for (index, adapter) in adapters.iter().enumerate() {
            if adapters.iter().take(index).any(|other| other.name() == adapter.name()) {
                return Err(format!("two adapters are named {:?}", adapter.name()));
            }
        }
        Ok(Self(Arc::new(adapters)))
    }

    /// Runs all of them.
    pub(crate) fn run(&self, tasks: &mut JoinSet<()>, shutdown: &CancellationToken) {
        for adapter in self.0.iter() {
            tasks.spawn(keep_running(adapter.clone(), shutdown.clone()));
        }
    }

    /// The adapter of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<dyn Adapter>> {
        self.0.iter().find(|adapter| adapter.name() == name)
    }
}

/// Runs an adapter until `shutdown` or until it gives up, and again if it ends in any other way.
async fn keep_running(adapter: Arc<dyn Adapter>, shutdown: CancellationToken) {
    let name = adapter.name().to_owned();
    loop {
        tracing::info!(adapter = name, "the adapter starts");
        // In a set of its own, which catches a panic.
        let mut running = JoinSet::new();
        running.spawn(adapter.clone().run(shutdown.clone()));
        match running.join_next().await {
            Some(Ok(Err(error))) => {
                tracing::error!(adapter = name, error = %error, "the adapter gave up");
                return;
            }
            Some(Err(error)) => {
                tracing::error!(adapter = name, error = %error, "the adapter broke");
            }
            Some(Ok(Ok(()))) | None => {}
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(REST)).await.is_none() {
            return;
        }
        tracing::error!(adapter = name, "the adapter had ended although nobody asked it to");
    }
}

impl Adapters for Registry {
    fn list(&self) -> serde_json::Value {
        self.0.iter().map(|adapter| adapter.status()).collect()
    }

    fn receive<'a>(
        &'a self,
        tenant: Tenant,
        name: &'a str,
        what: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<serde_json::Value, AdapterError>> {
        async move {
            let adapter = self.find(name).ok_or(AdapterError::NotFound)?;
            adapter.receive(what, &tenant, &body).await.map_err(|error| match error {
                ReceiveError::NotSupported(_) => AdapterError::NotFound,
                ReceiveError::BadBody(reason) => AdapterError::Invalid(reason),
                ReceiveError::Unavailable(reason) => AdapterError::Unavailable(reason),
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use musubi_adapter_kit::Preview;

    use super::*;

    type Ended = Result<(), musubi_adapter_kit::AdapterError>;

    /// Panics, then ends too early, then gives up.
    #[derive(Debug, Default)]
    struct Fragile {
        tenant: Tenant,
        runs: AtomicUsize,
    }

    impl Adapter for Fragile {
        fn name(&self) -> &'static str {
            "fragile"
        }

        fn tenant(&self) -> &Tenant {
            &self.tenant
        }

        fn run(self: Arc<Self>, _: CancellationToken) -> BoxFuture<'static, Ended> {
            async move {
                match self.runs.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("as the test wants it"),
                    1 => Ok(()),
                    _ => self.run_once().await,
                }
            }
            .boxed()
        }

        fn run_once(self: Arc<Self>) -> BoxFuture<'static, Ended> {
            let (adapter, reason) = ("fragile".to_owned(), "no such thing".to_owned());
            let error = musubi_adapter_kit::AdapterError { adapter, reason };
            async move { Err(error) }.boxed()
        }

        fn preview(
            &self,
            _: usize,
        ) -> BoxFuture<'_, Result<Preview, musubi_adapter_kit::AdapterError>> {
            async move { Ok(Preview::new("fragile", &self.tenant)) }.boxed()
        }

        fn status(&self) -> serde_json::Value {
            serde_json::Value::Null
        }

        fn receive<'a>(
            &'a self,
            what: &'a str,
            _: &'a Tenant,
            _: &'a [u8],
        ) -> BoxFuture<'a, Result<serde_json::Value, ReceiveError>> {
            async move { Err(ReceiveError::NotSupported(what.to_owned())) }.boxed()
        }

        fn replay<'a>(
            &'a self,
            _: &'a Tenant,
            _: &'a musubi_adapter_kit::DeadLetter,
        ) -> BoxFuture<'a, Result<(), String>> {
            async move { Err("no such thing".to_owned()) }.boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_adapter_that_breaks_runs_again_until_it_gives_up() {
        let adapter = Arc::new(Fragile::default());
        keep_running(adapter.clone(), CancellationToken::new()).await;
        assert_eq!(adapter.runs.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_adapter_that_was_asked_to_end_does_not_run_again() {
        let adapter = Arc::new(Fragile::default());
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        keep_running(adapter.clone(), shutdown).await;
        assert_eq!(adapter.runs.load(Ordering::SeqCst), 1);
    }
}
