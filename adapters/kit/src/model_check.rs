//! The seam to the data models: what an adapter writes is held against a schema.

use std::sync::Arc;

use musubi_model::EntityFragment;

use crate::{ModelCheckMode, ModelCheckSetting};

/// How an entity differs from its data model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelProblem {
    /// The attribute, by its short name; empty if the entity as a whole is meant.
    pub attribute: String,
    /// A sentence.
    pub reason: String,
}

/// A collection of data models.
pub trait ModelCheck: Send + Sync + std::fmt::Debug {
    /// How `entity` differs from the data model of that name; nothing if it does not. Only
    /// attributes that are there are looked at. An unknown data model is one problem.
    fn check(&self, schema: &str, entity: &EntityFragment) -> Vec<ModelProblem>;
}

/// What an adapter does with a data model. The default looks at nothing.
#[derive(Clone, Debug, Default)]
pub struct ModelChecking {
    mode: ModelCheckMode,
    schema: Option<String>,
    models: Option<Arc<dyn ModelCheck>>,
}

impl ModelChecking {
    /// As the mapping file says. Without a `[model_check]`, differences from the model of the
    /// entity's type are warned of. Without models nothing is looked at.
    pub fn new(setting: Option<&ModelCheckSetting>, models: Option<Arc<dyn ModelCheck>>) -> Self {
        let setting = setting.cloned().unwrap_or_default();
        let mode = if models.is_some() { setting.mode } else { ModelCheckMode::Off };
        Self { mode, schema: setting.schema, models }
    }

    /// What a problem means.
    pub fn mode(&self) -> ModelCheckMode {
        self.mode
    }

    /// How an entity differs from its data model. The model is the one that the mapping file
    /// names, or the last segment of the entity's type.
    pub fn problems(&self, entity: &EntityFragment) -> Vec<ModelProblem> {
        let Some(models) = &self.models else { return Vec::new() };
        if self.mode == ModelCheckMode::Off {
            return Vec::new();
        }
        let named = self.schema.as_deref();
        let of_type = || entity.types.first().map(|name| short_name(name.as_str()));
        named.or_else(of_type).map_or_else(Vec::new, |schema| models.check(schema, entity))
    }
}

/// The last segment of an expanded name: what people call it.
pub(crate) fn short_name(iri: &str) -> &str {
    let separators: &[char] = if iri.starts_with("urn:") { &['/', '#', ':'] } else { &['/', '#'] };
    iri.rsplit(separators).next().filter(|name| !name.is_empty()).unwrap_or(iri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_by_its_last_segment() {
        let check = |iri: &str, expected: &str| assert_eq!(short_name(iri), expected);
        check("https://smartdatamodels.org/dataModel.Transportation/status", "status");
        check("https://example.org/ns#status", "status");
        check("urn:musubi:ns:EvacuationShelter", "EvacuationShelter");
        check("https://example.org:80/a:b", "a:b");
        check("https://example.org/", "https://example.org/");
    }
}
