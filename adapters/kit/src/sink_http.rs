//! The sink of an adapter that runs as a process of its own: the broker over HTTP.
//!
//! Entities go out as batch upserts with expanded names, so that no context is needed. What the
//! adapter remembers and its dead letters are files in a folder of this process, because the
//! broker's API has no place for them. So a delivery is not one transaction here: its entities are
//! durable first, then its state. A crash in between repeats the delivery, which is harmless
//! because deliveries hold absolute values only.

mod journal;
mod json;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use musubi_model::{Clock, Entity, EntityFragment, EntityId, Tenant};
use musubi_outbound::{Client, Request, Response};
use serde_json::Value;
use url::Url;

use crate::{Delivery, Rejection, Sink, SinkError};
use journal::Journal;

pub(crate) use json::fragment as fragment_json;

/// Entities in one upsert.
const MAX_BATCH: usize = 200;
/// Entities asked for in one query by id: keeps the address below a few thousand bytes.
const MAX_IDS: usize = 40;
/// The broker's largest page.
const MAX_PAGE: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 256 * 1024 * 1024;

const TENANT: HeaderName = HeaderName::from_static("ngsild-tenant");

/// A broker behind an address, and a folder for what it cannot keep.
#[derive(Debug)]
pub struct HttpSink {
    client: Client,
    base: Url,
    clock: Arc<dyn Clock>,
    journal: Arc<Journal>,
}

/// What the broker said to a batch.
enum Answer {
    /// Carried out, but for these.
    Done(Vec<(String, Rejection)>),
    /// The body as a whole was refused.
    Refused(Rejection),
}

impl HttpSink {
    /// A sink that writes to the broker at `base` (such as `http://127.0.0.1:1026`), and keeps
    /// state and dead letters in `folder`, which it makes and locks.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if the folder cannot be made or read, is damaged, or another process has it.
    pub fn open(
        client: Client,
        base: Url,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SinkError> {
        let journal = Journal::open(folder).map_err(|error| SinkError {
            reason: format!("the folder {} cannot be used: {error}", folder.display()),
        })?;
        Ok(Self { client, base, clock, journal: Arc::new(journal) })
    }

    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, SinkError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| SinkError { reason: format!("{} is no address of a broker", self.base) })?
            .pop_if_empty()
            .extend(["ngsi-ld", "v1"])
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn send(
        &self,
        tenant: &Tenant,
        method: Method,
        url: Url,
        body: Bytes,
    ) -> Result<Response, SinkError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if !tenant.is_default() {
            let value = HeaderValue::from_str(tenant.as_str())
                .map_err(|_| SinkError { reason: format!("{tenant} is no header value") })?;
            headers.insert(TENANT, value);
        }
        let request = Request { method, url, headers, body, timeout: TIMEOUT, max_body: MAX_BODY };
        let sent = self.client.send(request).await;
        sent.map_err(|error| SinkError { reason: error.to_string() })
    }

    /// Writes deliveries whose entities are all different; one result for each.
    async fn write_batch(
        &self,
        tenant: &Tenant,
        batch: &[Delivery],
    ) -> Result<Vec<Result<(), Rejection>>, SinkError> {
        let entities: Vec<Value> =
            batch.iter().flat_map(|delivery| &delivery.entities).map(json::fragment).collect();
        if entities.is_empty() {
            return Ok(vec![Ok(()); batch.len()]);
        }
        let url = self.url(&["entityOperations", "upsert"], &[("options", "update")])?;
        let body = Bytes::from(Value::Array(entities).to_string());
        let response = self.send(tenant, Method::POST, url, body).await?;
        match answer(&response)? {
            Answer::Done(errors) => Ok(batch
                .iter()
                .map(|delivery| {
                    let refused = delivery.entities.iter().find_map(|entity| {
                        let id = entity.id.as_ref()?.as_str();
                        errors.iter().find(|(refused, _)| refused == id)
                    });
                    refused.map_or(Ok(()), |(_, rejection)| Err(rejection.clone()))
                })
                .collect()),
            Answer::Refused(rejection) if batch.len() == 1 => Ok(vec![Err(rejection)]),
            // One of them spoils the body for all: find out which.
            Answer::Refused(_) => {
                let mut results = Vec::with_capacity(batch.len());
                for delivery in batch {
                    let alone = std::slice::from_ref(delivery);
                    results.extend(Box::pin(self.write_batch(tenant, alone)).await?);
                }
                Ok(results)
            }
        }
    }

    /// Deletes the attribute instances that a fragment gives a Null. An upsert cannot.
    async fn delete_nulls(
        &self,
        tenant: &Tenant,
        fragment: &EntityFragment,
    ) -> Result<(), SinkError> {
        let Some(id) = &fragment.id else { return Ok(()) };
        for (name, dataset) in json::nulls(fragment) {
            let query: Vec<(&str, &str)> =
                dataset.iter().map(|dataset| ("datasetId", dataset.as_str())).collect();
            let url = self.url(&["entities", id.as_str(), "attrs", name.as_str()], &query)?;
            let response = self.send(tenant, Method::DELETE, url, Bytes::new()).await?;
            // What is not there need not be deleted.
            if !response.status.is_success() && response.status != StatusCode::NOT_FOUND {
                return Err(unexpected(&response));
            }
        }
        Ok(())
    }

    /// Entities of one query; none of them if tenant or entity is unknown.
    async fn query(&self, tenant: &Tenant, url: Url) -> Result<Vec<Arc<Entity>>, SinkError> {
        let response = self.send(tenant, Method::GET, url, Bytes::new()).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        if response.status != StatusCode::OK {
            return Err(unexpected(&response));
        }
        let unreadable =
            |error: String| SinkError { reason: format!("an answer cannot be read: {error}") };
        let body: Value = serde_json::from_slice(&response.body)
            .map_err(|error| unreadable(error.to_string()))?;
        let items = if let Value::Array(items) = body { items } else { vec![body] };
        let now = self.clock.now();
        items
            .into_iter()
            .map(|item| json::entity(item, now).map(Arc::new).map_err(unreadable))
            .collect()
    }

    async fn read_some(
        &self,
        tenant: &Tenant,
        ids: &[EntityId],
    ) -> Result<Vec<Arc<Entity>>, SinkError> {
        let list = ids.iter().map(EntityId::as_str).collect::<Vec<_>>().join(",");
        let limit = ids.len().to_string();
        let query =
            [("id", &*list), ("limit", &*limit), ("local", "true"), ("options", "sysAttrs")];
        self.query(tenant, self.url(&["entities"], &query)?).await
    }
}

/// What the answer to an upsert means.
fn answer(response: &Response) -> Result<Answer, SinkError> {
    match response.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => {
            Ok(Answer::Done(Vec::new()))
        }
        StatusCode::MULTI_STATUS => {
            let body: Value = serde_json::from_slice(&response.body).map_err(|error| {
                SinkError { reason: format!("the answer to a batch cannot be read: {error}") }
            })?;
            let errors = body.get("errors").and_then(Value::as_array);
            let mut refused = Vec::new();
            for error in errors.into_iter().flatten() {
                let id = error.get("entityId").and_then(Value::as_str).unwrap_or_default();
                let problem = error.get("error").unwrap_or(error);
                let status = problem.get("status").and_then(Value::as_u64).unwrap_or(400);
                let reason = detail(problem);
                if status >= 500 {
                    return Err(SinkError { reason: format!("{id}: {reason}") });
                }
                refused.push((id.to_owned(), Rejection { reason }));
            }
            Ok(Answer::Done(refused))
        }
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => {
            let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            Ok(Answer::Refused(Rejection { reason: detail(&problem) }))
        }
        _ => Err(unexpected(response)),
    }
}

fn detail(problem: &Value) -> String {
    let member = |name: &str| problem.get(name).and_then(Value::as_str);
    let text = problem.as_str().or_else(|| member("detail")).or_else(|| member("title"));
    text.unwrap_or("the broker does not say why").to_owned()
}

fn unexpected(response: &Response) -> SinkError {
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    SinkError { reason: format!("the broker answered {}: {}", response.status, detail(&problem)) }
}

/// Where the next batch ends: before it would be too large or hold an entity twice.
fn batch_end(deliveries: &[Delivery]) -> usize {
    let mut ids = HashSet::new();
    let mut entities = 0;
    for (index, delivery) in deliveries.iter().enumerate() {
        entities += delivery.entities.len();
        let mut fresh = true;
        for id in delivery.entities.iter().filter_map(|entity| entity.id.as_ref()) {
            fresh &= ids.insert(id);
        }
        if index > 0 && (!fresh || entities > MAX_BATCH) {
            return index;
        }
    }
    deliveries.len()
}

impl Sink for HttpSink {
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        deliveries: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>> {
        async move {
            let mut results = Vec::with_capacity(deliveries.len());
            let mut rest = deliveries.as_slice();
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(batch_end(rest));
                let written = self.write_batch(tenant, batch).await?;
                for (delivery, _) in batch.iter().zip(&written).filter(|(_, result)| result.is_ok())
                {
                    for fragment in &delivery.entities {
                        self.delete_nulls(tenant, fragment).await?;
                    }
                }
                results.extend(written);
                rest = after;
            }
            let kept = deliveries
                .into_iter()
                .zip(&results)
                .filter(|(_, result)| result.is_ok())
                .flat_map(|(delivery, _)| {
                    journal::lines(tenant, adapter, delivery.state, delivery.dead_letters)
                })
                .collect::<Vec<_>>();
            self.journal.append(kept).await?;
            Ok(results)
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>> {
        async move {
            let mut found = std::collections::HashMap::new();
            // A comma in an id would end it in a list of ids.
            let (single, listed): (Vec<EntityId>, Vec<EntityId>) =
                ids.iter().cloned().partition(|id| id.as_str().contains(','));
            for some in listed.chunks(MAX_IDS) {
                for entity in self.read_some(tenant, some).await? {
                    found.insert(entity.id.clone(), entity);
                }
            }
            for id in single {
                let query = [("local", "true"), ("options", "sysAttrs")];
                let url = self.url(&["entities", id.as_str()], &query)?;
                for entity in self.query(tenant, url).await? {
                    found.insert(entity.id.clone(), entity);
                }
            }
            Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
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
            let pattern = format!("^{}.*", regex::escape(id_prefix));
            let mut entities = Vec::new();
            while entities.len() < limit {
                let page = (limit - entities.len()).min(MAX_PAGE);
                let (size, start) = (page.to_string(), (offset + entities.len()).to_string());
                let query = [
                    ("idPattern", &*pattern),
                    ("limit", &*size),
                    ("offset", &*start),
                    ("local", "true"),
                    ("options", "sysAttrs"),
                ];
                let found = self.query(tenant, self.url(&["entities"], &query)?).await?;
                let last = found.len() < page;
                entities.extend(found);
                if last {
                    break;
                }
            }
            Ok(entities)
        }
        .boxed()
    }

    fn state<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Arc<[u8]>)>, SinkError>> {
        async move { Ok(self.journal.state(tenant, adapter, prefix)) }.boxed()
    }
}

#[cfg(test)]
mod tests;
