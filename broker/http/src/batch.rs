//! `/ngsi-ld/v1/entityOperations/…` (CIM 009, clauses 6.14 to 6.17 and 6.31).

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use musubi_broker::{BatchResult, UpsertMode};
use musubi_model::{EntityId, Overwrite};
use serde::Serialize;

use crate::error::Error;
use crate::problem::{Details, Problem};
use crate::request::expanded::{Batch, BatchOperation, Ids, Operation};
use crate::session::Session;

/// The parameters of a batch creation.
#[derive(Debug)]
pub(crate) struct Create;

impl Operation for Create {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

impl BatchOperation for Create {
    const WHOLE: bool = true;
}

/// Creates the entities in the body.
pub(crate) async fn create(session: Session, batch: Batch<Create>) -> Result<Response, Problem> {
    let result = session.create_entities(batch.fragments).await?;
    Ok(answer(&result, batch.errors, Success::Created))
}

/// The parameters of a batch upsert.
#[derive(Debug)]
pub(crate) struct Upsert;

impl Operation for Upsert {
    const PARAMETERS: &'static [&'static str] = &["local", "options"];
}

impl BatchOperation for Upsert {
    const WHOLE: bool = true;
}

/// Creates the entities in the body, or replaces or updates those that are there.
pub(crate) async fn upsert(session: Session, batch: Batch<Upsert>) -> Result<Response, Problem> {
    let mode = match batch.parameters.options(&["replace", "update"])?.as_slice() {
        [] | ["replace"] => UpsertMode::Replace,
        ["update"] => UpsertMode::Update,
        _ => {
            let reason = "an upsert either replaces or updates what is there";
            return Err(Error::InvalidRequest(reason.to_owned()).into());
        }
    };
    let result = session.upsert_entities(batch.fragments, mode).await?;
    Ok(answer(&result, batch.errors, Success::Created))
}

/// The parameters of a batch update.
#[derive(Debug)]
pub(crate) struct Update;

impl Operation for Update {
    const PARAMETERS: &'static [&'static str] = &["local", "options"];
}

impl BatchOperation for Update {
    const WHOLE: bool = false;
}

/// Appends the attributes in the body to entities that are there.
pub(crate) async fn update(session: Session, batch: Batch<Update>) -> Result<Response, Problem> {
    let options = batch.parameters.options(&["noOverwrite"])?;
    let overwrite = if options.is_empty() { Overwrite::Yes } else { Overwrite::No };
    let result = session.update_entities(batch.fragments, overwrite).await?;
    Ok(answer(&result, batch.errors, Success::Changed))
}

/// The parameters of a batch merge.
#[derive(Debug)]
pub(crate) struct Merge;

impl Operation for Merge {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

impl BatchOperation for Merge {
    const WHOLE: bool = false;
}

/// Merges the parts in the body into entities that are there.
pub(crate) async fn merge(session: Session, batch: Batch<Merge>) -> Result<Response, Problem> {
    let result = session.merge_entities(batch.fragments).await?;
    Ok(answer(&result, batch.errors, Success::Changed))
}

/// Deletes the entities that the body names.
pub(crate) async fn delete(session: Session, ids: Ids) -> Result<Response, Problem> {
    let result = session.delete_entities(ids.ids).await?;
    Ok(answer(&result, ids.errors, Success::Changed))
}

/// What is answered when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Success {
    /// The ids of what came into being, if anything did.
    Created,
    /// Nothing.
    Changed,
}

/// A `BatchOperationResult` (CIM 009, clause 5.2.16).
#[derive(Serialize)]
struct Report {
    success: Vec<EntityId>,
    errors: Vec<ReportedError>,
}

/// A `BatchEntityError` (CIM 009, clause 5.2.17).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportedError {
    entity_id: String,
    error: Details,
}

/// The answer to an operation on many entities.
pub(crate) fn answer(
    result: &BatchResult,
    refused: Vec<(String, Error)>,
    success: Success,
) -> Response {
    if refused.is_empty() && result.errors.is_empty() {
        let created = result.created_once();
        return if success == Success::Changed || created.is_empty() {
            StatusCode::NO_CONTENT.into_response()
        } else {
            json(StatusCode::CREATED, &created)
        };
    }
    let mut errors: Vec<ReportedError> = refused
        .into_iter()
        .map(|(entity_id, error)| ReportedError { entity_id, error: Details::of(&error) })
        .collect();
    errors.extend(result.errors.iter().map(|(id, error)| ReportedError {
        entity_id: id.to_string(),
        error: Details::of_broker(error),
    }));
    json(StatusCode::MULTI_STATUS, &Report { success: result.success(), errors })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Strings and numbers cannot fail to be written.
    let body = serde_json::to_vec(body).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
