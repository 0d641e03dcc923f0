//! `/ngsi-ld/v1/entities/{id}/attrs` (CIM 009, clause 6.6).

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use musubi_model::{AttrName, Overwrite, UpdateResult};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::request::expanded::{Operation, Part};
use crate::request::path::EntityPath;
use crate::session::Session;

/// The parameters of an append.
#[derive(Debug)]
pub(crate) struct Append;

impl Operation for Append {
    const PARAMETERS: &'static [&'static str] = &["type", "local", "options"];
}

/// Appends the attributes in the body.
pub(crate) async fn append(
    session: Session,
    EntityPath(id): EntityPath,
    part: Part<Append>,
) -> Result<Response, Problem> {
    let options = part.parameters.options(&["noOverwrite"])?;
    let overwrite = if options.is_empty() { Overwrite::Yes } else { Overwrite::No };
    let result =
        session.append_attributes(&id, part.types.as_ref(), part.fragment, overwrite).await?;
    Ok(answer(&result))
}

/// The parameters of an update.
#[derive(Debug)]
pub(crate) struct Update;

impl Operation for Update {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Updates the attributes in the body.
pub(crate) async fn update(
    session: Session,
    EntityPath(id): EntityPath,
    part: Part<Update>,
) -> Result<Response, Problem> {
    let result = session.update_attributes(&id, part.types.as_ref(), part.fragment).await?;
    Ok(answer(&result))
}

/// Nothing if everything was written; else what was and what was not (clause 5.2.18), under full
/// names, because an answer of this kind has no context.
pub(crate) fn answer(result: &UpdateResult) -> Response {
    if result.not_updated.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let updated: Vec<&str> = result.updated.iter().map(AttrName::as_str).collect();
    let not_updated: Vec<Value> = result
        .not_updated
        .iter()
        .map(|left| json!({ "attributeName": left.name.as_str(), "reason": left.reason }))
        .collect();
    let body = json!({ "updated": updated, "notUpdated": not_updated }).to_string();
    (StatusCode::MULTI_STATUS, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
