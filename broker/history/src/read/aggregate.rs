//! Aggregates, put together from columns where that is possible: of most series nothing but times and
//! numbers is ever decoded.

use std::collections::VecDeque;

use musubi_model::{InstanceNumber, Recorded, Timestamp};
use musubi_query::{AggregationRefusal, PeriodAggregates, RollUp, TemporalQuery};
use musubi_store::{HistoryError, StoreError};

use super::deadline::Deadline;
use super::entity::EntityView;
use super::gather::{Gather, Needed};
use super::source::Source;
use super::view::unreadable;
use crate::recent::SeriesName;
use crate::retention::Limits;
use crate::segment::PageSlot;

/// An instance, as far as an aggregate needs it.
#[derive(Debug)]
struct Operand {
    time: Timestamp,
    number: InstanceNumber,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// A property with a number, and nothing beside it that matters.
    Number(f64),
    Other(Box<Recorded>),
    /// Of what is not there any more.
    RolledUp(RollUp),
}

impl Operand {
    /// All counts with the beginning of its period.
    fn rolled_up(of: &crate::segment::RollUp) -> Self {
        let numbers = &of.numbers;
        let roll_up = RollUp {
            total: of.count,
            count: numbers.count,
            sum: numbers.sum,
            sumsq: numbers.sum_of_squares,
            min: numbers.min,
            max: numbers.max,
        };
        Self {
            time: Timestamp::from_micros(of.start),
            number: InstanceNumber::default(),
            value: Value::RolledUp(roll_up),
        }
    }

    fn of(recorded: Recorded, query: &TemporalQuery) -> Self {
        let (time, number) = query.place(&recorded);
        Self { time, number, value: Value::Other(Box::new(recorded)) }
    }

    /// The text that it holds, in bytes.
    fn bytes(&self) -> usize {
        match &self.value {
            Value::Other(recorded) => recorded.text_size(),
            Value::Number(_) | Value::RolledUp(_) => 0,
        }
    }

    fn add_to(&self, aggregates: &mut PeriodAggregates<'_>) -> Result<(), AggregationRefusal> {
        match &self.value {
            Value::Number(number) => aggregates.add_number(self.time, *number),
            Value::Other(recorded) => aggregates.add(recorded),
            Value::RolledUp(roll_up) => aggregates.add_roll_up(self.time, roll_up),
        }
    }
}

impl EntityView<'_> {
    /// Adds the instances in the range of an attribute, those of these series of it. Returns whether
    /// there are any. What is not there any more counts as it was rolled up.
    pub(super) fn aggregate(
        &self,
        series: &[SeriesName],
        query: &TemporalQuery,
        aggregates: &mut PeriodAggregates<'_>,
        deadline: &Deadline,
    ) -> Result<bool, HistoryError> {
        let limits = self.limits_of(series);
        let mut gather = Gather::new(query, Needed::All, limits);
        let mut sources = Vec::new();
        for name in series {
            let corrections = self.gather_recent(name, &mut gather, deadline)?;
            sources.extend(self.sources(name, corrections, query)?);
        }
        sources.sort_by_key(|source| source.first);
        let recent = gather.finish().into_iter();
        let recent = recent.map(|recorded| Operand::of(recorded, query));
        let rolled_up = self.rolled_up(series, query, deadline)?;
        let rolled_up = rolled_up.iter().map(Operand::rolled_up);
        let mut recent: VecDeque<_> = rolled_up.chain(recent).collect();
        recent.make_contiguous().sort_by_key(place);
        let mut has_any = !recent.is_empty();
        let mut slot = PageSlot::default();
        let mut rest = sources.as_slice();
        while !rest.is_empty() {
            let (together, others) = rest.split_at(overlapping(rest));
            rest = others;
            // What stands in memory takes its place among what stands in the chunks.
            let last = together.iter().map(|source| source.last).max();
            let among = recent.iter().take_while(|operand| Some(operand.time) <= last).count();
            if let ([source], 0) = (together, among)
                && source.chunk.stats.primary.first >= limits.cutoff
                && let Some(added) = add_directly(source, query, &mut slot, aggregates)?
            {
                deadline.check()?;
                has_any |= added;
                continue;
            }
            let mut operands: Vec<Operand> = recent.drain(..among).collect();
            let mut bytes = 0;
            for source in together {
                deadline.check()?;
                let before = operands.len();
                operands_of(source, (query, &limits), &mut slot, &mut operands)?;
                deadline.check_instances(operands.len())?;
                bytes += operands.iter().skip(before).map(Operand::bytes).sum::<usize>();
                deadline.check_bytes(bytes)?;
            }
            if !operands.is_sorted_by_key(place) {
                operands.sort_unstable_by_key(place);
            }
            has_any |= !operands.is_empty();
            for operand in &operands {
                operand.add_to(aggregates)?;
            }
        }
        for operand in &recent {
            operand.add_to(aggregates)?;
        }
        Ok(has_any)
    }
}

fn place(operand: &Operand) -> (Timestamp, InstanceNumber) {
    (operand.time, operand.number)
}

/// How many of the first chunks have to be looked at together, because their times overlap.
fn overlapping(sources: &[Source<'_>]) -> usize {
    let mut last: Option<Timestamp> = None;
    let overlaps = |source: &&Source<'_>| {
        let does = last.is_none_or(|last| source.first <= last);
        last = last.max(Some(source.last));
        does
    };
    sources.iter().take_while(overlaps).count()
}

/// Adds the instances of a chunk that are nothing but times, all different, and numbers: then they are
/// in order, and which instances they are does not matter. Returns whether there were any in the
/// range; none if they are not of this kind.
fn add_directly(
    source: &Source<'_>,
    query: &TemporalQuery,
    slot: &mut PageSlot,
    aggregates: &mut PeriodAggregates<'_>,
) -> Result<Option<bool>, HistoryError> {
    if !source.corrections.is_empty() {
        return Ok(None);
    }
    let damaged = |error: crate::column::Damaged| unreadable(error.into());
    let chunk = source.load(slot)?;
    let Some(times) = chunk.all_times(query.property).map_err(damaged)? else { return Ok(None) };
    if !times.is_sorted_by(|one, other| one < other) {
        return Ok(None);
    }
    let Some(numbers) = chunk.numbers().map_err(damaged)? else { return Ok(None) };
    let mut has_any = false;
    for (micros, number) in times.into_iter().zip(numbers) {
        let time = Timestamp::from_micros(micros);
        if query.range.is_none_or(|range| range.contains(time)) {
            aggregates.add_number(time, number)?;
            has_any = true;
        }
    }
    Ok(Some(has_any))
}

fn operands_of(
    source: &Source<'_>,
    (query, limits): (&TemporalQuery, &Limits),
    slot: &mut PageSlot,
    operands: &mut Vec<Operand>,
) -> Result<(), StoreError> {
    let damaged = |error: crate::column::Damaged| unreadable(error.into());
    let chunk = source.load(slot)?;
    let is_whole = source.chunk.stats.primary.first >= limits.cutoff;
    let times = chunk.all_times(query.property).map_err(damaged)?;
    let numbers =
        if is_whole && times.is_some() { chunk.numbers().map_err(damaged)? } else { None };
    let (Some(times), Some(values)) = (times, numbers) else {
        let entries = chunk.entries().map_err(damaged)?;
        let left = entries.into_iter().filter(|entry| !source.corrections.covers(entry));
        let left = left.map(|entry| entry.recorded).filter(|recorded| !limits.hides(recorded));
        let wanted = left.filter(|recorded| musubi_query::in_range(recorded, query));
        operands.extend(wanted.map(|recorded| Operand::of(recorded, query)));
        return Ok(());
    };
    let numbers = chunk.instance_numbers().map_err(damaged)?;
    let versions = if source.corrections.is_empty() {
        Vec::new()
    } else {
        chunk.versions().map_err(damaged)?
    };
    let rows = times.into_iter().zip(values).zip(numbers).enumerate();
    operands.extend(rows.filter_map(|(at, ((micros, value), number))| {
        let time = Timestamp::from_micros(micros);
        if !query.range.is_none_or(|range| range.contains(time)) {
            return None;
        }
        let is_gone =
            versions.get(at).is_some_and(|version| source.corrections.removes(number, *version));
        (!is_gone).then_some(Operand { time, number, value: Value::Number(value) })
    }));
    Ok(())
}
