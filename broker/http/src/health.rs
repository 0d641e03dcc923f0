//! `/health/…` and `/metrics`: what a supervisor asks.

use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

/// Answers as long as the process does.
pub(crate) async fn live() -> &'static str {
    "live\n"
}

/// Answers with success when requests can be served.
pub(crate) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    match app.ready.as_ref().map_or(Ok(()), |ready| ready()) {
        Ok(()) => Ok("ready\n"),
        Err(reason) => Err(Error::Unavailable(reason).into()),
    }
}

/// Answers with all metrics, in the text form of `OpenMetrics` that Prometheus reads.
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &app.metrics) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, TEXT)], text),
        Err(error) => {
            tracing::error!("the metrics cannot be written: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, TEXT)], String::new())
        }
    }
}
