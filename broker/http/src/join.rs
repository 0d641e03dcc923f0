//! Linked entities: what entities point at, to be answered with them (CIM 009, clause 4.5.23).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use musubi_model::{AttributeType, Entity, EntityId};

use crate::error::Error;
use crate::parameters::Parameters;
use crate::projection::Projection;
use crate::session::Session;

/// How linked entities are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinForm {
    /// Inside the relationships that point at them.
    Inline,
    /// Beside the entities that point at them.
    Flat,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) form: JoinForm,
    /// How many links are followed, one after the other.
    pub(crate) level: usize,
}

/// The most links that are followed one after the other.
const MAX_LEVEL: usize = 10;

impl Join {
    /// Reads `join` and `joinLevel`.
    pub(crate) fn read(parameters: &Parameters) -> Result<Option<Self>, Error> {
        let level = parameters.number("joinLevel")?;
        let form = match parameters.get("join") {
            None | Some("@none") if level.is_some() => {
                let reason = "joinLevel says how deep to join, so join has to say how";
                return Err(Error::BadRequestData(reason.to_owned()));
            }
            None | Some("@none") => return Ok(None),
            Some("inline") => JoinForm::Inline,
            Some("flat") => JoinForm::Flat,
            Some(other) => {
                let reason = format!("join is flat, inline or @none, and not {other:?}");
                return Err(Error::InvalidRequest(reason));
            }
        };
        let level = level.unwrap_or(1);
        if !(1..=MAX_LEVEL).contains(&level) {
            let reason = format!("joinLevel is 1 to {MAX_LEVEL}, and not {level}");
            return Err(Error::BadRequestData(reason));
        }
        Ok(Some(Self { form, level }))
    }
}

/// Linked entities that were found.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    entities: HashMap<EntityId, Arc<Entity>>,
    /// The same in the order in which they were met, with what is to be shown of each.
    pub(crate) met: Vec<(Arc<Entity>, Projection)>,
}

impl Linked {
    /// The linked entity of this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Entity>> {
        self.entities.get(id)
    }

    /// Follows the links of `roots`, of those attributes that are shown.
    pub(crate) async fn follow(
        session: &Session,
        roots: &[Arc<Entity>],
        projection: &Projection,
        (level, limit): (usize, usize),
    ) -> Result<Self, Error> {
        let mut linked = Self::default();
        let mut seen: HashSet<EntityId> = roots.iter().map(|root| root.id.clone()).collect();
        let mut frontier: Vec<(Arc<Entity>, Projection)> =
            roots.iter().map(|root| (root.clone(), projection.clone())).collect();
        for _ in 0..level {
            let mut wanted: Vec<(EntityId, Projection)> = Vec::new();
            for (entity, projection) in &frontier {
                for (id, beyond) in targets(entity, projection) {
                    if !seen.insert(id.clone()) {
                        continue;
                    }
                    if linked.entities.len() + wanted.len() == limit {
                        let reason =
                            format!("the answer would need more than {limit} linked entities");
                        return Err(Error::TooComplex(reason));
                    }
                    wanted.push((id, beyond));
                }
            }
            if wanted.is_empty() {
                break;
            }
            let ids = wanted.iter().map(|(id, _)| id.clone()).collect();
            for found in session.entities(ids).await? {
                linked.entities.insert(found.entity.id.clone(), found.entity);
            }
            frontier = wanted
                .into_iter()
                .filter_map(|(id, beyond)| Some((linked.entities.get(&id)?.clone(), beyond)))
                .collect();
            linked.met.extend(frontier.iter().cloned());
        }
        Ok(linked)
    }
}

/// What an entity points at, and what is to be shown of it.
fn targets(entity: &Entity, projection: &Projection) -> Vec<(EntityId, Projection)> {
    let mut targets = Vec::new();
    for attribute in &entity.attributes {
        if !projection.shows_attribute(&attribute.name) {
            continue;
        }
        let links = attribute.instances.iter().filter(|instance| is_link(instance.value.kind));
        for uri in links.flat_map(|instance| instance.value.uris()) {
            if let Ok(id) = uri.parse() {
                targets.push((id, projection.beyond(&attribute.name)));
            }
        }
    }
    targets
}

/// Whether attributes of this kind point at entities.
fn is_link(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
}
