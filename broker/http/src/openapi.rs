//! `/openapi.json`: what this API can be asked, as an OpenAPI 3.1 document.
//!
//! Each operation has an entry in one of the files of this folder, beside the others of its
//! resource. The names of its parameters come from the lists by which the operation itself reads
//! them; what a name means is said once, in `parameters.json`, as what a body may hold is in
//! `schemas.json`, and what may go wrong in `answers.json`. `tests/api/openapi.rs` holds the
//! document against the router: a route, a method or a parameter that only one of them knows
//! fails it.

mod batch;
mod contexts;
mod discovery;
mod document;
mod entities;
mod entity_maps;
mod operation;
mod our_own;
mod path;
mod schemas;
mod subscriptions;
mod temporal;

use std::sync::OnceLock;

use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;

use crate::app::App;
use path::Path;

/// The document, written when it is asked for the first time.
#[derive(Debug, Default)]
pub(crate) struct Description(OnceLock<Bytes>);

/// Answers with the document.
pub(crate) async fn show(State(app): State<App>) -> impl IntoResponse {
    let written = || Bytes::from(document::document(&app.limits).to_string());
    let body = app.description.0.get_or_init(written).clone();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}

/// Every path with its operations, in the order in which a reader meets them.
fn paths() -> Vec<Path> {
    [
        entities::paths(),
        batch::paths(),
        temporal::paths(),
        entity_maps::paths(),
        discovery::paths(),
        subscriptions::paths(),
        contexts::paths(),
        schemas::paths(),
        our_own::paths(),
    ]
    .concat()
}
