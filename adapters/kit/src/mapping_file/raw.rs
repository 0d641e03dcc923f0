//! From TOML text to a [`MappingFile`], keeping the place of what may still turn out wrong.

use std::collections::BTreeMap;
use std::path::Path;

use musubi_model::Tenant;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use toml::Spanned;

use super::entity_mapping::{
    AttributeMapping, AttributeSource, EntityMapping, Fallback, Located, OnMissing,
};
use super::setting::{Change, Decode, Group, MappingTest, ModelCheckSetting, PresetMap};
use super::source::Source;
use super::{MappingError, MappingFile};

const SCHEMA: &str = "musubi.mapping/1";
const KINDS: &str = "\"gbfs\", \"mqtt\", \"file\" and \"http_push\"";

/// The file as it is written; `S` is the form of `[source]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<S> {
    #[serde(default)]
    schema: Option<Spanned<String>>,
    #[serde(default)]
    name: Option<Spanned<String>>,
    #[serde(default)]
    tenant: Tenant,
    source: S,
    #[serde(default)]
    decode: Decode,
    #[serde(default)]
    filter: Vec<RawFilter>,
    #[serde(default)]
    entity: Vec<RawEntity>,
    #[serde(default)]
    map: Option<PresetMap>,
    #[serde(default)]
    change: Change,
    #[serde(default)]
    model_check: Option<ModelCheckSetting>,
    #[serde(default)]
    groups: BTreeMap<String, Group>,
    #[serde(default)]
    test: Vec<MappingTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFilter {
    when: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntity {
    r#type: Spanned<String>,
    id: Spanned<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    observed_at: Option<Spanned<String>>,
    #[serde(default)]
    timezone: Option<Spanned<String>>,
    #[serde(default)]
    fallback: Fallback,
    #[serde(default)]
    on_missing: OnMissing,
    #[serde(default)]
    dedup: Option<Spanned<String>>,
    #[serde(default)]
    attr: BTreeMap<String, Spanned<RawAttribute>>,
}

/// A bare string, or a table.
enum RawAttribute {
    Path(String),
    Table(Box<RawTable>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    expr: Option<Spanned<String>>,
    #[serde(default)]
    rel: Option<Spanned<String>>,
    #[serde(default)]
    geo_point: Option<(Spanned<String>, Spanned<String>)>,
    #[serde(default)]
    lang: Option<BTreeMap<String, Spanned<String>>>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    range: Option<(f64, f64)>,
}

impl<'de> Deserialize<'de> for RawAttribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrTable;

        impl<'de> Visitor<'de> for PathOrTable {
            type Value = RawAttribute;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, or a table with expr, rel, geo_point or lang")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(RawAttribute::Path(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                RawTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| RawAttribute::Table(Box::new(table)))
            }
        }

        deserializer.deserialize_any(PathOrTable)
    }
}

/// Only as much as is needed to know which form `[source]` has.
#[derive(Deserialize)]
struct Peek {
    source: Option<PeekSource>,
}

#[derive(Deserialize)]
struct PeekSource {
    kind: Option<Spanned<String>>,
}

pub(super) fn parse(text: &str, file_name: &str) -> Result<MappingFile, MappingError> {
    let reader = Reader { text, file: file_name };
    let peek: Peek = reader.toml()?;
    let kind = peek.source.and_then(|source| source.kind).ok_or_else(|| {
        reader.error(None, format!("a [source] with a kind is needed; kinds are {KINDS}"))
    })?;
    match kind.get_ref().as_str() {
        "gbfs" => reader.file(Source::Gbfs),
        "mqtt" => reader.file(Source::Mqtt),
        "file" => reader.file(Source::File),
        "http_push" => reader.file(Source::HttpPush),
        other => Err(reader.error(
            Some(kind.span().start),
            format!("the source kind {other:?} is not supported; kinds are {KINDS}"),
        )),
    }
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
}

impl Reader<'_> {
    fn toml<T: DeserializeOwned>(&self) -> Result<T, MappingError> {
        toml::from_str(self.text).map_err(|error| {
            self.error(error.span().map(|span| span.start), error.message().to_owned())
        })
    }

    fn error(&self, offset: Option<usize>, reason: String) -> MappingError {
        let place = offset.map(|offset| self.place(offset));
        MappingError { file: self.file.to_owned(), place, reason }
    }

    /// Line and column of a byte of the text, both from 1.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }

    fn located(&self, text: Spanned<String>) -> Located {
        let (line, column) = self.place(text.span().start);
        Located { text: text.into_inner(), line, column }
    }

    fn file<S: DeserializeOwned>(
        &self,
        source: fn(S) -> Source,
    ) -> Result<MappingFile, MappingError> {
        let raw: Raw<S> = self.toml()?;
        if let Some(schema) = &raw.schema
            && schema.get_ref() != SCHEMA
        {
            return Err(self.error(
                Some(schema.span().start),
                format!("the schema {:?} is not known; this is {SCHEMA:?}", schema.get_ref()),
            ));
        }
        let source = source(raw.source);
        self.check_source(&source)?;
        let path = Path::new(self.file);
        let entities = raw.entity.into_iter().map(|entity| self.entity(entity));
        Ok(MappingFile {
            file: self.file.to_owned(),
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            name: self.name(raw.name, path)?,
            tenant: raw.tenant,
            source,
            decode: raw.decode,
            filters: raw.filter.into_iter().map(|filter| self.located(filter.when)).collect(),
            entities: entities.collect::<Result<_, _>>()?,
            map: raw.map,
            change: raw.change,
            model_check: raw.model_check,
            groups: raw.groups,
            tests: raw.test,
        })
    }

    fn name(&self, given: Option<Spanned<String>>, path: &Path) -> Result<String, MappingError> {
        let offset = given.as_ref().map(|name| name.span().start);
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = given.map(Spanned::into_inner).or_else(stem).unwrap_or_default();
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        if fits {
            return Ok(name);
        }
        let reason = format!(
            "an adapter is named by up to 64 bytes of letters, digits, '_', '-' and '.', and \
             {name:?} is not such a name"
        );
        Err(self.error(offset, reason))
    }

    fn check_source(&self, source: &Source) -> Result<(), MappingError> {
        match source {
            Source::Mqtt(mqtt) if mqtt.connection.is_some() && mqtt.url.is_some() => {
                Err(self.error(None, "[source] has connection or url, not both".to_owned()))
            }
            Source::File(file) if file.path.is_some() == file.url.is_some() => {
                Err(self.error(None, "[source] needs either path or url".to_owned()))
            }
            Source::Gbfs(_) | Source::Mqtt(_) | Source::File(_) | Source::HttpPush(_) => Ok(()),
        }
    }

    fn entity(&self, raw: RawEntity) -> Result<EntityMapping, MappingError> {
        let attributes = raw.attr.into_iter().map(|(name, attribute)| {
            let mapping = self.attribute(&name, attribute)?;
            Ok((name, mapping))
        });
        Ok(EntityMapping {
            entity_type: self.located(raw.r#type),
            id: self.located(raw.id),
            context: raw.context,
            observed_at: raw.observed_at.map(|text| self.located(text)),
            timezone: raw.timezone.map(|text| self.located(text)),
            fallback: raw.fallback,
            on_missing: raw.on_missing,
            dedup: raw.dedup.map(|text| self.located(text)),
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }

    fn attribute(
        &self,
        name: &str,
        raw: Spanned<RawAttribute>,
    ) -> Result<AttributeMapping, MappingError> {
        let start = raw.span().start;
        let (line, column) = self.place(start);
        let place = Located { text: name.to_owned(), line, column };
        let table = match raw.into_inner() {
            RawAttribute::Path(text) => {
                let source = AttributeSource::Expression(Located { text, line, column });
                return Ok(AttributeMapping { place, source, unit: None, range: None });
            }
            RawAttribute::Table(table) => *table,
        };
        let refuse = |reason: &str| Err(self.error(Some(start), format!("{name}: {reason}")));
        let source = match (table.expr, table.rel, table.geo_point, table.lang) {
            (Some(expr), None, None, None) => AttributeSource::Expression(self.located(expr)),
            (None, Some(rel), None, None) => AttributeSource::Relationship(self.located(rel)),
            (None, None, Some((longitude, latitude)), None) => {
                AttributeSource::GeoPoint(self.located(longitude), self.located(latitude))
            }
            (None, None, None, Some(texts)) => AttributeSource::Language(
                texts.into_iter().map(|(tag, text)| (tag, self.located(text))).collect(),
            ),
            _ => return refuse("exactly one of expr, rel, geo_point and lang is needed"),
        };
        let measured = table.unit.is_some() || table.range.is_some();
        if measured && !matches!(source, AttributeSource::Expression(_)) {
            return refuse("unit and range go with expr only");
        }
        if table.range.is_some_and(|(low, high)| low.is_nan() || high.is_nan() || low > high) {
            return refuse("a range is [smallest, largest]");
        }
        Ok(AttributeMapping { place, source, unit: table.unit, range: table.range })
    }
}
