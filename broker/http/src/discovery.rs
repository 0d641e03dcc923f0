//! What the discovery of types and attributes has in common (CIM 009, clauses 6.25 to 6.28).

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use musubi_context::Context;
use musubi_model::Tenant;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::link;
use crate::request::parameters::Parameters;
use crate::view::respond;

/// How to show what there is.
#[derive(Debug)]
pub(crate) struct Overview {
    media: Media,
    pub(crate) context: Context,
}

/// How to show a list of what there is.
#[derive(Debug)]
pub(crate) struct ListOverview {
    pub(crate) details: bool,
    pub(crate) overview: Overview,
}

impl Overview {
    async fn read(parts: &Parts, parameters: &Parameters, app: &App) -> Result<Self, Problem> {
        parameters.flag("local")?;
        let media = accept::negotiate(&parts.headers, accept::LINKED)?;
        let context = link::context(app, &parts.headers).await?;
        Ok(Self { media, context })
    }

    /// The answer that has this object.
    pub(crate) fn one(&self, object: Value) -> Response {
        self.respond(&with_context(object, self.member().as_ref()))
    }

    /// The answer that has these objects.
    pub(crate) fn list(&self, objects: impl Iterator<Item = Value>) -> Response {
        let member = self.member();
        let objects = objects.map(|object| with_context(object, member.as_ref()));
        self.respond(&Value::Array(objects.collect()))
    }

    /// A name as the reader writes it.
    pub(crate) fn compact(&self, name: &str) -> Value {
        Value::from(&*self.context.compact(name))
    }

    fn member(&self) -> Option<Value> {
        let text = (self.media == Media::LdJson).then_some(self.context.member())?;
        serde_json::from_str(text).ok()
    }

    fn respond(&self, body: &Value) -> Response {
        let link = (self.media == Media::Json).then_some(&self.context);
        respond(body.to_string().into_bytes(), self.media, link, HeaderMap::new())
    }
}

impl FromRequestParts<App> for Overview {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["local"])?;
        Self::read(parts, &parameters, app).await
    }
}

impl FromRequestParts<App> for ListOverview {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["details", "local"])?;
        let details = parameters.flag("details")?;
        Ok(Self { details, overview: Overview::read(parts, &parameters, app).await? })
    }
}

/// An `EntityTypeList` or an `AttributeList` (CIM 009, clauses 5.2.24 and 5.2.27).
pub(crate) fn name_list(kind: &str, member: &str, names: &[Value], tenant: &Tenant) -> Value {
    let owner = if tenant.is_default() { "default" } else { tenant.as_str() };
    json!({ "id": format!("urn:ngsi-ld:{kind}:{owner}"), "type": kind, member: names })
}

fn with_context(mut value: Value, member: Option<&Value>) -> Value {
    if let (Value::Object(members), Some(member)) = (&mut value, member) {
        members.insert("@context".to_owned(), member.clone());
    }
    value
}
