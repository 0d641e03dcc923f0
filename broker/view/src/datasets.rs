//! Which instances of attributes are shown (CIM 009, clauses 4.5.5, 5.7.1.4 and 5.7.2.4).

use std::sync::Arc;

use musubi_model::{DatasetId, Entity, Instance};

use serde::{Deserialize, Serialize};

use crate::{MAX_NAMES, ViewError, too_many_names};

/// The data sets that a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datasets {
    /// Whether the instances without a data set are among them.
    default: bool,
    ids: Vec<DatasetId>,
}

impl Datasets {
    /// Reads `datasetId`: URIs, and `@none` for the instances without one.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if one of them is neither, or if there are more than
    /// [`MAX_NAMES`].
    pub fn parse(list: &str) -> Result<Self, ViewError> {
        Self::from_names(list.split(',').map(str::trim))
    }

    /// As [`parse`](Self::parse), of the items of a list.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<Self, ViewError> {
        let mut datasets = Self::default();
        for (index, one) in names.enumerate() {
            if index == MAX_NAMES {
                return Err(too_many_names("datasetId"));
            }
            if one == "@none" {
                datasets.default = true;
                continue;
            }
            let id = one
                .parse()
                .map_err(|error| ViewError::BadRequest(format!("datasetId: {error}")))?;
            datasets.ids.push(id);
        }
        Ok(datasets)
    }

    /// The names that make the same choice, as in a body.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let default = self.default.then_some("@none");
        default.into_iter().chain(self.ids.iter().map(DatasetId::as_str))
    }

    /// The data sets; none stands for the default one.
    pub fn sets(&self) -> Vec<Option<DatasetId>> {
        let default = self.default.then_some(None);
        default.into_iter().chain(self.ids.iter().cloned().map(Some)).collect()
    }

    /// The entity with these instances of its attributes alone; an attribute of which none is
    /// left is not there.
    pub fn of(&self, entity: &Arc<Entity>) -> Arc<Entity> {
        let mut instances = entity.attributes.iter().flat_map(|attribute| &attribute.instances);
        if instances.all(|instance| self.shows(instance)) {
            return entity.clone();
        }
        let mut entity = Entity::clone(entity);
        entity.attributes.retain_mut(|attribute| {
            attribute.instances.retain(|instance| self.shows(instance));
            !attribute.instances.is_empty()
        });
        Arc::new(entity)
    }

    /// Whether an instance is one of these.
    pub fn shows(&self, instance: &Instance) -> bool {
        instance.dataset_id().map_or(self.default, |id| self.ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_makes_the_same_choice_as_its_names() {
        let datasets = Datasets::parse("urn:d:1,@none,urn:d:2").unwrap();
        assert_eq!(Datasets::from_names(datasets.names()).unwrap(), datasets);
        let kept = serde_json::to_string(&datasets).unwrap();
        assert_eq!(serde_json::from_str::<Datasets>(&kept).unwrap(), datasets);
    }

    #[test]
    fn data_sets_are_uris_or_none() {
        let datasets = Datasets::parse("urn:d:1, @none").unwrap();
        assert_eq!(datasets, Datasets { default: true, ids: vec!["urn:d:1".parse().unwrap()] });
        for text in ["", "a", "urn:d:1,", "@all"] {
            assert!(Datasets::parse(text).is_err(), "{text}");
        }
        assert!(Datasets::parse(&["urn:d:1"; MAX_NAMES + 1].join(",")).is_err());
    }
}
