//! `/ngsi-ld/v1/temporal/entities/{id}/attrs` and `/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}`
//! (CIM 009, clauses 6.20 and 6.21).

use http::StatusCode;

use super::body::{self, Part};
use crate::attribute::instances;
use crate::problem::Problem;
use crate::request::expanded::{Bare, Operation};
use crate::request::path::{AttributePath, EntityPath};
use crate::session::Session;

/// The parameters of an addition.
#[derive(Debug)]
pub(crate) struct Add;

impl Operation for Add {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

/// Adds the instances in the body.
pub(crate) async fn add(
    session: Session,
    EntityPath(id): EntityPath,
    part: Part<Add>,
) -> Result<StatusCode, Problem> {
    session.add_to_evolution(&id, part.fragment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of the removal of an attribute.
#[derive(Debug)]
pub(crate) struct Delete;

impl Operation for Delete {
    const PARAMETERS: &'static [&'static str] = &["local", "deleteAll", "datasetId"];
}

/// Removes what is recorded of the attribute.
pub(crate) async fn delete(
    session: Session,
    path: AttributePath,
    request: Bare<Delete>,
) -> Result<StatusCode, Problem> {
    let which = instances(&request.parameters)?;
    let name = body::attribute(&path.term, &request.context)?;
    session.remove_evolution_attribute(&path.id, &name, &which).await?;
    Ok(StatusCode::NO_CONTENT)
}
