//! From several segments, one after another in age, to one. Corrections and removals take effect in
//! what is merged; they are kept as long as there are older segments that they may speak of. What is
//! not kept any more because of its age is left out, and rolled up in the same file.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use musubi_model::Sequence;

use super::install::{Place, WriteError};
use super::shared::Shared;
use crate::chunk::entry_order;
use crate::column::Damaged;
use crate::live::LiveSegment;
use crate::read::{EntityView, View};
use crate::retention::Limits;
use crate::rolled::RolledUp;
use crate::segment::{Row, Scan, SegmentError, SegmentWriter};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesKey};

/// Microseconds. Instances are dropped so much later than they are hidden: by then every correction of
/// them has come that was made while they were shown.
pub(super) const LAG: i64 = 600_000_000;

/// Which segments become one next: as many of one level, one after another, as there may be. Damaged
/// ones stay as they are.
pub(super) fn due(segments: &[Arc<LiveSegment>], width: usize) -> Option<Range<usize>> {
    let goes_with = |one: &Arc<LiveSegment>, other: &Arc<LiveSegment>| {
        !one.is_damaged() && !other.is_damaged() && one.listed().level == other.listed().level
    };
    let mut end = segments.len();
    for run in segments.chunk_by(goes_with).rev() {
        let start = end - run.len();
        if run.len() >= width.max(2) {
            return Some(start..end);
        }
        end = start;
    }
    None
}

impl Shared {
    /// Makes one segment of these. Others may be written behind them meanwhile, but nothing else
    /// merged.
    pub(super) fn merge(&self, range: Range<usize>) -> Result<(), WriteError> {
        let segments = self.state.read().segments.clone();
        let inputs = segments.get(range.clone()).unwrap_or_default();
        let Some(newest) = inputs.last().map(|live| live.listed()) else { return Ok(()) };
        let level = inputs.iter().map(|live| live.listed().level).max().unwrap_or_default();
        let level = if inputs.len() > 1 { level.saturating_add(1) } else { level };
        self.check_room(inputs)?;
        let view = self.view_at(self.options.clock.now().as_micros().saturating_sub(LAG));
        let mut dropped = 0;
        let replaced = inputs.iter().map(|live| live.listed().id).collect();
        let place = Place { level, upto: newest.upto, replaced };
        let older = if range.start == 0 { Older::None } else { Older::Some };
        let segment = self.write_segment(&place, |writer| {
            let aged = (!view.keeps_all()).then_some(Aged { view: &view, upto: newest.upto });
            let mut merge = Merge::begin(inputs, older, aged)?;
            while let Some(key) = merge.next_entity() {
                if self.is_closing.load(Ordering::Relaxed) {
                    return Err(WriteError::Closing);
                }
                merge.entity(&key, writer)?;
            }
            merge.check_ended()?;
            dropped = merge.dropped;
            Ok(())
        })?;
        self.install(&place, Some(segment))?;
        self.metrics.merges.inc();
        self.metrics.dropped.inc_by(dropped);
        Ok(())
    }

    /// Refuses to begin with what would fill the disk.
    fn check_room(&self, inputs: &[Arc<LiveSegment>]) -> Result<(), WriteError> {
        let bytes = inputs.iter().map(|live| live.listed().bytes).sum::<u64>();
        let needed = bytes.saturating_add(self.options.min_free_disk);
        let free = self.folder.free_bytes()?;
        let is_put_off = free < needed;
        let was_put_off = self.is_put_off.swap(is_put_off, Ordering::Relaxed);
        if !is_put_off {
            return Ok(());
        }
        self.metrics.merges_put_off.inc();
        if !was_put_off {
            tracing::warn!(
                free,
                needed,
                "segments of the history are not merged: the disk is too full"
            );
        }
        Err(WriteError::NoRoom)
    }
}

/// Whether there are segments older than those that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    None,
    Some,
}

/// A segment as it is read for a merge.
struct Input<'a> {
    live: &'a LiveSegment,
    scan: Scan<'a>,
    next: Option<Row>,
}

impl Input<'_> {
    fn advance(&mut self) -> Result<Option<Row>, SegmentError> {
        let following = self.live.noted(self.scan.next().transpose())?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    fn entity(&self) -> Option<&EntityKey> {
        match &self.next {
            Some(Row::Entity(key, _)) => Some(key),
            Some(Row::Series(..) | Row::Entry(_) | Row::RollUp(_)) | None => None,
        }
    }

    fn series(&self) -> Option<&SeriesKey> {
        match &self.next {
            Some(Row::Series(key, _)) => Some(key),
            Some(Row::Entity(..) | Row::Entry(_) | Row::RollUp(_)) | None => None,
        }
    }

    fn entry(&self) -> Option<&Entry> {
        match &self.next {
            Some(Row::Entry(entry)) => Some(entry),
            Some(Row::Entity(..) | Row::Series(..) | Row::RollUp(_)) | None => None,
        }
    }

    /// The head of this entity, if the input has it; it is then behind it.
    fn take_head(&mut self, key: &EntityKey) -> Result<Option<Head>, SegmentError> {
        if self.entity() != Some(key) {
            return Ok(None);
        }
        match self.advance()? {
            Some(Row::Entity(_, head)) => Ok(Some(head)),
            Some(Row::Series(..) | Row::Entry(_) | Row::RollUp(_)) | None => Ok(None),
        }
    }

    /// What the input says of a series, if it has it. [`follow`](Self::follow) has to come after that.
    fn take_corrections(&mut self, key: &SeriesKey) -> Option<Corrections> {
        let next = self.next.take_if(|row| matches!(row, Row::Series(here, _) if here == key));
        match next {
            Some(Row::Series(_, corrections)) => Some(corrections),
            Some(Row::Entity(..) | Row::Entry(_) | Row::RollUp(_)) | None => None,
        }
    }

    /// Reads what comes behind a series' beginning, and its chunks if they were taken.
    fn follow(&mut self) -> Result<(), SegmentError> {
        self.next = self.live.noted(self.scan.next().transpose())?;
        Ok(())
    }

    /// Passes over what is left of the entity.
    fn skip_entity(&mut self) -> Result<(), SegmentError> {
        while self.next.is_some() && self.entity().is_none() {
            self.advance()?;
        }
        Ok(())
    }
}

/// By what it is judged which instances are not kept any more.
struct Aged<'a> {
    /// All places, and not only those that are merged: what later ones say of an instance counts
    /// before it is rolled up.
    view: &'a View,
    /// The last change in what is merged.
    upto: Sequence,
}

impl<'a> Aged<'a> {
    /// An entity, unless what is merged of it was removed later.
    fn entity(
        &self,
        key: &EntityKey,
        inputs: impl Iterator<Item = &'a LiveSegment>,
    ) -> Result<Option<EntityView<'a>>, WriteError> {
        let mut inputs = inputs;
        let found = match self.view.read_entity(key.clone()) {
            Ok(found) => found,
            // What later places say of it is not known: so all of it is kept.
            Err(SegmentError::Damaged(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(found.filter(|entity| inputs.any(|live| entity.counts(live))))
    }
}

/// What is not there any more of one series.
struct Gone {
    limits: Limits,
    /// What later places than those that are merged say of it.
    later: Corrections,
}

impl Gone {
    fn nothing() -> Self {
        Self { limits: Limits::NONE, later: Corrections::default() }
    }
}

/// The inputs, oldest first, all at the same entity or at a later one.
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    older: Older,
    aged: Option<Aged<'a>>,
    /// How many instances were left out because of their age.
    dropped: u64,
}

impl<'a> Merge<'a> {
    fn begin(
        inputs: &'a [Arc<LiveSegment>],
        older: Older,
        aged: Option<Aged<'a>>,
    ) -> Result<Self, SegmentError> {
        let mut merge = Self { inputs: Vec::new(), older, aged, dropped: 0 };
        for live in inputs {
            let mut input = Input { live, scan: live.segment().scan(), next: None };
            input.advance()?;
            merge.inputs.push(input);
        }
        Ok(merge)
    }

    /// Refuses to leave anything out that an input still has.
    fn check_ended(&self) -> Result<(), SegmentError> {
        let left = self.inputs.iter().find(|input| input.next.is_some());
        let Some(input) = left else { return Ok(()) };
        input.live.noted(Err(Damaged("the order of a segment that is merged").into()))
    }

    fn next_entity(&self) -> Option<EntityKey> {
        self.inputs.iter().filter_map(Input::entity).min().cloned()
    }

    fn entity(&mut self, key: &EntityKey, writer: &mut SegmentWriter) -> Result<(), WriteError> {
        let mut head: Option<Head> = None;
        // Inputs in which this entity comes; each knows later changes than those before it.
        let mut with: Vec<usize> = Vec::new();
        for at in 0..self.inputs.len() {
            let Some(input) = self.inputs.get_mut(at) else { continue };
            let Some(later) = input.take_head(key)? else { continue };
            if later.removed_upto > Sequence(0) {
                for earlier in with.drain(..) {
                    if let Some(input) = self.inputs.get_mut(earlier) {
                        input.skip_entity()?;
                    }
                }
            }
            match &mut head {
                None => head = Some(later),
                Some(head) => head.merge(later),
            }
            with.push(at);
        }
        let Some(mut head) = head else { return Ok(()) };
        let has_series = |at: &usize| self.inputs.get(*at).is_some_and(|it| it.series().is_some());
        if self.older == Older::None {
            head.removed_upto = Sequence(0);
            if head == Head::nothing() && !with.iter().any(has_series) {
                return Ok(());
            }
        }
        writer.entity(key, &head)?;
        let inputs = with.iter().filter_map(|at| self.inputs.get(*at)).map(|input| input.live);
        let aged = match &self.aged {
            Some(aged) => aged.entity(key, inputs)?,
            None => None,
        };
        while let Some(series) = self.next_series(&with) {
            let gone = match &aged {
                Some(entity) => self.gone(entity, &series)?,
                None => Gone::nothing(),
            };
            self.series(&series, &with, &gone, writer)?;
        }
        Ok(())
    }

    fn gone(&self, entity: &EntityView<'_>, series: &SeriesKey) -> Result<Gone, SegmentError> {
        let limits = entity.limits(&series.attribute);
        let name = (series.attribute.clone(), series.dataset.clone());
        let later = match &self.aged {
            Some(aged) if limits != Limits::NONE => entity.corrections_after(aged.upto, &name),
            Some(_) | None => Ok(Corrections::default()),
        };
        match later {
            Ok(later) => Ok(Gone { limits, later }),
            Err(SegmentError::Damaged(_)) => Ok(Gone::nothing()),
            Err(error) => Err(error),
        }
    }

    fn next_series(&self, with: &[usize]) -> Option<SeriesKey> {
        let inputs = with.iter().filter_map(|at| self.inputs.get(*at));
        inputs.filter_map(Input::series).min().cloned()
    }

    fn series(
        &mut self,
        key: &SeriesKey,
        with: &[usize],
        gone: &Gone,
        writer: &mut SegmentWriter,
    ) -> Result<(), WriteError> {
        // Of each input, what it says of those before it.
        let mut said: Vec<(usize, Corrections)> = Vec::new();
        for at in with {
            let Some(input) = self.inputs.get_mut(*at) else { continue };
            if let Some(corrections) = input.take_corrections(key) {
                said.push((*at, corrections));
            }
        }
        let mut is_begun = match said.as_slice() {
            [(at, own)] if gone.limits == Limits::NONE => self.copy(key, (*at, own), writer)?,
            _ => false,
        };
        for (at, _) in &said {
            if let Some(input) = self.inputs.get_mut(*at) {
                input.follow()?;
            }
        }
        let mut later = Corrections::default();
        let mut inputs: Vec<(usize, Corrections)> = Vec::new();
        for (at, mut own) in said.into_iter().rev() {
            inputs.push((at, later.clone()));
            own.merge(later);
            later = own;
        }
        let kept = if self.older == Older::None { Corrections::default() } else { later };
        if !is_begun && !kept.is_empty() {
            writer.series(key.clone(), &kept)?;
            is_begun = true;
        }
        let mut rolled = RolledUp::default();
        while let Some(entry) = self.next_entry(&inputs)? {
            if gone.limits.hides(&entry.recorded) {
                self.dropped = self.dropped.saturating_add(1);
                if !gone.later.covers(&entry) {
                    rolled.fold(&entry.recorded, &gone.limits);
                }
                continue;
            }
            if !is_begun {
                writer.series(key.clone(), &kept)?;
                is_begun = true;
            }
            writer.push(entry)?;
        }
        self.take_roll_ups(&inputs, &gone.limits, &mut rolled)?;
        for row in rolled.rows() {
            if !is_begun {
                writer.series(key.clone(), &kept)?;
                is_begun = true;
            }
            writer.rollup(row)?;
        }
        Ok(())
    }

    /// Writes the chunks of a series of which one input alone knows, as they are. Whether the series
    /// was begun.
    fn copy(
        &mut self,
        key: &SeriesKey,
        (at, own): (usize, &Corrections),
        writer: &mut SegmentWriter,
    ) -> Result<bool, WriteError> {
        let Some(input) = self.inputs.get_mut(at) else { return Ok(false) };
        let mut is_begun = false;
        while let Some(chunk) = input.live.noted(input.scan.next_chunk())? {
            if !is_begun {
                let nothing = Corrections::default();
                let kept = if self.older == Older::None { &nothing } else { own };
                writer.series(key.clone(), kept)?;
                is_begun = true;
            }
            writer.chunk(&chunk)?;
        }
        Ok(is_begun)
    }

    /// Takes in the roll-ups of a series, which stand behind its entries. Those of before a removal
    /// are not there any more; those in the same place as it were made after it.
    fn take_roll_ups(
        &mut self,
        inputs: &[(usize, Corrections)],
        limits: &Limits,
        rolled: &mut RolledUp,
    ) -> Result<(), SegmentError> {
        for (at, later) in inputs {
            let Some(input) = self.inputs.get_mut(*at) else { continue };
            while matches!(input.next, Some(Row::RollUp(_))) {
                if let Some(Row::RollUp(row)) = input.advance()?
                    && later.removed_upto == Sequence(0)
                {
                    rolled.merge(&row, limits);
                }
            }
        }
        Ok(())
    }

    /// The next entry of the series at which the inputs are that is still there.
    fn next_entry(
        &mut self,
        inputs: &[(usize, Corrections)],
    ) -> Result<Option<Entry>, SegmentError> {
        loop {
            let order = |at: usize| self.inputs.get(at)?.entry().map(entry_order);
            let ordered = inputs.iter().filter_map(|(at, later)| Some((order(*at)?, *at, later)));
            let Some((_, at, later)) = ordered.min_by_key(|(order, ..)| *order) else {
                return Ok(None);
            };
            let Some(input) = self.inputs.get_mut(at) else { return Ok(None) };
            if let Some(Row::Entry(entry)) = input.advance()?
                && !later.covers(&entry)
            {
                return Ok(Some(entry));
            }
        }
    }
}
