//! What an aggregate is put together from, in the order of its times.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use musubi_model::{InstanceNumber, Recorded, Timestamp};
use musubi_query::{AggregationRefusal, PeriodAggregates, RollUp, TemporalQuery};

/// An instance, as far as an aggregate needs it.
#[derive(Debug)]
pub(super) struct Operand {
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
    pub(super) fn rolled_up(of: &crate::segment::RollUp) -> Self {
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

    pub(super) fn of(recorded: Recorded, query: &TemporalQuery) -> Self {
        let (time, number) = query.place(&recorded);
        Self { time, number, value: Value::Other(Box::new(recorded)) }
    }

    pub(super) fn number(time: Timestamp, number: InstanceNumber, value: f64) -> Self {
        Self { time, number, value: Value::Number(value) }
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

    fn place(&self) -> (Timestamp, InstanceNumber) {
        (self.time, self.number)
    }
}

/// The earliest is the greatest, because that is what a heap gives.
impl Ord for Operand {
    fn cmp(&self, other: &Self) -> Ordering {
        other.place().cmp(&self.place())
    }
}

impl PartialOrd for Operand {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Operand {}

/// What was read and does not count yet, because something of before may still come.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What does not stand in chunks, in order.
    beside: VecDeque<Operand>,
    /// What was read from chunks, and the text of it in bytes.
    read: BinaryHeap<Operand>,
    bytes: usize,
}

impl Waiting {
    /// With what does not stand in chunks.
    pub(super) fn new(beside: impl Iterator<Item = Operand>) -> Self {
        let mut beside: Vec<Operand> = beside.collect();
        beside.sort_by_key(Operand::place);
        Self { beside: beside.into(), read: BinaryHeap::new(), bytes: 0 }
    }

    /// How many were read from chunks.
    pub(super) fn len(&self) -> usize {
        self.read.len()
    }

    /// The text of what was read from chunks, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the earliest was.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let beside = self.beside.front().map(|operand| operand.time);
        let read = self.read.peek().map(|operand| operand.time);
        beside.into_iter().chain(read).min()
    }

    /// Takes in what was read from a chunk.
    pub(super) fn take(&mut self, operand: Operand) {
        self.bytes += operand.bytes();
        self.read.push(operand);
    }

    /// Adds what was before a moment, or all. Returns whether there was anything.
    pub(super) fn add_before(
        &mut self,
        moment: Option<Timestamp>,
        aggregates: &mut PeriodAggregates<'_>,
    ) -> Result<bool, AggregationRefusal> {
        let mut has_any = false;
        while self.first().is_some_and(|first| moment.is_none_or(|moment| first < moment)) {
            let Some(operand) = self.next() else { break };
            operand.add_to(aggregates)?;
            has_any = true;
        }
        Ok(has_any)
    }

    fn next(&mut self) -> Option<Operand> {
        let is_beside = match (self.beside.front(), self.read.peek()) {
            (Some(beside), Some(read)) => beside.place() <= read.place(),
            (beside, _) => beside.is_some(),
        };
        if is_beside {
            return self.beside.pop_front();
        }
        let operand = self.read.pop()?;
        self.bytes = self.bytes.saturating_sub(operand.bytes());
        Some(operand)
    }
}
