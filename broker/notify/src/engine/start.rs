//! How a notifier finds its state again.

use std::sync::Arc;

use musubi_model::{Sequence, Tenant};
use musubi_store::{Record, RecordKind, RecordQuery};
use rustc_hash::FxHashSet;

use crate::engine::account::{Account, AccountKey};
use crate::engine::applied::Applied;
use crate::engine::chores::Chore;
use crate::engine::ledger::Book;
use crate::engine::notifier::State;
use crate::engine::occur::{KeptOccasion, OCCASIONS_AT_ONCE};
use crate::engine::persist::{CURSOR, Cursor};
use crate::queue::lane::{Lane, Resumption};
use crate::queue::row::Row;
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
        self.load_pending_occasions().await?;
        self.load_watches().await?;
        let keys: Vec<_> = self.accounts.keys().cloned().collect();
        for key in &keys {
            let lost = self.accounts.get_mut(key).map_or(0, |account| account.book.sum_up());
            if lost > 0 {
                let (tenant, id) = (key.tenant.to_string(), key.id.as_str());
                tracing::error!(tenant, subscription.id = id, lost, "what was due has been lost");
                self.shared.metrics.lost.inc_by(lost);
            }
            self.queue_lane(key);
        }
        self.stale.extend(keys);
        self.show_all();
        self.sweep();
        self.shared.set_cursor(self.cursor);
        if let Some(needed_from) = self.needed_from(None) {
            self.shared.set_needed_from(needed_from);
        }
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
                self.alone = cursor.alone;
                self.occasions.alive = cursor.at;
                self.aging.resume(cursor.jumped_at, cursor.at);
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
                match Book::from_bytes(&record.value) {
                    Ok(book) => {
                        let applied = Arc::clone(&account.applied);
                        let account = self.account_after_crash(applied, book, account.generation);
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

    /// An account whose changes up to the cursor may have been sent.
    fn account_after_crash(
        &self,
        applied: Arc<Applied>,
        mut book: Book,
        generation: u64,
    ) -> Account {
        // Counted from what is there.
        book.ledger.pending = 0;
        let resumption =
            Resumption { recorded: book.sending, alone: self.most_alone(), upto: self.cursor };
        let lane = Lane::new(book.settled, resumption);
        Account::new(applied, book, lane, generation)
    }

    async fn load_outbox(&mut self) -> Result<(), NotifyError> {
        let mut pages = Pages::new(RecordKind::Outbox, "", ROWS_AT_ONCE);
        while let Some(records) = pages.next(self).await? {
            for (at, row) in records.iter().filter_map(read_row) {
                self.count_row(&row);
                self.accept(at, &row);
            }
        }
        Ok(())
    }

    fn count_row(&mut self, row: &Row) {
        for (key, changes) in row.entries() {
            if let Some(account) = self.accounts.get_mut(key) {
                let settled = account.book.settled;
                let pending = changes.iter().filter(|named| named.sequence > settled).count();
                account.book.ledger.pending += u64::try_from(pending).unwrap_or(u64::MAX);
            }
        }
    }

    async fn load_pending_occasions(&mut self) -> Result<(), NotifyError> {
        let mut gone = FxHashSet::default();
        let mut pages = Pages::new(RecordKind::Occasion, "", OCCASIONS_AT_ONCE);
        while let Some(records) = pages.next(self).await? {
            for record in records {
                match serde_json::from_slice::<KeptOccasion>(&record.value) {
                    Ok(kept) => gone.extend(self.load_occasion(record.key.tenant, kept)),
                    Err(error) => {
                        let key = &record.key.key;
                        tracing::error!(%error, key, "the record of an occasion is unreadable");
                    }
                }
            }
        }
        // What is left of subscriptions that are gone is deleted.
        self.chores.extend(gone.into_iter().map(Chore::Forget));
        Ok(())
    }

    /// Counts an occasion; or whose it was, if the subscription is gone.
    fn load_occasion(&mut self, tenant: Tenant, kept: KeptOccasion) -> Option<AccountKey> {
        let KeptOccasion { subscription, occasion } = kept;
        let key = AccountKey { tenant, id: subscription };
        let account = self.accounts.get_mut(&key);
        match account.filter(|it| it.applied.subscription.created_at() <= occasion.at) {
            Some(account) => {
                account.occasions.restore(occasion);
                account.book.ledger.pending += 1;
                None
            }
            None => Some(key),
        }
    }
}

pub(crate) fn read_row(record: &Record) -> Option<(Sequence, Row)> {
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
    pub(crate) after: Option<(Tenant, String)>,
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
