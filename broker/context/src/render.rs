//! Rendering: from an entity to the bytes that a client reads.
//!
//! This is the hot path of reading: values are slices that are copied, names are looked up in the
//! reader's context, and nothing is allocated but the output. What entities have in common is
//! remembered from one to the next, by each thread for itself ([`shape`]).

use std::fmt;

use musubi_model::{AttrName, Attribute, Entity, Instance, TypeName};

use crate::Context;
use crate::expand::sealed_member;

mod evolution;
mod instance;
mod shape;
mod writer;

pub use evolution::{
    AggregatedAttribute, EvolutionReader, EvolutionRenderer, LanguageText, PeriodValue,
};

use shape::{BEFORE_ID, LentShapes, Reader, Shape};
use writer::Writer;

/// The three forms of CIM 009, clauses 4.5.2.2, 4.5.2.3 and 4.5.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Everything, with every `type`.
    #[default]
    Normalized,
    /// Everything, without what can be inferred.
    Concise,
    /// Keys and values.
    Simplified,
}

/// How an entity is to look.
#[derive(Clone, Debug, Default)]
pub struct Representation {
    /// The form.
    pub form: Form,
    /// Whether `createdAt`, `modifiedAt` and `expiresAt` are shown.
    pub system_attributes: bool,
    /// Only these attributes, if any are named.
    pub attributes: Option<Vec<AttrName>>,
    /// Whether each entity carries its `@context`, as in `application/ld+json`.
    pub context_member: bool,
}

impl Representation {
    /// Whether what stands between the values may be the same for many entities: the times of the
    /// system are mostly others for each.
    fn has_shapes(&self) -> bool {
        self.form == Form::Normalized && !self.system_attributes && self.attributes.is_none()
    }
}

/// Appends the entity to `out` as JSON.
pub fn render_entity(
    out: &mut Vec<u8>,
    entity: &Entity,
    context: &Context,
    representation: &Representation,
) {
    Renderer::new(out, context, representation).entity(entity);
}

/// Appends entities one after another. What they have in common is looked up once, so this is
/// quicker than [`render_entity`] for each.
pub struct Renderer<'o, 'r> {
    rendering: Rendering<'o, 'r>,
    representation: &'r Representation,
    reader: Reader,
    shapes: LentShapes,
}

impl<'o, 'r> Renderer<'o, 'r> {
    /// What appends to `out`.
    pub fn new(
        out: &'o mut Vec<u8>,
        context: &'r Context,
        representation: &'r Representation,
    ) -> Self {
        let rendering = Rendering::new(out, context, representation);
        let has_shapes = representation.has_shapes();
        let shapes = if has_shapes { LentShapes::take() } else { LentShapes::none() };
        let reader =
            Reader { context: context.number(), context_member: representation.context_member };
        Self { rendering, representation, reader, shapes }
    }

    /// Appends an entity as JSON.
    pub fn entity(&mut self, entity: &'r Entity) {
        if self.shapes.write(self.rendering.writer.out(), self.reader, entity) {
            return;
        }
        if self.shapes.wants(entity)
            && let [entity_type] = entity.types.as_slice()
        {
            let shape = Shape::new(self.reader, entity_type);
            self.shapes.keep(self.rendering.plain_entity(entity, shape, self.representation));
        } else {
            self.rendering.entity(entity, self.representation);
        }
    }

    /// Appends what stands between two elements of an array.
    pub fn comma(&mut self) {
        self.rendering.writer.raw(",");
    }

    /// How long the output is, in bytes.
    pub fn written(&self) -> usize {
        self.rendering.writer.len()
    }
}

impl fmt::Debug for Renderer<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer")
            .field("representation", self.representation)
            .field("written", &self.written())
            .finish_non_exhaustive()
    }
}

/// Entities being written.
struct Rendering<'o, 'c> {
    writer: Writer<'o, 'c>,
    form: Form,
    system_attributes: bool,
}

impl<'o, 'r> Rendering<'o, 'r> {
    fn new(out: &'o mut Vec<u8>, context: &'r Context, representation: &Representation) -> Self {
        Self {
            writer: Writer::new(out, context),
            form: representation.form,
            system_attributes: representation.system_attributes,
        }
    }

    fn entity(&mut self, entity: &'r Entity, representation: &Representation) {
        self.writer.raw(BEFORE_ID);
        self.writer.raw(entity.id.as_str());
        self.writer.raw("\",\"type\":");
        self.types(&entity.types);
        match entity.scopes.as_slice() {
            [] => {}
            [scope] => {
                self.writer.raw(",\"scope\":");
                self.writer.string(scope.as_str());
            }
            scopes => {
                self.writer.raw(",\"scope\":");
                self.writer.array(scopes, |writer, scope| writer.string(scope.as_str()));
            }
        }
        for attribute in &entity.attributes {
            let names = representation.attributes.as_ref();
            if names.is_none_or(|names| names.contains(&attribute.name)) {
                self.attribute(attribute);
            }
        }
        if self.system_attributes {
            self.writer.time(",\"createdAt\":", entity.created_at);
            self.writer.time(",\"modifiedAt\":", entity.modified_at);
            if let Some(expires_at) = entity.expires_at {
                self.writer.time(",\"expiresAt\":", expires_at);
            }
        }
        self.end(representation);
    }

    fn end(&mut self, representation: &Representation) {
        if representation.context_member {
            self.writer.raw(",\"@context\":");
            self.writer.context_member();
        }
        self.writer.end();
    }

    /// A plain entity, which completes its shape.
    fn plain_entity(
        &mut self,
        entity: &'r Entity,
        mut shape: Shape,
        representation: &Representation,
    ) -> Shape {
        let start = self.writer.len();
        self.writer.raw(BEFORE_ID);
        self.writer.raw(entity.id.as_str());
        shape.end_id(self.writer.len() - start);
        self.writer.raw("\",\"type\":");
        self.types(&entity.types);
        for attribute in &entity.attributes {
            let [instance] = attribute.instances.as_slice() else { continue };
            let (name, kind) = (attribute.name.shared(), instance.value.kind);
            if !self.writer.repeat_opening(name, kind) {
                self.writer.opening(name, kind);
            }
            let value = self.writer.len() - start;
            self.value(&instance.value);
            shape.add(attribute, value..self.writer.len() - start);
            self.qualifiers(instance);
            self.writer.end();
        }
        self.end(representation);
        shape.end(self.writer.since(start));
        shape
    }

    /// One type as a string, several as an array.
    fn types(&mut self, types: &'r [TypeName]) {
        match types {
            [single] => self.writer.name(single.shared()),
            several => self.writer.array(several, |writer, name| writer.name(name.shared())),
        }
    }

    /// An attribute behind what is written already.
    fn attribute(&mut self, attribute: &'r Attribute) {
        // Nearly all attributes of nearly all answers are like this.
        if let ([single], Form::Normalized) = (attribute.instances.as_slice(), self.form)
            && self.writer.repeat_opening(attribute.name.shared(), single.value.kind)
        {
            self.normalized_rest(single);
        } else {
            self.other_attribute(attribute);
        }
    }

    /// An attribute of which the name has not been written yet, or not like this.
    fn other_attribute(&mut self, attribute: &'r Attribute) {
        let name = attribute.name.shared();
        if let Some(member) = sealed_member(&attribute.name) {
            self.writer.raw(",");
            self.sealed(member, attribute);
            return;
        }
        if let ([single], Form::Normalized) = (attribute.instances.as_slice(), self.form) {
            self.writer.opening(name, single.value.kind);
            self.normalized_rest(single);
            return;
        }
        self.writer.raw(",");
        self.writer.name(name);
        self.writer.raw(":");
        match (attribute.instances.as_slice(), self.form) {
            ([single], Form::Concise) => self.concise_alone(single),
            ([single], _) => self.instance(single),
            (several, Form::Simplified) => self.datasets(several),
            (several, Form::Normalized | Form::Concise) => {
                self.writer.raw("[");
                for (index, instance) in several.iter().enumerate() {
                    if index > 0 {
                        self.writer.raw(",");
                    }
                    self.instance(instance);
                }
                self.writer.raw("]");
            }
        }
    }

    fn instance(&mut self, instance: &'r Instance) {
        match self.form {
            Form::Normalized => self.normalized(instance),
            Form::Concise => self.concise(instance),
            Form::Simplified => self.simplified(&instance.value),
        }
    }

    /// Several instances as keys and values: `{"dataset":{"@none":…,"urn:…":…}}`.
    fn datasets(&mut self, instances: &'r [Instance]) {
        self.writer.raw("{\"dataset\":{");
        for (index, instance) in instances.iter().enumerate() {
            if index > 0 {
                self.writer.raw(",");
            }
            let dataset = instance.dataset_id().map_or("@none", |dataset| dataset.as_str());
            self.writer.string(dataset);
            self.writer.raw(":");
            self.instance(instance);
        }
        self.writer.raw("}}");
    }
}

#[cfg(test)]
mod tests;
