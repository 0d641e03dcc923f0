//! `/musubi/v1/adapters`: the adapters in this process, what they are doing, and the way in for
//! messages that come over HTTP.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::Value;

use crate::app::App;
use crate::error::Error;
use crate::parameters::Parameters;
use crate::path::NamePath;
use crate::payload::RawPayload;
use crate::problem::Problem;
use crate::session::Session;
use crate::subscriptions::NoParameters;

/// Answers with what the adapters are doing.
pub(crate) async fn list(State(app): State<App>, _: NoParameters) -> impl IntoResponse {
    Json(statuses(&app))
}

/// Answers with what one adapter is doing.
pub(crate) async fn retrieve(
    State(app): State<App>,
    NamePath(name): NamePath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    let Value::Array(adapters) = statuses(&app) else {
        return Err(missing(&name).into());
    };
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
    Path((name, what)): Path<(String, String)>,
    Message(body): Message,
) -> Result<impl IntoResponse, Problem> {
    let adapters = app.adapters.as_ref().ok_or_else(|| missing(&name))?;
    let tenant = session.tenant().clone();
    Ok(Json(adapters.receive(tenant, &name, &what, body).await?))
}

fn statuses(app: &App) -> Value {
    app.adapters.as_ref().map_or_else(|| Value::Array(Vec::new()), |adapters| adapters.list())
}

fn missing(name: &str) -> Error {
    Error::NotFound(format!("adapter {name:?}"))
}
