//! The records: most kinds in memory, and those that may grow with what is undelivered on the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use musubi_model::{Revision, Tenant};
use musubi_store::{Record, RecordKey, RecordKind, RecordQuery};
use parking_lot::RwLock;

use crate::codec;
use crate::engine::{Published, Wanted};
use crate::recovery::{RecoveryError, unreadable};

/// A record's version and value.
pub(crate) type Stored = (Revision, Arc<[u8]>);

/// Whether all records of a kind are in memory. Of the others there are as many as some receiver has
/// been away for, and nobody reads them in a hurry; or, of entity maps, as many ids as clients have
/// asked for in the last hours.
pub(crate) fn is_resident(kind: RecordKind) -> bool {
    match kind {
        RecordKind::Outbox
        | RecordKind::DeadLetter
        | RecordKind::Occasion
        | RecordKind::EntityMap => false,
        RecordKind::Tenant
        | RecordKind::Subscription
        | RecordKind::Cursor
        | RecordKind::Ledger
        | RecordKind::AdapterState
        | RecordKind::Context
        | RecordKind::Broker
        | RecordKind::Schema
        | RecordKind::Silence => true,
    }
}

/// The resident records by their keys.
#[derive(Debug, Default)]
pub(crate) struct Records {
    records: RwLock<BTreeMap<RecordKey, Stored>>,
}

impl Records {
    pub(crate) fn over(records: BTreeMap<RecordKey, Stored>) -> Self {
        Self { records: RwLock::new(records) }
    }

    pub(crate) fn get(&self, key: &RecordKey) -> Option<Stored> {
        self.records.read().get(key).cloned()
    }

    /// Carries out writes that belong together, as far as they are of records that are resident.
    pub(crate) fn apply(&self, writes: Vec<(RecordKey, Option<Stored>)>) {
        let mut writes = writes.into_iter().filter(|(key, _)| is_resident(key.kind)).peekable();
        if writes.peek().is_none() {
            return;
        }
        let mut records = self.records.write();
        for (key, stored) in writes {
            match stored {
                Some(stored) => records.insert(key, stored),
                None => records.remove(&key),
            };
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.read().len()
    }

    /// All of them, as they are now.
    pub(crate) fn snapshot(&self) -> BTreeMap<RecordKey, Stored> {
        self.records.read().clone()
    }

    /// The records that the query wants.
    pub(crate) fn select(&self, query: &RecordQuery) -> Vec<Record> {
        let key = |tenant: &Tenant, key: &str| RecordKey {
            kind: query.kind,
            tenant: tenant.clone(),
            key: key.to_owned(),
        };
        let first = match &query.tenant {
            Some(tenant) => key(tenant, &query.prefix),
            None => key(&Tenant::default(), ""),
        };
        let after = query.after.as_ref().map(|(tenant, name)| key(tenant, name));
        let start = match after {
            Some(after) if after >= first => Bound::Excluded(after),
            Some(_) | None => Bound::Included(first),
        };
        let records = self.records.read();
        let in_reach = records.range((start, Bound::Unbounded)).take_while(|(key, _)| {
            key.kind == query.kind
                && query.tenant.as_ref().is_none_or(|tenant| {
                    key.tenant == *tenant && key.key.starts_with(&query.prefix)
                })
        });
        let wanted = in_reach.filter(|(key, _)| key.key.starts_with(&query.prefix));
        let found = wanted.take(query.limit).map(|(key, (revision, value))| Record {
            key: key.clone(),
            revision: *revision,
            value: value.clone(),
        });
        found.collect()
    }
}

/// The records that the query wants, of a kind that is not resident.
pub(crate) fn read(
    published: &Published,
    query: &RecordQuery,
) -> Result<Vec<Record>, RecoveryError> {
    let mut found = Vec::new();
    if query.limit == 0 {
        return Ok(found);
    }
    let first = match &query.tenant {
        Some(tenant) => codec::record_key_from(query.kind, tenant, &query.prefix),
        None => codec::kind_prefix(query.kind).to_vec(),
    };
    let after = query.after.as_ref();
    let after = after.map(|(tenant, name)| codec::record_key_from(query.kind, tenant, name));
    let start = match &after {
        Some(after) if *after >= first => Bound::Excluded(after.as_slice()),
        Some(_) | None => Bound::Included(first.as_slice()),
    };
    let end = codec::after_all_with(&first);
    published.visit_records((start, &end), |key, row| {
        let (key, revision, value) =
            codec::read_record(key, row).map_err(unreadable("the records"))?;
        if key.key.starts_with(&query.prefix) {
            found.push(Record { key, revision, value });
        }
        Ok::<_, RecoveryError>(if found.len() < query.limit {
            Wanted::More
        } else {
            Wanted::Nothing
        })
    })?;
    Ok(found)
}
