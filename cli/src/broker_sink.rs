//! The sink of adapters that run in the broker's own process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{DeadLetter, Delivery, Rejection, Sink, SinkError};
use musubi_broker::{
    Broker, Caller, Error, Expect, Ingest, RecordKey, RecordKind, RecordWrite, Session,
};
use musubi_model::{Cause, Entity, EntityId, Tenant};
use musubi_query::{EntityQuery, Filter, Pattern, Start};

/// Writes through the broker's operations, and remembers what adapters have to remember in the
/// same group.
#[derive(Clone, Debug)]
pub(crate) struct BrokerSink(Broker);

impl BrokerSink {
    pub(crate) fn new(broker: Broker) -> Self {
        Self(broker)
    }

    fn session(&self, tenant: &Tenant) -> Session {
        self.0.session(Caller::Local, tenant.clone())
    }
}

impl Sink for BrokerSink {
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        deliveries: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>> {
        async move {
            let cause: Arc<str> = adapter.into();
            let items = deliveries
                .into_iter()
                .map(|delivery| ingest(tenant, adapter, &cause, delivery))
                .collect();
            let results =
                self.session(tenant).ingest(items).await.map_err(|error| unknown(&error))?;
            results
                .into_iter()
                .map(|result| match result {
                    Ok(_) => Ok(Ok(())),
                    Err(error) => rejection(&error).map(Err),
                })
                .collect()
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>> {
        async move {
            let found = match self.session(tenant).entities(ids.to_vec()).await {
                Ok(found) => found,
                Err(Error::NonexistentTenant(_)) => Vec::new(),
                Err(error) => return Err(unknown(&error)),
            };
            let by_id: HashMap<&EntityId, &Arc<Entity>, RandomState> =
                found.iter().map(|found| (&found.entity.id, &found.entity)).collect();
            Ok(ids.iter().map(|id| by_id.get(id).map(|entity| Arc::clone(entity))).collect())
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        id_prefix: &'a str,
        offset: usize,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entity>>, SinkError>> {
        async move {
            let pattern = Pattern::prefix(id_prefix)
                .map_err(|error| SinkError { reason: error.to_string() })?;
            let query = EntityQuery {
                filter: Filter::IdPattern(pattern),
                start: Start::Offset(offset),
                limit,
                count: false,
                ..EntityQuery::default()
            };
            match self.session(tenant).query_entities(query).await {
                Ok(page) => Ok(page.items.into_iter().map(|found| found.entity).collect()),
                Err(Error::NonexistentTenant(_)) => Ok(Vec::new()),
                Err(error) => Err(unknown(&error)),
            }
        }
        .boxed()
    }

    fn state<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Arc<[u8]>)>, SinkError>> {
        async move {
            let own = format!("{adapter}/");
            let records = match self.session(tenant).adapter_state(&format!("{own}{prefix}")).await
            {
                Ok(records) => records,
                Err(Error::NonexistentTenant(_)) => Vec::new(),
                Err(error) => return Err(unknown(&error)),
            };
            Ok(records
                .into_iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(&own)?.to_owned(), value)))
                .collect())
        }
        .boxed()
    }
}

fn ingest(tenant: &Tenant, adapter: &str, cause: &Arc<str>, delivery: Delivery) -> Ingest {
    let state = delivery.state.into_iter().map(|state| RecordWrite {
        key: RecordKey {
            kind: RecordKind::AdapterState,
            tenant: tenant.clone(),
            key: format!("{adapter}/{}", state.key),
        },
        expect: Expect::Any,
        value: state.value,
    });
    let letters = delivery.dead_letters.into_iter().map(|letter| RecordWrite {
        key: RecordKey {
            kind: RecordKind::DeadLetter,
            tenant: tenant.clone(),
            key: letter.id.clone(),
        },
        expect: Expect::Any,
        value: Some(content(&letter).into()),
    });
    Ingest {
        entities: delivery.entities,
        records: state.chain(letters).collect(),
        cause: Cause::Adapter(cause.clone()),
    }
}

/// The letter as the operator reads it. A payload that is text is shown as text.
fn content(letter: &DeadLetter) -> Vec<u8> {
    let (payload, encoding) = match std::str::from_utf8(&letter.payload) {
        Ok(text) => (text.to_owned(), "text"),
        Err(_) => (hexadecimal(&letter.payload), "hex"),
    };
    serde_json::json!({
        "id": letter.id,
        "kind": "adapter",
        "adapter": letter.adapter,
        "at": letter.at.to_string(),
        "origin": letter.origin,
        "reason": letter.reason,
        "payload": payload,
        "payloadEncoding": encoding,
    })
    .to_string()
    .into_bytes()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A failure after which the same call may be made again.
fn unknown(error: &Error) -> SinkError {
    SinkError { reason: error.to_string() }
}

/// What an item's error means: the item is refused for good, or nothing is known of it.
fn rejection(error: &Error) -> Result<Rejection, SinkError> {
    match error {
        Error::Store(_) | Error::Contended(_) | Error::Exhausted(_) | Error::Internal(_) => {
            Err(unknown(error))
        }
        Error::BadRequestData(_)
        | Error::AlreadyExists(_)
        | Error::Context(_)
        | Error::ResourceNotFound(_)
        | Error::PreconditionFailed(_)
        | Error::NonexistentTenant(_)
        | Error::Forbidden(_)
        | Error::NotSupported(_)
        | Error::NoHistory
        | Error::Aggregation(_)
        | Error::TooManyResults(_)
        | Error::TooComplex(_)
        | Error::NotReplayed(_) => Ok(Rejection { reason: error.to_string() }),
    }
}
