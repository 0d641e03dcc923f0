//! `/ngsi-ld/v1/jsonldContexts` and what is below it (CIM 009, clauses 6.29 and 6.30).

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use musubi_broker::{ContextEntry, ContextKind, ServedContext};
use musubi_context::{Origin, core_context_url};
use musubi_model::{Document, Node};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::parameters::Parameters;
use crate::request::path::{NamePath, location};
use crate::request::payload::Payload;
use crate::session::Session;
use crate::view::respond;

/// A body with a context in it. All else in it is left out, as the specification says.
#[derive(Debug)]
pub(crate) struct ContextBody(Payload);

impl FromRequest<App> for ContextBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Parameters::parse(request.uri().query(), &[])?;
        Ok(Self(Payload::from_request(request, app).await?))
    }
}

/// Keeps the context in the body and answers with where it is now.
pub(crate) async fn create(
    session: Session,
    ContextBody(payload): ContextBody,
) -> Result<impl IntoResponse, Problem> {
    let body = payload.parse()?;
    let id = session.add_context(member(&body)?).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location("/ngsi-ld/v1/jsonldContexts", &id))]))
}

fn member<'n>(body: &'n Node<'n>) -> Result<&'n Node<'n>, Error> {
    if !matches!(body.document, Document::Object(_)) {
        return Err(Error::InvalidRequest("the body is not a JSON object".to_owned()));
    }
    body.member("@context").ok_or_else(|| {
        Error::InvalidRequest("the body is an object with a member @context".to_owned())
    })
}

/// Which contexts to list, and how.
#[derive(Debug)]
pub(crate) struct ContextListing {
    kind: Option<ContextKind>,
    details: bool,
    media: Media,
}

impl FromRequestParts<App> for ContextListing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["details", "kind"])?;
        Ok(Self {
            details: flag(&parameters, "details")?,
            kind: parameters.get("kind").map(kind_named).transpose()?,
            media: accept::negotiate(&parts.headers, accept::LINKED)?,
        })
    }
}

/// Answers with the addresses of the contexts that there are, or with all that is known of them.
pub(crate) async fn list(session: Session, listing: ContextListing) -> Result<Response, Problem> {
    let entries = session.contexts(listing.kind).await?;
    let shown = |entry: ContextEntry| {
        if listing.details { detailed(entry) } else { Value::from(entry.url) }
    };
    let body = Value::Array(entries.into_iter().map(shown).collect());
    Ok(answer(&body, listing.media))
}

/// What to show of a context.
#[derive(Debug)]
pub(crate) struct ContextShowing {
    what: What,
    media: Media,
}

#[derive(Debug)]
enum What {
    Content,
    Details,
    /// A context of this one and a core context, both by their addresses.
    Reference(String),
}

impl FromRequestParts<App> for ContextShowing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["details", "core"])?;
        let details = flag(&parameters, "details")?;
        let what = match parameters.get("core") {
            Some(_) if parameters.get("details").is_some() => {
                let reason = "the parameters \"details\" and \"core\" exclude each other";
                return Err(Error::BadRequestData(reason.to_owned()).into());
            }
            Some(version) => What::Reference(core_context_url(version).ok_or_else(|| {
                let reason = format!("there is no core context of version {version:?}");
                Error::BadRequestData(format!("{reason}; they begin with 1.3 and end with 1.9"))
            })?),
            None if details => What::Details,
            None => What::Content,
        };
        Ok(Self { what, media: accept::negotiate(&parts.headers, accept::LINKED)? })
    }
}

/// Answers with a context, or with what is known of it.
pub(crate) async fn retrieve(
    session: Session,
    NamePath(name): NamePath,
    showing: ContextShowing,
) -> Result<Response, Problem> {
    let body = match showing.what {
        What::Details => detailed(session.context_entry(&name).await?),
        What::Content => {
            let ServedContext { context, .. } = session.served_context(&name).await?;
            let body = format!("{{\"@context\":{context}}}").into_bytes();
            return Ok(respond(body, showing.media, None, HeaderMap::new()));
        }
        What::Reference(core) => {
            json!({ "@context": [session.served_context(&name).await?.url, core] })
        }
    };
    Ok(answer(&body, showing.media))
}

/// Whether to download a context anew instead of removing it.
#[derive(Debug)]
pub(crate) struct Reload(bool);

impl FromRequestParts<App> for Reload {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["reload"])?;
        Ok(Self(flag(&parameters, "reload")?))
    }
}

/// Removes a context, or downloads it anew.
pub(crate) async fn delete(
    session: Session,
    NamePath(name): NamePath,
    Reload(reload): Reload,
) -> Result<StatusCode, Problem> {
    if reload {
        session.reload_context(&name).await?;
    } else {
        session.delete_context(&name).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses to remove a context that is not named.
pub(crate) async fn without_id() -> Problem {
    Error::BadRequestData("the path ends with the identifier of a @context".to_owned()).into()
}

/// What is known of a context (CIM 009, clause 5.13.3.5).
fn detailed(entry: ContextEntry) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("URL", entry.url.into());
    put("localId", entry.id.into());
    put("kind", kind_name(entry.kind).into());
    put("createdAt", entry.created_at.to_string().into());
    if let Some(expires_at) = entry.expires_at {
        put("expiresAt", expires_at.to_string().into());
    }
    if let Some(uses) = entry.uses {
        if let Some(last) = uses.last {
            put("lastUsage", last.to_string().into());
        }
        put("numberOfHits", uses.hits.into());
    }
    let origin = match entry.origin {
        None | Some(Origin::Network) => None,
        Some(Origin::Core) => Some("a core context, part of the program"),
        Some(Origin::Fixed) => Some("pinned by the operator, or part of the program"),
    };
    if let Some(origin) = origin {
        put("extraInfo", json!({ "origin": origin }));
    }
    Value::Object(members)
}

const KINDS: [(&str, ContextKind); 3] = [
    ("Cached", ContextKind::Cached),
    ("Hosted", ContextKind::Hosted),
    ("ImplicitlyCreated", ContextKind::ImplicitlyCreated),
];

fn kind_name(kind: ContextKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name)
}

fn kind_named(text: &str) -> Result<ContextKind, Error> {
    let found = KINDS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    found.ok_or_else(|| {
        let known = "Cached, Hosted and ImplicitlyCreated";
        Error::BadRequestData(format!("there is no kind {text:?} of @context; known are {known}"))
    })
}

/// As [`Parameters::flag`], with the error that clause 5.13 wants for what is no flag.
fn flag(parameters: &Parameters, name: &str) -> Result<bool, Error> {
    parameters.flag(name).map_err(|error| Error::BadRequestData(error.to_string()))
}

fn answer(body: &Value, media: Media) -> Response {
    respond(body.to_string().into_bytes(), media, None, HeaderMap::new())
}
