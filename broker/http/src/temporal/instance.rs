//! `/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}/{instance}` (CIM 009, clause 6.22).

use http::StatusCode;

use super::body::{self, OneRecord};
use crate::problem::Problem;
use crate::request::expanded::{Bare, Operation};
use crate::request::path::InstancePath;
use crate::session::Session;

/// The parameters of a correction and of a removal.
#[derive(Debug)]
pub(crate) struct Correct;

impl Operation for Correct {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

/// Puts the instance in the body in the place of the recorded one.
pub(crate) async fn correct(
    session: Session,
    record: OneRecord<Correct>,
) -> Result<StatusCode, Problem> {
    let OneRecord { id, name, instance, fragment, .. } = record;
    session.correct_instance(&id, &name, &instance, fragment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the recorded instance.
pub(crate) async fn delete(
    session: Session,
    path: InstancePath,
    request: Bare<Correct>,
) -> Result<StatusCode, Problem> {
    let name = body::attribute(&path.term, &request.context)?;
    session.remove_instance(&path.id, &name, &path.instance).await?;
    Ok(StatusCode::NO_CONTENT)
}
