//! `/ngsi-ld/v1/info/sourceIdentity` (CIM 009, clause 6.33).

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use musubi_context::Context;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::parameters::Parameters;
use crate::session::Session;
use crate::view::respond;

/// How to show the identity. All its terms are of the core context.
#[derive(Debug)]
pub(crate) struct IdentityView(Media);

impl FromRequestParts<App> for IdentityView {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Parameters::parse(parts.uri.query(), &[])?;
        Ok(Self(accept::negotiate(&parts.headers, accept::LINKED)?))
    }
}

/// Answers with who this broker is.
pub(crate) async fn retrieve(
    session: Session,
    IdentityView(media): IdentityView,
) -> Result<Response, Problem> {
    let identity = session.source_identity().await?;
    let context = Context::core();
    let mut body = json!({
        "id": identity.id,
        "type": "ContextSourceIdentity",
        "contextSourceAlias": identity.alias,
        "contextSourceUptime": format!("PT{}S", identity.uptime.as_secs()),
        "contextSourceTimeAt": identity.time.to_string(),
    });
    if let (Value::Object(members), Media::LdJson) = (&mut body, media) {
        let context = serde_json::from_str(context.member()).unwrap_or(Value::Null);
        members.insert("@context".to_owned(), context);
    }
    let link = (media == Media::Json).then_some(&context);
    Ok(respond(body.to_string().into_bytes(), media, link, HeaderMap::new()))
}
