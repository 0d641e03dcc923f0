//! From the engine to memory: when the store is opened, and after the engine had failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use musubi_model::{Sequence, Tenant};
use musubi_store::{Change, Found, RecordKey, RecordKind, Subject};
use parking_lot::Mutex;

use crate::batch::{Buffers, Counters, DraftError, Effects, stored_revision};
use crate::codec::{self, Ceilings, RowError};
use crate::engine::{Engine, EngineError, Place, Rows, StateRow, StateRows, View};
use crate::folder::OpenError;
use crate::interner::{Interner, Vocabulary};
use crate::options::EmbeddedOptions;
use crate::records::{Records, Stored, is_resident};
use crate::store::Resident;
use crate::tables::Tables;

/// Rows that a thread takes at once.
const PARCEL: usize = 1_024;

type Entities = BTreeMap<Tenant, Vec<Found>>;

/// Why the engine and memory could not be brought together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] OpenError),
    /// The disk has lost acknowledged changes that memory does not hold any more.
    #[error("the disk has lost the changes after {}, and memory no longer has them all", .0.0)]
    Lost(Sequence),
}

impl From<DraftError> for RecoveryError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Row(error) => unreadable("the records")(error),
            DraftError::Engine(error) => Self::Engine(error),
        }
    }
}

pub(crate) fn unreadable(table: &'static str) -> impl Fn(RowError) -> RecoveryError {
    move |error| OpenError::Row { table, source: error.into() }.into()
}

/// Reads everything that is resident, and where the counters stand.
pub(crate) fn load(
    engine: &Engine,
    options: &EmbeddedOptions,
) -> Result<(Resident, Counters), RecoveryError> {
    let view = engine.view()?;
    let (entities, interner) = load_entities(&view)?;
    let records = load_records(&view)?;
    let newest = engine.newest();
    let ceilings = load_ceilings(engine)?;
    let positions = entities.values().flatten().map(|found| found.position.0);
    let revisions = entities.values().flatten().map(|found| found.revision.0);
    let revisions = revisions.chain(records.values().map(|(revision, _)| revision.0));
    let counters = Counters {
        newest,
        revision: revisions.max().unwrap_or_default().max(ceilings.revision),
        position: positions.max().unwrap_or_default().max(ceilings.position),
        ceilings,
    };
    let resident =
        Resident::new(options, (Tables::load(entities), Records::over(records), interner), newest);
    Ok((resident, counters))
}

fn load_ceilings(engine: &Engine) -> Result<Ceilings, RecoveryError> {
    let row = engine.ceilings()?;
    let ceilings = row.map(|row| codec::read_ceilings(&row)).transpose();
    Ok(ceilings.map_err(unreadable("the counters"))?.unwrap_or_default())
}

/// The records that are to be in memory. Of the others nothing is read: their revisions are below
/// the ceiling.
fn load_records(view: &View) -> Result<BTreeMap<RecordKey, Stored>, RecoveryError> {
    let mut records = BTreeMap::new();
    for kind in RecordKind::ALL.into_iter().filter(|kind| is_resident(*kind)) {
        view.visit_records(kind, |key, row| {
            let (key, revision, value) =
                codec::read_record(key, row).map_err(unreadable("the records"))?;
            records.insert(key, (revision, value));
            Ok::<(), RecoveryError>(())
        })?;
    }
    Ok(records)
}

/// Several threads take rows in turn and make entities of them, which is most of the work.
fn load_entities(view: &View) -> Result<(Entities, Interner), RecoveryError> {
    let interner = Interner::default();
    let rows = Mutex::new(view.state_rows()?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut entities = Entities::new();
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads).map(|_| scope.spawn(|| take_rows(&rows, &interner))).collect();
        let mut parts = vec![take_rows(&rows, &interner)];
        parts.extend(others.into_iter().map(|thread| {
            let panicked = |_| EngineError::Panicked("while decoding".to_owned()).into();
            thread.join().unwrap_or_else(|panic| Err(panicked(panic)))
        }));
        for part in parts {
            for (tenant, mut found) in part? {
                entities.entry(tenant).or_default().append(&mut found);
            }
        }
        Ok::<(), RecoveryError>(())
    })?;
    Ok((entities, interner))
}

/// Makes entities of rows until there are no more.
fn take_rows(
    rows: &Mutex<StateRows<'_>>,
    interner: &Interner,
) -> Result<Vec<(Tenant, Vec<Found>)>, RecoveryError> {
    let mut names = Vocabulary::of(interner);
    let mut entities: Vec<(Tenant, Vec<Found>)> = Vec::new();
    loop {
        let parcel = rows.lock().take(PARCEL)?;
        if parcel.is_empty() {
            return Ok(entities);
        }
        for row in parcel {
            read_row(&row, &mut names, &mut entities).map_err(unreadable("the entities"))?;
        }
    }
}

/// Adds the entity of a row. Rows of a tenant follow each other.
fn read_row(
    row: &StateRow,
    names: &mut Vocabulary<'_>,
    entities: &mut Vec<(Tenant, Vec<Found>)>,
) -> Result<(), RowError> {
    let tenant = codec::tenant_of_state(row.key())?;
    if entities.last().is_none_or(|(last, _)| last.as_str() != tenant) {
        entities.push((tenant.parse().map_err(|_| RowError::Key)?, Vec::new()));
    }
    if let Some((_, entities)) = entities.last_mut() {
        entities.push(codec::read_state(row.value(), names)?);
    }
    Ok(())
}

/// Brings memory and an engine that was opened again together.
///
/// `uncertain` is the batch at which the engine failed, which is there as a whole or not at all.
/// If it is there, it becomes visible. Everything else that was published has been acknowledged:
/// what the disk has lost of it is written again, out of what is resident and, for records that
/// are not, out of `unsynced`.
pub(crate) fn reconcile(
    engine: &Engine,
    resident: &Resident,
    (uncertain, unsynced): (&mut Option<Vec<Effects>>, &mut Unsynced),
) -> Result<Counters, RecoveryError> {
    let stored = engine.newest();
    let records = load_records(&engine.view()?)?;
    let has_landed = match uncertain {
        Some(effects) => has_landed(engine, effects, resident, (stored, &records))?,
        None => false,
    };
    // From here on it is known.
    if let Some(effects) = uncertain.take().filter(|_| has_landed) {
        unsynced.add(&effects);
        resident.publish(effects);
    }
    restore_changes(engine, resident, stored)?;
    restore_records(engine, resident, &records)?;
    unsynced.restore(engine)?;
    engine.sync()?;
    unsynced.clear();
    let newest = resident.newest();
    if engine.newest() != newest {
        return Err(RecoveryError::Lost(stored));
    }
    Ok(Counters { newest, ceilings: load_ceilings(engine)?, ..Counters::default() })
}

/// Whether a batch is in the engine: its changes are, or else, as it has none, the first of its
/// records that makes a difference.
fn has_landed(
    engine: &Engine,
    effects: &[Effects],
    resident: &Resident,
    (stored, records): (Sequence, &BTreeMap<RecordKey, Stored>),
) -> Result<bool, RecoveryError> {
    if let Some((change, _)) = effects.iter().flat_map(|effects| &effects.changes).next_back() {
        return Ok(stored >= change.sequence);
    }
    let mut last = BTreeMap::new();
    for (key, value) in effects.iter().flat_map(|effects| &effects.records) {
        last.insert(key, value);
    }
    for (key, value) in last {
        if is_resident(key.kind) {
            if resident.records.get(key) != *value {
                return Ok(records.get(key) == value.as_ref());
            }
            continue;
        }
        let revision = stored_revision(engine, key)?;
        match value {
            // No other write has had this revision.
            Some((written, _)) => return Ok(revision == Some(*written)),
            None if revision.is_some() => return Ok(false),
            // It was deleted, or was never there.
            None => {}
        }
    }
    Ok(false)
}

/// Writes again the changes that were published and are not in the engine.
fn restore_changes(
    engine: &Engine,
    resident: &Resident,
    stored: Sequence,
) -> Result<(), RecoveryError> {
    let newest = resident.newest();
    if stored >= newest {
        return Ok(());
    }
    let lost = resident.recent.after(stored, usize::MAX).unwrap_or_default();
    if lost.last().map(|change| change.sequence) != Some(newest) {
        return Err(RecoveryError::Lost(stored));
    }
    tracing::error!(
        after = stored.0,
        upto = newest.0,
        "the disk has lost acknowledged changes; they are written again from memory"
    );
    let mut rows = Rows::default();
    let mut buffers = Buffers::default();
    for change in lost {
        write_again(&mut rows, &change, &mut buffers).map_err(unreadable("the log"))?;
    }
    engine.show(engine.write(rows)?);
    Ok(())
}

fn write_again(rows: &mut Rows, change: &Change, buffers: &mut Buffers) -> Result<(), RowError> {
    buffers.entity.clear();
    if let Subject::Entity(subject) = &change.subject {
        let numbers = (subject.revision, subject.position);
        buffers.state(rows, (&change.tenant, &subject.id), numbers, subject.after.as_deref());
    }
    codec::log_row(change, &buffers.entity, &mut buffers.row)?;
    rows.log(change.sequence, &buffers.row);
    Ok(())
}

/// Writes again the records in which the engine differs from memory.
fn restore_records(
    engine: &Engine,
    resident: &Resident,
    stored: &BTreeMap<RecordKey, Stored>,
) -> Result<(), RecoveryError> {
    let wanted = resident.records.snapshot();
    let mut rows = Rows::default();
    for (key, (revision, value)) in &wanted {
        if stored.get(key).is_none_or(|(known, _)| known != revision) {
            rows.put(Place::Records, &codec::record_key(key), &codec::record_row(*revision, value));
        }
    }
    for key in stored.keys().filter(|key| !wanted.contains_key(key)) {
        rows.delete(Place::Records, &codec::record_key(key));
    }
    if !rows.is_empty() {
        engine.show(engine.write(rows)?);
    }
    Ok(())
}

/// Acknowledged writes of records that are not resident, for as long as the disk has not said that
/// it has them. Used only where an acknowledgement does not wait for the disk, and so bounded by what
/// is written in one interval.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Written since the disk was last asked.
    written: Writes,
    /// Written before that, and after it was last known to have everything.
    asked: Writes,
    /// When it was last asked.
    number: u64,
}

type Writes = BTreeMap<RecordKey, Option<Stored>>;

impl Unsynced {
    /// Keeps what a batch does.
    pub(crate) fn add(&mut self, batch: &[Effects]) {
        let records = batch.iter().flat_map(|effects| &effects.records);
        for (key, stored) in records.filter(|(key, _)| !is_resident(key.kind)) {
            self.written.insert(key.clone(), stored.clone());
        }
    }

    /// The disk is asked to keep all of it, for the time of this number.
    pub(crate) fn ask(&mut self, number: u64) {
        self.asked.append(&mut self.written);
        self.number = number;
    }

    /// The disk has what it was asked to keep for the time of this number.
    pub(crate) fn done(&mut self, number: u64) {
        if number >= self.number {
            self.asked.clear();
        }
    }

    /// The disk has all of it.
    pub(crate) fn clear(&mut self) {
        self.asked.clear();
        self.written.clear();
    }

    /// Writes again what an engine that was opened again does not have.
    fn restore(&self, engine: &Engine) -> Result<(), RecoveryError> {
        let mut rows = Rows::default();
        let mut writes = self.asked.clone();
        writes.extend(self.written.clone());
        for (key, stored) in &writes {
            let written = stored.as_ref().map(|(revision, _)| *revision);
            if stored_revision(engine, key)? == written {
                continue;
            }
            let row_key = codec::record_key(key);
            match stored {
                Some((revision, value)) => {
                    rows.put(Place::Records, &row_key, &codec::record_row(*revision, value));
                }
                None => rows.delete(Place::Records, &row_key),
            }
        }
        if !rows.is_empty() {
            engine.show(engine.write(rows)?);
        }
        Ok(())
    }
}

/// The changes of the log after `after`, up to `upto`, at most `limit`, from the disk.
pub(crate) fn read_changes(
    engine: &Engine,
    range: (Sequence, Sequence),
    limit: usize,
) -> Result<Vec<Arc<Change>>, RecoveryError> {
    let mut changes = Vec::new();
    engine.visit_log(range, limit, |key, row| {
        changes.push(Arc::new(codec::read_log(key, row).map_err(unreadable("the log"))?));
        Ok::<(), RecoveryError>(())
    })?;
    Ok(changes)
}
