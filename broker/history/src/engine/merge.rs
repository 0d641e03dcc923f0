//! From several segments, one after another in age, to one. Corrections and removals take effect in
//! what is merged; they are kept as long as there are older segments that they may speak of. What is
//! not kept any more because of its age is left out, and rolled up in the same file.

mod input;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic;

use musubi_model::{Sequence, Tenant};

use self::input::Input;
use super::install::{Place, WriteError};
use super::shared::Shared;
use crate::chunk::entry_order;
use crate::live::LiveSegment;
use crate::read::{EntityView, View};
use crate::retention::Limits;
use crate::rolled::RolledUp;
use crate::segment::{Row, SegmentError, SegmentWriter};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

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
            while merge.find_entity() {
                if self.is_closing.load(atomic::Ordering::Relaxed) {
                    return Err(WriteError::Closing);
                }
                merge.entity(writer)?;
            }
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
        let was_put_off = self.is_put_off.swap(is_put_off, atomic::Ordering::Relaxed);
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

/// The inputs, oldest first.
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    /// Those that are at the entity which is next, of all.
    here: Vec<usize>,
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
        let tenants = inputs.iter().flat_map(|live| live.segment().tenants());
        let tenants: Vec<&Tenant> = tenants.collect::<BTreeSet<_>>().into_iter().collect();
        let inputs = inputs.iter().map(|live| {
            let mut input = Input::new(live, &tenants);
            input.next_entity().map(|()| input)
        });
        let inputs = inputs.collect::<Result<_, _>>()?;
        Ok(Self { inputs, here: Vec::new(), older, aged, dropped: 0 })
    }

    /// Finds the entity that is next, and the inputs in which it is. Whether there is one.
    fn find_entity(&mut self) -> bool {
        let Self { inputs, here, .. } = self;
        here.clear();
        let mut least: Option<(usize, &[u8])> = None;
        for (at, input) in inputs.iter().enumerate() {
            let Some(entity) = input.entity() else { continue };
            let order = least.map_or(Ordering::Less, |least| entity.cmp(&least));
            if order == Ordering::Less {
                least = Some(entity);
                here.clear();
            }
            if order != Ordering::Greater {
                here.push(at);
            }
        }
        !here.is_empty()
    }

    /// Writes the entity that was found.
    fn entity(&mut self, writer: &mut SegmentWriter) -> Result<(), WriteError> {
        let here = std::mem::take(&mut self.here);
        if let ([at], None) = (here.as_slice(), &self.aged)
            && let Some(input) = self.inputs.get_mut(*at)
            && input.take_over(writer)?
        {
            self.here = here;
            return Ok(());
        }
        self.put_together(&here, writer)?;
        for at in &here {
            if let Some(input) = self.inputs.get_mut(*at) {
                input.next_entity()?;
            }
        }
        self.here = here;
        Ok(())
    }

    /// Writes an entity of what these inputs say of it.
    fn put_together(
        &mut self,
        here: &[usize],
        writer: &mut SegmentWriter,
    ) -> Result<(), WriteError> {
        let mut known: Option<(EntityKey, Head)> = None;
        // Inputs whose series count; each knows later changes than those before it.
        let mut with: Vec<usize> = Vec::new();
        for at in here {
            let Some(input) = self.inputs.get_mut(*at) else { continue };
            let (key, later) = input.open()?;
            if later.removed_upto > Sequence(0) {
                for earlier in with.drain(..) {
                    if let Some(input) = self.inputs.get_mut(earlier) {
                        input.skip_entity()?;
                    }
                }
            }
            match &mut known {
                None => known = Some((key, later)),
                Some((_, head)) => head.merge(later),
            }
            with.push(*at);
        }
        let Some((key, mut head)) = known else { return Ok(()) };
        let has_series = |at: &usize| self.inputs.get(*at).is_some_and(|it| it.series().is_some());
        if self.older == Older::None {
            head.removed_upto = Sequence(0);
            if head == Head::nothing() && !with.iter().any(has_series) {
                return Ok(());
            }
        }
        writer.entity(&key, &head)?;
        let inputs = with.iter().filter_map(|at| self.inputs.get(*at)).map(|input| input.live);
        let aged = match &self.aged {
            Some(aged) => aged.entity(&key, inputs)?,
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

    fn gone(&self, entity: &EntityView<'_>, name: &SeriesName) -> Result<Gone, SegmentError> {
        let limits = entity.limits(&name.0);
        let later = match &self.aged {
            Some(aged) if limits != Limits::NONE => entity.corrections_after(aged.upto, name),
            Some(_) | None => Ok(Corrections::default()),
        };
        match later {
            Ok(later) => Ok(Gone { limits, later }),
            Err(SegmentError::Damaged(_)) => Ok(Gone::nothing()),
            Err(error) => Err(error),
        }
    }

    fn next_series(&self, with: &[usize]) -> Option<SeriesName> {
        let inputs = with.iter().filter_map(|at| self.inputs.get(*at));
        inputs.filter_map(Input::series).min().cloned()
    }

    fn series(
        &mut self,
        key: &SeriesName,
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
        key: &SeriesName,
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
