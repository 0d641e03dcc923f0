//! Expansion: from a body to a fragment, in one walk.
//!
//! The normalized and the concise representation may be mixed (CIM 009, clauses 4.5.1 to 4.5.3,
//! 4.5.18 to 4.5.24 and 4.7.3). What a value is to be is checked here; what becomes of it, and of
//! an NGSI-LD Null, is a matter of the operation.

use std::collections::HashSet;

use musubi_model::{
    AttrName, AttributeFragment, EntityFragment, EntityId, NULL, Node, Patch, Scope, TypeName,
};

use crate::context::Meaning;
use crate::{Context, InvalidBody};

mod attribute;
mod concise;
mod kept_times;
mod member;
mod reserved;
mod simplified;
mod temporal;
mod value;

pub(crate) use concise::{Looks, looks};
pub use kept_times::expand_kept;
pub(crate) use reserved::sealed_member;
pub use temporal::{expand_record, expand_temporal, expand_temporal_fragment};
pub use value::is_language_tag;

/// The entity in a body: `id` and `type` are required, and every attribute has a value.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_entity(body: &Node<'_>, context: &Context) -> Result<EntityFragment, InvalidBody> {
    let walk = Walk { context, part: Part::Whole };
    let fragment = walk.entity(body).map_err(InvalidBody::finished)?;
    if fragment.id.is_none() {
        return Err(InvalidBody::here("an entity has an id").finished());
    }
    if fragment.types.is_empty() {
        return Err(InvalidBody::here("an entity has a type").finished());
    }
    Ok(fragment)
}

/// The part of an entity in a body: nothing is required. Members `id` and `@context` are read,
/// if they are there.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_fragment(body: &Node<'_>, context: &Context) -> Result<EntityFragment, InvalidBody> {
    Walk { context, part: Part::Fragment }.entity(body).map_err(InvalidBody::finished)
}

/// The part of an entity in a body in the simplified representation, as a merge accepts it (CIM
/// 009, clauses 4.5.4 and 5.6.17). An attribute is of the kind that is there already; language
/// maps, vocabulary terms and JSON name theirs.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_simplified_fragment(
    body: &Node<'_>,
    context: &Context,
) -> Result<EntityFragment, InvalidBody> {
    Walk { context, part: Part::Simplified }.entity(body).map_err(InvalidBody::finished)
}

/// The attribute in a body that is one attribute's value, as for `PATCH …/attrs/{attr}`: an
/// instance, or an array of them; of a partial update, so the value may be missing.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_attribute(
    name: AttrName,
    body: &Node<'_>,
    context: &Context,
) -> Result<AttributeFragment, InvalidBody> {
    let walk = Walk { context, part: Part::Fragment };
    walk.attribute_alone(name, body).map_err(InvalidBody::finished)
}

/// How much of an entity a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it, so nothing is missing and nothing is an NGSI-LD Null.
    Whole,
    /// A fragment.
    Fragment,
    /// A fragment of keys and values.
    Simplified,
    /// An attribute instance of the past: nothing is missing, and an NGSI-LD Null in the place of
    /// its value tells that it was deleted.
    Past,
}

/// One walk over a body.
#[derive(Clone, Copy, Debug)]
struct Walk<'c> {
    context: &'c Context,
    part: Part,
}

type Walked<T> = Result<T, InvalidBody>;

impl Walk<'_> {
    fn entity(&self, body: &Node<'_>) -> Walked<EntityFragment> {
        let Some(members) = body.as_object() else {
            return Err(InvalidBody::here("an entity is a JSON object"));
        };
        let mut fragment = EntityFragment {
            attributes: Vec::with_capacity(members.len()),
            ..EntityFragment::default()
        };
        for (key, node) in members {
            self.entity_member(&mut fragment, key, node).map_err(|error| error.within(key))?;
        }
        each_once(&fragment.attributes)?;
        Ok(fragment)
    }

    fn entity_member(
        &self,
        fragment: &mut EntityFragment,
        key: &str,
        node: &Node<'_>,
    ) -> Walked<()> {
        match key {
            "id" | "@id" => id(fragment, node),
            "type" | "@type" => self.types(fragment, node),
            "scope" => {
                fragment.scopes = self.scopes(node)?;
                Ok(())
            }
            "expiresAt" => {
                fragment.expires_at = self.date_time(node)?;
                Ok(())
            }
            // The context has been read before the walk; the system sets its own times.
            "@context" | "createdAt" | "modifiedAt" | "deletedAt" => Ok(()),
            _ => match self.context.meaning(key) {
                Meaning::Keyword("@id") => id(fragment, node),
                Meaning::Keyword("@type") => self.types(fragment, node),
                Meaning::Keyword(keyword) => {
                    Err(InvalidBody::here(format!("the keyword {keyword} has no place here")))
                }
                Meaning::Unusable(reason) => Err(InvalidBody::here(reason)),
                Meaning::Name(name) => {
                    reserved::check_of_entity(&name)?;
                    let attribute = match self.part {
                        Part::Whole | Part::Fragment | Part::Past => self.attribute(name, node)?,
                        Part::Simplified => self.simplified_attribute(name, node)?,
                    };
                    fragment.attributes.push(attribute);
                    Ok(())
                }
            },
        }
    }

    fn types(&self, fragment: &mut EntityFragment, node: &Node<'_>) -> Walked<()> {
        if !fragment.types.is_empty() {
            return Err(InvalidBody::here("the type is given twice"));
        }
        fragment.types = self.type_names(node)?;
        Ok(())
    }

    /// The names of types in a string or an array of strings, each once.
    fn type_names(&self, node: &Node<'_>) -> Walked<Vec<TypeName>> {
        let one = |node: &Node<'_>| -> Walked<TypeName> {
            match node.as_str() {
                None => Err(InvalidBody::here("a type is a string")),
                Some(NULL) => Err(InvalidBody::here("a type cannot be taken away")),
                Some(term) => self.context.checked_type(term).map_err(InvalidBody::here),
            }
        };
        let Some(elements) = node.as_array() else { return Ok(vec![one(node)?]) };
        if elements.is_empty() {
            return Err(InvalidBody::here("an array of types is not empty"));
        }
        let mut names = Vec::with_capacity(elements.len());
        let mut seen = HashSet::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let name = one(element).map_err(|error| error.within(&index.to_string()))?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn scopes(&self, node: &Node<'_>) -> Walked<Patch<Vec<Scope>>> {
        if let Some(text) = node.as_str() {
            if text == NULL {
                return self.removal();
            }
            return Ok(Patch::Set(vec![member::scope(text)?]));
        }
        let Some(elements) = node.as_array() else {
            return Err(InvalidBody::here("a scope is a string or an array of strings"));
        };
        let mut scopes = Vec::with_capacity(elements.len());
        let mut seen = HashSet::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let scope = match element.as_str() {
                Some(text) => member::scope(text),
                None => Err(InvalidBody::here("a scope is a string")),
            };
            let scope = scope.map_err(|error| error.within(&index.to_string()))?;
            if seen.insert(scope.clone()) {
                scopes.push(scope);
            }
        }
        Ok(Patch::Set(scopes))
    }

    /// What an NGSI-LD Null in the place of an optional member asks for.
    fn removal<T>(&self) -> Walked<Patch<T>> {
        match self.part {
            Part::Whole | Part::Past => Err(InvalidBody::here(NOTHING_TO_REMOVE)),
            Part::Fragment | Part::Simplified => Ok(Patch::Remove),
        }
    }
}

const NOTHING_TO_REMOVE: &str = "urn:ngsi-ld:null takes something away, and here is nothing to take away (CIM 009, clause 5.5.4)";

fn id(fragment: &mut EntityFragment, node: &Node<'_>) -> Walked<()> {
    if fragment.id.is_some() {
        return Err(InvalidBody::here("the id is given twice"));
    }
    fragment.id = Some(entity_id(node)?);
    Ok(())
}

fn entity_id(node: &Node<'_>) -> Walked<EntityId> {
    let text = member::uri_text(node)?;
    text.parse().map_err(|error| InvalidBody::here(format!("{error}")))
}

/// Refuses attributes of which two names in the body mean one.
fn each_once(attributes: &[AttributeFragment]) -> Walked<()> {
    let twice = |name: &AttrName| Err(InvalidBody::here(format!("{name} is given twice")));
    // Most entities have few attributes, and comparing names is then faster than hashing them.
    if attributes.len() <= 24 {
        for (index, attribute) in attributes.iter().enumerate() {
            if attributes.iter().take(index).any(|other| other.name == attribute.name) {
                return twice(&attribute.name);
            }
        }
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(attributes.len());
    match attributes.iter().find(|attribute| !seen.insert(&attribute.name)) {
        Some(attribute) => twice(&attribute.name),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
