//! What a segment that is written is made of at the moment.

use std::fs;
use std::path::PathBuf;

use musubi_model::{InstanceNumber, Sequence};

use super::body::SeriesNumbers;
use super::few::{FEW, FEW_BYTES};
use super::row::SeriesPart;
use super::{Level, RollUp};
use crate::series::{Entry, Head, SeriesName};

/// The file that is removed unless it was finished.
#[derive(Debug)]
pub(super) struct Unfinished(pub(super) Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(part) = self.0.take() {
            // It stands in nobody's way: the next one of this name begins anew.
            let _ = fs::remove_file(part);
        }
    }
}

/// The entity to which series are added.
#[derive(Debug)]
pub(super) struct OpenEntity {
    pub(super) head: Head,
    /// The attributes and data sets of its series.
    pub(super) names: Vec<SeriesNumbers>,
}

/// The series to which instances are added.
#[derive(Debug)]
pub(super) struct OpenSeries {
    pub(super) name: SeriesName,
    pub(super) numbers: SeriesNumbers,
    pub(super) part: SeriesPart,
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: usize,
    pub(super) last: Option<(i64, InstanceNumber, Sequence)>,
    pub(super) rollups: Vec<RollUp>,
    pub(super) last_rollup: Option<(Level, u8, i64)>,
}

impl OpenSeries {
    /// Whether it has nothing but instances that may stand in the row of the entity.
    pub(super) fn is_short(&self) -> bool {
        let first = self.part.first.as_ref();
        let is_first =
            first.is_some_and(|(removed, superseded)| removed.0 == 0 && superseded.is_empty());
        let is_alone = self.part.chunks.is_empty() && self.last_rollup.is_none();
        let is_small = self.entries.len() <= FEW && self.bytes <= FEW_BYTES;
        is_first && is_alone && is_small && !self.entries.is_empty()
    }
}
