//! What few readers ask for, read from a request.

use std::sync::Arc;

use http::StatusCode;
use musubi_context::Context;
use musubi_model::{Entity, EntityId};
use musubi_view::{
    Datasets, FindEntities, Join, JoinForm, Languages, Media, Projection, Special, Written,
};

use crate::error::Error;
use crate::request::parameters::Parameters;
use crate::request::prefer::Preferences;
use crate::session::Session;

/// What few readers ask for, if this one does. `linked` is the most linked entities.
pub(crate) fn read(
    parameters: &Parameters,
    preferences: Preferences,
    (media, context): (Media, &Context),
    linked: usize,
) -> Result<Option<Box<Special>>, Error> {
    let (pick, omit) = (parameters.get("pick"), parameters.get("omit"));
    let projection = Projection::parse(pick, omit, context)?;
    let join = read_join(parameters)?;
    Special::check_depth(&projection, join.as_ref())?;
    let languages = parameters.get("lang").map(Languages::parse).transpose()?;
    let datasets = parameters.get("datasetId").map(Datasets::parse).transpose()?;
    let geometry = parameters.get("geometryProperty");
    if geometry.is_some() && media != Media::GeoJson {
        let reason = "geometryProperty is for answers in application/geo+json";
        return Err(Error::BadRequestData(reason.to_owned()));
    }
    // Clauses 5.7.1.4 and 5.7.2.4 know no earlier version of GeoJSON.
    let version = preferences.version.filter(|_| media != Media::GeoJson);
    let common = projection.is_whole()
        && languages.is_none()
        && datasets.is_none()
        && join.is_none()
        && version.is_none();
    if common && media != Media::GeoJson {
        return Ok(None);
    }
    let geometry = context
        .attribute(geometry.unwrap_or("location"))
        .map_err(|error| Error::BadRequestData(format!("geometryProperty: {error}")))?;
    let special = Special { projection, languages, datasets, join, version, geometry, linked };
    Ok(Some(Box::new(special)))
}

/// Reads `join`, `joinLevel` and `containedBy`.
fn read_join(parameters: &Parameters) -> Result<Option<Join>, Error> {
    let form = parameters.get("join").map(JoinForm::parse).transpose()?.flatten();
    let Some(form) = form else {
        let alone = ["joinLevel", "containedBy"];
        return match alone.into_iter().find(|name| parameters.get(name).is_some()) {
            None => Ok(None),
            Some(name) => Err(Error::BadRequestData(format!(
                "{name} says how to join, so join has to be inline or flat"
            ))),
        };
    };
    let join = Join::new(form, parameters.number("joinLevel")?)?;
    Ok(Some(match parameters.get("containedBy") {
        None => join,
        Some(list) => join.contained_by(list)?,
    }))
}

/// The status of an answer.
pub(crate) fn status(written: Written) -> StatusCode {
    if written.altered { StatusCode::NON_AUTHORITATIVE_INFORMATION } else { StatusCode::OK }
}

impl FindEntities for Session {
    type Error = Error;

    async fn find_entities(&self, ids: Vec<EntityId>) -> Result<Vec<Arc<Entity>>, Error> {
        let found = self.entities(ids).await?;
        Ok(found.into_iter().map(|found| found.entity).collect())
    }
}
