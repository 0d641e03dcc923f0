//! `/ngsi-ld/v1/entities/{id}` (CIM 009, clause 6.5).

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use musubi_broker::Selection;
use musubi_context::Form;
use musubi_model::Timestamp;
use musubi_query::TypeSelection;

use crate::app::App;
use crate::error::Error;
use crate::expanded::{Bare, Operation, Part, Whole};
use crate::names::Names;
use crate::parameters::Parameters;
use crate::path::EntityPath;
use crate::problem::Problem;
use crate::session::Session;
use crate::view::{self, View};

/// What is asked of one entity, and how to show it.
#[derive(Debug)]
pub(crate) struct Retrieval {
    selection: Selection,
    view: View,
}

static RETRIEVE: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [&["type", "local"], view::PARAMETERS].concat());

impl FromRequestParts<App> for Retrieval {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &RETRIEVE)?;
        let view = View::read(parts, &parameters, app).await?;
        let types = match parameters.get("type") {
            None => None,
            Some(text) => Some(TypeSelection::parse(text, &Names(&view.context))?),
        };
        let selection = Selection { types, attributes: view.attributes.clone() };
        Ok(Self { selection, view })
    }
}

/// Answers with the entity.
pub(crate) async fn retrieve(
    session: Session,
    EntityPath(id): EntityPath,
    retrieval: Retrieval,
) -> Result<Response, Problem> {
    let found = session.retrieve_entity(&id, &retrieval.selection).await?;
    Ok(retrieval.view.one(&session, &found.entity).await?)
}

/// The parameters of a deletion.
#[derive(Debug)]
pub(crate) struct Delete;

impl Operation for Delete {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Deletes the entity.
pub(crate) async fn delete(
    session: Session,
    EntityPath(id): EntityPath,
    request: Bare<Delete>,
) -> Result<StatusCode, Problem> {
    session.delete_entity(&id, request.types.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of a replacement.
#[derive(Debug)]
pub(crate) struct Replace;

impl Operation for Replace {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Puts the entity in the body in the place of the one that is there.
pub(crate) async fn replace(
    session: Session,
    EntityPath(id): EntityPath,
    entity: Whole<Replace>,
) -> Result<StatusCode, Problem> {
    session.replace_entity(&id, entity.types.as_ref(), entity.fragment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of a merge.
#[derive(Debug)]
pub(crate) struct Merge;

impl Operation for Merge {
    const PARAMETERS: &'static [&'static str] =
        &["type", "local", "options", "format", "observedAt"];

    fn is_simplified(parameters: &Parameters) -> Result<bool, Error> {
        let options = parameters.options(&["normalized", "concise", "keyValues", "simplified"])?;
        Ok(view::form(parameters.get("format"), &options)? == Form::Simplified)
    }
}

/// Merges the body into the entity.
pub(crate) async fn merge(
    session: Session,
    EntityPath(id): EntityPath,
    part: Part<Merge>,
) -> Result<StatusCode, Problem> {
    let observed_at = common_observed_at(&part.parameters)?;
    session.merge_entity(&id, part.types.as_ref(), part.fragment, observed_at).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn common_observed_at(parameters: &Parameters) -> Result<Option<Timestamp>, Error> {
    let Some(text) = parameters.get("observedAt") else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Error::BadRequestData(format!("observedAt: {error}")))
}
