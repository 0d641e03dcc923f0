//! Entities of one shape, one after another.
//!
//! The entities of a page mostly differ in their id, in the values, and in the times of these:
//! names, kinds, units, and all that JSON wants between two values, are the same in each. So what
//! stands between the values is copied in one piece from where it was written before.

use std::ops::Range;
use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, AttributeType, Entity, Instance, Qualifiers, Timestamp, TimestampText,
    TypeName,
};
use smallvec::SmallVec;

use crate::expand::sealed_member;

/// What entities have in common of which each was rendered as the one before, but for the id, the
/// values and the times.
///
/// Only normalized entities have a shape here, of one type, without scopes, of which every
/// attribute has one instance with a value that is written as it is kept, and beside it nothing but
/// a time and a unit.
pub(super) struct Shape<'c> {
    entity_type: &'c TypeName,
    /// Where the first entity of the shape begins in the output; what is kept of it are places behind
    /// that.
    start: usize,
    /// What stood between the id and the first value, or behind the id if there was none.
    head: Range<usize>,
    parts: SmallVec<[Part<'c>; 8]>,
    /// The last time that was written otherwise than in the pieces.
    last: Option<(Timestamp, TimestampText)>,
}

/// An attribute of a shape.
struct Part<'c> {
    name: &'c AttrName,
    kind: AttributeType,
    unit_code: Option<&'c Arc<str>>,
    observed_at: Option<Timestamp>,
    /// What stood behind the value, up to the next one or to the end of the entity.
    behind: Range<usize>,
    /// Where in there the time stood.
    time: Range<usize>,
}

/// Whether an entity may have a shape.
pub(super) fn is_plain(entity: &Entity) -> bool {
    entity.types.len() == 1
        && entity.scopes.is_empty()
        && entity.attributes.iter().all(|attribute| {
            has_plain_instance(attribute) && sealed_member(&attribute.name).is_none()
        })
}

/// Whether there is one instance, which has nothing that is rare.
fn has_plain_instance(attribute: &Attribute) -> bool {
    let [instance] = attribute.instances.as_slice() else { return false };
    is_written_as_kept(instance.value.kind)
        && instance.qualifiers.as_ref().is_none_or(|qualifiers| has_unit_at_most(qualifiers))
}

fn is_written_as_kept(kind: AttributeType) -> bool {
    match kind {
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::LanguageProperty
        | AttributeType::JsonProperty
        | AttributeType::ListProperty => true,
        AttributeType::VocabProperty | AttributeType::ListRelationship => false,
    }
}

/// Whether nothing but a unit is to be written; times of the system aside.
fn has_unit_at_most(qualifiers: &Qualifiers) -> bool {
    qualifiers.dataset_id.is_none()
        && qualifiers.value_type.is_none()
        && qualifiers.object_type.is_empty()
        && qualifiers.attributes.is_empty()
}

impl<'c> Shape<'c> {
    /// The shape of a plain entity that is being written: from `start` on, and of which all before
    /// the first value stands behind `head`.
    pub(super) fn new(entity_type: &'c TypeName, start: usize, head: usize) -> Self {
        let head = head - start..head - start;
        Self { entity_type, start, head, parts: SmallVec::new(), last: None }
    }

    /// An attribute was written: what comes before its value until `value`, what comes behind it
    /// from `behind` on.
    pub(super) fn add(&mut self, attribute: &'c Attribute, value: usize, behind: usize) {
        self.end_piece(value);
        let Some(instance) = attribute.instances.first() else { return };
        let behind = behind - self.start;
        self.parts.push(Part {
            name: &attribute.name,
            kind: instance.value.kind,
            unit_code: unit_code(instance),
            observed_at: instance.observed_at,
            behind: behind..behind,
            time: behind..behind,
        });
    }

    /// The last piece goes until here.
    fn end_piece(&mut self, end: usize) {
        let end = end - self.start;
        match self.parts.last_mut() {
            Some(part) => part.behind.end = end,
            None => self.head.end = end,
        }
    }

    /// The entity has been written, and nothing behind it.
    pub(super) fn end(&mut self, out: &[u8]) {
        self.end_piece(out.len());
        let text = out.get(self.start..).unwrap_or_default();
        for part in self.parts.iter_mut().filter(|part| part.observed_at.is_some()) {
            let start = part.behind.start + BEFORE_TIME.len() + 1;
            let time = text.get(start..).unwrap_or_default();
            let length = time.iter().position(|byte| *byte == b'"').unwrap_or_default();
            part.time = start..start + length;
        }
    }

    /// Writes an entity that differs only in what may differ, from behind its id on. False if it
    /// is none; then nothing of use was written.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, entity: &Entity) -> bool {
        let may_fit = matches!(entity.types.as_slice(), [it] if it.shares_with(self.entity_type))
            && entity.scopes.is_empty()
            && entity.attributes.len() == self.parts.len();
        if !may_fit {
            return false;
        }
        let Self { start, head, parts, last, .. } = self;
        let piece = |range: Range<usize>| *start + range.start..*start + range.end;
        out.extend_from_within(piece(head.clone()));
        for (part, attribute) in parts.iter().zip(&entity.attributes) {
            let Some(instance) = part.instance(attribute) else { return false };
            out.extend_from_slice(instance.value.json.as_str().as_bytes());
            match instance.observed_at {
                Some(time) if !part.has_time(time) => {
                    out.extend_from_within(piece(part.behind.start..part.time.start));
                    let text = match last {
                        Some((last, text)) if last.is_written_like(time) => text,
                        _ => &mut last.insert((time, time.text())).1,
                    };
                    out.extend_from_slice(text.as_str().as_bytes());
                    out.extend_from_within(piece(part.time.end..part.behind.end));
                }
                Some(_) | None => out.extend_from_within(piece(part.behind.clone())),
            }
        }
        true
    }
}

/// What stands before the time of an instance.
pub(super) const BEFORE_TIME: &str = ",\"observedAt\":";

impl Part<'_> {
    /// The instance of an attribute that differs only in what may differ.
    #[inline]
    fn instance<'a>(&self, attribute: &'a Attribute) -> Option<&'a Instance> {
        let [instance] = attribute.instances.as_slice() else { return None };
        let fits = attribute.name.shares_with(self.name)
            && instance.value.kind == self.kind
            && instance.observed_at.is_some() == self.observed_at.is_some()
            && match &instance.qualifiers {
                None => self.unit_code.is_none(),
                Some(rare) => has_unit_at_most(rare) && self.has_unit(rare.unit_code.as_ref()),
            };
        fits.then_some(instance)
    }

    #[inline]
    fn has_unit(&self, unit_code: Option<&Arc<str>>) -> bool {
        match (self.unit_code, unit_code) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    #[inline]
    fn has_time(&self, time: Timestamp) -> bool {
        self.observed_at.is_some_and(|known| known.is_written_like(time))
    }
}

#[inline]
fn unit_code(instance: &Instance) -> Option<&Arc<str>> {
    instance.qualifiers.as_ref()?.unit_code.as_ref()
}
