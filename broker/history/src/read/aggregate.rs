//! Aggregates, put together from columns where that is possible: of most series nothing but times and
//! numbers is ever decoded.

use musubi_model::Timestamp;
use musubi_query::{PeriodAggregates, TemporalQuery};
use musubi_store::{HistoryError, StoreError};

use super::deadline::Deadline;
use super::entity::EntityView;
use super::gather::{Gather, Needed};
use super::operand::{Operand, Waiting};
use super::source::Source;
use super::view::unreadable;
use crate::retention::Limits;
use crate::segment::PageSlot;
use crate::series::SeriesName;

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
        let mut waiting = Waiting::new(rolled_up.iter().map(Operand::rolled_up).chain(recent));
        let mut has_any = false;
        let mut slot = PageSlot::default();
        let mut rest = sources.as_slice();
        while let Some((source, later)) = rest.split_first() {
            rest = later;
            deadline.check()?;
            // Nothing that is read from now on was before this chunk begins.
            has_any |= waiting.add_before(Some(source.first), aggregates)?;
            let is_alone = later.first().is_none_or(|next| next.first > source.last)
                && waiting.first().is_none_or(|first| first > source.last);
            if is_alone
                && source.chunk.stats.primary.first >= limits.cutoff
                && let Some(added) = add_directly(source, query, &mut slot, aggregates)?
            {
                has_any |= added;
                continue;
            }
            read_operands(source, (query, &limits), &mut slot, &mut waiting)?;
            deadline.check_instances(waiting.len())?;
            deadline.check_bytes(waiting.bytes())?;
        }
        has_any |= waiting.add_before(None, aggregates)?;
        Ok(has_any)
    }
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

/// Reads what a chunk has in the range.
fn read_operands(
    source: &Source<'_>,
    (query, limits): (&TemporalQuery, &Limits),
    slot: &mut PageSlot,
    waiting: &mut Waiting,
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
        wanted.for_each(|recorded| waiting.take(Operand::of(recorded, query)));
        return Ok(());
    };
    let numbers = chunk.instance_numbers().map_err(damaged)?;
    let versions = if source.corrections.is_empty() {
        Vec::new()
    } else {
        chunk.versions().map_err(damaged)?
    };
    let rows = times.into_iter().zip(values).zip(numbers).enumerate();
    for (at, ((micros, value), number)) in rows {
        let time = Timestamp::from_micros(micros);
        if !query.range.is_none_or(|range| range.contains(time)) {
            continue;
        }
        let is_gone =
            versions.get(at).is_some_and(|version| source.corrections.removes(number, *version));
        if !is_gone {
            waiting.take(Operand::number(time, number, value));
        }
    }
    Ok(())
}
