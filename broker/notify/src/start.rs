//! How a notifier finds its state again.

use std::sync::Arc;

use musubi_model::{Sequence, Tenant};
use musubi_store::{Record, RecordKind, RecordQuery};

use crate::account::{Account, AccountKey};
use crate::applied::Applied;
use crate::ledger::Book;
use crate::notifier::State;
use crate::outbox::{Row, row_key};
use crate::persist::{CURSOR, Cursor, read_book};
use crate::{NotifyError, SubscriptionId};

/// Records that are read at once, and rows of the outbox, which are larger.
const RECORDS_AT_ONCE: usize = 500;
const ROWS_AT_ONCE: usize = 50;

impl State<'_> {
    /// Reads cursor, subscriptions, counters and outbox.
    pub(crate) async fn load(&mut self) -> Result<(), NotifyError> {
        self.load_cursor().await?;
        self.load_subscriptions().await?;
        self.load_books().await?;
        self.load_outbox().await?;
        let keys: Vec<_> = self.accounts.keys().cloned().collect();
        for key in &keys {
            self.check_balance(key);
            self.queue_lane(key);
        }
        self.show(keys);
        self.sweep();
        self.shared.set_cursor(self.cursor);
        self.shared.set_needed_from(self.needed_from());
        Ok(())
    }

    async fn load_cursor(&mut self) -> Result<(), NotifyError> {
        let query = RecordQuery {
            kind: RecordKind::Cursor,
            tenant: Some(Tenant::default()),
            prefix: CURSOR.to_owned(),
            after: None,
            limit: 1,
        };
        let found = self.store.records(&query).await.map_err(NotifyError::Store)?;
        // The cursor's own key comes before those that begin with it.
        let Some(record) = found.first().filter(|record| record.key.key == CURSOR) else {
            return Ok(());
        };
        match serde_json::from_slice::<Cursor>(&record.value) {
            Ok(cursor) => {
                self.cursor = cursor.sequence;
                self.retired = cursor.retired;
            }
            Err(error) => {
                tracing::error!(%error, "the notifier's cursor is unreadable; the log is read anew");
            }
        }
        Ok(())
    }

    async fn load_subscriptions(&mut self) -> Result<(), NotifyError> {
        let prefix = format!("{CURSOR}/");
        let mut pages = Pages::new(RecordKind::Cursor, &prefix, RECORDS_AT_ONCE);
        while let Some(records) = pages.next(self).await? {
            for record in records {
                let tenant = record.key.tenant;
                match Applied::new(tenant, record.value, &mut self.contexts) {
                    Ok(applied) => self.add_account(applied, Book::default()),
                    Err(error) => {
                        let id = &record.key.key;
                        tracing::error!(%error, subscription.id = id, "a subscription is unreadable");
                    }
                }
            }
        }
        Ok(())
    }

    async fn load_books(&mut self) -> Result<(), NotifyError> {
        let mut pages = Pages::new(RecordKind::Ledger, "", RECORDS_AT_ONCE);
        while let Some(records) = pages.next(self).await? {
            for record in records {
                let Ok(id) = record.key.key.parse::<SubscriptionId>() else { continue };
                let key = AccountKey { tenant: record.key.tenant, id };
                let Some(account) = self.accounts.get(&key) else { continue };
                match read_book(&record.value) {
                    Ok(book) => {
                        let applied = Arc::clone(&account.applied);
                        let (window, generation) = (self.options.lane_window, account.generation);
                        let account = Account::new(applied, book, window, generation);
                        self.accounts.insert(key, account);
                    }
                    Err(error) => {
                        let id = key.id.as_str();
                        tracing::error!(%error, subscription.id = id, "a ledger is unreadable");
                    }
                }
            }
        }
        Ok(())
    }

    async fn load_outbox(&mut self) -> Result<(), NotifyError> {
        let saved: Vec<_> =
            self.accounts.iter().map(|(key, it)| (key.clone(), it.book.ledger.pending)).collect();
        for account in self.accounts.values_mut() {
            account.book.ledger.pending = 0;
        }
        let mut pages = Pages::new(RecordKind::Outbox, "", ROWS_AT_ONCE);
        while let Some(records) = pages.next(self).await? {
            for (at, row) in records.iter().filter_map(read_row) {
                self.count_row(&row);
                self.accept(at, &row);
            }
        }
        for (key, pending) in saved {
            let found = self.accounts.get(&key).map(|account| account.book.ledger.pending);
            if found.is_some_and(|found| found != pending) {
                let id = key.id.as_str();
                tracing::error!(
                    subscription.id = id,
                    pending,
                    ?found,
                    "the outbox and a ledger differ"
                );
            }
        }
        Ok(())
    }

    fn count_row(&mut self, row: &Row) {
        for (key, changes) in row.entries() {
            if let Some(account) = self.accounts.get_mut(&key) {
                let settled = account.book.settled;
                let pending = changes.iter().filter(|(at, _)| *at > settled).count();
                account.book.ledger.pending += u64::try_from(pending).unwrap_or(u64::MAX);
            }
        }
    }

    fn check_balance(&mut self, key: &AccountKey) {
        if let Some(account) = self.accounts.get(key)
            && !account.book.ledger.is_balanced()
        {
            let (id, ledger) = (key.id.as_str(), account.book.ledger);
            tracing::error!(subscription.id = id, ?ledger, "a ledger does not balance");
        }
    }

    /// Reads on in the outbox for a subscription, as far as there is room for it.
    pub(crate) async fn refill(&mut self, key: &AccountKey) -> Result<(), NotifyError> {
        let Some(from) = self.accounts.get_mut(key).and_then(|account| account.lane.resume())
        else {
            return Ok(());
        };
        let mut pages = Pages::new(RecordKind::Outbox, "", ROWS_AT_ONCE);
        pages.after = Some((Tenant::default(), row_key(Sequence(from.0.saturating_sub(1)))));
        while let Some(records) = pages.next(self).await? {
            for (at, row) in records.iter().filter_map(read_row) {
                let Some(account) = self.accounts.get_mut(key) else { return Ok(()) };
                account.lane.take_in(at, &row.of(key));
                if account.lane.is_spilled() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn read_row(record: &Record) -> Option<(Sequence, Row)> {
    let at = record.key.key.parse().ok().map(Sequence);
    match (at, Row::from_bytes(&record.value)) {
        (Some(at), Ok(row)) => Some((at, row)),
        (_, result) => {
            let (key, error) = (&record.key.key, result.err());
            tracing::error!(key, ?error, "a row of the outbox is unreadable");
            None
        }
    }
}

/// Records of one kind over all tenants, page by page.
pub(crate) struct Pages {
    kind: RecordKind,
    prefix: String,
    after: Option<(Tenant, String)>,
    limit: usize,
    is_over: bool,
}

impl Pages {
    pub(crate) fn new(kind: RecordKind, prefix: &str, limit: usize) -> Self {
        Self { kind, prefix: prefix.to_owned(), after: None, limit, is_over: false }
    }

    /// The next page; none after the last one.
    pub(crate) async fn next(
        &mut self,
        state: &State<'_>,
    ) -> Result<Option<Vec<Record>>, NotifyError> {
        if self.is_over {
            return Ok(None);
        }
        let query = RecordQuery {
            kind: self.kind,
            tenant: None,
            prefix: self.prefix.clone(),
            after: self.after.take(),
            limit: self.limit,
        };
        let records = state.store.records(&query).await.map_err(NotifyError::Store)?;
        self.is_over = records.len() < self.limit;
        self.after = records.last().map(|last| (last.key.tenant.clone(), last.key.key.clone()));
        Ok(Some(records))
    }
}
