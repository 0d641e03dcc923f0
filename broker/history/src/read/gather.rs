//! Instances of one attribute, as they are found, and never many more than are needed of them.

use std::cmp::Ordering;

use musubi_model::{Recorded, Timestamp};
use musubi_query::{TemporalQuery, first_beyond, in_range};

use crate::chunk::ChunkStats;
use crate::retention::Limits;

/// Which end of the range is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The beginning.
    First,
    /// The end.
    Last,
}

/// How many instances are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// All.
    All,
    /// So many from one end on, and all of the moment of the last of these. Beyond the moment, if there
    /// is one, one instance is enough.
    Some(usize, End, Option<Timestamp>),
}

impl End {
    /// Whether the first moment is further from this end than the second.
    pub(crate) fn is_beyond(self, time: Timestamp, bound: Timestamp) -> bool {
        match self {
            Self::First => time > bound,
            Self::Last => time < bound,
        }
    }

    /// The order in which moments are met from this end on.
    pub(crate) fn order(self, one: Timestamp, other: Timestamp) -> Ordering {
        match self {
            Self::First => one.cmp(&other),
            Self::Last => other.cmp(&one),
        }
    }
}

/// Instances of one attribute, as they are found.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    query: &'a TemporalQuery,
    needed: Needed,
    limits: Limits,
    found: Vec<Recorded>,
    /// The text of all of these, in bytes, and with how much it is time to leave some out.
    bytes: usize,
    most_bytes: usize,
    /// Beyond this moment nothing is needed: there are enough on this side of it.
    threshold: Option<Timestamp>,
    /// How many there must be before it is worth while to look again for those that are not needed:
    /// where all are of the same moment, nothing is ever left out.
    next_trim: usize,
    /// One that is beyond the bound.
    beyond: Option<Recorded>,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(query: &'a TemporalQuery, needed: Needed, limits: Limits) -> Self {
        Self {
            query,
            needed,
            limits,
            found: Vec::new(),
            bytes: 0,
            most_bytes: query.bytes.saturating_mul(2),
            threshold: None,
            next_trim: 0,
            beyond: None,
        }
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// The text of what is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an instance is still there, in the range, and can be needed.
    pub(crate) fn wants(&self, recorded: &Recorded) -> bool {
        !self.limits.hides(recorded)
            && in_range(recorded, self.query)
            && self.wants_time(self.query.property.moment(recorded))
    }

    /// Whether an instance at this moment, which is the best that is still to come, can be needed.
    pub(crate) fn wants_time(&self, time: Timestamp) -> bool {
        let Needed::Some(_, end, bound) = self.needed else { return true };
        if self.threshold.is_some_and(|threshold| end.is_beyond(time, threshold)) {
            return false;
        }
        let is_empty = self.found.is_empty() && self.beyond.is_none();
        is_empty || !bound.is_some_and(|bound| end.is_beyond(time, bound))
    }

    /// Takes in an instance that is wanted.
    pub(crate) fn take(&mut self, recorded: Recorded) {
        let Needed::Some(count, end, bound) = self.needed else {
            self.bytes += recorded.text_size();
            self.found.push(recorded);
            return;
        };
        let time = self.query.property.moment(&recorded);
        if bound.is_some_and(|bound| end.is_beyond(time, bound)) {
            self.beyond = Some(recorded);
            return;
        }
        self.bytes += recorded.text_size();
        self.found.push(recorded);
        let is_much = self.found.len() >= count.saturating_mul(2).saturating_add(1_024);
        if is_much || self.bytes > self.most_bytes {
            self.trim();
        }
    }

    /// Leaves out what is not needed any more, if there are many more than when it was done last.
    pub(crate) fn trim(&mut self) {
        let is_time = self.found.len() >= self.next_trim || self.bytes > self.most_bytes;
        if is_time && self.leave_out() {
            // Where most is of one moment, it is not tried again for each instance.
            self.next_trim = self.found.len().saturating_mul(2);
            self.most_bytes = self.query.bytes.max(self.bytes).saturating_mul(2);
        }
    }

    /// Leaves out what is not needed, if there can be any.
    fn leave_out(&mut self) -> bool {
        let Needed::Some(count, end, _) = self.needed else { return false };
        let is_little = self.found.len() <= count && self.bytes <= self.query.bytes;
        if is_little || count == 0 {
            return false;
        }
        let property = self.query.property;
        let mut sizes: Vec<_> =
            self.found.iter().map(|it| (property.moment(it), it.text_size())).collect();
        if let Some(threshold) = enough(&mut sizes, (count, end), self.query) {
            self.found.retain(|recorded| !end.is_beyond(property.moment(recorded), threshold));
            self.threshold = Some(threshold);
        }
        self.bytes = self.found.iter().map(Recorded::text_size).sum();
        true
    }

    /// What was found, in order.
    pub(crate) fn finish(mut self) -> Vec<Recorded> {
        self.leave_out();
        if self.found.is_empty() {
            self.found.extend(self.beyond);
        }
        let query = self.query;
        self.found.sort_unstable_by_key(|recorded| query.place(recorded));
        self.found
    }
}

/// The moment beyond which nothing is needed of an answer that has these instances, told by their
/// times and sizes: there are so many, or the answer will be cut there. None if all are needed.
pub(crate) fn enough(
    sizes: &mut [(Timestamp, usize)],
    (count, end): (usize, End),
    query: &TemporalQuery,
) -> Option<Timestamp> {
    sizes.sort_unstable_by(|(one, _), (other, _)| end.order(*one, *other));
    let counted = count.checked_sub(1).and_then(|at| sizes.get(at)).map(|(time, _)| *time);
    let cut = first_beyond(sizes, query);
    match (counted, cut) {
        (Some(one), Some(other)) => Some(if end.is_beyond(one, other) { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// Between which moments the instances of a chunk lie that can be in the range; none if none can.
pub(crate) fn moments(stats: &ChunkStats, query: &TemporalQuery) -> Option<(Timestamp, Timestamp)> {
    use musubi_query::{TemporalProperty, TimeRelation};
    let span = stats.span(query.property);
    let (first, last) = (Timestamp::from_micros(span.first), Timestamp::from_micros(span.last));
    let Some(range) = query.range else {
        if span.count == stats.count {
            return (span.count > 0).then_some((first, last));
        }
        if query.property == TemporalProperty::DeletedAt {
            return (span.count > 0).then_some((first, last));
        }
        // Those that have no such time take the place of their modification.
        let mut all = stats.modified;
        all.merge(span);
        let (first, last) = (Timestamp::from_micros(all.first), Timestamp::from_micros(all.last));
        return (stats.count > 0).then_some((first, last));
    };
    let overlaps = match range {
        TimeRelation::Before(end) => first < end,
        TimeRelation::After(start) => last >= start,
        TimeRelation::Between(start, end) => start < end && first < end && last >= start,
    };
    (span.count > 0 && overlaps).then_some((first, last))
}

/// Whether one of the instances of a chunk is in the range for certain.
pub(crate) fn has_certainly(stats: &ChunkStats, query: &TemporalQuery) -> bool {
    let span = stats.span(query.property);
    let Some(range) = query.range else {
        return moments(stats, query).is_some();
    };
    let ends = [span.first, span.last].map(Timestamp::from_micros);
    span.count > 0 && ends.into_iter().any(|time| range.contains(time))
}

#[cfg(test)]
mod tests {
    use musubi_model::{AttributeType, Instance, InstanceNumber, Json, Sequence, Value};

    use super::super::lookup::anything;
    use super::*;

    fn recorded(at: u32) -> Recorded {
        let time = Timestamp::from_seconds(1_000);
        let instance = Instance {
            value: Value { kind: AttributeType::Property, json: Json::parse("1").unwrap() },
            observed_at: None,
            created_at: time,
            modified_at: time,
            qualifiers: None,
        };
        let number =
            InstanceNumber { sequence: Sequence(u64::from(at)), ..InstanceNumber::default() };
        Recorded { number, instance, deleted_at: None }
    }

    #[test]
    fn many_instances_of_the_same_moment_are_compared_a_few_times_each() {
        let query = anything();
        let mut gather = Gather::new(&query, Needed::Some(10, End::Last, None), Limits::NONE);
        let mut trims = 0;
        for at in 0..50_000 {
            let before = gather.next_trim;
            gather.take(recorded(at));
            gather.trim();
            trims += usize::from(before != gather.next_trim);
        }
        assert!(trims < 32, "{trims}");
        let found = gather.finish();
        assert_eq!(found.len(), 50_000, "all of the moment of the last are needed");
        assert!(found.is_sorted_by_key(|recorded| recorded.number));
    }
}
