//! What values come to, period by period.

use std::collections::VecDeque;

use musubi_model::{AttrName, AttributeEvolution, AttributeType, Recorded, Timestamp};

use super::accumulator::{Accumulator, NotApplicable, RollUp};
use super::weight_of;
use crate::{
    Aggregate, Aggregation, AggregationMethod, AggregationRefusal, AttributeAggregates, Periods,
    TemporalQuery, TimeRelation,
};

/// The aggregates of an attribute of what [`admits`](crate::admits) leaves of an evolution, whose
/// instances are in order; none if the query asks for none or there are no values. It is what
/// [`PeriodAggregates`] makes of them. A record of a deletion is no value.
///
/// # Errors
///
/// [`AggregationRefusal`] if a method cannot be used with one of the values, or there are too many
/// periods.
pub fn aggregate(
    attribute: &AttributeEvolution,
    query: &TemporalQuery,
) -> Result<Option<AttributeAggregates>, AggregationRefusal> {
    let Some(mut aggregates) = PeriodAggregates::new(&attribute.name, query) else {
        return Ok(None);
    };
    for recorded in &attribute.instances {
        aggregates.add(recorded)?;
    }
    aggregates.finish()
}

/// Puts the values of an attribute together, period by period, as they come.
///
/// Periods are counted from the beginning of the range or, if it has none, from the time of the
/// first value of the attribute, in the zone of the query. Those are told in which there are values
/// (as CIM 009, annex C.5.14 does), with [`TemporalQuery::last`] the last ones, and each with the
/// whole length that it has, be it beyond the end of the range. A length of zero makes one period of
/// the whole range: from its beginning, or the first value, to its end, or the last value.
#[derive(Clone, Debug)]
pub struct PeriodAggregates<'a> {
    name: &'a AttrName,
    query: &'a TemporalQuery,
    aggregation: &'a Aggregation,
    periods: Option<Periods>,
    current: Option<Current>,
    /// For each period that is over its time and what the methods say, in the order of the question.
    told: VecDeque<Told>,
    /// As how many aggregates all of these count.
    weight: usize,
    is_relationship: bool,
}

#[derive(Clone, Debug)]
struct Current {
    start: Timestamp,
    end: Timestamp,
    /// The time of the last value so far.
    last: Timestamp,
    values: Accumulator,
}

#[derive(Clone, Debug)]
struct Told {
    start: Timestamp,
    end: Timestamp,
    values: Vec<Option<musubi_model::Json>>,
    weight: usize,
}

impl<'a> PeriodAggregates<'a> {
    /// For the values of this attribute; none if the query has no aggregation.
    pub fn new(name: &'a AttrName, query: &'a TemporalQuery) -> Option<Self> {
        let aggregation = query.aggregation.as_ref()?;
        Some(Self {
            name,
            query,
            aggregation,
            periods: None,
            current: None,
            told: VecDeque::new(),
            weight: 0,
            is_relationship: false,
        })
    }

    /// Adds an instance, in the order of the query: none is of an earlier time than the one before it.
    ///
    /// # Errors
    ///
    /// [`AggregationRefusal`] as for [`aggregate`].
    pub fn add(&mut self, recorded: &Recorded) -> Result<(), AggregationRefusal> {
        if recorded.deleted_at.is_some() {
            return Ok(());
        }
        let instance = &recorded.instance;
        self.is_relationship = matches!(
            instance.value.kind,
            AttributeType::Relationship | AttributeType::ListRelationship
        );
        let value_type = instance.qualifiers.as_ref().and_then(|it| it.value_type.as_deref());
        let added =
            self.values_at(self.query.property.moment(recorded))?.add(&instance.value, value_type);
        self.applied(added)?;
        self.check_distinct()
    }

    /// Adds a number of a property, as [`add`](Self::add) would.
    ///
    /// # Errors
    ///
    /// [`AggregationRefusal`] if there are too many periods.
    pub fn add_number(&mut self, time: Timestamp, number: f64) -> Result<(), AggregationRefusal> {
        self.is_relationship = false;
        self.values_at(time)?.add_number(number);
        self.check_distinct()
    }

    /// Adds values that were rolled up, of the stretch of time that begins then. All count with the
    /// period of that.
    ///
    /// # Errors
    ///
    /// [`AggregationRefusal`] if it is asked how many different values there are, or there are too many
    /// periods.
    pub fn add_roll_up(
        &mut self,
        time: Timestamp,
        roll_up: &RollUp,
    ) -> Result<(), AggregationRefusal> {
        if roll_up.total == 0 {
            return Ok(());
        }
        let added = self.values_at(time)?.merge(roll_up);
        self.applied(added)
    }

    /// What all came to; none if nothing was added.
    ///
    /// # Errors
    ///
    /// [`AggregationRefusal`] if the mean of numbers and times of day is asked for, or there are too
    /// many periods.
    pub fn finish(mut self) -> Result<Option<AttributeAggregates>, AggregationRefusal> {
        self.close()?;
        if self.told.is_empty() {
            return Ok(None);
        }
        let methods = self.aggregation.methods.iter().enumerate().map(|(index, method)| {
            let told = self.told.iter().filter_map(|told| {
                let value = told.values.get(index)?.clone()?;
                Some(Aggregate { value, start: told.start, end: told.end })
            });
            (*method, told.collect())
        });
        Ok(Some(AttributeAggregates {
            name: self.name.clone(),
            is_relationship: self.is_relationship,
            methods: methods.collect(),
        }))
    }

    /// The values of the period of this moment.
    fn values_at(&mut self, time: Timestamp) -> Result<&mut Accumulator, AggregationRefusal> {
        let over = self.current.as_ref().filter(|current| current.end <= time);
        // What would end behind all times ends with the last one, and has it.
        if over.is_some_and(|current| self.start_of(time) != Some(current.start)) {
            self.close()?;
        }
        let Self { query, aggregation, periods, current, .. } = self;
        let current = current.get_or_insert_with(|| begin(time, periods, query, aggregation));
        current.last = current.last.max(time);
        Ok(&mut current.values)
    }

    fn start_of(&self, time: Timestamp) -> Option<Timestamp> {
        self.periods.as_ref()?.period_of(time).map(|(start, _)| start)
    }

    /// Ends the current period.
    fn close(&mut self) -> Result<(), AggregationRefusal> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let value = |method: &AggregationMethod| current.values.value(*method);
        let values: Result<Vec<_>, _> = self.aggregation.methods.iter().map(value).collect();
        let values = self.applied(values)?;
        let end = match self.query.range {
            _ if !self.aggregation.period.is_zero() => current.end,
            Some(TimeRelation::Before(end) | TimeRelation::Between(_, end)) => end,
            Some(TimeRelation::After(_)) | None => current.last,
        };
        let weight = values.iter().map(|value| value.as_ref().map_or(1, weight_of)).sum();
        self.weight += weight;
        self.told.push_back(Told { start: current.start, end, values, weight });
        if self.query.last.is_some_and(|last| self.told.len() > last) {
            self.weight -= self.told.pop_front().map_or(0, |told| told.weight);
        }
        if self.weight > Aggregation::MOST { Err(AggregationRefusal::TooMany) } else { Ok(()) }
    }

    fn check_distinct(&self) -> Result<(), AggregationRefusal> {
        let distinct = self.current.as_ref().map_or(0, |current| current.values.distinct());
        if distinct <= Aggregation::MOST_DISTINCT {
            Ok(())
        } else {
            Err(AggregationRefusal::TooManyDistinct)
        }
    }

    fn applied<T>(&self, result: Result<T, NotApplicable>) -> Result<T, AggregationRefusal> {
        result.map_err(|NotApplicable { method, value }| {
            let attribute = self.name.clone();
            AggregationRefusal::NotApplicable { attribute, method, value }
        })
    }
}

/// The period of this moment, without any values.
fn begin(
    time: Timestamp,
    periods: &mut Option<Periods>,
    query: &TemporalQuery,
    aggregation: &Aggregation,
) -> Current {
    let Aggregation { methods, period, zone } = aggregation;
    let periods = periods.get_or_insert_with(|| {
        let start = match query.range {
            Some(TimeRelation::After(start) | TimeRelation::Between(start, _)) => start,
            Some(TimeRelation::Before(_)) | None => time,
        };
        Periods::from(start, *period, zone.clone())
    });
    // Nothing is before the start of a range that it is in.
    let (start, end) = periods.period_of(time).unwrap_or((time, time));
    Current { start, end, last: time, values: Accumulator::new(methods) }
}
