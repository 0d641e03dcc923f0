//! Entities of one shape, one after another.
//!
//! The entities that somebody reads mostly differ in their id, in some values, and in the times of
//! these: names, kinds, units, and all that JSON wants between two values, are the same in each. So
//! the text of one of them is kept, and what another has in common with it is copied in few pieces.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, AttributeType, Entity, Instance, Qualifiers, Timestamp, TimestampText,
    TypeName,
};

use crate::expand::sealed_member;

/// The most shapes that a thread keeps.
const MAX_SHAPES: usize = 16;

/// The longest text of a shape that is kept, in bytes.
const MAX_TEXT: usize = 8 << 10;

/// When there is no room, one of so many entities whose shape is not known has it kept: of many
/// shapes in turn none is of use, and to make one takes time.
const MISSES: usize = 8;

/// What entities have in common of which each was rendered as the one before, but for the id, the
/// values and the times.
///
/// Only normalized entities have a shape here, of one type, without scopes, of which every
/// attribute has one instance with a value that is written as it is kept, and beside it nothing but
/// a time and a unit.
pub(super) struct Shape {
    reader: Reader,
    entity_type: TypeName,
    /// An entity of the shape.
    text: Vec<u8>,
    /// Where its id ends.
    id_end: usize,
    parts: Vec<Part>,
    /// The last time that was written otherwise than in the text.
    last: Option<(Timestamp, TimestampText)>,
}

/// On what it depends how an entity of a shape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    /// The number of the context.
    pub(super) context: u64,
    /// Whether that stands in each entity.
    pub(super) context_member: bool,
}

/// An attribute of a shape.
struct Part {
    name: AttrName,
    kind: AttributeType,
    unit_code: Option<Arc<str>>,
    observed_at: Option<Timestamp>,
    /// Where in the text the value stands.
    value: Range<usize>,
    /// Where its time stands, if it has one.
    time: Range<usize>,
}

/// What stands before the id.
pub(super) const BEFORE_ID: &str = "{\"id\":\"";

/// What stands before the time of an instance.
pub(super) const BEFORE_TIME: &str = ",\"observedAt\":";

/// Whether an entity may have a shape.
fn is_plain(entity: &Entity) -> bool {
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

impl Shape {
    /// The shape of a plain entity that is about to be written.
    pub(super) fn new(reader: Reader, entity_type: &TypeName) -> Self {
        let (text, parts) = (Vec::new(), Vec::new());
        Self { reader, entity_type: entity_type.clone(), text, id_end: 0, parts, last: None }
    }

    /// The id was written, until there.
    pub(super) fn end_id(&mut self, end: usize) {
        self.id_end = end;
    }

    /// An attribute was written: its value, which stands there.
    pub(super) fn add(&mut self, attribute: &Attribute, value: Range<usize>) {
        let Some(instance) = attribute.instances.first() else { return };
        self.parts.push(Part {
            name: attribute.name.clone(),
            kind: instance.value.kind,
            unit_code: unit_code(instance).cloned(),
            observed_at: instance.observed_at,
            value,
            time: 0..0,
        });
    }

    /// The entity has been written, and this is its text.
    pub(super) fn end(&mut self, text: &[u8]) {
        for part in self.parts.iter_mut().filter(|part| part.observed_at.is_some()) {
            let start = part.value.end + BEFORE_TIME.len() + 1;
            let time = text.get(start..).unwrap_or_default();
            let length = time.iter().position(|byte| *byte == b'"').unwrap_or_default();
            part.time = start..start + length;
        }
        if text.len() <= MAX_TEXT {
            self.text = text.to_vec();
        }
    }

    /// Whether an entity may be of this shape, seen from its type and how many attributes it has.
    #[inline]
    fn may_fit(&self, reader: Reader, entity: &Entity) -> bool {
        matches!(entity.types.as_slice(), [it] if it.shares_with(&self.entity_type))
            && self.reader == reader
            && entity.attributes.len() == self.parts.len()
            && entity.scopes.is_empty()
    }

    /// Writes an entity that differs only in what may differ. Writes nothing, and is false, if it
    /// is none.
    fn write(&mut self, out: &mut Vec<u8>, entity: &Entity) -> bool {
        let start = out.len();
        out.extend_from_slice(BEFORE_ID.as_bytes());
        out.extend_from_slice(entity.id.as_str().as_bytes());
        let Self { text, id_end, parts, last, .. } = self;
        let mut copied = *id_end;
        for (part, attribute) in parts.iter().zip(&entity.attributes) {
            let Some(instance) = part.instance(attribute) else {
                out.truncate(start);
                return false;
            };
            let value = instance.value.json.as_str().as_bytes();
            if value != piece(text, part.value.clone()) {
                out.extend_from_slice(piece(text, copied..part.value.start));
                out.extend_from_slice(value);
                copied = part.value.end;
            }
            if let Some(time) = instance.observed_at
                && !part.has_time(time)
            {
                out.extend_from_slice(piece(text, copied..part.time.start));
                let time = match last {
                    Some((last, text)) if last.is_written_like(time) => text,
                    _ => &mut last.insert((time, time.text())).1,
                };
                out.extend_from_slice(time.as_str().as_bytes());
                copied = part.time.end;
            }
        }
        out.extend_from_slice(piece(text, copied..text.len()));
        true
    }
}

#[inline]
fn piece(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

impl Part {
    /// The instance of an attribute that differs only in what may differ.
    #[inline]
    fn instance<'a>(&self, attribute: &'a Attribute) -> Option<&'a Instance> {
        let [instance] = attribute.instances.as_slice() else { return None };
        let fits = attribute.name.shares_with(&self.name)
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
        match (&self.unit_code, unit_code) {
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

/// Shapes of entities that were written by this thread.
#[derive(Default)]
struct Shapes {
    known: Vec<Shape>,
    /// The one of the last entity.
    last: usize,
    /// The one that makes room for the next.
    oldest: usize,
    /// How many entities were of none since there is no room.
    missed: usize,
}

thread_local! {
    /// The shapes that this thread knows, while nobody writes.
    static KEPT: Cell<Option<Box<Shapes>>> = const { Cell::new(None) };
}

/// The shapes that this thread knows, lent to somebody who writes.
pub(super) struct LentShapes(Option<Box<Shapes>>);

impl LentShapes {
    /// Those that are kept; none if somebody else on this thread is writing.
    pub(super) fn take() -> Self {
        Self(Some(KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default()))
    }

    /// For entities that have no shape.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Writes an entity if its shape is known. Writes nothing, and is false, if it is not.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, reader: Reader, entity: &Entity) -> bool {
        let Some(shapes) = &mut self.0 else { return false };
        let Shapes { known, last, .. } = &mut **shapes;
        if let Some(shape) = known.get_mut(*last)
            && shape.may_fit(reader, entity)
            && shape.write(out, entity)
        {
            return true;
        }
        let mut fits =
            |shape: &mut Shape| shape.may_fit(reader, entity) && shape.write(out, entity);
        let found = known.iter_mut().position(&mut fits);
        if let Some(index) = found {
            *last = index;
        }
        found.is_some()
    }

    /// Whether the shape of an entity that is of none which is known is to be kept.
    pub(super) fn wants(&mut self, entity: &Entity) -> bool {
        let Some(shapes) = &mut self.0 else { return false };
        if shapes.known.len() >= MAX_SHAPES {
            shapes.missed += 1;
            if shapes.missed < MISSES {
                return false;
            }
        }
        is_plain(entity)
    }

    /// Keeps a shape.
    pub(super) fn keep(&mut self, shape: Shape) {
        let Some(shapes) = &mut self.0 else { return };
        let Shapes { known, last, oldest, missed } = &mut **shapes;
        *missed = 0;
        // Its text was too long to be kept.
        if shape.text.is_empty() {
            return;
        }
        if known.len() < MAX_SHAPES {
            *last = known.len();
            known.push(shape);
        } else if let Some(place) = known.get_mut(*oldest) {
            *place = shape;
            *last = *oldest;
            *oldest = (*oldest + 1) % MAX_SHAPES;
        }
    }
}

impl Drop for LentShapes {
    fn drop(&mut self) {
        if let Some(shapes) = self.0.take() {
            // A thread that is ending keeps none.
            let _ = KEPT.try_with(|kept| kept.set(Some(shapes)));
        }
    }
}
