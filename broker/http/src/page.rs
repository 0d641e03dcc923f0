//! `/`: a page for a person.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

/// Answers with the page that the program gives.
pub(crate) async fn show(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let page = app.page.as_ref().ok_or(Error::NoSuchPath)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    Ok((headers, page()))
}
