//! What the log holds and the tables do not: the newest rows by key, in memory.
//!
//! They are in two generations. The active one takes what is written. When it has become large it is
//! frozen, and its rows go to the tables while the next one takes over. Who reads looks into the
//! active one, the frozen one and the tables, in this order; all three are taken under one lock, so
//! that a reader sees one moment.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::ops::Bound;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use musubi_model::Sequence;
use parking_lot::RwLock;

use super::rows::{RecordRow, StateRow, Written};
use super::tables::Batch;

/// How many times as many bytes of the log as of rows a generation may be made of: that many are read
/// again after a kill.
const LONG: u64 = 3;
/// What a record takes besides its bytes.
const RECORD: usize = 96;

/// The rows of both generations.
#[derive(Debug)]
pub(super) struct Pending {
    generations: RwLock<Generations>,
    /// Bytes of a generation at which it is frozen.
    large: usize,
}

#[derive(Debug, Default)]
struct Generations {
    active: Generation,
    frozen: Option<Arc<Generation>>,
    /// The number of the change that follows all that is shown.
    next: Sequence,
}

/// Rows by key, each as it was last written.
#[derive(Clone, Debug, Default)]
pub(super) struct Generation {
    chunks: Vec<Arc<Vec<u8>>>,
    /// Rows of entities, with the chunk that each is in.
    state: HashTable<(u32, StateRow)>,
    hasher: RandomState,
    records: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    ceilings: Option<Arc<[u8]>>,
    /// The last batch of which it holds rows.
    upto: Batch,
    bytes: usize,
    logged: u64,
}

/// An entity's row in a generation.
#[derive(Clone, Debug)]
pub(super) struct PendingRow {
    chunk: Arc<Vec<u8>>,
    row: StateRow,
}

impl PendingRow {
    pub(super) fn key(&self) -> &[u8] {
        self.row.key(&self.chunk)
    }

    pub(super) fn row(&self) -> Option<&[u8]> {
        self.row.row(&self.chunk)
    }
}

/// The key of a row in one of these chunks.
fn key<'c>(chunks: &'c [Arc<Vec<u8>>], (chunk, row): &(u32, StateRow)) -> &'c [u8] {
    let chunk = usize::try_from(*chunk).ok().and_then(|chunk| chunks.get(chunk));
    chunk.map_or(&[], |chunk| row.key(chunk))
}

impl Generation {
    fn add(&mut self, written: Written) {
        let Written { batch, logged, kept, .. } = written;
        let index = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.bytes += kept.bytes.capacity() + kept.state.len() * size_of::<(u32, StateRow)>();
        self.chunks.push(Arc::new(kept.bytes));
        let Self { chunks, state, hasher, .. } = self;
        for row in kept.state {
            let new = (index, row);
            let sought = key(chunks, &new);
            let hash = |known: &(u32, StateRow)| hasher.hash_one(key(chunks, known));
            state
                .entry(hash(&new), |known| key(chunks, known) == sought, hash)
                .and_modify(|known| *known = new)
                .or_insert(new);
        }
        for (key, row) in kept.records {
            self.bytes += key.len() + row.as_ref().map_or(0, |row| row.len()) + RECORD;
            self.records.insert(key, row);
        }
        if kept.ceilings.is_some() {
            self.ceilings = kept.ceilings;
        }
        self.upto = batch;
        self.logged += logged;
    }

    fn is_large(&self, large: usize) -> bool {
        let long = u64::try_from(large).unwrap_or(u64::MAX).saturating_mul(LONG);
        self.bytes >= large || self.logged >= long
    }

    /// The last batch of which it holds rows.
    pub(super) fn upto(&self) -> Batch {
        self.upto
    }

    /// The row of the ceilings, if it was written.
    pub(super) fn ceilings(&self) -> Option<&[u8]> {
        self.ceilings.as_deref()
    }

    /// The records in the order of their keys.
    pub(super) fn records(&self) -> &BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>> {
        &self.records
    }

    fn rows(&self) -> impl Iterator<Item = PendingRow> {
        self.state.iter().filter_map(|(chunk, row)| {
            let chunk = self.chunks.get(usize::try_from(*chunk).ok()?)?;
            Some(PendingRow { chunk: chunk.clone(), row: *row })
        })
    }

    /// The rows of entities in the order of their keys.
    pub(super) fn sorted(&self) -> Vec<PendingRow> {
        let mut rows: Vec<_> = self.rows().collect();
        rows.sort_unstable_by(|one, other| one.key().cmp(other.key()));
        rows
    }
}

/// The rows of both generations as they were at one moment.
#[derive(Debug)]
pub(super) struct Moment {
    /// The newest change that was shown; 0 if there was none.
    pub(super) newest: Sequence,
    pub(super) state: Vec<PendingRow>,
    pub(super) records: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    pub(super) ceilings: Option<Arc<[u8]>>,
}

impl Pending {
    /// None, of which a generation is large at so many bytes.
    pub(super) fn new(large: usize) -> Self {
        Self { generations: RwLock::default(), large }
    }

    /// Lets readers see a batch. Says whether the active generation is large.
    pub(super) fn show(&self, written: Written) -> bool {
        let mut generations = self.generations.write();
        generations.next = written.next;
        generations.active.add(written);
        generations.active.is_large(self.large)
    }

    /// Says which change follows all that is shown, when nothing was.
    pub(super) fn begin(&self, next: Sequence) {
        self.generations.write().next = next;
    }

    /// Whether the active generation is large.
    pub(super) fn is_large(&self) -> bool {
        self.generations.read().active.is_large(self.large)
    }

    /// Whether a generation is frozen.
    pub(super) fn is_frozen(&self) -> bool {
        self.generations.read().frozen.is_some()
    }

    /// Freezes the active generation, unless there is nothing in it or one is frozen already. Says
    /// whether it has.
    pub(super) fn freeze(&self) -> bool {
        let mut generations = self.generations.write();
        if generations.frozen.is_some() || generations.active.upto == 0 {
            return false;
        }
        generations.frozen = Some(Arc::new(std::mem::take(&mut generations.active)));
        true
    }

    /// The frozen generation.
    pub(super) fn frozen(&self) -> Option<Arc<Generation>> {
        self.generations.read().frozen.clone()
    }

    /// Forgets the frozen generation: the tables hold it.
    pub(super) fn forget_frozen(&self) {
        let frozen = self.generations.write().frozen.take();
        drop(frozen);
    }

    /// A record, if it was written lately.
    pub(super) fn record(&self, key: &[u8]) -> Option<RecordRow> {
        let generations = self.generations.read();
        let frozen = || generations.frozen.as_ref()?.records.get_key_value(key);
        let found = generations.active.records.get_key_value(key).or_else(frozen);
        found.map(|(key, row)| (key.clone(), row.clone()))
    }

    /// The row of the ceilings, if it was written lately.
    pub(super) fn ceilings(&self) -> Option<Arc<[u8]>> {
        let generations = self.generations.read();
        let frozen = || generations.frozen.as_ref()?.ceilings.as_ref();
        generations.active.ceilings.as_ref().or_else(frozen).cloned()
    }

    /// The records in a range of keys, and what `beneath` gives of the same moment.
    pub(super) fn records<T>(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        beneath: impl FnOnce() -> T,
    ) -> (Vec<RecordRow>, T) {
        let generations = self.generations.read();
        let rows = |generation: &Generation| -> Vec<RecordRow> {
            let rows = generation.records.range::<[u8], _>(range);
            rows.map(|(key, row)| (key.clone(), row.clone())).collect()
        };
        let active = rows(&generations.active);
        let frozen = generations.frozen.as_deref().map(rows).unwrap_or_default();
        let beneath = beneath();
        drop(generations);
        if frozen.is_empty() {
            return (active, beneath);
        }
        let newest: BTreeMap<_, _> = frozen.into_iter().chain(active).collect();
        (newest.into_iter().collect(), beneath)
    }

    /// Everything, and what `beneath` gives of the same moment.
    pub(super) fn all<T>(&self, beneath: impl FnOnce() -> T) -> (Moment, T) {
        let (active, frozen, newest, beneath) = {
            let generations = self.generations.read();
            let newest = Sequence(generations.next.0.saturating_sub(1));
            (generations.active.clone(), generations.frozen.clone(), newest, beneath())
        };
        let mut records = frozen.as_ref().map(|frozen| frozen.records.clone()).unwrap_or_default();
        records.extend(active.records.iter().map(|(key, row)| (key.clone(), row.clone())));
        let older = frozen.iter().flat_map(|frozen| frozen.rows()).map(|row| (row, 1));
        let mut state: Vec<_> = active.rows().map(|row| (row, 0)).chain(older).collect();
        state.sort_unstable_by(|(one, age), (other, other_age)| {
            one.key().cmp(other.key()).then(age.cmp(other_age))
        });
        state.dedup_by(|(later, _), (first, _)| later.key() == first.key());
        let state = state.into_iter().map(|(row, _)| row).collect();
        let before = frozen.and_then(|frozen| frozen.ceilings.clone());
        (Moment { newest, state, records, ceilings: active.ceilings.or(before) }, beneath)
    }
}
