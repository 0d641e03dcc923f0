//! MQTT as an adapter: messages of the listener inside, or of a broker, become entities.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use musubi_adapter_kit::{
    Adapter, AdapterError, ChangeFilter, Counters, DeadLetter, Item, MappingError, MappingFile,
    ModelChecking, MqttSource, Pipeline, Preview, ReceiveError, Services, Settled, SinkError, Skip,
    Source,
};
use musubi_model::Tenant;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::duplicates::Duplicates;
use crate::unknown_devices::{PREFIX, UnknownDevices};
use crate::visitor::visit;
use crate::{
    BrokerAddress, Client, ClientOptions, Ingest, Mapped, Mapping, Message, Protocol, Verdict,
};

/// The most unknown devices that a status lists.
const LISTED: usize = 1000;

/// How long a preview waits for messages.
const PREVIEW: Duration = Duration::from_secs(10);

/// An MQTT source with its mapping.
#[derive(Debug)]
pub struct MqttAdapter {
    name: String,
    tenant: Tenant,
    folder: PathBuf,
    source: MqttSource,
    /// None: the listener inside.
    broker: Option<BrokerAddress>,
    mapping: Mapping,
    pipeline: Pipeline,
    counters: Counters,
    services: Services,
    unknown: UnknownDevices,
    duplicates: Duplicates,
    client: Mutex<Option<Client>>,
}

/// Makes the adapter that a mapping file describes. Nothing is connected yet.
///
/// With a `url` it is a client of that broker; without one it takes its messages from the
/// listener inside, to which it has to be attached: see [`Exchange`](crate::Exchange).
///
/// # Errors
///
/// [`MappingError`] if the file is not valid for an MQTT source.
pub fn from_mapping(
    file: &MappingFile,
    services: Services,
) -> Result<Arc<MqttAdapter>, MappingError> {
    let Source::Mqtt(source) = &file.source else {
        return Err(file.error("this is no mapping of an MQTT source"));
    };
    let broker = source
        .url
        .as_deref()
        .map(str::parse::<BrokerAddress>)
        .transpose()
        .map_err(|error| file.error(error.to_string()))?;
    match (source.connection.as_deref(), &broker) {
        (None | Some("listener"), None) | (None, Some(_)) => {}
        (Some(_), Some(_)) => return Err(file.error("url and connection exclude each other")),
        (Some(other), None) => {
            return Err(file.error(format!(
                "there is no connection {other:?}: name \"listener\", or a broker by url"
            )));
        }
    }
    let mapping = Mapping::new(file, &services.context)?;
    let ignore = file
        .change
        .ignore
        .iter()
        .map(|term| services.context.attribute(term))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file.error(error.to_string()))?;
    let filter = ChangeFilter::new(ignore, file.change.heartbeat);
    let checking = ModelChecking::new(file.model_check.as_ref(), services.models.clone());
    let counters = services.metrics.counters(&file.name);
    Ok(Arc::new(MqttAdapter {
        name: file.name.clone(),
        tenant: file.tenant.clone(),
        folder: file.folder.clone(),
        source: source.clone(),
        broker,
        mapping,
        pipeline: Pipeline::new(&services, filter, checking, counters.clone()),
        counters,
        services,
        unknown: UnknownDevices::default(),
        duplicates: Duplicates::default(),
        client: Mutex::default(),
    }))
}

/// What one message came to, for counting once its fate is known.
struct Tally {
    entities: usize,
    skipped: Vec<Skip>,
    dedup: Option<String>,
}

/// Items of one tenant, and the message that each is of.
#[derive(Default)]
struct Work {
    items: Vec<Item>,
    owners: Vec<usize>,
}

impl MqttAdapter {
    /// Whether its messages come from the listener inside.
    pub fn listens(&self) -> bool {
        self.broker.is_none()
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Takes messages, but for those that are known to have been taken already.
    async fn take(&self, messages: &[Message], known: Option<&Duplicates>) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Committed; messages.len()];
        let mut tallies = Vec::with_capacity(messages.len());
        let mut by_tenant: BTreeMap<Tenant, Work> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            let (mapped, tally) = self.prepare(message, known);
            tallies.push(tally);
            let work = by_tenant.entry(mapped.tenant).or_default();
            work.owners.extend(std::iter::repeat_n(index, mapped.items.len()));
            work.items.extend(mapped.items);
        }
        let writes =
            by_tenant.into_iter().filter(|(_, work)| !work.items.is_empty()).map(
                |(tenant, work)| async move {
                    (self.pipeline.run(&tenant, work.items).await, work.owners)
                },
            );
        for (settled, owners) in join_all(writes).await {
            self.judge(settled, owners, &mut verdicts);
        }
        self.count(messages, &verdicts, tallies);
        verdicts
    }

    fn prepare(&self, message: &Message, known: Option<&Duplicates>) -> (Mapped, Tally) {
        let mut mapped = self.mapping.map(message);
        let mut skipped: Vec<Skip> = mapped.skipped.iter().map(|(skip, _)| *skip).collect();
        let is_known = |key: &str| known.is_some_and(|known| known.contains(key));
        if mapped.dedup.as_deref().is_some_and(is_known) {
            mapped.items.clear();
            mapped.dedup = None;
            skipped.push(Skip::DUPLICATE);
        }
        if let Some((group, device)) = &mapped.unknown
            && let Some(write) = self.unknown.note(group, device, message.at)
            && let Some(item) = mapped.items.first_mut()
        {
            item.state.push(write);
        }
        let entities = mapped.items.iter().map(|item| item.entities.len()).sum();
        let tally = Tally { entities, skipped, dedup: mapped.dedup.take() };
        (mapped, tally)
    }

    fn judge(
        &self,
        settled: Result<Vec<Settled>, SinkError>,
        owners: Vec<usize>,
        verdicts: &mut [Verdict],
    ) {
        match settled {
            Ok(settled) => {
                for (owner, one) in owners.into_iter().zip(settled) {
                    if let (Settled::Dead(reason), Some(verdict)) = (one, verdicts.get_mut(owner)) {
                        *verdict = Verdict::Refused(reason);
                    }
                }
            }
            Err(error) => {
                self.counters.retried();
                self.counters.failed(self.services.clock.now(), error.to_string());
                for owner in owners {
                    if let Some(verdict) = verdicts.get_mut(owner) {
                        *verdict = Verdict::Later(error.to_string());
                    }
                }
            }
        }
    }

    /// Counts messages whose fate is known; the others come again.
    fn count(&self, messages: &[Message], verdicts: &[Verdict], tallies: Vec<Tally>) {
        let now = self.services.clock.now();
        let mut received = 0;
        let mut entities = 0;
        let mut skips: BTreeMap<Skip, usize> = BTreeMap::new();
        let mut newest = None;
        for ((message, verdict), tally) in messages.iter().zip(verdicts).zip(tallies) {
            if matches!(verdict, Verdict::Later(_)) {
                continue;
            }
            received += 1;
            entities += tally.entities;
            newest = newest.max(Some(message.at));
            for skip in tally.skipped {
                *skips.entry(skip).or_default() += 1;
            }
            if let Some(key) = tally.dedup {
                self.duplicates.insert(&key, now);
            }
        }
        self.counters.received(received);
        self.counters.mapped(entities);
        for (skip, count) in skips {
            self.counters.skipped(skip, count);
        }
        if let Some(newest) = newest {
            let micros = now.as_micros().saturating_sub(newest.as_micros());
            let lag = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            self.counters.lag_seconds(lag.as_secs_f64());
            self.counters.succeeded(now);
        }
    }

    fn error(&self, reason: impl Into<String>) -> AdapterError {
        AdapterError { adapter: self.name.clone(), reason: reason.into() }
    }

    fn options(&self, broker: &BrokerAddress) -> Result<ClientOptions, AdapterError> {
        let read = |secret: &musubi_adapter_kit::Secret| {
            secret.read(&self.folder).map_err(|reason| self.error(reason))
        };
        let username = self.source.username.as_ref().map(read).transpose()?;
        let password = self.source.password.as_ref().map(read).transpose()?;
        let login = match (username, password) {
            (None, None) => None,
            (username, password) => {
                Some((username.unwrap_or_default(), password.unwrap_or_default()))
            }
        };
        let group = &self.source.shared_group;
        Ok(ClientOptions {
            broker: broker.clone(),
            protocol: Protocol::Newest,
            client_id: self
                .source
                .client_id
                .clone()
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| format!("musubi-{}", self.name)),
            login,
            filters: self.mapping.subscriptions(),
            at_least_once: self.source.qos == 1,
            shared_group: (!group.is_empty()).then(|| group.clone()),
            keep_session: true,
        })
    }

    /// Takes up which devices were unknown before the last stop.
    async fn remember(&self) {
        for tenant in self.mapping.tenants() {
            match self.services.sink.state(&tenant, &self.name, PREFIX).await {
                Ok(state) => {
                    for (_, value) in state {
                        self.unknown.remember(&value);
                    }
                }
                Err(error) => {
                    tracing::warn!(adapter = self.name, "the unknown devices of before: {error}");
                }
            }
        }
    }

    async fn work(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), AdapterError> {
        self.remember().await;
        let Some(broker) = &self.broker else {
            shutdown.cancelled().await;
            return Ok(());
        };
        let clock = self.services.clock.clone();
        let client = Client::new(self.options(broker)?, self.clone(), clock);
        *self.client.lock() = Some(client.clone());
        client.run(shutdown).await;
        Ok(())
    }

    async fn look(&self, limit: usize) -> Result<Preview, AdapterError> {
        let mut preview = Preview::new(&self.name, &self.tenant);
        let Some(broker) = &self.broker else {
            preview.note(
                "messages come to the listener inside when devices publish them, so there is \
                 nothing to look at before",
            );
            return Ok(preview);
        };
        let mut options = self.options(broker)?;
        // A visitor: it takes nothing away from the adapter, and leaves nothing behind.
        options.client_id = format!("{}-preview-{:08x}", options.client_id, rand::random::<u32>());
        options.keep_session = false;
        options.shared_group = None;
        let messages = visit(options, self.services.clock.clone(), limit, PREVIEW).await;
        if messages.is_empty() {
            preview.note(format!("no message came in {} seconds", PREVIEW.as_secs()));
        }
        for message in messages {
            let mapped = self.mapping.map(&message);
            for (skip, reason) in mapped.skipped {
                preview.skip(&message.topic, skip, reason);
            }
            // Dead letters are among what was skipped.
            let items = mapped.items.into_iter().filter(|item| !item.entities.is_empty()).collect();
            self.pipeline
                .preview(&mapped.tenant, items, &mut preview)
                .await
                .map_err(|error| self.error(error.to_string()))?;
        }
        Ok(preview)
    }
}

impl Ingest for MqttAdapter {
    fn ingest<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Verdict>> {
        self.take(messages, Some(&self.duplicates)).boxed()
    }
}

impl Adapter for MqttAdapter {
    fn name(&self) -> &str {
        &self.name
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), AdapterError>> {
        self.work(shutdown).boxed()
    }

    fn run_once(self: Arc<Self>) -> BoxFuture<'static, Result<(), AdapterError>> {
        let error = self.error("messages of MQTT have no end, so they cannot be read once");
        std::future::ready(Err(error)).boxed()
    }

    fn preview(&self, limit: usize) -> BoxFuture<'_, Result<Preview, AdapterError>> {
        self.look(limit).boxed()
    }

    fn status(&self) -> Value {
        let connection = match (&self.broker, &*self.client.lock()) {
            (None, _) => json!({ "kind": "listener" }),
            (Some(broker), client) => {
                let status = client.as_ref().map(Client::status).unwrap_or_default();
                json!({
                    "kind": "broker",
                    "address": broker.to_string(),
                    "connected": status.connected,
                    "subscribed": status.subscribed,
                    "connections": status.connections,
                    "dropped": status.dropped,
                    "lastError": status.last_error,
                })
            }
        };
        let mut status = self.counters.status();
        if let Value::Object(members) = &mut status {
            members.insert("name".to_owned(), self.name.clone().into());
            members.insert("kind".to_owned(), "mqtt".into());
            members.insert("tenant".to_owned(), self.tenant.as_str().into());
            members.insert("connection".to_owned(), connection);
            members.insert("unknownDevicesCount".to_owned(), self.unknown.count().into());
            let unknown = serde_json::to_value(self.unknown.list(LISTED)).unwrap_or_default();
            members.insert("unknownDevices".to_owned(), unknown);
        }
        status
    }

    fn receive<'a>(
        &'a self,
        what: &'a str,
        _tenant: &'a Tenant,
        _body: &'a [u8],
    ) -> BoxFuture<'a, Result<Value, ReceiveError>> {
        std::future::ready(Err(ReceiveError::NotSupported(what.to_owned()))).boxed()
    }

    fn replay<'a>(
        &'a self,
        _tenant: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let message = Message {
                topic: letter.origin.as_str().into(),
                payload: letter.payload.clone().into(),
                at: letter.at,
                retained: false,
            };
            // Otherwise it would become one more dead letter.
            let mapped = self.mapping.map(&message);
            if let Some(letter) = mapped.items.iter().flat_map(|item| &item.dead_letters).next() {
                return Err(letter.reason.clone());
            }
            // A message that was refused is known by its key, and has not been written.
            match self.take(&[message], None).await.into_iter().next() {
                Some(Verdict::Committed) => Ok(()),
                Some(Verdict::Refused(reason) | Verdict::Later(reason)) => Err(reason),
                None => Err("nothing is known of it".to_owned()),
            }
        }
        .boxed()
    }
}
