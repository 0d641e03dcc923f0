//! From memory to a segment.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use musubi_model::Sequence;

use super::install::{Place, WriteError};
use super::shared::Shared;
use crate::chunk::entry_order;
use crate::live::LiveSegment;
use crate::recent::{Kept, Recent, RecentEntity};
use crate::segment::{Foreign, SegmentError, SegmentWriter};
use crate::series::{EntityKey, Entry, SeriesName};

/// How often who waits looks whether the process ends.
const LOOK: Duration = Duration::from_millis(100);

impl Shared {
    /// Freezes what is in memory, unless something is frozen already, for the one who writes it. None
    /// if there is nothing.
    pub(super) async fn freeze_table(&self) -> Option<(Arc<Recent>, Sequence)> {
        // Nothing is put into a table after it was frozen.
        let _applier = self.applier.lock().await;
        let mut state = self.state.write();
        if state.frozen.is_none() {
            let upto = state.applied;
            if upto == state.manifest.cursor {
                return None;
            }
            let table = std::mem::replace(&mut state.active, Arc::new(Recent::new(upto)));
            state.frozen = Some((table, upto));
        }
        state.frozen.clone()
    }

    /// Waits until the store's log cannot lose this change any more, be it to a power cut: a segment
    /// that knew of changes that never were could not be told from one of another store.
    pub(super) async fn until_durable(&self, upto: Sequence) -> Result<(), WriteError> {
        let mut durable = self.store.durable();
        loop {
            let reached = durable.wait_for(|known| *known >= upto);
            match tokio::time::timeout(LOOK, reached).await {
                Ok(Ok(_)) => return Ok(()),
                // The store has ended.
                Ok(Err(_)) => return Err(WriteError::Closing),
                Err(_) if self.is_closing.load(Ordering::Relaxed) => {
                    return Err(WriteError::Closing);
                }
                Err(_) => {}
            }
        }
    }

    /// Writes a frozen table as the newest segment.
    pub(super) fn write_table(&self, table: &Recent, upto: Sequence) -> Result<(), WriteError> {
        let segments = self.state.read().segments.clone();
        let place = Place { replaced: Vec::new(), level: 0, upto };
        let segment = if table.is_empty() {
            None
        } else {
            let write = |writer: &mut SegmentWriter| write_rows(table, &segments, writer);
            Some(self.write_segment(&place, write)?)
        };
        self.install(&place, segment)?;
        self.metrics.flushes.inc();
        Ok(())
    }
}

fn write_rows(
    table: &Recent,
    segments: &[Arc<LiveSegment>],
    writer: &mut SegmentWriter,
) -> Result<(), WriteError> {
    let held = table.hold();
    let mut names = Foreign::new(held.names());
    for (tenant, id, kept) in held.entities() {
        match kept {
            Kept::Row(row) => writer.whole((tenant, id.as_str().as_bytes()), row, &mut names)?,
            Kept::Full(entity) => {
                let key = EntityKey { tenant: tenant.clone(), id: id.clone() };
                writer.entity(&key, entity.head())?;
                for name in series_of((&key, entity), segments)? {
                    write_series(entity, &name, writer)?;
                }
            }
        }
    }
    writer.take_over(held.stats());
    Ok(())
}

fn write_series(
    entity: &RecentEntity,
    name: &SeriesName,
    writer: &mut SegmentWriter,
) -> Result<(), WriteError> {
    let corrections = entity.corrections(name);
    let mut entries: Vec<&Entry> = entity.entries(name).collect();
    entries.sort_unstable_by_key(|entry| entry_order(entry));
    Ok(writer.series_of(name.clone(), &corrections, &entries)?)
}

/// The series of which the table says anything. Where all data sets of an attribute were removed, it
/// speaks of those too which only older segments know.
fn series_of<'r>(
    (key, entity): (&EntityKey, &'r RecentEntity),
    segments: &[Arc<LiveSegment>],
) -> Result<Vec<Cow<'r, SeriesName>>, WriteError> {
    let mut series: Vec<Cow<'_, SeriesName>> = entity.series().map(Cow::Borrowed).collect();
    let removed = entity.removed();
    if removed.is_empty() {
        return Ok(series);
    }
    for live in segments {
        let older = match live.noted(live.segment().entity(key)) {
            Ok(Some(older)) => older,
            // What it says of the entity cannot be read by anybody: nothing of it has to be removed.
            Ok(None) | Err(SegmentError::Damaged(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let is_removed = |name: &SeriesName| removed.contains_key(&name.0);
        series.extend(older.names.into_iter().filter(is_removed).map(Cow::Owned));
    }
    series.sort_unstable();
    series.dedup();
    Ok(series)
}
