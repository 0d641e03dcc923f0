//! What a request names in its path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use musubi_model::EntityId;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

/// `/entities/{id}`.
#[derive(Debug)]
pub(crate) struct EntityPath(pub(crate) EntityId);

impl FromRequestParts<App> for EntityPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|error| Error::BadRequestData(error.body_text()))?;
        Ok(Self(id.parse()?))
    }
}

/// `/entities/{id}/attrs/{attribute}`, the attribute as the client wrote it.
#[derive(Debug)]
pub(crate) struct AttributePath {
    pub(crate) id: EntityId,
    pub(crate) term: String,
}

impl FromRequestParts<App> for AttributePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path((id, term)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|error| Error::BadRequestData(error.body_text()))?;
        Ok(Self { id: id.parse()?, term })
    }
}

/// Anything else with one name in it, as the client wrote it.
#[derive(Debug)]
pub(crate) struct NamePath(pub(crate) String);

impl FromRequestParts<App> for NamePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|error| Error::BadRequestData(error.body_text()))?;
        Ok(Self(name))
    }
}
