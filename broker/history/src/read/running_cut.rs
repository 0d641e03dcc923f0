//! Where an answer will be cut at the latest, known while it is put together.

use musubi_model::{Evolution, Recorded, Timestamp};
use musubi_query::{TemporalQuery, in_range};
use musubi_store::StoreError;

use super::deadline::Deadline;
use super::gather::{End, Needed, enough};

/// Where an answer will be cut at the latest. With it an answer never holds many more instances than
/// it may have, however many there are.
#[derive(Debug)]
pub(crate) struct RunningCut {
    /// One more than an answer may have.
    most: usize,
    end: End,
    /// The time and the size of each.
    sizes: Vec<(Timestamp, usize)>,
    /// With how many bytes it is time to look where the cut is.
    most_bytes: usize,
    bound: Option<Timestamp>,
}

impl RunningCut {
    pub(crate) fn new(query: &TemporalQuery) -> Self {
        let end = if query.last.is_some() { End::Last } else { End::First };
        let most = query.instances.max(1).saturating_add(1);
        let most_bytes = query.bytes.saturating_mul(2);
        Self { most, end, sizes: Vec::new(), most_bytes, bound: None }
    }

    /// What is needed of an attribute, by itself.
    pub(crate) fn needed(&self, query: &TemporalQuery) -> Needed {
        let count = query.last.unwrap_or(usize::MAX).min(self.most);
        Needed::Some(count, self.end, self.bound)
    }

    /// Counts instances that will be in the answer unless it is cut. Returns whether it will be cut
    /// earlier than was known.
    pub(crate) fn count(
        &mut self,
        instances: &[Recorded],
        query: &TemporalQuery,
        deadline: &Deadline,
    ) -> Result<bool, StoreError> {
        let counted = instances.iter().filter(|recorded| in_range(recorded, query));
        let sizes = counted.map(|recorded| (query.property.moment(recorded), recorded.text_size()));
        let (end, bound) = (self.end, self.bound);
        self.sizes.extend(sizes.filter(|(time, _)| !is_beyond(end, *time, bound)));
        let is_much = self.sizes.len() >= self.most.saturating_mul(2).saturating_add(1_024);
        if !is_much && self.bytes() <= self.most_bytes {
            return Ok(false);
        }
        let bound = enough(&mut self.sizes, (self.most, end), query);
        self.sizes.retain(|(time, _)| !is_beyond(end, *time, bound));
        let bytes = self.bytes();
        deadline.check_instances(self.sizes.len())?;
        deadline.check_bytes(bytes)?;
        // Where most is of one moment, it is not tried again for each attribute.
        self.most_bytes = query.bytes.max(bytes).saturating_mul(2);
        let is_earlier = self.bound != bound;
        self.bound = bound;
        Ok(is_earlier)
    }

    fn bytes(&self) -> usize {
        self.sizes.iter().map(|(_, size)| size).sum()
    }

    /// Leaves out what will not be in the answer. Of each attribute one instance stays, so that it is
    /// known that it had any.
    pub(crate) fn trim(&self, evolution: &mut Evolution, query: &TemporalQuery) {
        let stays = |recorded: &Recorded| {
            !in_range(recorded, query)
                || !is_beyond(self.end, query.property.moment(recorded), self.bound)
        };
        for attribute in &mut evolution.attributes {
            if attribute.instances.iter().any(stays) {
                attribute.instances.retain(stays);
            } else {
                attribute.instances.truncate(1);
            }
            attribute.instances.shrink_to_fit();
        }
        evolution.scopes.retain(stays);
    }
}

fn is_beyond(end: End, time: Timestamp, bound: Option<Timestamp>) -> bool {
    bound.is_some_and(|bound| end.is_beyond(time, bound))
}
