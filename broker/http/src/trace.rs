//! `/musubi/v1/subscriptions/{id}/trace`: why a subscription did not fire.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::request::Parts;
use musubi_broker::{ChangeName, InvalidChangeName};
use musubi_context::Context;
use musubi_notify::trigger_word;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::parameters::Parameters;
use crate::session::Session;
use crate::subscriptions::SubscriptionPath;

/// Of which change a trace is wanted.
#[derive(Debug)]
pub(crate) struct Traced(ChangeName);

impl FromRequestParts<App> for Traced {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["change", "local"])?;
        parameters.flag("local")?;
        let invalid = |error: InvalidChangeName| Error::InvalidRequest(error.to_string());
        let name = parameters.get("change").ok_or(InvalidChangeName).and_then(str::parse);
        Ok(Self(name.map_err(invalid)?))
    }
}

/// Answers with the first condition of the subscription that the change did not satisfy. Names are
/// those of the subscription's context.
pub(crate) async fn show(
    session: Session,
    SubscriptionPath(id): SubscriptionPath,
    Traced(name): Traced,
) -> Result<impl IntoResponse, Problem> {
    let trace = session.trace(&id, &name).await?;
    let context = trace.subscription.context().unwrap_or_else(|_| Context::core());
    let attributes: Map<String, Value> = trace
        .attributes
        .iter()
        .map(|(name, what)| (context.compact(name.as_str()).into_owned(), json!(what)))
        .collect();
    let (condition, reason) = trace.hindrance.map(|it| (it.member, it.reason)).unzip();
    Ok(Json(json!({
        "subscription": id.as_str(),
        "change": {
            "entity": trace.entity.as_str(),
            "at": trace.at.to_string(),
            "what": trigger_word(trace.what),
            "attributes": attributes,
        },
        "due": trace.due,
        "condition": condition,
        "reason": reason,
    })))
}
