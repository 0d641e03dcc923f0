//! `/musubi/v1/schemas`: the JSON Schema of each entity type, and whether writes have to follow
//! it. What such a write is told when it goes through nevertheless is in the header
//! `Musubi-Schema-Warning`.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use musubi_broker::{SchemaMode, SchemaSource, SchemaWarning, SchemaWarnings, TypeSchema};
use musubi_context::{CORE_CONTEXT_URL, Context};
use musubi_model::{Node, TypeName};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::link;
use crate::request::parameters::Parameters;
use crate::request::path::{NamePath, location};
use crate::request::payload::Payload;
use crate::session::Session;
use crate::subscriptions::NoParameters;

const COLLECTION: &str = "/musubi/v1/schemas";

/// Says what does not follow its schema in what was written: one value per violation.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("musubi-schema-warning");
/// The most values of that header.
const MAX_VALUES: usize = 8;
/// The longest such value, in bytes.
const MAX_VALUE: usize = 300;

/// The type that a path names, as its client wrote it, and the contexts to read it in.
#[derive(Debug)]
pub(crate) struct TypePath {
    /// Each of these may be meant; the first that there is a schema of is.
    types: Vec<TypeName>,
}

impl FromRequestParts<App> for TypePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let NamePath(name) = NamePath::from_request_parts(parts, app).await?;
        let context = link::context(app, &parts.headers).await?;
        let mut types = vec![context.entity_type(&name)?];
        // A model is registered in the project's own context if nobody names another.
        if names_none(&context) {
            types.push(TypeSchema::own_context()?.entity_type(&name)?);
        }
        Ok(Self { types })
    }
}

/// A schema to be registered, in path and body.
#[derive(Debug)]
pub(crate) struct NewSchema(TypeSchema);

impl FromRequest<App> for NewSchema {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let NamePath(name) = NamePath::from_request_parts(&mut parts, app).await?;
        Parameters::parse(parts.uri.query(), &[])?;
        let payload = Payload::from_request(Request::from_parts(parts, body), app).await?;
        let (node, context) = payload.object(app).await?;
        let (mode, source) = settings(&node)?;
        let is_model = matches!(source, SchemaSource::Model(_));
        let context =
            if is_model && names_none(&context) { TypeSchema::own_context()? } else { context };
        let entity_type = context.entity_type(&name)?;
        Ok(Self(TypeSchema { entity_type, mode, source, context }))
    }
}

/// Whether a request names no context but the one that is always there.
fn names_none(context: &Context) -> bool {
    context.url() == Some(CORE_CONTEXT_URL)
}

/// What the body says: `mode`, and either `schema` or `model`.
fn settings(node: &Node<'_>) -> Result<(SchemaMode, SchemaSource), Error> {
    let bad = |reason: String| Error::BadRequestData(reason);
    let (mut mode, mut source) = (SchemaMode::default(), None);
    for (key, value) in node.as_object().unwrap_or_default() {
        let found = match &**key {
            "@context" => continue,
            "mode" => {
                mode = match value.as_str() {
                    Some("off") => SchemaMode::Off,
                    Some("warn") => SchemaMode::Warn,
                    Some("enforce") => SchemaMode::Enforce,
                    Some(_) | None => {
                        return Err(bad("/mode: it is off, warn or enforce".to_owned()));
                    }
                };
                continue;
            }
            "schema" => {
                let document = serde_json::from_str(value.raw)
                    .map_err(|error| bad(format!("/schema: {error}")))?;
                SchemaSource::Own(document)
            }
            "model" => match value.as_str() {
                Some(name) => SchemaSource::Model(name.to_owned()),
                None => return Err(bad("/model: it is the name of a data model".to_owned())),
            },
            _ => return Err(bad(format!("/{key}: there are mode, schema and model"))),
        };
        if source.replace(found).is_some() {
            return Err(bad("either schema or model is given, and not both".to_owned()));
        }
    }
    let missing = || {
        bad("a schema, or the model of this program that is to be followed, is missing".to_owned())
    };
    Ok((mode, source.ok_or_else(missing)?))
}

/// Registers the schema of a type.
pub(crate) async fn put(
    session: Session,
    NewSchema(schema): NewSchema,
) -> Result<Response, Problem> {
    let location = location(COLLECTION, schema.entity_type.as_str());
    if session.put_schema(schema).await? {
        Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
    } else {
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// Answers with the schemas of the tenant, without their documents.
pub(crate) async fn list(
    session: Session,
    _: NoParameters,
    State(_): State<App>,
) -> Result<impl IntoResponse, Problem> {
    let schemas = session.schemas().await?;
    Ok(Json(schemas.iter().map(|schema| Value::Object(head(schema))).collect::<Value>()))
}

/// Answers with the schema of a type.
pub(crate) async fn retrieve(
    session: Session,
    path: TypePath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    let schema = find(&session, &path).await?;
    let mut members = head(&schema);
    if let Some(document) = schema.document() {
        members.insert("schema".to_owned(), document);
    }
    Ok(Json(Value::Object(members)))
}

/// Forgets the schema of a type.
pub(crate) async fn delete(
    session: Session,
    path: TypePath,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    let schema = find(&session, &path).await?;
    session.delete_schema(&schema.entity_type).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The schema of the first type that has one.
async fn find(session: &Session, path: &TypePath) -> Result<TypeSchema, Error> {
    let mut missing = None;
    for name in &path.types {
        match session.schema(name).await {
            Err(error @ musubi_broker::Error::ResourceNotFound(_)) => {
                missing.get_or_insert(error);
            }
            found => return Ok(found?),
        }
    }
    Err(missing.map_or(Error::NoSuchPath, Error::Broker))
}

/// All of a schema but its document.
fn head(schema: &TypeSchema) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("type".to_owned(), schema.entity_type.as_str().into());
    members.insert("term".to_owned(), schema.term().into());
    let mode = match schema.mode {
        SchemaMode::Off => "off",
        SchemaMode::Warn => "warn",
        SchemaMode::Enforce => "enforce",
    };
    members.insert("mode".to_owned(), mode.into());
    if let SchemaSource::Model(name) = &schema.source {
        members.insert("model".to_owned(), name.as_str().into());
    }
    let context = serde_json::from_str(schema.context.member()).unwrap_or(json!(null));
    members.insert("@context".to_owned(), context);
    members
}

/// Adds what is wrong with what was written to the headers of an answer.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &SchemaWarnings) {
    let (found, more) = warnings.take();
    for warning in found.iter().take(MAX_VALUES) {
        append(headers, &sentence(warning));
    }
    let left = found.len().saturating_sub(MAX_VALUES).saturating_add(more);
    if left > 0 {
        append(headers, &format!("and {left} more"));
    }
}

fn sentence(warning: &SchemaWarning) -> String {
    let attribute = warning.attribute.as_deref().unwrap_or("the entity");
    format!("{} {attribute}: {}", warning.entity, warning.reason)
}

/// Appends a value; what a header cannot hold is written as an escape.
fn append(headers: &mut HeaderMap, text: &str) {
    let mut value = String::new();
    for character in text.chars() {
        if character == ' ' || character.is_ascii_graphic() {
            value.push(character);
        } else {
            value.extend(character.escape_unicode());
        }
        if value.len() > MAX_VALUE {
            value.push_str("...");
            break;
        }
    }
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(WARNING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_fits_into_a_header_whatever_it_says() {
        let mut headers = HeaderMap::new();
        append(&mut headers, "urn:避難所:1 name: the value\r\nSet-Cookie: a=b");
        append(&mut headers, &"長".repeat(1000));
        let values: Vec<&str> =
            headers.get_all(WARNING).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(
            values[0],
            "urn:\\u{907f}\\u{96e3}\\u{6240}:1 name: the value\\u{d}\\u{a}Set-Cookie: a=b"
        );
        assert!(values[1].len() < MAX_VALUE + 20, "{}", values[1].len());
        assert!(values[1].ends_with("..."));
    }
}
