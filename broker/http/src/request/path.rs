//! What a request names in its path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use musubi_model::{EntityId, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

/// All that a segment of a path may not hold as it is (RFC 3986, section 3.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Where a member of a collection is, as a `Location` header names it.
pub(crate) fn location(collection: &str, id: &str) -> String {
    format!("{collection}/{}", utf8_percent_encode(id, SEGMENT))
}

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

/// `/temporal/entities/{id}/attrs/{attribute}/{instance}`, the attribute as the client wrote it.
#[derive(Debug)]
pub(crate) struct InstancePath {
    pub(crate) id: EntityId,
    pub(crate) term: String,
    /// A URI.
    pub(crate) instance: String,
}

impl FromRequestParts<App> for InstancePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path((id, term, instance)) =
            Path::<(String, String, String)>::from_request_parts(parts, app)
                .await
                .map_err(|error| Error::BadRequestData(error.body_text()))?;
        let not_a_uri = |error| Error::BadRequestData(format!("instanceId: {error}"));
        instance.parse::<Uri>().map_err(not_a_uri)?;
        Ok(Self { id: id.parse()?, term, instance })
    }
}

/// `/adapters/{name}/{what}`, as the client wrote it.
#[derive(Debug)]
pub(crate) struct MessagePath {
    pub(crate) name: String,
    pub(crate) what: String,
}

impl FromRequestParts<App> for MessagePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path((name, what)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|error| Error::BadRequestData(error.body_text()))?;
        Ok(Self { name, what })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_leads_back_to_its_id() {
        let check = |id: &str, expected: &str| assert_eq!(location("/e", id), expected);
        check("urn:ngsi-ld:Shelter:23211-004", "/e/urn:ngsi-ld:Shelter:23211-004");
        check("https://a.example/b?c#d%20", "/e/https:%2F%2Fa.example%2Fb%3Fc%23d%2520");
        check("urn:避:1", "/e/urn:%E9%81%BF:1");
    }
}
