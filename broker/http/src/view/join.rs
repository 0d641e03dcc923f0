//! Linked entities: what entities point at, to be answered with them (CIM 009, clause 4.5.23).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use musubi_model::{Attribute, AttributeType, Entity, EntityId};

use crate::error::Error;
use crate::request::names::{MAX_NAMES, too_many_names};
use crate::request::parameters::Parameters;
use crate::session::Session;
use crate::view::projection::Projection;

/// How linked entities are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinForm {
    /// Inside the relationships that point at them.
    Inline,
    /// Beside the entities that point at them.
    Flat,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) form: JoinForm,
    /// How many links are followed, one after the other.
    pub(crate) level: usize,
    /// The entities that the reader has met already, and that are not answered again.
    contained_by: Vec<EntityId>,
}

/// The most links that are followed one after the other.
const MAX_LEVEL: usize = 10;

impl Join {
    /// Reads `join`, `joinLevel` and `containedBy`.
    pub(crate) fn read(parameters: &Parameters) -> Result<Option<Self>, Error> {
        let form = match parameters.get("join") {
            None | Some("@none") => {
                let alone = ["joinLevel", "containedBy"];
                return match alone.into_iter().find(|name| parameters.get(name).is_some()) {
                    None => Ok(None),
                    Some(name) => Err(Error::BadRequestData(format!(
                        "{name} says how to join, so join has to be inline or flat"
                    ))),
                };
            }
            Some("inline") => JoinForm::Inline,
            Some("flat") => JoinForm::Flat,
            Some(other) => {
                let reason = format!("join is flat, inline or @none, and not {other:?}");
                return Err(Error::InvalidRequest(reason));
            }
        };
        let level = parameters.number("joinLevel")?.unwrap_or(1);
        if !(1..=MAX_LEVEL).contains(&level) {
            let reason = format!("joinLevel is 1 to {MAX_LEVEL}, and not {level}");
            return Err(Error::BadRequestData(reason));
        }
        let contained_by = parameters.get("containedBy").map_or(Ok(Vec::new()), contained_by)?;
        Ok(Some(Self { form, level, contained_by }))
    }
}

fn contained_by(list: &str) -> Result<Vec<EntityId>, Error> {
    if list.split(',').count() > MAX_NAMES {
        return Err(too_many_names("containedBy"));
    }
    let id = |text: &str| {
        let invalid = |error| Error::BadRequestData(format!("containedBy: {error}"));
        text.trim().parse().map_err(invalid)
    };
    list.split(',').map(id).collect()
}

/// Linked entities that were found.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// The entities that were asked for, and those that were met.
    entities: HashMap<EntityId, Arc<Entity>>,
    /// Those that were met and not asked for, each once, in the order in which they were met,
    /// with what is to be shown of each.
    pub(crate) met: Vec<Step>,
}

/// An entity whose links are to be followed, and what is shown of it.
type Step = (Arc<Entity>, Arc<Projection>);

impl Linked {
    /// The linked entity of this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Entity>> {
        self.entities.get(id)
    }

    /// Follows the links of `roots`, of those attributes that are shown, to at most `limit`
    /// other entities.
    pub(crate) async fn follow(
        session: &Session,
        roots: &[Arc<Entity>],
        projection: &Projection,
        (join, limit): (&Join, usize),
    ) -> Result<Self, Error> {
        let mut linked = Self::default();
        let projection = Arc::new(projection.clone());
        let mut frontier: Vec<Step> =
            roots.iter().map(|root| (root.clone(), projection.clone())).collect();
        linked.entities.extend(roots.iter().map(|root| (root.id.clone(), root.clone())));
        // By what is shown of them, because an attribute may have as many links as a body has
        // room for: what costs time with a long projection is done once for all of them.
        let mut seen: HashMap<Arc<Projection>, HashSet<EntityId>> = HashMap::new();
        seen.insert(projection, roots.iter().map(|root| root.id.clone()).collect());
        let most = linked.entities.len() + limit;
        for _ in 0..join.level {
            let mut wanted = Vec::new();
            let mut unknown = HashSet::new();
            for (entity, projection) in &frontier {
                for attribute in links(entity, projection) {
                    let beyond = Arc::new(projection.beyond(&attribute.name));
                    let seen = seen.entry(beyond.clone()).or_default();
                    for id in targets(attribute) {
                        if !seen.insert(id.clone()) || join.contained_by.contains(&id) {
                            continue;
                        }
                        if !linked.entities.contains_key(&id) {
                            unknown.insert(id.clone());
                        }
                        if linked.entities.len() + unknown.len() > most {
                            return Err(too_many(limit));
                        }
                        wanted.push((id, beyond.clone()));
                    }
                }
            }
            if wanted.is_empty() {
                break;
            }
            linked.find(session, unknown).await?;
            frontier = wanted
                .into_iter()
                .filter_map(|(id, beyond)| Some((linked.entities.get(&id)?.clone(), beyond)))
                .collect();
            linked.met.extend(frontier.iter().cloned());
        }
        let mut shown: HashSet<EntityId> = roots.iter().map(|root| root.id.clone()).collect();
        linked.met.retain(|(entity, _)| shown.insert(entity.id.clone()));
        Ok(linked)
    }

    async fn find(&mut self, session: &Session, ids: HashSet<EntityId>) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        for found in session.entities(ids.into_iter().collect()).await? {
            self.entities.insert(found.entity.id.clone(), found.entity);
        }
        Ok(())
    }
}

fn too_many(limit: usize) -> Error {
    Error::TooComplex(format!("the answer would need more than {limit} linked entities"))
}

/// The attributes by which an entity may point at others, of those that are shown.
fn links<'e>(entity: &'e Entity, projection: &Projection) -> impl Iterator<Item = &'e Attribute> {
    let is_shown = |attribute: &&Attribute| {
        attribute.instances.iter().any(|instance| is_link(instance.value.kind))
            && projection.shows_attribute(&attribute.name)
    };
    entity.attributes.iter().filter(is_shown)
}

/// What an attribute points at.
fn targets(attribute: &Attribute) -> impl Iterator<Item = EntityId> {
    let links = attribute.instances.iter().filter(|instance| is_link(instance.value.kind));
    links.flat_map(|instance| instance.value.uris()).filter_map(|uri| uri.parse().ok())
}

/// Whether attributes of this kind point at entities.
fn is_link(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
}
