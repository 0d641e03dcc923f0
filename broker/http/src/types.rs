//! `/ngsi-ld/v1/types` (CIM 009, clause 6.25).

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use musubi_broker::TypeSummary;
use musubi_context::Context;
use serde_json::{Value, json};

use crate::accept::{self, Media};
use crate::app::App;
use crate::link;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::session::Session;
use crate::view::respond;

/// How to show the types.
#[derive(Debug)]
pub(crate) struct TypesView {
    details: bool,
    media: Media,
    context: Context,
}

impl FromRequestParts<App> for TypesView {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["details", "local"])?;
        parameters.flag("local")?;
        let details = parameters.flag("details")?;
        let media = accept::negotiate(&parts.headers, accept::LINKED)?;
        let context = link::context(app, &parts.headers).await?;
        Ok(Self { details, media, context })
    }
}

/// Answers with the types that there are.
pub(crate) async fn list(session: Session, view: TypesView) -> Result<Response, Problem> {
    let types = session.types().await?;
    let member = (view.media == Media::LdJson).then_some(view.context.member());
    let member = member.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let body = if view.details {
        let details =
            types.iter().map(|one| with_context(detailed(one, &view.context), member.as_ref()));
        Value::Array(details.collect())
    } else {
        with_context(names(&types, &view.context, session.tenant().as_str()), member.as_ref())
    };
    let link = (view.media == Media::Json).then_some(&view.context);
    Ok(respond(body.to_string().into_bytes(), view.media, link, HeaderMap::new()))
}

/// An `EntityTypeList` (CIM 009, clause 5.2.24).
fn names(types: &[TypeSummary], context: &Context, tenant: &str) -> Value {
    let list: Vec<_> = types.iter().map(|one| context.compact(one.name.as_str())).collect();
    let owner = if tenant.is_empty() { "default" } else { tenant };
    json!({
        "id": format!("urn:ngsi-ld:EntityTypeList:{owner}"),
        "type": "EntityTypeList",
        "typeList": list,
    })
}

/// An `EntityType` (CIM 009, clause 5.2.25).
fn detailed(one: &TypeSummary, context: &Context) -> Value {
    let attributes: Vec<_> =
        one.attributes.iter().map(|name| context.compact(name.as_str())).collect();
    json!({
        "id": one.name.as_str(),
        "type": "EntityType",
        "typeName": context.compact(one.name.as_str()),
        "attributeNames": attributes,
    })
}

fn with_context(mut value: Value, member: Option<&Value>) -> Value {
    if let (Value::Object(members), Some(member)) = (&mut value, member) {
        members.insert("@context".to_owned(), member.clone());
    }
    value
}
