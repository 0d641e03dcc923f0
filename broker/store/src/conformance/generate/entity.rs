//! Entities, and entities that were changed.

use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, AttributeType, DatasetId, Entity, EntityId, Instance, Qualifiers,
    Timestamp,
};
use smallvec::SmallVec;

use super::Generator;

/// The most attributes that an entity is born with.
const MOST_ATTRIBUTES: usize = 6;

/// Whether attributes may have attributes of their own.
#[derive(Clone, Copy)]
enum Depth {
    Attribute,
    SubAttribute,
}

impl Generator {
    /// A new entity of this id, made at this time.
    pub fn entity(&mut self, id: EntityId, now: Timestamp) -> Entity {
        let names = self.random.several(&self.vocabulary.attributes, MOST_ATTRIBUTES);
        Entity {
            id,
            types: self.random.at_least_one(&self.vocabulary.types, 3),
            scopes: self.random.several(&self.vocabulary.scopes, 2),
            created_at: now,
            modified_at: now,
            expires_at: self.random.chance(8).then(|| self.moment()),
            attributes: names
                .into_iter()
                .map(|(name, kind)| self.attribute(name, kind, now, Depth::Attribute))
                .collect(),
        }
    }

    /// The entity after one to three changes at this time: attributes come, go and change, types
    /// and scopes too. Rarely nothing changes at all.
    pub fn modified(&mut self, entity: &Entity, now: Timestamp) -> Entity {
        let mut entity = entity.clone();
        if self.random.chance(4) {
            return entity;
        }
        entity.modified_at = now;
        for _ in 0..=self.random.below(3) {
            self.change(&mut entity, now);
        }
        entity
    }

    fn change(&mut self, entity: &mut Entity, now: Timestamp) {
        match self.random.below(10) {
            0 => entity.types = self.random.at_least_one(&self.vocabulary.types, 3),
            1 => entity.scopes = self.random.several(&self.vocabulary.scopes, 2),
            2 => entity.expires_at = self.random.chance(50).then(|| self.moment()),
            3 | 4 if !entity.attributes.is_empty() => {
                let gone = self.random.below(entity.attributes.len());
                entity.attributes.remove(gone);
            }
            // An attribute that is written with the value that it has.
            5 if !entity.attributes.is_empty() => {
                let touched = self.random.below(entity.attributes.len());
                let instances =
                    entity.attributes.get_mut(touched).map(|found| &mut found.instances);
                instances.into_iter().flatten().for_each(|instance| instance.modified_at = now);
            }
            _ => {
                let (name, kind) = self.random.pick(&self.vocabulary.attributes).clone();
                let attribute = self.attribute(name, kind, now, Depth::Attribute);
                match entity.attributes.iter_mut().find(|found| found.name == attribute.name) {
                    Some(found) => *found = attribute,
                    None => entity.attributes.push(attribute),
                }
            }
        }
    }

    fn attribute(
        &mut self,
        name: AttrName,
        usual: AttributeType,
        now: Timestamp,
        depth: Depth,
    ) -> Attribute {
        let kind =
            if self.random.chance(85) { usual } else { *self.random.pick(&AttributeType::ALL) };
        let mut datasets: Vec<Option<DatasetId>> = vec![None];
        if self.random.chance(25) {
            let several = self.random.at_least_one(&self.vocabulary.datasets, 3);
            datasets = several.into_iter().map(Some).collect();
            if self.random.chance(60) {
                datasets.push(None);
            }
        }
        let instances: SmallVec<[Instance; 1]> =
            datasets.into_iter().map(|dataset| self.instance(kind, dataset, now, depth)).collect();
        Attribute { name, instances }
    }

    fn instance(
        &mut self,
        kind: AttributeType,
        dataset_id: Option<DatasetId>,
        now: Timestamp,
        depth: Depth,
    ) -> Instance {
        let value = self.value(kind);
        let mut qualifiers = Qualifiers { dataset_id, ..Qualifiers::default() };
        if self.random.chance(20) {
            qualifiers.unit_code = Some(Arc::from("CEL"));
        }
        // There are fewer of those further down.
        let expires = if matches!(depth, Depth::Attribute) { 8 } else { 30 };
        if self.random.chance(expires) {
            qualifiers.expires_at = Some(self.moment());
        }
        if self.random.chance(5) {
            qualifiers.value_type = Some(Arc::from("https://schema.org/Text"));
        }
        if kind == AttributeType::Relationship && self.random.chance(30) {
            qualifiers.object_type = self.random.several(&self.vocabulary.types, 2);
        }
        if matches!(depth, Depth::Attribute) && self.random.chance(25) {
            let names = self.random.several(&self.vocabulary.sub_attributes, 2);
            qualifiers.attributes = names
                .into_iter()
                .map(|name| self.attribute(name, AttributeType::Property, now, Depth::SubAttribute))
                .collect();
        }
        // An instance without any has none at all, as the model makes them.
        let none = qualifiers == Qualifiers::default();
        Instance {
            value,
            observed_at: self.random.chance(40).then(|| now.plus_micros(-1_500_000)),
            created_at: now,
            modified_at: now,
            qualifiers: (!none).then(|| Box::new(qualifiers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn entities_keep_the_promises_of_the_model() {
        let mut generator = Generator::new(5, 8);
        let mut kinds = BTreeSet::new();
        for number in 0..300 {
            let now = Timestamp::from_seconds(1_700_000_000 + number);
            let id = generator.random.pick(&generator.vocabulary.ids).clone();
            let entity = generator.entity(id, now);
            let entity = generator.modified(&entity, now.plus_micros(1));
            assert!(!entity.types.is_empty());
            let types: BTreeSet<_> = entity.types.iter().collect();
            assert_eq!(types.len(), entity.types.len());
            let names: BTreeSet<_> = entity.attributes.iter().map(|found| &found.name).collect();
            assert_eq!(names.len(), entity.attributes.len());
            for attribute in &entity.attributes {
                let datasets: BTreeSet<_> =
                    attribute.instances.iter().map(Instance::dataset_id).collect();
                assert_eq!(datasets.len(), attribute.instances.len());
                assert!(!datasets.is_empty());
                kinds.extend(attribute.instances.iter().map(|instance| instance.value.kind));
            }
        }
        assert_eq!(kinds.len(), AttributeType::ALL.len());
    }
}
