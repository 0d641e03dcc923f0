//! The adapter: tables that are read from files, or bodies that are posted.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{
    Adapter, AdapterError, ChangeFilter, Counters, DeadLetter, Format, MappingError, MappingFile,
    ModelChecking, Pipeline, Preset, Preview, ReceiveError, Services, SinkError, Source,
};
use musubi_model::{EntityId, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Thresholds;
use crate::files::Place;
use crate::map::{Fragment, Known};
use posts::Posts;
use tables::Tables;

mod posts;
mod remembered;
mod tables;

/// How far a clock elsewhere may be ahead of ours, in microseconds.
const TOLERANCE: i64 = 3_600_000_000;

/// A source of shelters.
#[derive(Debug)]
struct ShelterAdapter {
    base: Arc<Base>,
    kind: &'static str,
    input: Input,
}

/// Where a source gets what it says.
#[derive(Debug)]
enum Input {
    Tables(Tables),
    Posts(Posts),
}

/// What every source of shelters has.
#[derive(Debug)]
struct Base {
    name: String,
    tenant: Tenant,
    services: Services,
    pipeline: Pipeline,
    counters: Counters,
    thresholds: Thresholds,
    /// The sentence that the licence of the data asks for.
    attribution: Option<String>,
}

/// The adapter that a mapping file describes: `kind = "file"` with the preset `shelter-snapshot`,
/// or `kind = "http_push"` with `shelter-reports`.
///
/// # Errors
///
/// [`MappingError`] if the file asks for something else.
pub fn from_mapping(
    mapping: &MappingFile,
    services: Services,
) -> Result<Arc<dyn Adapter>, MappingError> {
    check_map(mapping)?;
    let ignore = mapping
        .change
        .ignore
        .iter()
        .map(|term| services.context.attribute(term))
        .collect::<Result<_, _>>()
        .map_err(|error| mapping.error(format!("[change] ignore: {error}")))?;
    let counters = services.metrics.counters(&mapping.name);
    let checking = ModelChecking::new(mapping.model_check.as_ref(), services.models.clone());
    let filter = ChangeFilter::new(ignore, mapping.change.heartbeat);
    let base = Arc::new(Base {
        name: mapping.name.clone(),
        tenant: mapping.tenant.clone(),
        pipeline: Pipeline::new(&services, filter, checking, counters.clone()),
        services,
        counters,
        thresholds: Thresholds::default(),
        attribution: mapping.map.as_ref().and_then(|map| map.attribution.clone()),
    });
    let input = match &mapping.source {
        Source::File(source) => Input::Tables(Tables::new(
            Arc::clone(&base),
            Place::of(mapping, source)?,
            mapping.decode.encoding,
            source.watch,
        )),
        Source::HttpPush(_) | Source::Gbfs(_) | Source::Mqtt(_) => {
            Input::Posts(Posts::new(Arc::clone(&base)))
        }
    };
    Ok(Arc::new(ShelterAdapter { base, kind: mapping.source.kind(), input }))
}

/// What of the mapping file a source of shelters cannot do.
fn check_map(mapping: &MappingFile) -> Result<(), MappingError> {
    let preset = mapping.map.as_ref().map(|map| map.preset);
    let format = match (&mapping.source, preset) {
        (Source::File(_), Some(Preset::ShelterSnapshot)) => Format::Csv,
        (Source::HttpPush(_), Some(Preset::ShelterReports)) => Format::Json,
        _ => {
            return Err(mapping.error(
                "shelters come from kind = \"file\" with preset = \"shelter-snapshot\", or from \
                 kind = \"http_push\" with preset = \"shelter-reports\"",
            ));
        }
    };
    if mapping.decode.format.is_some_and(|given| given != format) {
        return Err(mapping.error(
            "[decode] format: tables of shelters are \"csv\", and what is posted is \"json\"",
        ));
    }
    if !mapping.entities.is_empty() || !mapping.filters.is_empty() || !mapping.groups.is_empty() {
        return Err(mapping.error(
            "[[entity]], [[filter]] and [groups] do not go with shelters: the preset maps them",
        ));
    }
    if mapping.map.as_ref().is_some_and(|map| map.vehicles) {
        return Err(mapping.error("vehicles = true does not go with shelters"));
    }
    Ok(())
}

impl Base {
    /// What the broker knows of these shelters; of one that it does not know, nothing.
    async fn known(&self, ids: &[EntityId]) -> Result<HashMap<EntityId, Known>, SinkError> {
        let found = self.services.sink.read(&self.tenant, ids).await?;
        let known = found
            .into_iter()
            .map(|entity| entity.map_or_else(Known::default, |entity| Known::of(&entity)));
        Ok(ids.iter().cloned().zip(known).collect())
    }

    fn fragment(&self, id: EntityId) -> Fragment {
        let mut fragment = Fragment::new(id);
        if let Some(sentence) = &self.attribution {
            fragment.attribution(sentence);
        }
        fragment
    }

    /// Whether a moment lies further ahead than a clock may be wrong.
    fn is_future(&self, at: Timestamp) -> bool {
        at > self.services.clock.now().plus_micros(TOLERANCE)
    }

    fn error(&self, reason: &str) -> AdapterError {
        AdapterError { adapter: self.name.clone(), reason: reason.to_string() }
    }
}

impl Adapter for ShelterAdapter {
    fn name(&self) -> &str {
        &self.base.name
    }

    fn tenant(&self) -> &Tenant {
        &self.base.tenant
    }

    fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), AdapterError>> {
        async move {
            match &self.input {
                Input::Tables(tables) => tables.run(&shutdown).await,
                Input::Posts(posts) => {
                    shutdown.cancelled().await;
                    posts.finish().await;
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn run_once(self: Arc<Self>) -> BoxFuture<'static, Result<(), AdapterError>> {
        async move {
            match &self.input {
                Input::Tables(tables) => tables.run_once().await,
                Input::Posts(_) => {
                    Err(self.base.error("what is posted cannot be worked through once"))
                }
            }
        }
        .boxed()
    }

    fn preview(&self, limit: usize) -> BoxFuture<'_, Result<Preview, AdapterError>> {
        async move {
            let mut preview = Preview::new(&self.base.name, &self.base.tenant);
            match &self.input {
                Input::Tables(tables) => tables
                    .preview(limit, &mut preview)
                    .await
                    .map_err(|reason| self.base.error(&reason))?,
                Input::Posts(_) => {
                    preview.note("reports and check-ins are posted; there is nothing to look at");
                }
            }
            Ok(preview)
        }
        .boxed()
    }

    fn status(&self) -> serde_json::Value {
        let mut status = self.base.counters.status();
        if let Some(members) = status.as_object_mut() {
            members.insert("name".to_owned(), self.base.name.as_str().into());
            members.insert("kind".to_owned(), self.kind.into());
            members.insert("tenant".to_owned(), self.base.tenant.as_str().into());
        }
        status
    }

    fn receive<'a>(
        &'a self,
        what: &'a str,
        tenant: &'a Tenant,
        body: &'a [u8],
    ) -> BoxFuture<'a, Result<serde_json::Value, ReceiveError>> {
        async move {
            match &self.input {
                Input::Posts(posts) if *tenant == self.base.tenant => {
                    posts.receive(what, body).await
                }
                Input::Posts(_) | Input::Tables(_) => {
                    Err(ReceiveError::NotSupported(format!("{}/{what}", self.base.name)))
                }
            }
        }
        .boxed()
    }

    fn replay<'a>(
        &'a self,
        tenant: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            if *tenant != self.base.tenant {
                return Err("the letter is of another tenant".to_owned());
            }
            let payload = Bytes::from(letter.payload.clone());
            match &self.input {
                Input::Tables(tables) => tables.replay(&letter.origin, payload).await,
                Input::Posts(posts) => posts.replay(&letter.origin, payload).await,
            }
        }
        .boxed()
    }
}
