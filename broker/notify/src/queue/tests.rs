//! Lanes and outbox beside a plain model of what is due, whatever happens in whatever order.

use std::collections::{BTreeMap, VecDeque};

use musubi_model::{Sequence, Timestamp};
use proptest::prelude::*;

use crate::engine::account::AccountKey;
use crate::engine::reading::Released;
use crate::queue::lane::{Lane, Resumption};
use crate::queue::outbox::{MANY, Outbox};
use crate::queue::row::{Batch, Named, Row};

/// Subscriptions, by number.
const NAMES: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A change that is due to those whose bits are set.
    Change(u8),
    /// A subscription comes, or goes.
    Turn(u8),
    /// What is due is on its way to the store, unless something is.
    Save,
    /// What is on its way has been written. It is not known yet.
    Land,
    /// It is known.
    Accept,
    /// So many of what a subscription has in memory are settled.
    Settle(u8, usize),
    /// Some rows are read, for those who have room and those who are gone.
    Read,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..1_u8 << NAMES).prop_map(Step::Change),
        2 => (0..NAMES).prop_map(Step::Turn),
        8 => Just(Step::Save),
        6 => Just(Step::Land),
        8 => Just(Step::Accept),
        8 => (0..NAMES, 1..5_usize).prop_map(|(name, count)| Step::Settle(name, count)),
        6 => Just(Step::Read),
        1 => Just(Step::Kill),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Change(u8),
    Turn(u8),
}

/// A subscription, or what is kept of it.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    created: u64,
    settled: u64,
}

/// What is in the store, all of one moment.
#[derive(Clone, Debug, Default)]
struct Disk {
    cursor: u64,
    subscriptions: BTreeMap<u8, Kept>,
    rows: BTreeMap<Sequence, Vec<u8>>,
}

struct Account {
    kept: Kept,
    lane: Lane,
    /// What is pending, as the log says it.
    due: VecDeque<u64>,
}

struct Saving {
    disk: Disk,
    row: Option<(Sequence, Row)>,
}

struct Model {
    /// How many changes a lane holds, and how many rows are read at once.
    bounds: (usize, usize),
    log: Vec<Event>,
    cursor: u64,
    accounts: BTreeMap<u8, Account>,
    gone: Vec<(u8, Released)>,
    batch: Batch,
    outbox: Outbox,
    saving: Option<Saving>,
    disk: Disk,
}

fn key(name: u8) -> AccountKey {
    let id = format!("urn:ngsi-ld:Subscription:{name}").parse().unwrap();
    AccountKey { tenant: "town".parse().unwrap(), id }
}

fn named(sequence: u64) -> Named {
    Named { sequence: Sequence(sequence), time: Timestamp::from_seconds(0), bytes: 1 }
}

fn account(kept: Kept) -> Account {
    let lane = Lane::new(Sequence(kept.settled), Resumption::default());
    Account { kept, lane, due: VecDeque::new() }
}

impl Model {
    fn new(bounds: (usize, usize)) -> Self {
        Self {
            bounds,
            log: Vec::new(),
            cursor: 0,
            accounts: BTreeMap::new(),
            gone: Vec::new(),
            batch: Batch::default(),
            outbox: Outbox::default(),
            saving: None,
            disk: Disk::default(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Change(names) => self.happen(Event::Change(names)),
            Step::Turn(name) => self.happen(Event::Turn(name)),
            Step::Save => self.save(),
            Step::Land => self.land(),
            Step::Accept => self.end_save(),
            Step::Settle(name, count) => self.settle(name, count),
            Step::Read => self.read(),
            Step::Kill => self.kill(),
        }
    }

    fn happen(&mut self, event: Event) {
        self.log.push(event);
        self.consume();
    }

    fn consume(&mut self) {
        for event in self.log.iter().skip(usize::try_from(self.cursor).unwrap()) {
            self.cursor += 1;
            match *event {
                Event::Change(names) => {
                    let due = self.accounts.iter_mut().filter(|(name, _)| names >> **name & 1 == 1);
                    for (name, account) in due {
                        account.due.push_back(self.cursor);
                        self.batch.add(key(*name), named(self.cursor));
                    }
                }
                Event::Turn(name) => {
                    let Some(mut account) = self.accounts.remove(&name) else {
                        let kept = Kept { created: self.cursor, settled: self.cursor };
                        self.accounts.insert(name, account(kept));
                        continue;
                    };
                    let key = key(name);
                    self.batch.withdraw(&key);
                    let count = account.lane.len();
                    for pending in account.lane.pop(count).filter(|pending| pending.ends_row) {
                        self.outbox.finish(pending.row, &key);
                    }
                    if let Some(from) = account.lane.spilled() {
                        let (upto, loaded) = (self.outbox.part_with(&key), account.lane.loaded());
                        self.gone.push((name, Released { from, upto, loaded }));
                    }
                }
            }
        }
    }

    fn save(&mut self) {
        if self.saving.is_some() {
            return;
        }
        let mut disk = Disk { cursor: self.cursor, ..self.disk.clone() };
        disk.subscriptions = self.accounts.iter().map(|(name, it)| (*name, it.kept)).collect();
        let batch = std::mem::take(&mut self.batch);
        let row = (batch.pairs() > 0).then(|| {
            let due = batch.into_row();
            let settled = |key: &AccountKey| {
                let (_, account) =
                    self.accounts.iter().find(|(name, _)| self::key(**name) == *key)?;
                Some(Sequence(account.kept.settled))
            };
            let (at, whole) = self.outbox.add(Sequence(self.cursor), &due, settled);
            disk.rows.insert(at, whole);
            (at, due)
        });
        for done in self.outbox.take_done(3) {
            assert!(disk.rows.remove(&done).is_some(), "{done:?} is deleted twice");
        }
        self.saving = Some(Saving { disk, row });
    }

    fn land(&mut self) {
        if let Some(saving) = &self.saving {
            self.disk = saving.disk.clone();
            self.check_disk();
        }
    }

    fn end_save(&mut self) {
        self.land();
        if let Some((at, row)) = self.saving.take().and_then(|saving| saving.row) {
            self.accept(at, &row);
        }
    }

    fn accept(&mut self, at: Sequence, row: &Row) {
        let mut waiting = Vec::new();
        for (name, account) in &mut self.accounts {
            let key = key(*name);
            let Some((_, changes)) = row.entries().find(|(found, _)| **found == key) else {
                continue;
            };
            if changes.last().is_some_and(|last| last.sequence.0 > account.kept.settled) {
                waiting.push(key);
                account.lane.take_in(at, &changes, self.bounds.0);
            }
        }
        self.outbox.accept(at, &waiting.iter().collect::<Vec<_>>());
    }

    fn settle(&mut self, name: u8, count: usize) {
        let Some(account) = self.accounts.get_mut(&name) else { return };
        for pending in account.lane.pop(count) {
            let due = account.due.pop_front();
            assert_eq!(Some(pending.sequence.0), due, "{name} is told what is due, in order");
            account.kept.settled = pending.sequence.0;
            if pending.ends_row {
                self.outbox.finish(pending.row, &key(name));
            }
        }
    }

    fn read(&mut self) {
        let readers = self.accounts.values().filter(|account| account.lane.wants_more());
        let lanes = readers.filter_map(|account| account.lane.spilled());
        let gone = self.gone.iter().map(|(_, released)| released.from);
        let Some(from) = lanes.chain(gone).min() else { return };
        let (window, page) = self.bounds;
        let mut rows: Vec<_> = self.disk.rows.range(from..).collect();
        let next = rows.get(page - 1).map(|(at, _)| **at);
        rows.truncate(page);
        let wanting: Vec<_> = self.accounts.iter().filter(|(_, it)| it.lane.wants_more()).collect();
        let wanting: Vec<_> = wanting.into_iter().map(|(name, _)| *name).collect();
        for (at, bytes) in rows {
            let row = Row::from_bytes(bytes).unwrap();
            for (key, due) in row.due() {
                let mut gone = self.gone.iter().filter(|(name, _)| self::key(*name) == *key);
                if gone.any(|(_, released)| released.is_waited_for(*at, due)) {
                    self.outbox.finish(*at, key);
                }
                let mut accounts = self.accounts.iter_mut();
                if let Some((_, account)) = accounts.find(|(name, _)| self::key(**name) == *key) {
                    account.lane.read((from, *at), || row.named(due), window);
                }
            }
        }
        for name in wanting {
            let account = self.accounts.get_mut(&name).unwrap();
            account.lane.pass(from, next);
        }
        self.gone.retain_mut(|(_, released)| released.pass(from, next));
    }

    /// Begins again with what is in the store.
    fn kill(&mut self) {
        let (log, disk) = (std::mem::take(&mut self.log), std::mem::take(&mut self.disk));
        *self = Self { log, disk, ..Self::new(self.bounds) };
        self.cursor = self.disk.cursor;
        for (name, kept) in &self.disk.subscriptions {
            let due = self.due(*name, *kept, self.cursor).into();
            self.accounts.insert(*name, Account { due, ..account(*kept) });
        }
        for (at, bytes) in self.disk.rows.clone() {
            self.accept(at, &Row::from_bytes(&bytes).unwrap());
        }
        self.consume();
    }

    /// What the log says is pending.
    fn due(&self, name: u8, Kept { created, settled }: Kept, cursor: u64) -> Vec<u64> {
        let is_due = |at: &u64| {
            let event = self.log[usize::try_from(at - 1).unwrap()];
            matches!(event, Event::Change(names) if names >> name & 1 == 1)
        };
        (created.max(settled) + 1..=cursor).filter(is_due).collect()
    }

    /// Whatever is pending has to stand in a row, or a crash now would lose it.
    fn check_disk(&self) {
        let rows: Vec<_> = self.disk.rows.values().map(|it| Row::from_bytes(it).unwrap()).collect();
        for (name, kept) in &self.disk.subscriptions {
            let key = key(*name);
            let entries = rows.iter().flat_map(Row::due).filter(|(found, _)| **found == key);
            let kept_due: Vec<_> = entries
                .flat_map(|(_, due)| due.iter().map(|at| at.0))
                .filter(|at| *at > kept.settled)
                .collect();
            assert_eq!(kept_due, self.due(*name, *kept, self.disk.cursor), "rows for {name}");
        }
    }

    /// Everything is settled, and no row is left.
    fn check_end(mut self) {
        for _ in 0..self.log.len() + 20 {
            self.save();
            self.end_save();
            self.read();
            (0..NAMES).for_each(|name| self.settle(name, usize::MAX));
        }
        for (name, account) in &self.accounts {
            assert_eq!(account.due, VecDeque::<u64>::new(), "{name} is owed nothing");
        }
        assert_eq!(self.disk.rows.keys().collect::<Vec<_>>(), Vec::<&Sequence>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_row_stays_as_long_as_anybody_waits_for_it_and_no_longer(
        bounds in (1..6_usize, 2..6_usize),
        is_long in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut model = Model::new(bounds);
        (0..NAMES).for_each(|name| model.take(&Step::Turn(name)));
        if is_long {
            for _ in 0..MANY {
                model.take(&Step::Change(1 << (NAMES - 1)));
                model.take(&Step::Save);
                model.take(&Step::Accept);
            }
        }
        for step in &steps {
            model.take(step);
        }
        model.check_end();
    }
}
