//! The adapters that run in the process of the broker.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{
    Adapter, MappingError, MappingFile, ModelCheck, ModelProblem, ReceiveError, Services, Source,
};
use musubi_http::{AdapterError, Adapters};
use musubi_model::{EntityFragment, Tenant};
use musubi_schemas::Schemas;
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

/// The project's data models, as adapters ask for them.
#[derive(Debug)]
pub(crate) struct Models(pub(crate) Schemas);

impl ModelCheck for Models {
    fn check(&self, model: &str, entity: &EntityFragment) -> Vec<ModelProblem> {
        self.0
            .check(model, entity)
            .into_iter()
            .map(|problem| ModelProblem { attribute: problem.attribute, reason: problem.reason })
            .collect()
    }
}

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
            let (adapter, shutdown) = (adapter.clone(), shutdown.clone());
            tasks.spawn(async move {
                let name = adapter.name().to_owned();
                tracing::info!(adapter = name, "the adapter starts");
                if let Err(error) = adapter.run(shutdown).await {
                    tracing::error!(adapter = name, error = %error, "the adapter gave up");
                }
            });
        }
    }

    /// The adapter of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<dyn Adapter>> {
        self.0.iter().find(|adapter| adapter.name() == name)
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
