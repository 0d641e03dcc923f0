//! Linked entities: what entities point at, to be answered with them (CIM 009, clause 4.5.23).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use musubi_model::{Attribute, AttributeType, Entity, EntityId};
use serde::{Deserialize, Serialize};

use crate::{MAX_NAMES, Projection, ViewError, too_many_names};

/// How linked entities are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JoinForm {
    /// Inside the relationships that point at them.
    Inline,
    /// Beside the entities that point at them.
    Flat,
}

/// Which linked entities are answered, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    pub(crate) form: JoinForm,
    /// How many links are followed, one after the other.
    pub(crate) level: usize,
    /// The entities that the reader has met already, and that are not answered again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contained_by: Vec<EntityId>,
}

/// The most links that are followed one after the other.
const MAX_LEVEL: usize = 10;

impl JoinForm {
    /// Reads `join`; none if nothing is to be joined.
    ///
    /// # Errors
    ///
    /// [`ViewError::InvalidRequest`] if it is not `flat`, `inline` or `@none`.
    pub fn parse(text: &str) -> Result<Option<Self>, ViewError> {
        match text {
            "@none" => Ok(None),
            "inline" => Ok(Some(Self::Inline)),
            "flat" => Ok(Some(Self::Flat)),
            other => {
                let reason = format!("join is flat, inline or @none, and not {other:?}");
                Err(ViewError::InvalidRequest(reason))
            }
        }
    }

    /// The word in requests and subscriptions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Flat => "flat",
        }
    }
}

impl Join {
    /// A join of this form that follows so many links one after the other; one, if it is not
    /// said.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if the level is not 1 to 10.
    pub fn new(form: JoinForm, level: Option<usize>) -> Result<Self, ViewError> {
        let level = level.unwrap_or(1);
        if !(1..=MAX_LEVEL).contains(&level) {
            let reason = format!("joinLevel is 1 to {MAX_LEVEL}, and not {level}");
            return Err(ViewError::BadRequest(reason));
        }
        Ok(Self { form, level, contained_by: Vec::new() })
    }

    /// The same join without the entities that `containedBy` names, because the reader has met
    /// them already.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if one of them is no identifier, or if there are more than
    /// [`MAX_NAMES`].
    pub fn contained_by(self, list: &str) -> Result<Self, ViewError> {
        if list.split(',').count() > MAX_NAMES {
            return Err(too_many_names("containedBy"));
        }
        let id = |text: &str| {
            let invalid = |error| ViewError::BadRequest(format!("containedBy: {error}"));
            text.trim().parse().map_err(invalid)
        };
        let contained_by = list.split(',').map(id).collect::<Result<_, _>>()?;
        Ok(Self { contained_by, ..self })
    }

    /// How linked entities are answered.
    pub fn form(&self) -> JoinForm {
        self.form
    }

    /// How many links are followed, one after the other; 1 to 10.
    pub fn level(&self) -> usize {
        self.level
    }
}

/// Whoever can look up entities by their identifiers.
pub trait FindEntities: Sync {
    /// Why they could not be looked up, or not be shown.
    type Error: From<ViewError> + Send;

    /// Those of these entities that are there, in any order.
    fn find_entities(
        &self,
        ids: Vec<EntityId>,
    ) -> impl Future<Output = Result<Vec<Arc<Entity>>, Self::Error>> + Send;
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
    pub(crate) async fn follow<F: FindEntities>(
        finder: &F,
        roots: &[&Arc<Entity>],
        projection: &Projection,
        (join, limit): (&Join, usize),
    ) -> Result<Self, F::Error> {
        let mut linked = Self::default();
        let projection = Arc::new(projection.clone());
        let mut frontier: Vec<Step> =
            roots.iter().map(|root| (Arc::clone(root), projection.clone())).collect();
        linked.entities.extend(roots.iter().map(|root| (root.id.clone(), Arc::clone(root))));
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
                            return Err(too_many(limit).into());
                        }
                        wanted.push((id, beyond.clone()));
                    }
                }
            }
            if wanted.is_empty() {
                break;
            }
            linked.find(finder, unknown).await?;
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

    async fn find<F: FindEntities>(
        &mut self,
        finder: &F,
        ids: HashSet<EntityId>,
    ) -> Result<(), F::Error> {
        if ids.is_empty() {
            return Ok(());
        }
        for entity in finder.find_entities(ids.into_iter().collect()).await? {
            self.entities.insert(entity.id.clone(), entity);
        }
        Ok(())
    }
}

fn too_many(limit: usize) -> ViewError {
    ViewError::TooComplex(format!("the answer would need more than {limit} linked entities"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_goes_one_to_ten_links_far() {
        assert_eq!(JoinForm::parse("@none"), Ok(None));
        let form = JoinForm::parse("flat").unwrap().unwrap();
        assert_eq!(Join::new(form, None).map(|join| join.level()), Ok(1));
        assert!(Join::new(form, Some(MAX_LEVEL)).is_ok());
        for level in [0, MAX_LEVEL + 1] {
            assert!(matches!(Join::new(form, Some(level)), Err(ViewError::BadRequest(_))));
        }
        assert!(matches!(JoinForm::parse("sideways"), Err(ViewError::InvalidRequest(_))));
    }

    #[test]
    fn a_join_survives_being_kept() {
        let join = Join::new(JoinForm::Inline, Some(3)).unwrap().contained_by("urn:a:1").unwrap();
        let kept = serde_json::to_string(&join).unwrap();
        assert_eq!(serde_json::from_str::<Join>(&kept).unwrap(), join);
        assert!(join.contained_by("urn:a:1,b").is_err());
    }
}
