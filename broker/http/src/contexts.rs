//! `/musubi/v1/contexts/{name}`: the JSON-LD contexts that come with the program.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::path::NamePath;

/// Answers with the context of this name.
pub(crate) async fn retrieve(
    State(app): State<App>,
    NamePath(name): NamePath,
) -> Result<impl IntoResponse, Problem> {
    let found = app.contexts.iter().find(|(known, _)| *known == name);
    let (_, document) = found.ok_or(Error::NoSuchPath)?;
    let headers = [
        (header::CONTENT_TYPE, "application/ld+json"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, document.clone()))
}
