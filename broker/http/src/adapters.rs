//! `/musubi/v1/adapters`: the adapters in this process, what they are doing, and the way in for
//! messages that come over HTTP.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use musubi_model::Tenant;
use serde_json::Value;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::parameters::Parameters;
use crate::request::path::{MessagePath, NamePath};
use crate::request::payload::RawPayload;
use crate::session::Session;
use crate::subscriptions::NoParameters;

/// Answers with what the adapters are doing: those of the tenant that the request names, or, if
/// it names none, all of them.
pub(crate) async fn list(
    session: Session,
    State(app): State<App>,
    _: NoParameters,
) -> impl IntoResponse {
    Json(Value::Array(statuses(&app, session.tenant())))
}

/// Answers with what one adapter is doing.
pub(crate) async fn retrieve(
    session: Session,
    State(app): State<App>,
    NamePath(name): NamePath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    let adapters = statuses(&app, session.tenant());
    let named = |adapter: &Value| adapter.get("name").and_then(Value::as_str) == Some(&name);
    Ok(Json(adapters.into_iter().find(named).ok_or_else(|| missing(&name))?))
}

/// A message to an adapter, of any media type.
#[derive(Debug)]
pub(crate) struct Message(Bytes);

impl FromRequest<App> for Message {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Parameters::parse(request.uri().query(), &[])?;
        let RawPayload(bytes) = RawPayload::from_request(request, app).await?;
        Ok(Self(bytes))
    }
}

/// Hands a message to an adapter and answers with what it says.
pub(crate) async fn receive(
    session: Session,
    State(app): State<App>,
    MessagePath { name, what }: MessagePath,
    Message(body): Message,
) -> Result<impl IntoResponse, Problem> {
    let adapters = app.adapters.as_ref().ok_or_else(|| missing(&name))?;
    let tenant = session.tenant().clone();
    Ok(Json(adapters.receive(tenant, &name, &what, body).await?))
}

fn statuses(app: &App, tenant: &Tenant) -> Vec<Value> {
    let Some(Value::Array(mut all)) = app.adapters.as_ref().map(|adapters| adapters.list()) else {
        return Vec::new();
    };
    if !tenant.is_default() {
        let of = |adapter: &Value| adapter.get("tenant").and_then(Value::as_str).map(str::to_owned);
        all.retain(|adapter| of(adapter).as_deref() == Some(tenant.as_str()));
    }
    all
}

fn missing(name: &str) -> Error {
    Error::NotFound(format!("adapter {name:?}"))
}
