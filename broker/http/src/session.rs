//! Who calls, and in which tenant.

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use musubi_broker::{Caller, SchemaWarnings};
use musubi_model::Tenant;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::preconditions::conditions;

/// The header that names the tenant (CIM 009, clause 6.3.14).
pub(crate) const TENANT: HeaderName = HeaderName::from_static("ngsild-tenant");

/// The door to the operations, for the caller and the tenant of this request, and under the
/// conditions of its headers if it is to change something.
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
        let session = app.broker.session(Caller::Local, tenant(&parts.headers)?);
        if parts.method.is_safe() {
            return Ok(Self(session));
        }
        let session = session.under(conditions(&parts.headers)?);
        Ok(Self(match parts.extensions.get::<SchemaWarnings>() {
            Some(warnings) => session.warning(warnings.clone()),
            None => session,
        }))
    }
}

/// What most requests are for; cloning it is one atomic increment.
static DEFAULT: LazyLock<Tenant> = LazyLock::new(Tenant::default);

/// The tenant that a request names, or the default one.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<Tenant, Error> {
    let mut values = headers.get_all(TENANT).iter();
    let Some(value) = values.next() else { return Ok(DEFAULT.clone()) };
    if values.next().is_some() {
        return Err(Error::InvalidRequest("NGSILD-Tenant is given more than once".to_owned()));
    }
    let name = value
        .to_str()
        .map_err(|_| Error::BadRequestData("the tenant's name is not ASCII".to_owned()))?;
    Ok(name.trim().parse()?)
}
