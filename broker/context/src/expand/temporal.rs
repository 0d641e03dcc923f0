//! What entities were, as a request tells it: of each attribute the instances over time (CIM 009,
//! clauses 4.5.6 to 4.5.8 and 5.2.20).

use musubi_model::{
    AttrName, AttributeType, Document, Entity, EvolutionFragment, FragmentValue, InstanceFragment,
    NULL, Node, Patch, RecordFragment, SCOPE, Timestamp, Value, scopes_json,
};

use super::concise::{Looks, looks};
use super::{Part, Walk, Walked, reserved};
use crate::context::Meaning;
use crate::{Context, InvalidBody};

/// The temporal evolution in a body: `id` and `type` are required, and every instance has a value.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_temporal(
    body: &Node<'_>,
    context: &Context,
) -> Result<EvolutionFragment, InvalidBody> {
    let fragment = expand_temporal_fragment(body, context)?;
    if fragment.id.is_none() {
        return Err(InvalidBody::here("an entity has an id").finished());
    }
    if fragment.types.is_empty() {
        return Err(InvalidBody::here("an entity has a type").finished());
    }
    Ok(fragment)
}

/// The part of a temporal evolution in a body: neither `id` nor `type` is required, and every
/// instance has a value.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_temporal_fragment(
    body: &Node<'_>,
    context: &Context,
) -> Result<EvolutionFragment, InvalidBody> {
    Walk { context, part: Part::Past }.evolution(body).map_err(InvalidBody::finished)
}

/// The one attribute instance in a body: as it is, in an array, or as the only instance of the only
/// attribute of a temporal evolution (CIM 009, clause 5.6.14.3).
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_record(
    name: &AttrName,
    body: &Node<'_>,
    context: &Context,
) -> Result<RecordFragment, InvalidBody> {
    Walk { context, part: Part::Past }.only_record(name, body).map_err(InvalidBody::finished)
}

impl Walk<'_> {
    fn evolution(&self, body: &Node<'_>) -> Walked<EvolutionFragment> {
        let Some(members) = body.as_object() else {
            return Err(InvalidBody::here("an entity is a JSON object"));
        };
        let mut fragment = EvolutionFragment::default();
        let mut count = 0_usize;
        for (key, node) in members {
            let attribute = self.evolution_member(&mut fragment, key, node);
            let Some(attribute) = attribute.map_err(|error| error.within(key))? else { continue };
            count = count.saturating_add(attribute.1.len());
            if count > EvolutionFragment::MAX_INSTANCES {
                let most = EvolutionFragment::MAX_INSTANCES;
                let reason = format!("a request has at most {most} instances");
                return Err(InvalidBody::here(reason).within(key));
            }
            fragment.attributes.push(attribute);
        }
        each_once(&fragment.attributes)?;
        Ok(fragment)
    }

    /// Reads a member of an evolution; the attribute, if it is one that has instances.
    fn evolution_member(
        &self,
        fragment: &mut EvolutionFragment,
        key: &str,
        node: &Node<'_>,
    ) -> Walked<Option<(AttrName, Vec<RecordFragment>)>> {
        let (name, records) = match key {
            "id" | "@id" => return evolution_id(fragment, node),
            "type" | "@type" => return self.evolution_types(fragment, node),
            // An evolution does not expire, whatever an entity does.
            "expiresAt" => return self.date_time(node).map(|_| None),
            "@context" | "createdAt" | "modifiedAt" | "deletedAt" => return Ok(None),
            "scope" => (scope_name()?, self.scope_records(node)?),
            _ => match self.context.meaning(key) {
                Meaning::Keyword("@id") => return evolution_id(fragment, node),
                Meaning::Keyword("@type") => return self.evolution_types(fragment, node),
                Meaning::Keyword(keyword) => {
                    let reason = format!("the keyword {keyword} has no place here");
                    return Err(InvalidBody::here(reason));
                }
                Meaning::Unusable(reason) => return Err(InvalidBody::here(reason)),
                Meaning::Name(name) => {
                    reserved::check_of_entity(&name)?;
                    let records = self.records(&name, node)?;
                    (name, records)
                }
            },
        };
        Ok((!records.is_empty()).then_some((name, records)))
    }

    fn evolution_types<T>(
        &self,
        fragment: &mut EvolutionFragment,
        node: &Node<'_>,
    ) -> Walked<Option<T>> {
        if !fragment.types.is_empty() {
            return Err(InvalidBody::here("the type is given twice"));
        }
        fragment.types = self.type_names(node)?;
        Ok(None)
    }

    /// The instances of an attribute. An array is always one of instances.
    fn records(&self, name: &AttrName, node: &Node<'_>) -> Walked<Vec<RecordFragment>> {
        let Some(elements) = node.as_array() else { return Ok(vec![self.record(name, node)?]) };
        let element = |(index, element): (usize, &Node<'_>)| {
            self.record_object(name, element).map_err(|error| error.within(&index.to_string()))
        };
        elements.iter().enumerate().map(element).collect()
    }

    /// An instance in the place of an attribute, where a value may stand too.
    fn record(&self, name: &AttrName, node: &Node<'_>) -> Walked<RecordFragment> {
        let instance = match (looks(node), &node.document) {
            (Looks::Instance, Document::Object(members)) => self.instance(name, members)?,
            (Looks::Geometry, _) => self.bare(name, AttributeType::GeoProperty, node)?,
            _ => self.bare(name, AttributeType::Property, node)?,
        };
        self.with_deletion(instance, node)
    }

    /// An instance where nothing else may stand: an object, whatever its members are.
    fn record_object(&self, name: &AttrName, node: &Node<'_>) -> Walked<RecordFragment> {
        let Some(members) = node.as_object() else {
            return Err(InvalidBody::here("an attribute instance is an object"));
        };
        if looks(node) == Looks::Geometry {
            return self.record(name, node);
        }
        let instance = self.instance(name, members)?;
        self.with_deletion(instance, node)
    }

    fn with_deletion(&self, instance: InstanceFragment, node: &Node<'_>) -> Walked<RecordFragment> {
        let deleted_at = if is_deletion(&instance) { self.deleted_at(node)? } else { None };
        Ok(RecordFragment { instance, deleted_at })
    }

    fn deleted_at(&self, node: &Node<'_>) -> Walked<Option<Timestamp>> {
        let Some(time) = node.member("deletedAt") else { return Ok(None) };
        match self.date_time(time).map_err(|error| error.within("deletedAt"))? {
            Patch::Set(time) => Ok(Some(time)),
            Patch::Keep | Patch::Remove => Ok(None),
        }
    }

    /// Scopes, as they are or as a property over time (CIM 009, clause 4.5.6).
    fn scope_records(&self, node: &Node<'_>) -> Walked<Vec<RecordFragment>> {
        let are_instances =
            |elements: &[Node<'_>]| elements.iter().any(|element| element.as_object().is_some());
        if node.as_object().is_some() {
            return Ok(vec![self.scope_record(node)?]);
        }
        match node.as_array() {
            Some([]) => Ok(Vec::new()),
            Some(elements) if are_instances(elements) => elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    self.scope_record(element).map_err(|error| error.within(&index.to_string()))
                })
                .collect(),
            Some(_) | None => {
                let instance = self.scope_value(node)?;
                Ok(vec![RecordFragment { instance, deleted_at: None }])
            }
        }
    }

    /// One instance of the scope: a property that has nothing but a value and times.
    fn scope_record(&self, node: &Node<'_>) -> Walked<RecordFragment> {
        let Some(members) = node.as_object() else {
            return Err(InvalidBody::here("an instance of the scope is an object"));
        };
        let mut value = None;
        let mut observed_at = Patch::Keep;
        for (key, node) in members {
            let read = match key.as_ref() {
                "type" | "@type" if node.as_str() == Some("Property") => Ok(()),
                "type" | "@type" => Err(InvalidBody::here("the scope is a Property")),
                "value" => self.scope_value(node).map(|read| value = Some(read)),
                "observedAt" => self.date_time(node).map(|read| observed_at = read),
                "createdAt" | "modifiedAt" | "deletedAt" | "instanceId" => Ok(()),
                _ => Err(InvalidBody::here("the scope has no such member (CIM 009, clause 4.5.6)")),
            };
            read.map_err(|error| error.within(key))?;
        }
        let value = value.ok_or_else(|| InvalidBody::here("the scope has no value"))?;
        self.with_deletion(InstanceFragment { observed_at, ..value }, node)
    }

    /// The scopes of one moment. None, or an NGSI-LD Null, tells that they were taken away.
    fn scope_value(&self, node: &Node<'_>) -> Walked<InstanceFragment> {
        let fragment = Walk { part: Part::Fragment, ..*self };
        let json = match fragment.scopes(node)? {
            Patch::Set(scopes) if scopes.len() > Entity::MAX_SCOPES => {
                let reason = format!("an entity has at most {} scopes", Entity::MAX_SCOPES);
                return Err(InvalidBody::here(reason));
            }
            Patch::Set(scopes) if !scopes.is_empty() => scopes_json(&scopes),
            Patch::Set(_) | Patch::Keep | Patch::Remove => NULL.into(),
        };
        let value = FragmentValue::Typed(Value { kind: AttributeType::Property, json });
        Ok(InstanceFragment { value: Some(value), ..InstanceFragment::default() })
    }

    fn only_record(&self, name: &AttrName, body: &Node<'_>) -> Walked<RecordFragment> {
        if let Some([(key, inner)]) = body.as_object()
            && looks(body) == Looks::Value
            && matches!(self.context.meaning(key), Meaning::Name(named) if named == *name)
        {
            return self.only_element(name, inner).map_err(|error| error.within(key));
        }
        self.only_element(name, body)
    }

    fn only_element(&self, name: &AttrName, node: &Node<'_>) -> Walked<RecordFragment> {
        let record = |node: &Node<'_>| match name.as_str() {
            SCOPE => self.scope_record(node),
            _ => self.record_object(name, node),
        };
        match node.as_array() {
            None => record(node),
            Some([only]) => record(only).map_err(|error| error.within("0")),
            Some(_) => Err(InvalidBody::here("exactly one instance is corrected")),
        }
    }
}

fn evolution_id<T>(fragment: &mut EvolutionFragment, node: &Node<'_>) -> Walked<Option<T>> {
    if fragment.id.is_some() {
        return Err(InvalidBody::here("the id is given twice"));
    }
    fragment.id = Some(super::entity_id(node)?);
    Ok(None)
}

/// Whether an instance of the past tells of a deletion.
fn is_deletion(instance: &InstanceFragment) -> bool {
    match &instance.value {
        Some(FragmentValue::Typed(value)) => value.json.as_text().is_some_and(|text| text == NULL),
        Some(FragmentValue::Null) => true,
        Some(FragmentValue::Simplified(_)) | None => false,
    }
}

fn scope_name() -> Walked<AttrName> {
    SCOPE.parse().map_err(|error| InvalidBody::here(format!("{error}")))
}

/// Refuses attributes of which two names in the body mean one.
fn each_once(attributes: &[(AttrName, Vec<RecordFragment>)]) -> Walked<()> {
    let mut seen = std::collections::HashSet::with_capacity(attributes.len());
    match attributes.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(InvalidBody::here(format!("{name} is given twice"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
