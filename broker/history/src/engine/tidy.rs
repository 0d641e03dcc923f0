//! What has outlived its rule goes from the disk even when nothing is written.

use std::sync::atomic::Ordering;

use super::install::WriteError;
use super::merge::LAG;
use super::shared::Shared;
use crate::live::LiveSegment;
use crate::read::{EntityView, View};
use crate::segment::{SegmentError, SeriesSummary};

impl Shared {
    /// Rewrites the segments in which there is something that was to go for so long that it pays.
    pub(super) fn tidy(&self) -> Result<(), WriteError> {
        let now = self.options.clock.now().as_micros().saturating_sub(LAG);
        let view = self.view_at(now);
        for (place, live) in view.segments.iter().enumerate() {
            if self.is_closing.load(Ordering::Relaxed) {
                return Err(WriteError::Closing);
            }
            let has_rested = now.saturating_sub(live.looked_at()) >= view.retention.pause();
            if !has_rested || live.is_damaged() {
                continue;
            }
            // Segments keep their places: this one comes in the place of itself.
            let done = match self.has_overdue(&view, live) {
                Ok(true) => self.merge(place..place + 1),
                other => other.map(|_| live.look(now)),
            };
            match done {
                // The others are looked at all the same.
                Err(WriteError::Segment(SegmentError::Damaged(_))) => live.look(now),
                done => done?,
            }
        }
        Ok(())
    }

    /// Whether instances of a segment were to go for long, or most of what is in it are roll-ups that
    /// were to go.
    fn has_overdue(&self, view: &View, live: &LiveSegment) -> Result<bool, WriteError> {
        let segment = live.segment();
        let summary = segment.summary();
        let stats = &summary.stats;
        let may_be_old = stats.count > 0 && stats.primary.first < view.retention.overdue_by_any();
        // Roll-ups are read only where they are the most.
        let may_be_expired = summary.rollups > stats.count;
        if !may_be_old && !may_be_expired {
            return Ok(false);
        }
        let mut expired = 0_u64;
        for tenant in segment.tenants() {
            for row in segment.heads(tenant, None, None) {
                if self.is_closing.load(Ordering::Relaxed) {
                    return Err(WriteError::Closing);
                }
                let row = live.noted(row)?;
                let Some(entity) = view.read_entity(row.key.clone())? else { continue };
                if !entity.counts(live) {
                    continue;
                }
                let series = live.noted(segment.series_of(&row))?;
                if may_be_old && is_overdue(view, &entity, &series) {
                    return Ok(true);
                }
                if may_be_expired {
                    expired = expired.saturating_add(expired_roll_ups(&entity, live, &series)?);
                }
            }
        }
        Ok(expired > stats.count.saturating_add(summary.rollups) / 2)
    }
}

fn is_overdue(view: &View, entity: &EntityView<'_>, series: &[SeriesSummary]) -> bool {
    series.iter().any(|series| {
        let attribute = &series.key.attribute;
        let tenant = &series.key.entity.tenant;
        let from = view.retention.overdue(tenant, entity.types(), attribute);
        series.stats.count > 0 && series.stats.primary.first < from
    })
}

/// How many roll-ups of these series are not kept any more.
fn expired_roll_ups(
    entity: &EntityView<'_>,
    live: &LiveSegment,
    series: &[SeriesSummary],
) -> Result<u64, WriteError> {
    let mut expired = 0_u64;
    for series in series.iter().filter(|series| series.rollups > 0) {
        let limits = entity.limits(&series.key.attribute);
        let rows = live.noted(live.segment().rollups(series))?;
        let gone = rows.iter().filter(|row| row.count > 0 && row.start < limits.from(row.level));
        expired = expired.saturating_add(u64::try_from(gone.count()).unwrap_or(u64::MAX));
    }
    Ok(expired)
}
