//! Which instances of attributes are shown (CIM 009, clauses 4.5.5, 5.7.1.4 and 5.7.2.4).

use std::sync::Arc;

use musubi_model::{DatasetId, Entity, Instance};

use crate::error::Error;
use crate::request::names::{MAX_NAMES, too_many_names};

/// The data sets that a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Datasets {
    /// Whether the instances without a data set are among them.
    default: bool,
    ids: Vec<DatasetId>,
}

impl Datasets {
    /// Reads `datasetId`: URIs, and `@none` for the instances without one.
    pub(crate) fn parse(list: &str) -> Result<Self, Error> {
        if list.split(',').count() > MAX_NAMES {
            return Err(too_many_names("datasetId"));
        }
        let mut datasets = Self::default();
        for one in list.split(',').map(str::trim) {
            if one == "@none" {
                datasets.default = true;
                continue;
            }
            let id = one
                .parse()
                .map_err(|error| Error::BadRequestData(format!("datasetId: {error}")))?;
            datasets.ids.push(id);
        }
        Ok(datasets)
    }

    /// The entity with these instances of its attributes alone; an attribute of which none is
    /// left is not there.
    pub(crate) fn of(&self, entity: &Arc<Entity>) -> Arc<Entity> {
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

    fn shows(&self, instance: &Instance) -> bool {
        instance.dataset_id().map_or(self.default, |id| self.ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
