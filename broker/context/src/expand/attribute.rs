//! Attributes and their instances.

use std::borrow::Cow;
use std::collections::HashSet;

use musubi_model::{
    AttrName, AttributeFragment, AttributeType, Document, FragmentValue, InstanceFragment, NGSI_LD,
    NULL, Node, Value,
};
use smallvec::{SmallVec, smallvec};

use super::concise::{Looks, is_geometry, looks};
use super::{NOTHING_TO_REMOVE, Part, Walk, Walked, each_once, member, reserved};
use crate::InvalidBody;
use crate::context::Meaning;

/// The members of an object.
type Members<'a> = [(Cow<'a, str>, Node<'a>)];

/// An instance while its members are read: what can only be judged once the kind is known.
#[derive(Default)]
struct Draft<'n, 'a> {
    kind: Option<AttributeType>,
    value: Option<(&'static str, &'n Node<'a>)>,
    value_type: Option<&'n Node<'a>>,
    has_unit: bool,
    has_object_type: bool,
}

impl Walk<'_> {
    /// An attribute in its place in an entity or in another attribute.
    pub(super) fn attribute(&self, name: AttrName, node: &Node<'_>) -> Walked<AttributeFragment> {
        let instances = match (looks(node), &node.document) {
            (Looks::Instance, Document::Object(members)) => {
                smallvec![self.instance(&name, members)?]
            }
            (Looks::Instances, Document::Array(elements)) => self.instances(&name, elements)?,
            (Looks::Geometry, _) => {
                smallvec![self.bare(&name, AttributeType::GeoProperty, node)?]
            }
            _ => smallvec![self.bare(&name, AttributeType::Property, node)?],
        };
        Ok(AttributeFragment { name, instances })
    }

    /// An attribute that is a body by itself: an object is an instance whatever its members are.
    pub(super) fn attribute_alone(
        &self,
        name: AttrName,
        node: &Node<'_>,
    ) -> Walked<AttributeFragment> {
        match node.as_object() {
            Some(members) if looks(node) == Looks::Value => {
                let instances = smallvec![self.instance(&name, members)?];
                Ok(AttributeFragment { name, instances })
            }
            _ => self.attribute(name, node),
        }
    }

    fn instances(
        &self,
        name: &AttrName,
        elements: &[Node<'_>],
    ) -> Walked<SmallVec<[InstanceFragment; 1]>> {
        let mut instances: SmallVec<[InstanceFragment; 1]> =
            SmallVec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let instance = match element.as_object() {
                Some(members) => self.instance(name, members),
                None => Err(InvalidBody::here("an attribute instance is an object")),
            };
            instances.push(instance.map_err(|error| error.within(&index.to_string()))?);
        }
        let mut seen = HashSet::with_capacity(instances.len());
        if let Some(twice) = instances.iter().find(|instance| !seen.insert(&instance.dataset_id)) {
            let dataset = twice.dataset_id.as_ref().map_or("@none", |dataset| dataset.as_str());
            return Err(InvalidBody::here(format!(
                "there are two instances of the data set {dataset}"
            )));
        }
        Ok(instances)
    }

    /// A value in the place of an attribute.
    pub(super) fn bare(
        &self,
        name: &AttrName,
        kind: AttributeType,
        node: &Node<'_>,
    ) -> Walked<InstanceFragment> {
        let value = if node.as_str() == Some(NULL) {
            self.null(kind)
        } else {
            check_kind(name, kind)?;
            self.value(kind, node)?
        };
        self.check_null(&value)?;
        Ok(InstanceFragment { value: Some(value), ..InstanceFragment::default() })
    }

    pub(super) fn instance(
        &self,
        name: &AttrName,
        members: &Members<'_>,
    ) -> Walked<InstanceFragment> {
        if is_geometry(members) {
            return Err(InvalidBody::here("a geometry has no place in an array of instances"));
        }
        let mut instance = InstanceFragment::default();
        let mut draft = Draft::default();
        for (key, node) in members {
            self.instance_member(&mut instance, &mut draft, (name, key), node)
                .map_err(|error| error.within(key))?;
        }
        each_once(&instance.attributes)?;
        self.settle(name, &mut instance, &draft)?;
        Ok(instance)
    }

    fn instance_member<'n, 'a>(
        &self,
        instance: &mut InstanceFragment,
        draft: &mut Draft<'n, 'a>,
        (name, key): (&AttrName, &str),
        node: &'n Node<'a>,
    ) -> Walked<()> {
        match key {
            "type" | "@type" => self.declare(draft, node)?,
            "value" | "object" | "languageMap" | "vocab" | "json" | "valueList" | "objectList" => {
                let member = AttributeType::ALL.iter().map(|kind| kind.member());
                let member = member.into_iter().find(|member| *member == key).unwrap_or("value");
                if let Some((other, _)) = draft.value.replace((member, node)) {
                    return Err(InvalidBody::here(format!("there is {other} already")));
                }
            }
            "observedAt" => instance.observed_at = self.date_time(node)?,
            "expiresAt" => instance.expires_at = self.date_time(node)?,
            "datasetId" => instance.dataset_id = member::dataset_id(node)?,
            "unitCode" => {
                instance.unit_code = self.unit_code(node)?;
                draft.has_unit = true;
            }
            "valueType" => draft.value_type = Some(node),
            "objectType" => {
                instance.object_type = match node.as_str() {
                    Some(NULL) => self.removal()?,
                    _ => musubi_model::Patch::Set(self.type_names(node)?),
                };
                draft.has_object_type = true;
            }
            // The system sets its own times and identifiers.
            "createdAt" | "modifiedAt" | "deletedAt" | "instanceId" => {}
            "@context" => {
                return Err(InvalidBody::here(
                    "an attribute has no @context of its own (CIM 009, clause 5.5.7)",
                ));
            }
            "entityIdSealed" | "entityTypeSealed" if reserved::is_proof(name) => {
                instance.attributes.push(self.sealed(key, node)?);
            }
            _ => return self.sub_attribute(instance, draft, key, node),
        }
        Ok(())
    }

    /// A member with a name that the context knows: a sub-attribute, or the type under a name of
    /// the client's own.
    fn sub_attribute(
        &self,
        instance: &mut InstanceFragment,
        draft: &mut Draft<'_, '_>,
        key: &str,
        node: &Node<'_>,
    ) -> Walked<()> {
        match self.context.meaning(key) {
            Meaning::Name(name) => {
                reserved::check(&name)?;
                instance.attributes.push(self.inside().attribute(name, node)?);
                Ok(())
            }
            Meaning::Keyword("@type") => self.declare(draft, node),
            Meaning::Keyword(keyword) => {
                Err(InvalidBody::here(format!("the keyword {keyword} has no place here")))
            }
            Meaning::Unusable(reason) => Err(InvalidBody::here(reason)),
        }
    }

    fn declare(&self, draft: &mut Draft<'_, '_>, node: &Node<'_>) -> Walked<()> {
        match draft.kind.replace(self.kind(node)?) {
            None => Ok(()),
            Some(_) => Err(InvalidBody::here("the type is given twice")),
        }
    }

    /// The kind that a `type` member names, as a term or written out.
    fn kind(&self, node: &Node<'_>) -> Walked<AttributeType> {
        let Some(name) = node.as_str() else {
            return Err(InvalidBody::here("the type of an attribute is a string"));
        };
        let known = AttributeType::from_name(name).or_else(|| {
            let iri = self.context.expand(name);
            AttributeType::from_name(iri.strip_prefix(NGSI_LD)?)
        });
        known.ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            InvalidBody::here(format!("{shown:?} is no type of attribute (CIM 009, clause 4.5.1)"))
        })
    }

    /// Decides the kind, reads the value, and checks what depends on the kind.
    fn settle(
        &self,
        name: &AttrName,
        instance: &mut InstanceFragment,
        draft: &Draft<'_, '_>,
    ) -> Walked<()> {
        let kind = draft.kind.or_else(|| draft.value.map(|(member, node)| inferred(member, node)));
        if let Some(node) = draft.value_type {
            instance.value_type =
                self.value_type(kind, node).map_err(|error| error.within("valueType"))?;
        }
        let Some(kind) = kind else {
            return match self.part {
                Part::Whole | Part::Past => Err(InvalidBody::here("the attribute has no value")),
                Part::Fragment | Part::Simplified => Ok(()),
            };
        };
        match draft.value {
            None if matches!(self.part, Part::Whole | Part::Past) => {
                return Err(missing(kind));
            }
            None => {}
            Some((member, _)) if member != kind.member() => {
                let reason = format!("a {} has {}, and not {member}", kind.as_str(), kind.member());
                return Err(InvalidBody::here(reason).within(member));
            }
            Some((member, node)) => {
                let value = match self.value(kind, node).map_err(|error| error.within(member))? {
                    FragmentValue::Null => self.null(kind),
                    value @ (FragmentValue::Typed(_) | FragmentValue::Simplified(_)) => value,
                };
                self.check_null(&value).map_err(|error| error.within(member))?;
                instance.value = Some(value);
            }
        }
        // A Null deletes whatever is there, so its kind does not matter.
        if instance.value != Some(FragmentValue::Null) {
            check_kind(name, kind)?;
        }
        check_members(kind, draft)?;
        check_proof(name, kind, draft)
    }

    /// The NGSI-LD Null in the place of a value of this kind. Of what was deleted in the past, the
    /// kind is kept.
    fn null(&self, kind: AttributeType) -> FragmentValue {
        match self.part {
            Part::Past => FragmentValue::Typed(Value { kind, json: NULL.into() }),
            Part::Whole | Part::Fragment | Part::Simplified => FragmentValue::Null,
        }
    }

    /// The walk over what an attribute instance has inside: there, nothing tells of a deletion.
    fn inside(self) -> Self {
        match self.part {
            Part::Past => Self { part: Part::Whole, ..self },
            Part::Whole | Part::Fragment | Part::Simplified => self,
        }
    }

    fn check_null(&self, value: &FragmentValue) -> Walked<()> {
        match (self.part, value) {
            (Part::Whole, FragmentValue::Null) => Err(InvalidBody::here(NOTHING_TO_REMOVE)),
            _ => Ok(()),
        }
    }

    /// What a proof says of its entity (CIM 009, clause 4.5.2.2).
    fn sealed(&self, key: &str, node: &Node<'_>) -> Walked<AttributeFragment> {
        let refuse = |error: &dyn std::fmt::Display| InvalidBody::here(error.to_string());
        let Some(text) = node.as_str() else { return Err(refuse(&"it is a string")) };
        let value = if key == "entityTypeSealed" {
            let name = self.context.checked_type(text).map_err(|reason| refuse(&reason))?;
            Value { kind: AttributeType::VocabProperty, json: name.as_str().into() }
        } else {
            Value { kind: AttributeType::Property, json: text.into() }
        };
        let value = Some(FragmentValue::Typed(value));
        let instance = InstanceFragment { value, ..InstanceFragment::default() };
        let name = format!("{NGSI_LD}{key}").parse().map_err(|error| refuse(&error))?;
        Ok(AttributeFragment { name, instances: smallvec![instance] })
    }
}

/// The kind of an instance without a `type`.
fn inferred(member: &str, node: &Node<'_>) -> AttributeType {
    if member == AttributeType::Property.member() {
        let is_geometry = node.as_object().is_some_and(is_geometry);
        return if is_geometry { AttributeType::GeoProperty } else { AttributeType::Property };
    }
    let of_member = |kind: &AttributeType| kind.member() == member;
    AttributeType::ALL.into_iter().find(of_member).unwrap_or(AttributeType::Property)
}

fn missing(kind: AttributeType) -> InvalidBody {
    InvalidBody::here(format!("a {} has {}, and here is none", kind.as_str(), kind.member()))
}

/// Refuses another kind where the core context says that an attribute is a `GeoProperty`.
fn check_kind(name: &AttrName, kind: AttributeType) -> Walked<()> {
    if kind != AttributeType::GeoProperty && reserved::is_geometry(name) {
        return Err(InvalidBody::here(format!("this is a GeoProperty and no {}", kind.as_str())));
    }
    Ok(())
}

/// Refuses members that a kind does not have (CIM 009, clauses 4.5.3.2 and 4.5.18 to 4.5.24).
fn check_members(kind: AttributeType, draft: &Draft<'_, '_>) -> Walked<()> {
    let refuse = |member: &str| {
        Err(InvalidBody::here(format!("a {} has no {member}", kind.as_str())).within(member))
    };
    let (is_relationship, is_unitless) = match kind {
        AttributeType::Property | AttributeType::GeoProperty | AttributeType::ListProperty => {
            (false, false)
        }
        AttributeType::LanguageProperty
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty => (false, true),
        AttributeType::Relationship | AttributeType::ListRelationship => (true, true),
    };
    if is_unitless && draft.has_unit {
        return refuse("unitCode");
    }
    if is_relationship && draft.value_type.is_some() {
        return refuse("valueType");
    }
    if !is_relationship && draft.has_object_type {
        return refuse("objectType");
    }
    Ok(())
}

/// Refuses a proof that is no Property with an object (CIM 009, clause 4.5.2.2).
fn check_proof(name: &AttrName, kind: AttributeType, draft: &Draft<'_, '_>) -> Walked<()> {
    let is_object = draft.value.is_none_or(|(_, node)| node.as_object().is_some());
    if reserved::is_proof(name) && !(kind == AttributeType::Property && is_object) {
        return Err(InvalidBody::here("a proof is a Property whose value is an object"));
    }
    Ok(())
}
