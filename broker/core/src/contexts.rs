//! The contexts that a broker keeps for its clients and for itself (CIM 009, clauses 5.13.1 to
//! 5.13.5). Those of clients are records; those that were downloaded are in a cache and come back
//! when they are needed.

use std::sync::Arc;

use futures_util::lock::MutexGuard;
use musubi_context::{
    CachedContext, Context, ContextError, FindingHosted, Hosted, HostedContexts, Origin, Uses,
    hosted_id, hosted_id_for, new_hosted_id,
};
use musubi_model::{Cause, Node, Tenant, Timestamp};
use musubi_notify::Subscription;
use musubi_store::{Expect, Record, RecordKey, RecordKind, RecordQuery, RecordWrite, Store};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::commit::Plan;
use crate::{Error, Right, Session};

/// How a context came to be here (CIM 009, clause 5.13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextKind {
    /// The broker has it from elsewhere, and does not serve it.
    Cached,
    /// A client put it here.
    Hosted,
    /// The broker put it here, so that notifications can name the context of their subscription.
    ImplicitlyCreated,
}

/// What there is to know of a context (CIM 009, clause 5.13.3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextEntry {
    /// Where it can be had.
    pub url: String,
    /// Its identifier.
    pub id: String,
    /// How it came to be here.
    pub kind: ContextKind,
    /// When it came, or when its origin last said that it is still the same.
    pub created_at: Timestamp,
    /// When it will be asked for again.
    pub expires_at: Option<Timestamp>,
    /// Its uses since the program started, if they are counted.
    pub uses: Option<Uses>,
    /// Where a cached one came from.
    pub origin: Option<Origin>,
}

/// A context that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedContext {
    /// Where it can be had.
    pub url: String,
    /// The value of its `@context` member, as its client wrote it: JSON text.
    pub context: String,
}

/// A record of [`RecordKind::Context`]. Its key is the identifier.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    kind: ContextKind,
    created_at: Timestamp,
    /// The value of the `@context` member, as JSON text.
    context: String,
    /// The same without references: what it means, as of the time when it came.
    complete: String,
}

/// How many records are read at once.
const SLICE: usize = 256;

/// The hosted contexts in a store.
#[derive(Debug)]
pub(crate) struct StoredContexts(pub(crate) Arc<dyn Store>);

impl HostedContexts for StoredContexts {
    fn find<'a>(&'a self, tenant: &'a Tenant, id: &'a str) -> FindingHosted<'a> {
        let find = async move |tenant: Option<Tenant>| {
            let query = RecordQuery {
                kind: RecordKind::Context,
                tenant,
                prefix: id.to_owned(),
                after: None,
                limit: 1,
            };
            let records = self.0.records(&query).await.map_err(|error| {
                tracing::error!(error = %error, "a hosted @context could not be read");
                let reason = "the store did not answer".to_owned();
                ContextError::NotAvailable { url: id.to_owned(), reason }
            })?;
            Ok(records.into_iter().find(|record| record.key.key == id))
        };
        Box::pin(async move {
            if let Some(record) = find(Some(tenant.clone())).await? {
                let kept = read(&record).map_err(|error| ContextError::Invalid(error.to_string()));
                return Ok(Hosted::Here(kept?.complete));
            }
            Ok(if find(None).await?.is_some() { Hosted::OfAnother } else { Hosted::Unknown })
        })
    }
}

/// A context that has an address, and what is to be written so that it is there.
pub(crate) struct Addressed<'s> {
    pub(crate) context: Context,
    pub(crate) records: Vec<RecordWrite>,
    /// Held until that is written.
    _turn: Option<MutexGuard<'s, ()>>,
}

impl Session {
    /// Keeps the context that is the value of an `@context` member, and answers with its
    /// identifier (CIM 009, clause 5.13.2).
    ///
    /// What it refers to is fetched now and kept with it, so that from now on it means the same
    /// whether its parts are to be had or not.
    ///
    /// # Errors
    ///
    /// [`Error::Context`] if it is not valid or a part of it cannot be had;
    /// [`Error::NotSupported`] if the tenant has too many already.
    pub async fn add_context(&self, context: &Node<'_>) -> Result<String, Error> {
        self.caller.require(Right::WriteContexts)?;
        let contexts = self.broker.contexts();
        let complete = contexts.prepared(&self.tenant, context).await?;
        let now = self.now();
        let kept = Kept {
            kind: ContextKind::Hosted,
            created_at: now,
            context: context.raw.to_owned(),
            complete,
        };
        let id = new_hosted_id();
        let turn = self.broker.shared().hosting.lock().await;
        let mut records = self.room_for(&kept).await?;
        records.push(self.record_of(&id, Some(&kept), Expect::Absent));
        self.write_contexts(records, now).await?;
        drop(turn);
        Ok(id)
    }

    /// The contexts that there are, of one kind or of all (CIM 009, clause 5.13.3).
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn contexts(&self, kind: Option<ContextKind>) -> Result<Vec<ContextEntry>, Error> {
        self.caller.require(Right::ReadContexts)?;
        let mut entries = Vec::new();
        if kind.is_none_or(|kind| kind == ContextKind::Cached) {
            let stored = self.broker.contexts().stored(&self.tenant);
            entries.extend(stored.into_iter().map(cached_entry));
        }
        if kind != Some(ContextKind::Cached) {
            for record in self.context_records().await? {
                let entry = self.kept_entry(&record)?;
                if kind.is_none_or(|kind| kind == entry.kind) {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    /// What there is to know of the context of this identifier or URL (CIM 009, clause 5.13.4).
    /// To look counts as a use, from the next time on that somebody looks.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn context_entry(&self, name: &str) -> Result<ContextEntry, Error> {
        self.caller.require(Right::ReadContexts)?;
        let contexts = self.broker.contexts();
        if let Some(record) = self.own_context(name).await? {
            let entry = self.kept_entry(&record)?;
            contexts.count_hosted(&self.tenant, &entry.id);
            return Ok(entry);
        }
        contexts.find_stored(&self.tenant, name).map(cached_entry).ok_or_else(|| missing(name))
    }

    /// The context of this identifier or URL (CIM 009, clause 5.13.4).
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] if it is cached; [`Error::ResourceNotFound`] if there is none.
    pub async fn served_context(&self, name: &str) -> Result<ServedContext, Error> {
        self.caller.require(Right::ReadContexts)?;
        let contexts = self.broker.contexts();
        if let Some(record) = self.own_context(name).await? {
            let context = read(&record)?.context;
            contexts.count_hosted(&self.tenant, &record.key.key);
            return Ok(ServedContext { url: contexts.hosted_url(&record.key.key), context });
        }
        match contexts.find_stored(&self.tenant, name) {
            None => Err(missing(name)),
            Some(cached) => Err(Error::NotSupported(format!(
                "the @context {} is not served here but by its origin",
                cached.url
            ))),
        }
    }

    /// Removes the context of this identifier or URL (CIM 009, clause 5.13.5). What was made with
    /// it goes on as it is.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if it is one that is always there; [`Error::ResourceNotFound`] if
    /// there is none; [`Error::Contended`].
    pub async fn delete_context(&self, name: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteContexts)?;
        let turn = self.broker.shared().hosting.lock().await;
        if let Some(record) = self.own_context(name).await? {
            let removal = self.record_of(&record.key.key, None, Expect::At(record.revision));
            self.write_contexts(vec![removal], self.now()).await?;
            return Ok(());
        }
        drop(turn);
        let contexts = self.broker.contexts();
        let found = contexts.find_stored(&self.tenant, name).ok_or_else(|| missing(name))?;
        match found.origin {
            Origin::Network if contexts.forget(&self.tenant, &found.url) => Ok(()),
            Origin::Network => Err(missing(name)),
            Origin::Core | Origin::Fixed => Err(always_there(&found)),
        }
    }

    /// Downloads the cached context of this identifier or URL anew (CIM 009, clause 5.13.5). If
    /// that does not succeed, nothing changes.
    ///
    /// A core context is a part of the program, and its URL stands for the same document for ever,
    /// so there is nothing to be done for one.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if it is not a cached one, or the name is that of no context;
    /// [`Error::ResourceNotFound`] if there is none; [`Error::Context`] if it does not come or is
    /// not valid.
    pub async fn reload_context(&self, name: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteContexts)?;
        if self.own_context(name).await?.is_some() {
            let reason = format!("the @context {name} was not downloaded, so it is not reloaded");
            return Err(Error::BadRequestData(reason));
        }
        let contexts = self.broker.contexts();
        let Some(found) = contexts.find_stored(&self.tenant, name) else {
            return Err(if name.contains(':') {
                missing(name)
            } else {
                let shown: String = name.chars().take(120).collect();
                Error::BadRequestData(format!("{shown:?} is not the identifier of a @context"))
            });
        };
        match found.origin {
            Origin::Network => Ok(contexts.reload(&self.tenant, &found.url).await?),
            Origin::Core => Ok(()),
            Origin::Fixed => Err(always_there(&found)),
        }
    }

    /// The same context, with an address under which this broker serves it if it has none, so
    /// that it can be named where no context can be written out. Contexts of the same text have
    /// one address.
    pub(crate) async fn addressed(&self, context: &Context) -> Result<Addressed<'_>, Error> {
        if context.url().is_some() {
            let context = context.clone();
            return Ok(Addressed { context, records: Vec::new(), _turn: None });
        }
        let mut source = context.source();
        let id = hosted_id_for(&format!("{}\n{}", self.tenant.as_str(), source.member));
        source.url = Some(self.broker.contexts().hosted_url(&id));
        let turn = self.broker.shared().hosting.lock().await;
        let mut records = Vec::new();
        if self.record(RecordKind::Context, &id).await?.is_none() {
            let kept = Kept {
                kind: ContextKind::ImplicitlyCreated,
                created_at: self.now(),
                context: source.member.clone(),
                complete: source.document.clone(),
            };
            records = self.room_for(&kept).await?;
            records.push(self.record_of(&id, Some(&kept), Expect::Absent));
        }
        Ok(Addressed { context: Context::from_source(&source)?, records, _turn: Some(turn) })
    }

    /// What has to go so that one more context may come: nothing, or, if the tenant has as much as
    /// it may have, the implicitly created ones that no subscription names any more.
    async fn room_for(&self, new: &Kept) -> Result<Vec<RecordWrite>, Error> {
        let limits = self.broker.contexts().hosted_limits();
        let size = new.to_bytes().len();
        let fits = |records: &[&Record]| {
            let bytes: usize = records.iter().map(|record| record.value.len()).sum();
            records.len() < limits.contexts && bytes.saturating_add(size) <= limits.bytes
        };
        let records = self.context_records().await?;
        if fits(&records.iter().collect::<Vec<_>>()) {
            return Ok(Vec::new());
        }
        let named = self.contexts_of_subscriptions().await?;
        let (mut stays, mut goes) = (Vec::new(), Vec::new());
        for record in &records {
            let is_implicit = read(record)?.kind == ContextKind::ImplicitlyCreated;
            let is_needed = !is_implicit || named.contains(&record.key.key);
            if is_needed { stays.push(record) } else { goes.push(record) }
        }
        if !fits(&stays) {
            return Err(Error::NotSupported(format!(
                "a tenant keeps at most {} contexts here, of {} bytes together ([contexts] in the \
                 configuration)",
                limits.contexts, limits.bytes
            )));
        }
        let removal =
            |record: &Record| self.record_of(&record.key.key, None, Expect::At(record.revision));
        Ok(goes.into_iter().map(removal).collect())
    }

    /// The identifiers of the hosted contexts in which subscriptions are notified.
    async fn contexts_of_subscriptions(&self) -> Result<FxHashSet<String>, Error> {
        let mut named = FxHashSet::default();
        for record in self.all_records(RecordKind::Subscription).await? {
            let subscription = Subscription::from_bytes(&record.value).map_err(Error::from)?;
            named.extend(subscription.context_source().url.as_deref().and_then(hosted_id));
        }
        Ok(named)
    }

    async fn context_records(&self) -> Result<Vec<Record>, Error> {
        self.all_records(RecordKind::Context).await
    }

    async fn all_records(&self, kind: RecordKind) -> Result<Vec<Record>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let query = RecordQuery {
                kind,
                tenant: Some(self.tenant.clone()),
                prefix: String::new(),
                after,
                limit: SLICE,
            };
            let records = self.broker.store().records(&query).await?;
            after = records.last().map(|last| (last.key.tenant.clone(), last.key.key.clone()));
            let is_last = records.len() < SLICE;
            all.extend(records);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The record of the context of this identifier or URL, if the tenant keeps it here.
    async fn own_context(&self, name: &str) -> Result<Option<Record>, Error> {
        match hosted_id(name) {
            Some(id) => self.record(RecordKind::Context, &id).await,
            // No key of a record is longer, and none is empty.
            None if name.is_empty() || name.len() > MAX_ID => Ok(None),
            None => self.record(RecordKind::Context, name).await,
        }
    }

    fn record_of(&self, id: &str, kept: Option<&Kept>, expect: Expect) -> RecordWrite {
        let key: RecordKey = self.record_key(RecordKind::Context, id);
        RecordWrite { key, expect, value: kept.map(Kept::to_bytes) }
    }

    /// Writes records of contexts; those that are gone then are not found any more.
    async fn write_contexts(&self, records: Vec<RecordWrite>, now: Timestamp) -> Result<(), Error> {
        let gone = gone(&records);
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        if self.commit_one(plan, now).await?.is_none() {
            return Err(Error::Contended("the @context".to_owned()));
        }
        self.contexts_gone(&gone);
        Ok(())
    }

    /// Takes contexts out of use whose records are gone.
    pub(crate) fn contexts_gone(&self, ids: &[String]) {
        for id in ids {
            self.broker.contexts().hosted_removed(&self.tenant, id);
        }
    }

    fn kept_entry(&self, record: &Record) -> Result<ContextEntry, Error> {
        let kept = read(record)?;
        let (contexts, id) = (self.broker.contexts(), record.key.key.clone());
        Ok(ContextEntry {
            url: contexts.hosted_url(&id),
            kind: kept.kind,
            created_at: kept.created_at,
            expires_at: None,
            uses: Some(contexts.hosted_uses(&self.tenant, &id)),
            origin: None,
            id,
        })
    }
}

/// The longest identifier of a context that is looked for, in bytes.
const MAX_ID: usize = 256;

/// The identifiers of the contexts that these writes take away.
pub(crate) fn gone(records: &[RecordWrite]) -> Vec<String> {
    let gone = records
        .iter()
        .filter(|write| write.key.kind == RecordKind::Context && write.value.is_none());
    gone.map(|write| write.key.key.clone()).collect()
}

impl Kept {
    fn to_bytes(&self) -> Arc<[u8]> {
        // Four plain members cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

fn read(record: &Record) -> Result<Kept, Error> {
    serde_json::from_slice(&record.value)
        .map_err(|error| Error::Internal(format!("context {}: {error}", record.key.key)))
}

fn missing(name: &str) -> Error {
    Error::ResourceNotFound(format!("@context {:?}", name.chars().take(120).collect::<String>()))
}

fn always_there(context: &CachedContext) -> Error {
    let reason = match context.origin {
        Origin::Core => "a core context",
        Origin::Network | Origin::Fixed => "a part of this installation",
    };
    Error::BadRequestData(format!("the @context {} is {reason}", context.url))
}

fn cached_entry(cached: CachedContext) -> ContextEntry {
    ContextEntry {
        url: cached.url,
        id: cached.id,
        kind: ContextKind::Cached,
        created_at: cached.created_at,
        expires_at: cached.expires_at,
        uses: cached.uses,
        origin: Some(cached.origin),
    }
}
