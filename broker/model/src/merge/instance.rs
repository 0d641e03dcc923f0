//! One attribute instance: built from a fragment, or changed by one.

use super::attributes::{Rule, Writer};
use super::{set_or_absent, value};
use crate::{
    AttrName, Attribute, FragmentValue, Instance, InstanceFragment, InvalidFragment, Patch,
    Qualifiers, Value,
};

impl InstanceFragment {
    /// Whether the fragment asks for the deletion of the instance.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Some(FragmentValue::Null) => true,
            Some(FragmentValue::Typed(value)) => value::is_null(value),
            Some(FragmentValue::Simplified(json)) => value::is_null_text(json),
            None => false,
        }
    }
}

impl Writer {
    /// The instance that the fragment describes. Of `previous`, whose place it takes, only the
    /// times of creation stay.
    pub(super) fn build(
        self,
        name: &AttrName,
        fragment: &InstanceFragment,
        previous: Option<&Instance>,
    ) -> Result<Instance, InvalidFragment> {
        let Some(given) = &fragment.value else {
            return Err(InvalidFragment(format!("{name} has no value")));
        };
        let value = match self.rule {
            Rule::Merge => value::merged(name, None, given)?,
            Rule::Append(_) | Rule::Update | Rule::Partial => value::replaced(name, None, given)?,
        };
        self.build_with(name, value, fragment, previous)
    }

    /// As [`build`](Self::build), with this value, whatever the fragment says of it.
    pub(super) fn build_with(
        self,
        name: &AttrName,
        value: Value,
        fragment: &InstanceFragment,
        previous: Option<&Instance>,
    ) -> Result<Instance, InvalidFragment> {
        let mut attributes = Vec::new();
        self.apply(&mut attributes, &fragment.attributes)?;
        for attribute in &mut attributes {
            if let Some(before) = previous.and_then(|previous| previous.attribute(&attribute.name))
            {
                keep_creation(attribute, before);
            }
        }
        let qualifiers = Qualifiers {
            dataset_id: fragment.dataset_id.clone(),
            unit_code: self.given(name, "unitCode", &fragment.unit_code)?,
            expires_at: self.given(name, "expiresAt", &fragment.expires_at)?,
            value_type: self.given(name, "valueType", &fragment.value_type)?,
            object_type: self.given(name, "objectType", &fragment.object_type)?.unwrap_or_default(),
            attributes,
        };
        Ok(Instance {
            value,
            observed_at: self.given(name, "observedAt", &fragment.observed_at)?,
            created_at: previous.map_or(self.now, |previous| previous.created_at),
            modified_at: self.now,
            qualifiers: qualifiers.boxed(),
        })
    }

    /// Changes the members of `instance` that the fragment has.
    pub(super) fn patch(
        self,
        name: &AttrName,
        instance: &mut Instance,
        fragment: &InstanceFragment,
    ) -> Result<(), InvalidFragment> {
        if let Some(given) = &fragment.value {
            instance.value = if self.rule == Rule::Merge {
                value::merged(name, Some(&instance.value), given)?
            } else {
                value::replaced(name, Some(&instance.value), given)?
            };
        }
        let mut qualifiers = instance.qualifiers.take().map_or_else(Qualifiers::default, |q| *q);
        qualifiers.unit_code = fragment.unit_code.clone().apply(qualifiers.unit_code);
        qualifiers.expires_at = fragment.expires_at.clone().apply(qualifiers.expires_at);
        qualifiers.value_type = fragment.value_type.clone().apply(qualifiers.value_type);
        qualifiers.object_type =
            fragment.object_type.clone().apply(Some(qualifiers.object_type)).unwrap_or_default();
        let rule = if self.rule == Rule::Merge { Rule::Merge } else { Rule::Update };
        Self { rule, ..self }.apply(&mut qualifiers.attributes, &fragment.attributes)?;
        instance.observed_at = fragment.observed_at.clone().apply(instance.observed_at);
        instance.modified_at = self.now;
        instance.qualifiers = qualifiers.boxed();
        Ok(())
    }

    /// The value of a member of a new instance; a Null for it is refused where Nulls are.
    fn given<T: Clone>(
        self,
        name: &AttrName,
        member: &str,
        patch: &Patch<T>,
    ) -> Result<Option<T>, InvalidFragment> {
        match self.rule {
            Rule::Append(_) => set_or_absent(member, patch)
                .map(Option::<&T>::cloned)
                .map_err(|InvalidFragment(reason)| InvalidFragment(format!("{name}: {reason}"))),
            Rule::Update | Rule::Partial | Rule::Merge => Ok(patch.clone().apply(None)),
        }
    }
}

/// Gives the instances of `new` the times of creation of those whose places they take.
fn keep_creation(new: &mut Attribute, before: &Attribute) {
    for instance in &mut new.instances {
        let Some(before) = before.instance(instance.dataset_id()) else { continue };
        instance.created_at = before.created_at;
        let Some(qualifiers) = &mut instance.qualifiers else { continue };
        for attribute in &mut qualifiers.attributes {
            if let Some(before) = before.attribute(&attribute.name) {
                keep_creation(attribute, before);
            }
        }
    }
}

impl Qualifiers {
    /// Boxed, or nothing if nothing is set.
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}
