//! The records, all of them in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use musubi_model::{Revision, Tenant};
use musubi_store::{Record, RecordKey, RecordQuery};
use parking_lot::RwLock;

/// A record's version and value.
pub(crate) type Stored = (Revision, Arc<[u8]>);

/// The records by their keys.
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

    /// Carries out writes that belong together.
    pub(crate) fn apply(&self, writes: Vec<(RecordKey, Option<Stored>)>) {
        if writes.is_empty() {
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
