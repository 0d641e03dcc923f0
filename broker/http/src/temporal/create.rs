//! `POST /ngsi-ld/v1/temporal/entities` and `DELETE /ngsi-ld/v1/temporal/entities/{id}` (CIM 009,
//! clauses 6.18.3.1 and 6.19.3.2).

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use musubi_broker::Upserted;

use super::body::Whole;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::expanded::{Bare, Operation};
use crate::request::path::{EntityPath, location};
use crate::session::Session;

/// The parameters of a creation.
#[derive(Debug)]
pub(crate) struct Create;

impl Operation for Create {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

/// Creates the evolution in the body and answers with where it is now, or adds to the one that is
/// there.
pub(crate) async fn create(
    session: Session,
    evolution: Whole<Create>,
) -> Result<Response, Problem> {
    match session.upsert_evolution(evolution.fragment).await? {
        Upserted::Added => Ok(StatusCode::NO_CONTENT.into_response()),
        Upserted::Created(id) => {
            let location = location("/ngsi-ld/v1/temporal/entities", id.as_str());
            Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
        }
    }
}

/// The parameters of a deletion.
#[derive(Debug)]
pub(crate) struct Delete;

impl Operation for Delete {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

/// Removes the evolution.
pub(crate) async fn delete(
    session: Session,
    EntityPath(id): EntityPath,
    _: Bare<Delete>,
) -> Result<StatusCode, Problem> {
    session.remove_evolution(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers a request whose path has nothing where the id of an entity or the name of an attribute
/// belongs.
pub(crate) async fn without_id() -> Problem {
    let reason = "the id of an entity or the name of an attribute is missing in the path";
    Error::BadRequestData(reason.to_owned()).into()
}
