//! Evolutions as what their values come to (CIM 009, clause 4.5.19).

use musubi_model::{AttrName, AttributeType, Json, Timestamp};

use super::EvolutionRenderer;

/// What the values of an attribute come to, as it is rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatedAttribute<'a> {
    /// The expanded name.
    pub name: &'a AttrName,
    /// Whether it is a relationship; else it is some kind of property.
    pub is_relationship: bool,
    /// For each method, by its name, what the values of each period come to.
    pub methods: Vec<(&'static str, Vec<PeriodValue<'a>>)>,
}

/// What the values of one period come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodValue<'a> {
    /// The value.
    pub value: &'a Json,
    /// When the period begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

impl<'r> EvolutionRenderer<'_, 'r> {
    pub(super) fn aggregated(&mut self, attribute: &AggregatedAttribute<'r>) {
        let kind = if attribute.is_relationship {
            AttributeType::Relationship
        } else {
            AttributeType::Property
        };
        self.raw("{\"type\":\"");
        self.raw(kind.as_str());
        self.raw("\"");
        for (method, periods) in &attribute.methods {
            self.raw(",\"");
            self.raw(method);
            self.raw("\":[");
            for (index, PeriodValue { value, start, end }) in periods.iter().enumerate() {
                if self.is_too_long() {
                    break;
                }
                self.raw(if index > 0 { ",[" } else { "[" });
                self.raw(value.as_str());
                self.rendering.writer.time(",", *start);
                self.rendering.writer.time(",", *end);
                self.raw("]");
            }
            self.raw("]");
        }
        self.raw("}");
    }
}
