//! What a request says of the past, as it is recorded (CIM 009, clauses 5.6.11, 5.6.12 and 5.6.14).

use super::attributes::{Rule, Writer, too_many_attributes};
use super::{Overwrite, too_many};
use crate::{
    AttrName, Entity, EvolutionFragment, FragmentValue, Instance, InstanceFragment,
    InvalidFragment, NULL, NewInstance, Patch, RecordFragment, Recorded, SCOPE, Timestamp, Value,
};

impl EvolutionFragment {
    /// The instances to record, in the order of the request. Scopes without a time hold from the
    /// first moment on of which the request tells; a deletion without one is of the moment at which
    /// it was observed, or of now.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] if an instance has no value, or if there are more than
    /// [`MAX_INSTANCES`](Self::MAX_INSTANCES) instances, [`Entity::MAX_ATTRIBUTES`] attributes or
    /// [`Entity::MAX_TYPES`] types.
    pub fn record(self, now: Timestamp) -> Result<Vec<(AttrName, NewInstance)>, InvalidFragment> {
        if self.types.len() > Entity::MAX_TYPES {
            return Err(too_many(Entity::MAX_TYPES, "types"));
        }
        if self.attributes.len() > Entity::MAX_ATTRIBUTES {
            return Err(too_many_attributes());
        }
        let count: usize = self.attributes.iter().map(|(_, records)| records.len()).sum();
        if count > Self::MAX_INSTANCES {
            let most = Self::MAX_INSTANCES;
            return Err(InvalidFragment(format!("there are more than {most} instances")));
        }
        let first = self.first_moment().map_or(now, |first| first.min(now));
        let writer = Writer { rule: Rule::Append(Overwrite::Yes), now };
        let mut instances = Vec::with_capacity(count);
        for (name, records) in self.attributes {
            for mut record in records {
                if name.as_str() == SCOPE && record.instance.observed_at == Patch::Keep {
                    let deleted = record.deleted_at.unwrap_or(now);
                    let time = if record.instance.is_null() { deleted } else { first };
                    record.instance.observed_at = Patch::Set(time);
                }
                let (instance, deleted_at) = writer.record(&name, record, None)?;
                instances.push((name.clone(), NewInstance { instance, deleted_at }));
            }
        }
        Ok(instances)
    }

    /// The first moment at which anything was observed.
    fn first_moment(&self) -> Option<Timestamp> {
        let records = self.attributes.iter().flat_map(|(_, records)| records);
        records.filter_map(|record| observed_at(&record.instance)).min()
    }
}

impl Recorded {
    /// This instance as the fragment, a whole one, corrects it (CIM 009, clause 5.6.14). Its number,
    /// its data set and the time of its creation stay; so does the time at which it was observed if
    /// the fragment says nothing of it, since without one it would be found no more.
    ///
    /// # Errors
    ///
    /// [`InvalidFragment`] if the fragment has no value, or is of another data set.
    pub fn correct(
        &self,
        name: &AttrName,
        mut fragment: RecordFragment,
        now: Timestamp,
    ) -> Result<Self, InvalidFragment> {
        let dataset = self.instance.dataset_id();
        match &fragment.instance.dataset_id {
            None => fragment.instance.dataset_id = dataset.cloned(),
            Some(other) if Some(other) != dataset => {
                let reason = format!("an instance does not change its data set to {other}");
                return Err(InvalidFragment(reason));
            }
            Some(_) => {}
        }
        if let (Patch::Keep, Some(time)) =
            (&fragment.instance.observed_at, self.instance.observed_at)
        {
            fragment.instance.observed_at = Patch::Set(time);
        }
        let writer = Writer { rule: Rule::Append(Overwrite::Yes), now };
        let (instance, deleted_at) = writer.record(name, fragment, Some(&self.instance))?;
        Ok(Self { number: self.number, instance, deleted_at })
    }
}

impl Writer {
    /// The instance that the fragment describes, and when it was deleted if it tells of that.
    fn record(
        self,
        name: &AttrName,
        RecordFragment { mut instance, deleted_at }: RecordFragment,
        previous: Option<&Instance>,
    ) -> Result<(Instance, Option<Timestamp>), InvalidFragment> {
        let Some(value) = take_deleted(&mut instance) else {
            return Ok((self.build(name, &instance, previous)?, None));
        };
        let deleted_at = deleted_at.or(observed_at(&instance)).unwrap_or(self.now);
        Ok((self.build_with(name, value, &instance, previous)?, Some(deleted_at)))
    }
}

/// The Null, with the kind that was deleted, if that is the value.
fn take_deleted(instance: &mut InstanceFragment) -> Option<Value> {
    if !instance.is_null() {
        return None;
    }
    match instance.value.take() {
        Some(FragmentValue::Typed(value)) => Some(Value { json: NULL.into(), ..value }),
        other => {
            instance.value = other;
            None
        }
    }
}

fn observed_at(instance: &InstanceFragment) -> Option<Timestamp> {
    match instance.observed_at {
        Patch::Set(time) => Some(time),
        Patch::Keep | Patch::Remove => None,
    }
}

#[cfg(test)]
mod tests;
