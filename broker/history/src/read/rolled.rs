//! What of an entity is not there any more, and what remains of it.

use std::ops::ControlFlow;

use musubi_model::Timestamp;
use musubi_query::{TemporalProperty, TemporalQuery, TimeRelation};
use musubi_store::StoreError;

use super::deadline::Deadline;
use super::entity::{EntityView, earlier};
use super::lookup::anything;
use super::view::unreadable;
use crate::chunk::ChunkStats;
use crate::live::LiveSegment;
use crate::retention::Limits;
use crate::rolled::{RolledUp, counts};
use crate::segment::{PageSlot, RollUp, SeriesSummary};
use crate::series::{Corrections, SeriesName};

impl EntityView<'_> {
    /// The roll-ups in the range, of these series of one attribute, sorted by their start. What
    /// is not there any more and stands in no roll-up yet is in them as well.
    pub(super) fn rolled_up(
        &self,
        series: &[SeriesName],
        query: &TemporalQuery,
        deadline: &Deadline,
    ) -> Result<Vec<RollUp>, StoreError> {
        let mut rolled = RolledUp::default();
        if self.keeps_all() {
            return Ok(Vec::new());
        }
        let mut slot = PageSlot::default();
        for name in series {
            let limits = self.limits(&name.0);
            let is_old =
                |stats: &ChunkStats| stats.count > 0 && stats.primary.first < limits.cutoff;
            self.fold_recent(name, &limits, &mut rolled);
            self.each_place(name, &mut |live, summary, later| {
                deadline.check()?;
                let segment = live.segment();
                if later.removed_upto.0 == 0 {
                    for row in segment.rollups(summary).map_err(unreadable)? {
                        rolled.merge(&row, &limits);
                    }
                }
                if !is_old(&summary.stats) {
                    return Ok(());
                }
                for chunk in segment.chunks(summary, is_old).map_err(unreadable)? {
                    deadline.check()?;
                    let chunk = segment.load(&chunk, &mut slot).map_err(unreadable)?;
                    let entries = chunk.entries().map_err(|error| unreadable(error.into()))?;
                    for entry in entries {
                        if limits.hides(&entry.recorded) && !later.covers(&entry) {
                            rolled.fold(&entry.recorded, &limits);
                        }
                    }
                }
                Ok(())
            })?;
        }
        let mut chosen = rolled.chosen();
        chosen.retain(|row| counts(row, query));
        chosen.sort_by_key(|row| row.start);
        deadline.check_instances(chosen.len())?;
        Ok(chosen)
    }

    /// Before which moment instances of a series are not there any more, if there were any and the
    /// question is for such a time.
    pub(super) fn dropped_before(
        &self,
        name: &SeriesName,
        query: &TemporalQuery,
    ) -> Result<Option<Timestamp>, StoreError> {
        if self.keeps_all() {
            return Ok(None);
        }
        let limits = self.limits(&name.0);
        let mut dropped: Option<i64> = None;
        let mut hidden = RolledUp::default();
        self.fold_recent(name, &limits, &mut hidden);
        if hidden.rows().next().is_some() {
            dropped = Some(limits.cutoff);
        }
        self.each_place(name, &mut |live, summary, later| {
            if summary.stats.count > 0 && summary.stats.primary.first < limits.cutoff {
                dropped = Some(limits.cutoff);
            }
            if summary.rollups == 0 || later.removed_upto.0 > 0 {
                return Ok(());
            }
            if limits.cutoff > i64::MIN {
                dropped = Some(limits.cutoff);
                return Ok(());
            }
            // There was a rule, and there is none any more.
            for row in live.segment().rollups(summary).map_err(unreadable)? {
                dropped = dropped.max(Some(row.start.saturating_add(row.level.micros())));
            }
            Ok(())
        })?;
        Ok(dropped.map(Timestamp::from_micros).filter(|before| reaches(query, *before)))
    }

    /// Whether there is anything of it, or never was: not all that was recorded has outlived its time,
    /// and what it was rolled up to as well.
    pub(super) fn is_left(&self, deadline: &Deadline) -> Result<bool, StoreError> {
        if self.keeps_all() {
            return Ok(true);
        }
        let ever = TemporalQuery { property: TemporalProperty::ObservedAt, ..anything() };
        let mut has_ended = false;
        for name in self.series() {
            deadline.check()?;
            if self.has_any(&name, &anything(), deadline)?
                || !self.rolled_up(std::slice::from_ref(&name), &ever, deadline)?.is_empty()
            {
                return Ok(true);
            }
            has_ended |= self.dropped_before(&name, &ever)?.is_some();
        }
        Ok(!has_ended)
    }

    /// Folds what the tables hold of a series and is not there any more.
    fn fold_recent(&self, name: &SeriesName, limits: &Limits, rolled: &mut RolledUp) {
        let mut later = Corrections::default();
        for table in self.tables().iter().rev() {
            let _ = table.visit(name, &mut |entry| {
                if limits.hides(&entry.recorded) && !later.covers(entry) {
                    rolled.fold(&entry.recorded, limits);
                }
                ControlFlow::Continue(())
            });
            later = earlier(table.corrections(name), later);
        }
    }

    /// Shows what each segment says of a series, the newest first, with what later places say of it.
    fn each_place(
        &self,
        name: &SeriesName,
        each: &mut dyn FnMut(&LiveSegment, &SeriesSummary, &Corrections) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut later = Corrections::default();
        for table in self.tables().iter().rev() {
            later = earlier(table.corrections(name), later);
        }
        for (live, row) in self.segments().iter().rev() {
            let Some(summary) = live.segment().series(row, name).map_err(unreadable)? else {
                continue;
            };
            each(live, &summary, &later)?;
            later = earlier(summary.corrections, later);
        }
        Ok(())
    }
}

/// Whether a question is for times before this moment.
fn reaches(query: &TemporalQuery, moment: Timestamp) -> bool {
    match query.range {
        None | Some(TimeRelation::Before(_)) => true,
        Some(TimeRelation::After(start)) => start < moment,
        Some(TimeRelation::Between(start, end)) => start < moment && start < end,
    }
}
