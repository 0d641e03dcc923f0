//! Bodies: from bytes to a JSON tree and the context that it is to be read in (CIM 009, clauses
//! 6.3.4 and 6.3.5).

use axum::body::{self, Body, HttpBody};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use musubi_context::{Context, ContextReference};
use musubi_model::{Document, Limits, Node, Tenant};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::link;
use crate::session::tenant;

/// The body of a request, whole and within its limits.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Bytes,
    media: BodyMedia,
    /// The context that the `Link` header names.
    link: Option<String>,
    /// Whose contexts may be named.
    tenant: Tenant,
    depth: usize,
}

/// How a body carries its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyMedia {
    /// Not at all: `application/json` and `application/merge-patch+json`.
    Json,
    /// In a member: `application/ld+json`.
    LdJson,
}

impl FromRequest<App> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let length = request.body().size_hint().exact();
        let length = length.ok_or(Error::LengthRequired)?;
        plain(request.headers())?;
        let media = media(request.method(), request.headers())?;
        let link = link::context_url(request.headers())?;
        if media == BodyMedia::LdJson && link.is_some() {
            let reason = "a body of application/ld+json brings its own @context, so there must be \
                          no Link header with another";
            return Err(Error::BadRequestData(reason.to_owned()).into());
        }
        let tenant = tenant(request.headers())?;
        let bytes = read(request.into_body(), length, app).await?;
        Ok(Self { bytes, media, link, tenant, depth: app.limits.depth })
    }
}

impl Payload {
    /// The tree of the body.
    pub(crate) fn parse(&self) -> Result<Node<'_>, Error> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let at = error.valid_up_to();
            Error::InvalidRequest(format!("the body is not UTF-8 from its byte {at} on"))
        })?;
        Ok(Node::parse(text, Limits { depth: self.depth })?)
    }

    /// The tree of a body that is one object, and the context that it is to be read in.
    pub(crate) async fn object(&self, app: &App) -> Result<(Node<'_>, Context), Error> {
        let node = self.parse()?;
        if !matches!(node.document, Document::Object(_)) {
            return Err(Error::InvalidRequest("the body is not a JSON object".to_owned()));
        }
        let context = self.context_of(&node, app).await?;
        Ok((node, context))
    }

    /// The context that `node`, which is the body or an item of it, is to be read in.
    pub(crate) async fn context_of(&self, node: &Node<'_>, app: &App) -> Result<Context, Error> {
        let contexts = app.broker.contexts();
        match (self.media, node.member("@context")) {
            (BodyMedia::Json, Some(_)) => Err(Error::BadRequestData(
                "/@context: a body of application/json has its @context in a Link header"
                    .to_owned(),
            )),
            (BodyMedia::Json, None) => match &self.link {
                None => Ok(Context::core()),
                Some(url) => {
                    Ok(contexts.resolve(&self.tenant, ContextReference::Link(url)).await?)
                }
            },
            (BodyMedia::LdJson, None) => Err(Error::BadRequestData(
                "/@context: a body of application/ld+json has to have one".to_owned(),
            )),
            (BodyMedia::LdJson, Some(member)) => {
                Ok(contexts.resolve(&self.tenant, ContextReference::Inline(member)).await?)
            }
        }
    }
}

/// A body of any kind, for an adapter.
#[derive(Debug)]
pub(crate) struct RawPayload(pub(crate) Bytes);

impl FromRequest<App> for RawPayload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let length = request.body().size_hint().exact().ok_or(Error::LengthRequired)?;
        plain(request.headers())?;
        Ok(Self(read(request.into_body(), length, app).await?))
    }
}

async fn read(body: Body, length: u64, app: &App) -> Result<Bytes, Error> {
    let limit = app.limits.body;
    if usize::try_from(length).map_or(true, |length| length > limit) {
        return Err(Error::TooLarge(limit));
    }
    match tokio::time::timeout(app.limits.body_time, body::to_bytes(body, limit)).await {
        Err(_) => Err(Error::TooSlow),
        Ok(Err(_)) => Err(Error::InvalidRequest("the body broke off".to_owned())),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

/// Refuses a compressed body: what it would become is not limited by what arrives.
fn plain(headers: &HeaderMap) -> Result<(), Error> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        Ok(())
    } else {
        Err(Error::UnsupportedMediaType)
    }
}

fn media(method: &Method, headers: &HeaderMap) -> Result<BodyMedia, Error> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::UnsupportedMediaType);
    };
    let text = value.to_str().map_err(|_| Error::UnsupportedMediaType)?;
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    if !is_utf8(parameters) {
        return Err(Error::UnsupportedMediaType);
    }
    match name.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(BodyMedia::Json),
        "application/ld+json" => Ok(BodyMedia::LdJson),
        "application/merge-patch+json" if *method == Method::PATCH => Ok(BodyMedia::Json),
        _ => Err(Error::UnsupportedMediaType),
    }
}

/// JSON is UTF-8 (RFC 8259); a body that says otherwise is not looked at.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}
