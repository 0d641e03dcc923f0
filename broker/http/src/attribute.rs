//! `/ngsi-ld/v1/entities/{id}/attrs/{attribute}` (CIM 009, clause 6.7).

use axum::response::Response;
use http::StatusCode;
use musubi_model::{AttributeFragment, DatasetId, InstanceFragment, Instances};

use crate::attributes;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::expanded::{Bare, OneAttribute, Operation, attribute};
use crate::request::parameters::Parameters;
use crate::request::path::AttributePath;
use crate::session::Session;

/// The parameters of an update of one attribute.
#[derive(Debug)]
pub(crate) struct Update;

impl Operation for Update {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Updates one instance of the attribute in part.
pub(crate) async fn update(
    session: Session,
    attribute: OneAttribute<Update>,
) -> Result<Response, Problem> {
    let name = attribute.fragment.name.clone();
    let instance = only_instance(attribute.fragment)?;
    let types = attribute.types.as_ref();
    let result = session.update_attribute(&attribute.id, types, &name, instance).await?;
    Ok(attributes::answer(&result))
}

/// Replaces the instances of the attribute that the body has.
pub(crate) async fn replace(
    session: Session,
    attribute: OneAttribute<Update>,
) -> Result<Response, Problem> {
    let types = attribute.types.as_ref();
    let result = session.replace_attribute(&attribute.id, types, attribute.fragment).await?;
    Ok(attributes::answer(&result))
}

/// The parameters of a deletion of one attribute.
#[derive(Debug)]
pub(crate) struct Delete;

impl Operation for Delete {
    const PARAMETERS: &'static [&'static str] = &["type", "local", "deleteAll", "datasetId"];
}

/// Deletes instances of the attribute, or the scope.
pub(crate) async fn delete(
    session: Session,
    path: AttributePath,
    request: Bare<Delete>,
) -> Result<StatusCode, Problem> {
    let which = instances(&request.parameters)?;
    let types = request.types.as_ref();
    if path.term == "scope" {
        session.delete_scope(&path.id, types).await?;
    } else {
        let name = attribute(&path.term, &request.context)?;
        session.delete_attribute(&path.id, types, &name, &which).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn only_instance(mut fragment: AttributeFragment) -> Result<InstanceFragment, Error> {
    match (fragment.instances.pop(), fragment.instances.is_empty()) {
        (Some(instance), true) => Ok(instance),
        (Some(_) | None, _) => Err(Error::BadRequestData(
            "a partial update is of exactly one instance of the attribute".to_owned(),
        )),
    }
}

/// Which instances of an attribute a deletion is about.
pub(crate) fn instances(parameters: &Parameters) -> Result<Instances, Error> {
    match (parameters.flag("deleteAll")?, parameters.get("datasetId")) {
        (true, Some(_)) => Err(Error::BadRequestData(
            "either one data set is deleted or all are, so datasetId and deleteAll=true do not \
             go together"
                .to_owned(),
        )),
        (true, None) => Ok(Instances::All),
        (false, None | Some("@none")) => Ok(Instances::Default),
        (false, Some(dataset)) => dataset
            .parse::<DatasetId>()
            .map(Instances::Dataset)
            .map_err(|error| Error::BadRequestData(format!("datasetId: {error}"))),
    }
}
