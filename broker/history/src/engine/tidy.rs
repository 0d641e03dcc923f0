//! What has outlived its rule goes from the disk even when nothing is written.

use std::sync::atomic::Ordering;

use super::install::WriteError;
use super::merge::LAG;
use super::shared::Shared;
use crate::live::LiveSegment;
use crate::read::View;
use crate::segment::{EntityRow, SegmentError};

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

    /// Whether instances of a segment were to go for long.
    fn has_overdue(&self, view: &View, live: &LiveSegment) -> Result<bool, WriteError> {
        let segment = live.segment();
        let stats = &segment.summary().stats;
        if stats.count == 0 || stats.primary.first >= view.retention.overdue_by_any() {
            return Ok(false);
        }
        for tenant in segment.tenants() {
            for row in segment.heads(tenant, None, None) {
                if self.is_closing.load(Ordering::Relaxed) {
                    return Err(WriteError::Closing);
                }
                if is_overdue(view, live, &live.noted(row)?)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn is_overdue(view: &View, live: &LiveSegment, row: &EntityRow) -> Result<bool, WriteError> {
    let Some(entity) = view.read_entity(row.key.clone())? else { return Ok(false) };
    if !entity.counts(live) {
        return Ok(false);
    }
    let series = live.noted(live.segment().series_of(&row.key))?;
    Ok(series.iter().any(|series| {
        let attribute = &series.key.attribute;
        let from = view.retention.overdue(&row.key.tenant, entity.types(), attribute);
        series.stats.count > 0 && series.stats.primary.first < from
    }))
}
