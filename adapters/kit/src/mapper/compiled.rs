//! One `[[entity]]`, compiled.

use std::sync::Arc;

use jiff::tz::TimeZone;
use musubi_context::Context;
use musubi_model::{
    AttrName, AttributeFragment, AttributeType, EntityFragment, FragmentValue, InstanceFragment,
    Json, Patch, Timestamp, TypeName, Uri, Value as Typed, parse_geometry,
};
use serde_json::{Map, Value, json};
use smallvec::smallvec;

use super::{Note, Unmapped, entity_id, observed_at};
use crate::expression::{Expression, Failure, Scope, Template};
use crate::{
    AttributeMapping, AttributeSource, EntityMapping, Fallback, Located, MappingError, MappingFile,
    OnMissing, Skip,
};

#[derive(Debug)]
pub(super) struct Compiled {
    entity_type: TypeName,
    id: Template,
    observed_at: Option<Expression>,
    timezone: Option<TimeZone>,
    fallback: Fallback,
    on_missing: OnMissing,
    pub(super) dedup: Option<Expression>,
    attributes: Vec<Attribute>,
}

#[derive(Debug)]
struct Attribute {
    label: String,
    name: AttrName,
    source: Source,
    unit: Option<Arc<str>>,
    range: Option<(f64, f64)>,
}

#[derive(Debug)]
enum Source {
    Property(Expression),
    Relationship(Template),
    GeoPoint(Expression, Expression),
    Language(Vec<(String, Expression)>),
}

/// Why an attribute has no value.
struct Absent {
    skip: Skip,
    reason: String,
}

impl From<Failure> for Absent {
    fn from(failure: Failure) -> Self {
        let skip = match &failure {
            Failure::Missing(_) => Skip::MISSING,
            Failure::Failed(_) => Skip::BAD_VALUE,
        };
        Self { skip, reason: failure.to_string() }
    }
}

impl Compiled {
    pub(super) fn new(
        file: &MappingFile,
        entity: &EntityMapping,
        context: &Context,
    ) -> Result<Self, MappingError> {
        let entity_type = context
            .entity_type(&entity.entity_type.text)
            .map_err(|error| file.error_at(&entity.entity_type, error.to_string()))?;
        let optional =
            |text: &Option<Located>| text.as_ref().map(|text| expression(file, text)).transpose();
        let timezone = entity.timezone.as_ref().map(|name| {
            TimeZone::get(&name.text)
                .map_err(|_| file.error_at(name, format!("there is no time zone {:?}", name.text)))
        });
        let attributes = entity
            .attributes
            .iter()
            .map(|(name, mapping)| Attribute::new(file, name, mapping, context));
        Ok(Self {
            entity_type,
            id: template(file, &entity.id)?,
            observed_at: optional(&entity.observed_at)?,
            timezone: timezone.transpose()?,
            fallback: entity.fallback,
            on_missing: entity.on_missing,
            dedup: optional(&entity.dedup)?,
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }

    /// The entity; none if it has attributes and none of them has a value.
    pub(super) fn map(
        &self,
        scope: &Scope<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Option<EntityFragment>, Unmapped> {
        let id = self.id.render(scope).map_err(|failure| Unmapped::Unusable {
            skip: Skip::BAD_ID,
            reason: format!("id: {failure}"),
        })?;
        let id = entity_id(&id)?;
        let observed = self.observed(scope, notes)?;
        let mut attributes = Vec::with_capacity(self.attributes.len());
        for attribute in &self.attributes {
            let value = match (attribute.value(scope), self.on_missing) {
                (Ok(value), _) => FragmentValue::Typed(value),
                (Err(absent), OnMissing::Error) => {
                    let reason = format!("{}: {}", attribute.label, absent.reason);
                    return Err(Unmapped::Unusable { skip: absent.skip, reason });
                }
                (Err(absent), missing) => {
                    let label = attribute.label.clone();
                    notes.push(Note { attribute: label, skip: absent.skip, reason: absent.reason });
                    if missing == OnMissing::Skip || absent.skip != Skip::MISSING {
                        continue;
                    }
                    FragmentValue::Null
                }
            };
            attributes.push(attribute.fragment(value, observed));
        }
        if attributes.is_empty() && !self.attributes.is_empty() {
            return Ok(None);
        }
        Ok(Some(EntityFragment {
            id: Some(id),
            types: vec![self.entity_type.clone()],
            attributes,
            ..EntityFragment::default()
        }))
    }

    fn observed(
        &self,
        scope: &Scope<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Timestamp>, Unmapped> {
        let Some(expression) = &self.observed_at else { return Ok(None) };
        let time = expression
            .evaluate(scope)
            .map_err(|failure| failure.to_string())
            .and_then(|value| observed_at::parse(&value, self.timezone.as_ref()));
        match (time, self.fallback) {
            (Ok(time), _) => Ok(Some(time)),
            (Err(reason), Fallback::Reject) => Err(Unmapped::Unusable {
                skip: Skip::BAD_TIME,
                reason: format!("observed_at: {reason}"),
            }),
            (Err(reason), Fallback::Arrival) => {
                let attribute = "observed_at".to_owned();
                notes.push(Note { attribute, skip: Skip::BAD_TIME, reason });
                Ok(Some(scope.arrival()))
            }
        }
    }
}

impl Attribute {
    fn new(
        file: &MappingFile,
        label: &str,
        mapping: &AttributeMapping,
        context: &Context,
    ) -> Result<Self, MappingError> {
        let name = context
            .attribute(label)
            .map_err(|error| file.error_at(&mapping.place, error.to_string()))?;
        let source = match &mapping.source {
            AttributeSource::Expression(text) => Source::Property(expression(file, text)?),
            AttributeSource::Relationship(text) => Source::Relationship(template(file, text)?),
            AttributeSource::GeoPoint(longitude, latitude) => {
                Source::GeoPoint(expression(file, longitude)?, expression(file, latitude)?)
            }
            AttributeSource::Language(texts) => Source::Language(
                texts
                    .iter()
                    .map(|(tag, text)| Ok((tag.clone(), expression(file, text)?)))
                    .collect::<Result<_, MappingError>>()?,
            ),
        };
        let unit = mapping.unit.as_deref().map(Arc::from);
        Ok(Self { label: label.to_owned(), name, source, unit, range: mapping.range })
    }

    fn value(&self, scope: &Scope<'_>) -> Result<Typed, Absent> {
        let (kind, json) = match &self.source {
            Source::Property(expression) => {
                let value = expression.evaluate(scope)?;
                self.check_range(&value)?;
                (AttributeType::Property, Json::from(&value))
            }
            Source::Relationship(template) => {
                let target = template.render(scope)?;
                target
                    .parse::<Uri>()
                    .map_err(|error| Absent { skip: Skip::BAD_ID, reason: error.to_string() })?;
                (AttributeType::Relationship, Json::from(target.as_str()))
            }
            Source::GeoPoint(longitude, latitude) => {
                let longitude = number(&longitude.evaluate(scope)?)?;
                let latitude = number(&latitude.evaluate(scope)?)?;
                let point = Json::from(&json!({
                    "type": "Point", "coordinates": [longitude, latitude]
                }));
                parse_geometry(&point).map_err(|error| Absent {
                    skip: Skip::BAD_POSITION,
                    reason: error.to_string(),
                })?;
                (AttributeType::GeoProperty, point)
            }
            Source::Language(texts) => {
                (AttributeType::LanguageProperty, Json::from(&language_map(texts, scope)?))
            }
        };
        Ok(Typed { kind, json })
    }

    fn check_range(&self, value: &Value) -> Result<(), Absent> {
        let Some((low, high)) = self.range else { return Ok(()) };
        let number = number(value)?;
        if (low..=high).contains(&number) {
            return Ok(());
        }
        let reason = format!("{number} is not between {low} and {high}");
        Err(Absent { skip: Skip::OUT_OF_RANGE, reason })
    }

    fn fragment(&self, value: FragmentValue, observed: Option<Timestamp>) -> AttributeFragment {
        let deletes = matches!(value, FragmentValue::Null);
        let unit = self.unit.as_ref().filter(|_| !deletes);
        AttributeFragment {
            name: self.name.clone(),
            instances: smallvec![InstanceFragment {
                value: Some(value),
                observed_at: observed.filter(|_| !deletes).map_or(Patch::Keep, Patch::Set),
                unit_code: unit.map_or(Patch::Keep, |unit| Patch::Set(Arc::clone(unit))),
                ..InstanceFragment::default()
            }],
        }
    }
}

fn number(value: &Value) -> Result<f64, Absent> {
    value.as_f64().ok_or_else(|| {
        let text: String = value.to_string().chars().take(40).collect();
        Absent { skip: Skip::BAD_VALUE, reason: format!("{text} is not a number") }
    })
}

/// The texts that are there; at least one.
fn language_map(texts: &[(String, Expression)], scope: &Scope<'_>) -> Result<Value, Absent> {
    let mut map = Map::new();
    for (tag, expression) in texts {
        match expression.evaluate(scope) {
            Ok(Value::String(text)) => {
                map.insert(tag.clone(), Value::String(text));
            }
            Ok(other) => {
                let reason = format!("{tag}: {other} is not a text");
                return Err(Absent { skip: Skip::BAD_VALUE, reason });
            }
            Err(Failure::Missing(_)) => {}
            Err(failure @ Failure::Failed(_)) => return Err(failure.into()),
        }
    }
    if map.is_empty() {
        return Err(Absent { skip: Skip::MISSING, reason: "no text is there".to_owned() });
    }
    Ok(Value::Object(map))
}

fn expression(file: &MappingFile, text: &Located) -> Result<Expression, MappingError> {
    Expression::compile(&text.text).map_err(|reason| file.error_at(text, reason))
}

fn template(file: &MappingFile, text: &Located) -> Result<Template, MappingError> {
    Template::compile(&text.text).map_err(|reason| file.error_at(text, reason))
}
