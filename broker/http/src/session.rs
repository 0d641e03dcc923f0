//! Who calls, and in which tenant.

use axum::extract::FromRequestParts;
use http::HeaderName;
use http::request::Parts;
use musubi_broker::Caller;
use musubi_model::Tenant;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

/// The header that names the tenant (CIM 009, clause 6.3.14).
pub(crate) const TENANT: HeaderName = HeaderName::from_static("ngsild-tenant");

/// The door to the operations, for the caller and the tenant of this request.
#[derive(Debug)]
pub(crate) struct Session(musubi_broker::Session);

impl std::ops::Deref for Session {
    type Target = musubi_broker::Session;

    fn deref(&self) -> &musubi_broker::Session {
        &self.0
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(app.broker.session(Caller::Local, tenant(parts)?)))
    }
}

fn tenant(parts: &Parts) -> Result<Tenant, Error> {
    let mut values = parts.headers.get_all(TENANT).iter();
    let Some(value) = values.next() else { return Ok(Tenant::default()) };
    if values.next().is_some() {
        return Err(Error::InvalidRequest("NGSILD-Tenant is given more than once".to_owned()));
    }
    let name = value
        .to_str()
        .map_err(|_| Error::BadRequestData("the tenant's name is not ASCII".to_owned()))?;
    Ok(name.trim().parse()?)
}
