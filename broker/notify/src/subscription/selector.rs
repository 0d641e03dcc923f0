//! Which entities a subscription is about (CIM 009, clause 5.2.33).

use musubi_context::Context;
use musubi_model::{Entity, EntityId};
use musubi_query::{Pattern, TypeSelection};
use serde::{Deserialize, Serialize};

use super::InvalidSubscription;
use super::member::Member;
use crate::matching::terms::ContextTerms;

/// A choice of entities by type and, if given, by id or pattern. Ids take precedence over the
/// pattern.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EntitySelector {
    pub(crate) ids: Vec<EntityId>,
    pub(crate) id_pattern: Option<Pattern>,
    /// None for every type, written `*`.
    pub(crate) types: Option<TypeSelection>,
}

impl EntitySelector {
    /// Whether the entity is one of those meant.
    pub(crate) fn selects(&self, entity: &Entity) -> bool {
        let named = match (&*self.ids, &self.id_pattern) {
            ([], None) => true,
            ([], Some(pattern)) => pattern.is_match(entity.id.as_str()),
            (ids, _) => ids.contains(&entity.id),
        };
        named && self.types.as_ref().is_none_or(|types| types.matches(&entity.types))
    }

    pub(super) fn read(
        member: &Member<'_>,
        context: &Context,
    ) -> Result<Self, InvalidSubscription> {
        let mut ids = Vec::new();
        let mut id_pattern = None;
        let mut types = None;
        for (name, value) in member.members()? {
            match name {
                "id" => ids = read_ids(&value)?,
                "idPattern" => {
                    let pattern = Pattern::new(value.text()?);
                    id_pattern = Some(pattern.map_err(|error| value.refuse(error))?);
                }
                "type" => types = Some(read_types(&value, context)?),
                _ => return Err(value.refuse("an entity selector has no such member")),
            }
        }
        let types = types.ok_or_else(|| member.missing("type"))?;
        Ok(Self { ids, id_pattern, types })
    }
}

fn read_ids(member: &Member<'_>) -> Result<Vec<EntityId>, InvalidSubscription> {
    let read = |item: &Member<'_>| item.text()?.parse().map_err(|error| item.refuse(error));
    if let Ok(items) = member.items() {
        return items.iter().map(read).collect();
    }
    Ok(vec![read(member)?])
}

fn read_types(
    member: &Member<'_>,
    context: &Context,
) -> Result<Option<TypeSelection>, InvalidSubscription> {
    match member.text()? {
        "*" => Ok(None),
        text => TypeSelection::parse(text, &ContextTerms(context))
            .map(Some)
            .map_err(|error| member.refuse(error)),
    }
}
