//! Dead letters, a few at a time.

use musubi_model::Tenant;
use musubi_store::{Record, RecordKind, RecordQuery, Store};

use crate::Error;

/// The most letters that are read, or deleted, at once.
pub(super) const MOST: usize = 200;

/// The most that come first, when it is not known yet how large they are.
const FIRST: usize = 8;

/// About the most text that is read at once, in bytes. A letter may be of some megabytes.
const BYTES: usize = 4 * 1024 * 1024;

/// The letters of a tenant, or of all of them, in the order of their keys.
pub(super) struct Slices<'s> {
    store: &'s dyn Store,
    tenant: Option<Tenant>,
    after: Option<(Tenant, String)>,
    limit: usize,
    is_over: bool,
}

impl<'s> Slices<'s> {
    /// Those of one tenant after this id, or from the first on if it is empty.
    pub(super) fn of(store: &'s dyn Store, tenant: &Tenant, after: &str) -> Self {
        let after = (!after.is_empty()).then(|| (tenant.clone(), after.to_owned()));
        Self { store, tenant: Some(tenant.clone()), after, limit: FIRST, is_over: false }
    }

    /// Those of all tenants.
    pub(super) fn of_all(store: &'s dyn Store) -> Self {
        Self { store, tenant: None, after: None, limit: FIRST, is_over: false }
    }

    /// The next ones; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Record>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let query = RecordQuery {
            kind: RecordKind::DeadLetter,
            tenant: self.tenant.clone(),
            prefix: String::new(),
            after: self.after.take(),
            limit: self.limit,
        };
        let records = self.store.records(&query).await?;
        self.is_over = records.len() < self.limit;
        self.after = records.last().map(|it| (it.key.tenant.clone(), it.key.key.clone()));
        let largest = records.iter().map(|it| it.value.len()).max().unwrap_or_default();
        self.limit = next_limit(self.limit, largest);
        Ok(Some(records))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// How many to read after so many of which the largest had so many bytes.
fn next_limit(limit: usize, largest: usize) -> usize {
    let most = limit.saturating_mul(4).min(MOST);
    (BYTES / largest.max(1)).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_letters_are_read_a_few_at_a_time() {
        let check = |limit, largest, next| assert_eq!(next_limit(limit, largest), next);
        check(FIRST, 0, 32);
        check(32, 1_000, 128);
        check(128, 1_000, MOST);
        check(MOST, 1 << 20, 4);
        check(4, 1 << 20, 4);
        check(4, 100 << 20, 1);
        check(1, 1_000, 4);
    }
}
