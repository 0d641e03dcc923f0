//! Out-of-order arrivals: what was observed before that which is there already.

use smallvec::SmallVec;

use crate::{
    AttrName, Attribute, AttributeFragment, DatasetId, Entity, EntityFragment, InstanceFragment,
    NotUpdated, Patch,
};

/// An instance of a fragment that was observed no later than the one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The attribute.
    pub name: AttrName,
    /// The data set; none for the default instance.
    pub dataset_id: Option<DatasetId>,
    /// Both times, in a sentence for the client.
    pub reason: String,
}

impl From<Older> for NotUpdated {
    fn from(older: Older) -> Self {
        Self { name: older.name, reason: older.reason }
    }
}

impl EntityFragment {
    /// Takes out, and gives, the instances that were observed before those of `entity` whose place
    /// they would take, or at the same time. An instance without a time of observation stays, and
    /// so does one that meets none with such a time: nothing is known of their order.
    pub fn take_older(&mut self, entity: &Entity) -> Vec<Older> {
        let mut taken = Vec::new();
        for fragment in &mut self.attributes {
            if let Some(there) = entity.attribute(&fragment.name) {
                fragment.take_older(there, &mut taken);
            }
        }
        if !taken.is_empty() {
            self.attributes.retain(|attribute| !attribute.instances.is_empty());
        }
        taken
    }
}

impl AttributeFragment {
    /// As [`EntityFragment::take_older`] does for each of its attributes.
    fn take_older(&mut self, there: &Attribute, taken: &mut Vec<Older>) {
        let name = &self.name;
        self.instances.retain(|instance| {
            let older = older(instance, there);
            taken.extend(older.clone().map(|reason| Older {
                name: name.clone(),
                dataset_id: instance.dataset_id.clone(),
                reason,
            }));
            older.is_none()
        });
    }
}

impl Entity {
    /// Gives this entity, which was made out of `before` by a replacement, the instances of
    /// `before` that were newer than those of the request.
    pub fn put_back(&mut self, before: &Self, older: &[Older]) {
        for Older { name, dataset_id, .. } in older {
            let instance = before
                .attribute(name)
                .and_then(|attribute| attribute.instance(dataset_id.as_ref()));
            let Some(instance) = instance else { continue };
            match self.attributes.iter_mut().find(|attribute| attribute.name == *name) {
                Some(attribute) => attribute.instances.push(instance.clone()),
                None => self.attributes.push(Attribute {
                    name: name.clone(),
                    instances: SmallVec::from_iter([instance.clone()]),
                }),
            }
        }
    }
}

/// Why an instance is not newer than the one that is there; none if it is, or nobody knows.
fn older(instance: &InstanceFragment, there: &Attribute) -> Option<String> {
    let Patch::Set(observed) = instance.observed_at else { return None };
    let known = there.instance(instance.dataset_id.as_ref())?.observed_at?;
    (observed <= known).then(|| {
        format!("it was observed at {observed}, which is not after {known}, that of what is there")
    })
}

#[cfg(test)]
mod tests {
    use crate::{AttributeType, FragmentValue, Json, Timestamp, Value};

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn instance(value: i64, observed: Option<i64>, dataset: Option<&str>) -> InstanceFragment {
        let json = Json::from(&serde_json::Value::from(value));
        let value = Value { kind: AttributeType::Property, json };
        InstanceFragment {
            value: Some(FragmentValue::Typed(value)),
            observed_at: observed.map_or(Patch::Keep, |at| Patch::Set(Timestamp::from_seconds(at))),
            dataset_id: dataset.map(|dataset| dataset.parse().unwrap()),
            ..InstanceFragment::default()
        }
    }

    fn fragment(attributes: Vec<(&str, Vec<InstanceFragment>)>) -> EntityFragment {
        let attribute = |(name, instances): (&str, Vec<InstanceFragment>)| AttributeFragment {
            name: name.parse().unwrap(),
            instances: instances.into_iter().collect(),
        };
        EntityFragment {
            id: Some("urn:a:1".parse().unwrap()),
            types: vec!["urn:T".parse().unwrap()],
            attributes: attributes.into_iter().map(attribute).collect(),
            ..EntityFragment::default()
        }
    }

    #[test]
    fn only_what_was_observed_later_stays() {
        let check = |there: Option<i64>, given: Option<i64>, stays: bool| {
            let entity =
                Entity::create(fragment(vec![("urn:t", vec![instance(1, there, None)])]), NOW);
            let mut given = fragment(vec![("urn:t", vec![instance(2, given, None)])]);
            let taken = given.take_older(&entity.unwrap());
            assert_eq!(taken.is_empty(), stays, "{there:?} {given:?}");
            assert_eq!(given.attributes.is_empty(), !stays, "{there:?} {given:?}");
        };
        check(Some(5), Some(4), false);
        check(Some(5), Some(5), false);
        check(Some(5), Some(6), true);
        check(None, Some(4), true);
        check(Some(5), None, true);
        check(None, None, true);
    }

    #[test]
    fn each_instance_is_compared_with_that_of_its_data_set() {
        let there = vec![instance(1, Some(5), None), instance(1, Some(9), Some("urn:d:1"))];
        let entity = Entity::create(fragment(vec![("urn:t", there)]), NOW).unwrap();
        let given = vec![instance(2, Some(6), None), instance(2, Some(7), Some("urn:d:1"))];
        let mut given =
            fragment(vec![("urn:t", given), ("urn:u", vec![instance(3, Some(1), None)])]);
        let taken = given.take_older(&entity);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].dataset_id.as_ref().map(DatasetId::as_str), Some("urn:d:1"));
        assert_eq!(given.attributes.len(), 2);
        let mut replaced = entity.replace(given, NOW).unwrap();
        replaced.put_back(&entity, &taken);
        let instances = &replaced.attribute(&"urn:t".parse().unwrap()).unwrap().instances;
        let values: Vec<_> = instances.iter().map(|one| one.value.json.as_str()).collect();
        assert_eq!(values, ["2", "1"]);
    }
}
