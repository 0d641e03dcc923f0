//! Rendering of temporal evolutions: as arrays of instances, as values with their times, or as
//! aggregates (CIM 009, clauses 4.5.6 to 4.5.9 and 4.5.19).

use std::fmt;

use musubi_model::{
    AttrName, AttributeType, Evolution, Instance, InstanceNumber, Json, NULL, Recorded, Timestamp,
};

use super::writer::{Writer, opening};
use super::{Form, Rendering};
use crate::Context;

mod aggregates;
mod values;

pub use aggregates::{AggregatedAttribute, PeriodValue};

/// What a reader of evolutions sees of them.
pub trait EvolutionReader {
    /// Whether a member that is not an attribute is shown, such as `id`.
    fn shows(&self, member: &str) -> bool;

    /// The `instanceId` of a recorded instance.
    fn instance_id(&self, number: InstanceNumber) -> String;

    /// The time that stands beside the value of an instance.
    fn time(&self, recorded: &Recorded) -> Timestamp;

    /// What is shown in the place of a language map; none if the map is.
    fn text(&self, map: &Json) -> Option<LanguageText>;
}

/// What is shown in the place of a language map (CIM 009, clause 4.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageText {
    /// The tag of the language; none if there was nothing to choose from.
    pub tag: Option<String>,
    /// The text, or an array of texts.
    pub text: Json,
}

/// Appends evolutions one after another, with commas between them.
pub struct EvolutionRenderer<'o, 'r> {
    rendering: Rendering<'o, 'r>,
    reader: &'r dyn EvolutionReader,
    /// Whether each carries its `@context`.
    context_member: bool,
    /// How many have been written.
    count: usize,
    /// Whether the evolution that is being written has a member already.
    begun: bool,
    longest: usize,
}

impl<'o, 'r> EvolutionRenderer<'o, 'r> {
    /// What appends to `out` for a reader; with `system_attributes`, `createdAt`, `modifiedAt` and
    /// `expiresAt` are shown, and with `context_member` each evolution carries its `@context`.
    pub fn new(
        out: &'o mut Vec<u8>,
        context: &'r Context,
        reader: &'r dyn EvolutionReader,
        system_attributes: bool,
        context_member: bool,
    ) -> Self {
        let writer = Writer::new(out, context);
        let rendering = Rendering { writer, form: Form::Normalized, system_attributes };
        Self { rendering, reader, context_member, count: 0, begun: false, longest: usize::MAX }
    }

    /// Appends an evolution as arrays of instances (CIM 009, clause 4.5.6), unless nothing of it
    /// is shown.
    pub fn instances(&mut self, evolution: &'r Evolution) {
        self.evolution(evolution, |this| {
            if !evolution.scopes.is_empty() && this.reader.shows("scope") {
                this.member("scope");
                this.each(&evolution.scopes, Self::scope);
            }
            for attribute in &evolution.attributes {
                this.attribute_name(&attribute.name);
                this.each(&attribute.instances, Self::instance);
            }
        });
    }

    /// Appends an evolution as values with their times (CIM 009, clause 4.5.9), unless nothing of
    /// it is shown.
    pub fn values(&mut self, evolution: &'r Evolution) {
        self.evolution(evolution, |this| {
            if !evolution.scopes.is_empty() && this.reader.shows("scope") {
                this.member("scope");
                this.raw("{\"type\":\"Property\",\"values\":");
                this.each(&evolution.scopes, |this, recorded| {
                    this.raw("[");
                    this.scope_value(recorded);
                    this.time_beside(recorded);
                });
                this.raw("}");
            }
            for attribute in &evolution.attributes {
                this.attribute_name(&attribute.name);
                this.attribute_values(attribute);
            }
        });
    }

    /// Appends what the values of an evolution come to (CIM 009, clause 4.5.19), unless nothing of
    /// it is shown.
    pub fn aggregates(
        &mut self,
        evolution: &'r Evolution,
        attributes: impl Iterator<Item = AggregatedAttribute<'r>>,
    ) {
        self.evolution(evolution, |this| {
            for attribute in attributes {
                this.attribute_name(attribute.name);
                this.aggregated(&attribute);
            }
        });
    }

    /// Lets no list go on once the output is longer than this, in bytes: whoever would not use so long
    /// an output does not have all of it made. [`written`](Self::written) tells.
    #[must_use]
    pub fn up_to(mut self, longest: usize) -> Self {
        self.longest = longest;
        self
    }

    /// How many evolutions have been written.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How long the output is, in bytes.
    pub fn written(&self) -> usize {
        self.rendering.writer.len()
    }

    fn is_too_long(&self) -> bool {
        self.written() > self.longest
    }

    fn raw(&mut self, text: &str) {
        self.rendering.writer.raw(text);
    }

    /// What is common to the three: the members around the attributes.
    fn evolution(&mut self, evolution: &'r Evolution, attributes: impl FnOnce(&mut Self)) {
        self.begun = false;
        if self.reader.shows("id") {
            self.member("id");
            self.rendering.writer.plain(evolution.id.as_str());
        }
        if !evolution.types.is_empty() && self.reader.shows("type") {
            self.member("type");
            self.rendering.types(&evolution.types);
        }
        attributes(self);
        if self.rendering.system_attributes {
            self.system_time("createdAt", Some(evolution.created_at));
            self.system_time("modifiedAt", Some(evolution.modified_at));
            self.system_time("deletedAt", evolution.deleted_at);
        }
        if !self.begun {
            return;
        }
        if self.context_member {
            self.raw(",\"@context\":");
            self.rendering.writer.context_member();
        }
        self.raw("}");
        self.count += 1;
    }

    fn system_time(&mut self, name: &str, time: Option<Timestamp>) {
        if let Some(time) = time.filter(|_| self.reader.shows(name)) {
            self.member(name);
            self.rendering.writer.time("", time);
        }
    }

    /// What stands before a member: the evolution begins with the first of them.
    fn separator(&mut self) {
        let separator = match (self.begun, self.count) {
            (true, _) => ",",
            (false, 0) => "{",
            (false, _) => ",{",
        };
        self.raw(separator);
        self.begun = true;
    }

    fn member(&mut self, name: &str) {
        self.separator();
        self.rendering.writer.plain(name);
        self.raw(":");
    }

    fn attribute_name(&mut self, name: &'r AttrName) {
        self.separator();
        self.rendering.writer.name(name.shared());
        self.raw(":");
    }

    fn each<T: 'r>(
        &mut self,
        items: impl IntoIterator<Item = &'r T>,
        mut write: impl FnMut(&mut Self, &'r T),
    ) {
        self.raw("[");
        for (index, item) in items.into_iter().enumerate() {
            if self.is_too_long() {
                break;
            }
            if index > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    /// An instance with all that is known of it.
    fn instance(&mut self, recorded: &'r Recorded) {
        let instance = &recorded.instance;
        if let Some(LanguageText { tag, text }) = self.language_text(recorded) {
            self.raw(opening(AttributeType::Property));
            self.raw(text.as_str());
            if let Some(tag) = tag {
                self.raw(",\"lang\":");
                self.rendering.writer.string(&tag);
            }
        } else {
            self.raw(opening(instance.value.kind));
            self.value(recorded);
        }
        self.named(recorded);
        self.rendering.qualifiers(instance);
        self.deletion(recorded);
        self.raw("}");
    }

    /// Scopes, of which nothing is told but their times (CIM 009, clause 4.5.6).
    fn scope(&mut self, recorded: &'r Recorded) {
        let instance = &recorded.instance;
        self.raw(opening(AttributeType::Property));
        self.scope_value(recorded);
        self.named(recorded);
        // What was deleted has a time of that in the place of one of observation.
        if let Some(observed_at) = instance.observed_at.filter(|_| recorded.deleted_at.is_none()) {
            self.rendering.writer.time(",\"observedAt\":", observed_at);
        }
        if self.rendering.system_attributes {
            self.rendering.writer.time(",\"createdAt\":", instance.created_at);
            self.rendering.writer.time(",\"modifiedAt\":", instance.modified_at);
        }
        self.deletion(recorded);
        self.raw("}");
    }

    fn named(&mut self, recorded: &Recorded) {
        self.raw(",\"instanceId\":");
        let id = self.reader.instance_id(recorded.number);
        self.rendering.writer.plain(&id);
    }

    fn deletion(&mut self, recorded: &Recorded) {
        if let Some(deleted_at) = recorded.deleted_at {
            self.rendering.writer.time(",\"deletedAt\":", deleted_at);
        }
    }

    /// The value as it stands under its member; that of a deletion in the form of its kind.
    fn value(&mut self, recorded: &'r Recorded) {
        let value = &recorded.instance.value;
        if value.kind == AttributeType::LanguageProperty && is_null(recorded) {
            self.raw("{\"@none\":\"urn:ngsi-ld:null\"}");
        } else if is_null(recorded) {
            self.raw(value.json.as_str());
        } else {
            self.rendering.value(value);
        }
    }

    /// No scopes are an empty array.
    fn scope_value(&mut self, recorded: &Recorded) {
        if is_null(recorded) {
            self.raw("[]");
        } else {
            self.raw(recorded.instance.value.json.as_str());
        }
    }

    fn language_text(&self, recorded: &Recorded) -> Option<LanguageText> {
        let value = &recorded.instance.value;
        if value.kind != AttributeType::LanguageProperty {
            return None;
        }
        if is_null(recorded) {
            let nothing = Json::parse("{}").ok()?;
            // Whoever wants one text gets the Null as one.
            return self
                .reader
                .text(&nothing)
                .map(|_| LanguageText { tag: None, text: value.json.clone() });
        }
        self.reader.text(&value.json)
    }
}

impl fmt::Debug for EvolutionRenderer<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvolutionRenderer").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Whether the record of a deletion says nothing but that.
fn is_null(recorded: &Recorded) -> bool {
    let Instance { value, .. } = &recorded.instance;
    recorded.deleted_at.is_some() && value.json.as_text().is_some_and(|text| text == NULL)
}

#[cfg(test)]
mod tests;
