//! Entities that hold one number in two places, so that a reader sees whether it has one by half.

use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, AttributeType, Entity, EntityId, Instance, Json, Tenant, Timestamp,
    TypeName, Value,
};
use serde_json::json;
use smallvec::smallvec;

use super::generate::name;
use super::violation::{Breach, Rule, shown};
use crate::{Expect, Found, Write};

/// Makes such entities and reads them.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) type_name: TypeName,
    left: AttrName,
    right: AttrName,
}

impl Numbered {
    pub(super) fn new() -> Self {
        Self {
            type_name: name("https://example.org/Numbered"),
            left: name("https://example.org/left"),
            right: name("https://example.org/right"),
        }
    }

    /// The entity that holds this number.
    pub(super) fn entity(&self, id: &EntityId, number: u64) -> Arc<Entity> {
        let time = Timestamp::from_seconds(1_700_000_000);
        let attribute = |name: &AttrName| Attribute {
            name: name.clone(),
            instances: smallvec![Instance {
                value: Value { kind: AttributeType::Property, json: Json::from(&json!(number)) },
                observed_at: None,
                created_at: time,
                modified_at: time,
                qualifiers: None,
            }],
        };
        Arc::new(Entity {
            id: id.clone(),
            types: vec![self.type_name.clone()],
            scopes: Vec::new(),
            created_at: time,
            modified_at: time,
            expires_at: None,
            attributes: vec![attribute(&self.left), attribute(&self.right)],
        })
    }

    /// The write that makes the entity hold this number; none deletes it.
    pub(super) fn write(&self, tenant: &Tenant, id: &EntityId, number: Option<u64>) -> Write {
        Write {
            tenant: tenant.clone(),
            id: id.clone(),
            expect: Expect::Any,
            state: number.map(|number| self.entity(id, number)),
        }
    }

    /// The number that the entity holds, in both places.
    pub(super) fn number(&self, entity: &Entity) -> Result<u64, Breach> {
        let side = |name: &AttrName| -> Option<u64> {
            let json = &entity.attribute(name)?.default_instance()?.value.json;
            json.as_str().parse().ok()
        };
        match (side(&self.left), side(&self.right)) {
            (Some(left), Some(right)) if left == right => Ok(left),
            _ => Err(Breach::new(Rule::Moment, "reading beside writers", shown(entity))),
        }
    }

    /// The number of the entity of this id on the page, if it is there.
    pub(super) fn number_on(&self, page: &[Found], id: &EntityId) -> Result<Option<u64>, Breach> {
        let found = page.iter().find(|found| found.entity.id == *id);
        found.map(|found| self.number(&found.entity)).transpose()
    }
}
