//! A schema as what it says of each member by itself.

use jsonschema::Validator;
use musubi_model::EntityFragment;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::Schema;
use crate::simplify::{ShortNames, value};

/// What a schema may say of an entity as a whole, for all else to be said of its members, each by
/// itself. What is required says nothing of a member that is there.
const OF_THE_WHOLE: [&str; 8] =
    ["$schema", "$id", "$defs", "title", "description", "type", "properties", "required"];

/// What a schema says of each member, if it says nothing else: so an entity need not be made a JSON
/// document to be held against it.
#[derive(Debug)]
pub(crate) struct Members {
    by_name: FxHashMap<String, Validator>,
}

impl Members {
    /// None if the schema looks at more than one member at a time.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        let document = schema.document().as_object()?;
        let is_plain = document.keys().all(|keyword| OF_THE_WHOLE.contains(&keyword.as_str()));
        if !is_plain || document.get("type")? != "object" {
            return None;
        }
        let validator = |(name, part): (&String, &Value)| {
            let mut alone: Map<String, Value> = part.as_object()?.clone();
            if let Some(shared) = document.get("$defs")
                && alone.insert("$defs".to_owned(), shared.clone()).is_some()
            {
                return None;
            }
            Some((name.clone(), Schema::validator(&Value::Object(alone)).ok()?))
        };
        let members = document.get("properties")?.as_object()?;
        Some(Self { by_name: members.iter().map(validator).collect::<Option<_>>()? })
    }

    /// Whether nothing is wrong with any member that the fragment has. If it says no, the schema as a
    /// whole has to be asked.
    pub(crate) fn accept(&self, fragment: &EntityFragment, names: &dyn ShortNames) -> bool {
        let accepts = |name: &str, value: &dyn Fn() -> Option<Value>| {
            let Some(validator) = self.by_name.get(name) else { return true };
            value().is_none_or(|value| validator.is_valid(&value))
        };
        let kind = match fragment.types.as_slice() {
            [] => None,
            [only] => Some(names.short(only.as_str())),
            _ => return false,
        };
        let id = fragment.id.as_ref();
        accepts("id", &|| Some(id?.as_str().into()))
            && accepts("type", &|| Some(kind.as_deref()?.into()))
            && fragment.attributes.iter().all(|attribute| {
                accepts(&names.short(attribute.name.as_str()), &|| {
                    attribute.instances.iter().find_map(|instance| value(instance, names))
                })
            })
    }
}
