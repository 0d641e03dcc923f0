//! Reading on in the outbox, for all whose lanes had no room for what it names. A row may name
//! thousands of subscriptions, so it is read once for all of them that are about there.

use musubi_model::{Sequence, Tenant};
use musubi_store::{RecordKind, RecordQuery};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::NotifyError;
use crate::engine::account::{Account, AccountKey, Settled};
use crate::engine::chores::Chore;
use crate::engine::notifier::State;
use crate::engine::start::read_row;
use crate::queue::row::{Row, row_key};

/// Who waits for rows of the outbox to be read.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// Subscriptions whose lanes have room.
    pub(crate) lanes: FxHashSet<AccountKey>,
    /// Subscriptions that are gone, to be taken out of rows that their lanes had not taken in.
    pub(crate) gone: FxHashMap<AccountKey, Vec<Released>>,
    pub(crate) is_planned: bool,
}

/// Rows of the outbox that name a subscription that is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Released {
    /// The rows from this one on,
    pub(crate) from: Sequence,
    /// up to this one,
    pub(crate) upto: Sequence,
    /// as far as they name a change after this one, the last that was in memory. The others
    /// are done with.
    pub(crate) loaded: Sequence,
}

impl Released {
    /// Whether this row, which names these changes, still waits for the subscription.
    pub(crate) fn is_waited_for(&self, row: Sequence, due: &[Sequence]) -> bool {
        let is_beyond = due.last().is_some_and(|last| *last > self.loaded);
        (self.from..=self.upto).contains(&row) && is_beyond
    }

    /// Notes that all rows from `from` on have been read up to and with the last one, or to the
    /// end. Whether there is more.
    pub(crate) fn pass(&mut self, from: Sequence, last: Option<Sequence>) -> bool {
        if self.from >= from {
            // Unlike the lanes it must not meet a row twice.
            let after = last.map_or(u64::MAX, |last| last.0.saturating_add(1));
            self.from = self.from.max(Sequence(after));
        }
        self.from <= self.upto
    }
}

/// Rows that are read at once.
const ROWS: usize = 8;

/// The most changes that all lanes together hold in memory if they can help it, and the fewest
/// that each holds nevertheless.
const IN_MEMORY: usize = 500_000;
const FEWEST: usize = 16;

impl State<'_> {
    /// How many changes a lane may hold. With many behind it is fewer, so that those of all
    /// together have bounds.
    pub(crate) fn window(&self) -> usize {
        let share = (IN_MEMORY / self.behind.len().max(1)).max(FEWEST);
        self.options.lane_window.min(share)
    }

    /// Plans to read on for a subscription.
    pub(crate) fn read_for(&mut self, key: &AccountKey) {
        if !self.readers.lanes.contains(key) {
            self.readers.lanes.insert(key.clone());
            self.plan_reading();
        }
    }

    /// Plans to take a subscription that is gone out of rows.
    pub(crate) fn release(&mut self, key: &AccountKey, released: Released) {
        if released.from <= released.upto {
            self.readers.gone.entry(key.clone()).or_default().push(released);
            self.plan_reading();
        }
    }

    fn plan_reading(&mut self) {
        if !std::mem::replace(&mut self.readers.is_planned, true) {
            self.chores.push_back(Chore::Read);
        }
    }

    /// Reads some rows for those who are furthest behind, and for all who are there too.
    pub(crate) async fn read_on(&mut self) -> Result<(), NotifyError> {
        self.readers.is_planned = false;
        let lanes = self.readers.lanes.iter().filter_map(|key| self.accounts.get(key));
        let lanes = lanes.filter_map(|account| account.lane.spilled());
        let gone = self.readers.gone.values().flatten().map(|released| released.from);
        let Some(from) = lanes.chain(gone).min() else {
            let idle = std::mem::take(&mut self.readers.lanes);
            for key in &idle {
                self.end_reading(key);
            }
            return Ok(());
        };
        let (rows, next) = self.rows(from).await?;
        for (at, row) in &rows {
            self.read_row(from, *at, row);
        }
        self.pass(from, next);
        if !self.readers.lanes.is_empty() || !self.readers.gone.is_empty() {
            self.plan_reading();
        }
        Ok(())
    }

    /// Some rows of the outbox from this one on, and if those were not all, the last of them, to
    /// read on from.
    async fn rows(
        &self,
        from: Sequence,
    ) -> Result<(Vec<(Sequence, Row)>, Option<Sequence>), NotifyError> {
        let query = RecordQuery {
            kind: RecordKind::Outbox,
            tenant: None,
            prefix: String::new(),
            after: Some((Tenant::default(), row_key(Sequence(from.0.saturating_sub(1))))),
            limit: ROWS,
        };
        let records = self.ask(&query).await?;
        let next = records.last().and_then(|last| last.key.key.parse().ok()).map(Sequence);
        let is_all = records.len() < ROWS;
        Ok((records.iter().filter_map(read_row).collect(), next.filter(|_| !is_all)))
    }

    /// Hands out what a row names, which was read after all those from `from` on.
    fn read_row(&mut self, from: Sequence, at: Sequence, row: &Row) {
        let window = self.window();
        for (key, due) in row.due() {
            if let Some(released) = self.readers.gone.get(key)
                && released.iter().any(|released| released.is_waited_for(at, due))
            {
                self.outbox.finish(at, key);
            }
            if let Some(account) = self.accounts.get_mut(key) {
                account.lane.read((from, at), || row.named(due), window);
            }
        }
    }

    /// Notes that all rows from this one on have been read up to the next one, if there is one.
    fn pass(&mut self, from: Sequence, next: Option<Sequence>) {
        let keys: Vec<_> = self.readers.lanes.iter().cloned().collect();
        for key in keys {
            let Some(account) = self.accounts.get_mut(&key) else {
                self.readers.lanes.remove(&key);
                continue;
            };
            account.lane.pass(from, next);
            if account.is_ending {
                let changes = account.lane.len();
                self.settle_changes(&key, changes, Settled::Suppressed);
            }
            let wants_more = |account: &Account| account.lane.wants_more();
            if !self.accounts.get(&key).is_some_and(wants_more) {
                self.readers.lanes.remove(&key);
                self.end_reading(&key);
            }
            self.queue_lane(&key);
        }
        for released in self.readers.gone.values_mut() {
            released.retain_mut(|released| released.pass(from, next));
        }
        self.readers.gone.retain(|_, released| !released.is_empty());
        if self.outbox.has_done() {
            self.save_within(self.options.save_delay);
        }
    }

    fn end_reading(&mut self, key: &AccountKey) {
        if let Some(account) = self.accounts.get_mut(key) {
            account.is_ending = false;
        }
    }
}
