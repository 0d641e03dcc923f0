//! Fragments of attributes, applied to a list of attributes: those of an entity, or those of an
//! attribute instance.

use crate::{
    AttrName, Attribute, AttributeFragment, Entity, InstanceFragment, InvalidFragment, NotUpdated,
    Overwrite, Timestamp, UpdateResult,
};

/// What happens where a fragment meets an instance that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The instance is replaced or left alone. Nulls are refused.
    Append(Overwrite),
    /// The instance is replaced. Nulls delete.
    Update,
    /// The members that the fragment has are replaced, of sub-attributes whole instances. Nulls
    /// delete.
    Partial,
    /// The members that the fragment has are merged, at every depth. Nulls delete.
    Merge,
}

/// Applies fragments by a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub(super) rule: Rule,
    pub(super) now: Timestamp,
}

/// What became of one instance of a fragment.
enum Written {
    Yes,
    /// Nothing was to be done.
    Nothing,
    /// It was left alone, for this reason.
    No(String),
}

impl Writer {
    /// Applies `fragments` to `attributes`.
    pub(super) fn apply(
        self,
        attributes: &mut Vec<Attribute>,
        fragments: &[AttributeFragment],
    ) -> Result<UpdateResult, InvalidFragment> {
        if fragments.len() > Entity::MAX_ATTRIBUTES {
            return Err(too_many_attributes());
        }
        if attributes.is_empty() {
            attributes.reserve_exact(fragments.len());
        }
        let mut result = UpdateResult::default();
        for AttributeFragment { name, instances } in fragments {
            let there = attributes.iter().position(|attribute| attribute.name == *name);
            let mut attribute = match there.and_then(|index| attributes.get_mut(index)) {
                Some(attribute) => std::mem::take(&mut attribute.instances),
                None => smallvec::SmallVec::new(),
            };
            if instances.len() > Entity::MAX_INSTANCES {
                return Err(too_many_instances(name));
            }
            let mut written = false;
            for fragment in instances {
                match self.apply_instance(name, &mut attribute, fragment)? {
                    Written::Yes => written = true,
                    Written::Nothing => {}
                    Written::No(reason) => {
                        result.not_updated.push(NotUpdated { name: name.clone(), reason });
                    }
                }
            }
            if attribute.len() > Entity::MAX_INSTANCES {
                return Err(too_many_instances(name));
            }
            match there {
                Some(index) if attribute.is_empty() => drop(attributes.remove(index)),
                Some(index) => {
                    if let Some(there) = attributes.get_mut(index) {
                        there.instances = attribute;
                    }
                }
                None if attribute.is_empty() => {}
                None => attributes.push(Attribute { name: name.clone(), instances: attribute }),
            }
            if written {
                result.updated.push(name.clone());
            }
        }
        if attributes.len() > Entity::MAX_ATTRIBUTES {
            return Err(too_many_attributes());
        }
        Ok(result)
    }

    fn apply_instance(
        self,
        name: &AttrName,
        instances: &mut smallvec::SmallVec<[crate::Instance; 1]>,
        fragment: &InstanceFragment,
    ) -> Result<Written, InvalidFragment> {
        let null = fragment.is_null();
        if null && matches!(self.rule, Rule::Append(_)) {
            return Err(InvalidFragment(format!(
                "{name} is urn:ngsi-ld:null, which only update and merge accept"
            )));
        }
        let dataset = fragment.dataset_id.as_ref();
        let there = instances.iter().position(|instance| instance.dataset_id() == dataset);
        let Some(index) = there else {
            if null && self.rule == Rule::Merge {
                return Ok(Written::Nothing);
            }
            if null {
                let reason = match dataset {
                    None => "there is no such attribute to delete".to_owned(),
                    Some(dataset) => format!("there is no instance of {dataset} to delete"),
                };
                return Ok(Written::No(reason));
            }
            instances.push(self.build(name, fragment, None)?);
            return Ok(Written::Yes);
        };
        if null {
            instances.remove(index);
            return Ok(Written::Yes);
        }
        if self.rule == Rule::Append(Overwrite::No) {
            let reason = match dataset {
                None => "the attribute exists and is not to be overwritten".to_owned(),
                Some(dataset) => {
                    format!("the instance of {dataset} exists and is not to be overwritten")
                }
            };
            return Ok(Written::No(reason));
        }
        let Some(instance) = instances.get_mut(index) else { return Ok(Written::Nothing) };
        match self.rule {
            Rule::Append(_) | Rule::Update => {
                *instance = self.build(name, fragment, Some(instance))?;
            }
            Rule::Partial | Rule::Merge => self.patch(name, instance, fragment)?,
        }
        Ok(Written::Yes)
    }
}

pub(super) fn too_many_attributes() -> InvalidFragment {
    InvalidFragment(format!("there are more than {} attributes", Entity::MAX_ATTRIBUTES))
}

fn too_many_instances(name: &AttrName) -> InvalidFragment {
    InvalidFragment(format!("{name} has more than {} instances", Entity::MAX_INSTANCES))
}
