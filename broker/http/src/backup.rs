//! `/musubi/v1/backup`: a copy of everything, as of one moment.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_broker::{BackupStream, StoreError};

use crate::app::App;
use crate::error::Error;
use crate::options::Hosts;
use crate::problem::Problem;
use crate::server::gate::check_origin;
use crate::server::stay::Stay;
use crate::session::Session;
use crate::subscriptions::NoParameters;

/// Whose page a browser sends a request for: `same-origin`, `same-site` or `cross-site`, or `none` if
/// the user asked for it directly.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request for a backup. No web page may ask for one, of whatever origin, but for our own.
#[derive(Debug)]
pub(crate) struct BackupRequest {
    /// What the connection lends; none where there is no connection, as in a test of the router.
    stay: Option<Stay>,
}

impl FromRequestParts<App> for BackupRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Hosts::LoopbackAnd(named) = &app.hosts {
            check_origin(named, &[], &parts.headers)?;
        }
        check_site(&parts.headers)?;
        Ok(Self { stay: parts.extensions.remove::<Stay>() })
    }
}

/// Refuses what a page of another site makes a browser fetch. To fetch a thing without reading it, as
/// an image for one, a browser names no origin, and the backup would be made all the same.
fn check_site(headers: &HeaderMap) -> Result<(), Error> {
    let is_ours = |site: &HeaderValue| site == "same-origin" || site == "none";
    if headers.get_all(SEC_FETCH_SITE).iter().all(is_ours) {
        return Ok(());
    }
    Err(Error::ForeignSite)
}

/// Answers with the backup, as fast as the client reads it.
pub(crate) async fn make(
    request: BackupRequest,
    session: Session,
    _: NoParameters,
) -> Result<Response, Problem> {
    if !session.tenant().is_default() {
        let reason = "NGSILD-Tenant: a backup is of all tenants, and cannot be had of one";
        return Err(Error::BadRequestData(reason.to_owned()).into());
    }
    let backup = session.back_up().await?;
    let pieces = Pieces { backup, stay: request.stay };
    let mut response = Response::new(Body::from_stream(unfold(Some(pieces), next)));
    let headers = response.headers_mut();
    let media = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, media);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// What is sent.
struct Pieces {
    backup: BackupStream,
    stay: Option<Stay>,
}

/// Why an answer was broken off. The client sees a connection that ends too early, and in what it has
/// that the end is missing.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the server stops")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The next piece; an error, and then nothing more, if there is none although there should be.
async fn next(pieces: Option<Pieces>) -> Option<(Result<Vec<u8>, Broken>, Option<Pieces>)> {
    let mut pieces = pieces?;
    let Pieces { backup, stay } = &mut pieces;
    let stopped = async {
        match stay {
            Some(stay) => stay.stopped().await,
            None => std::future::pending().await,
        }
    };
    let piece = tokio::select! {
        biased;
        () = stopped => Err(Broken::Stopping),
        piece = backup.next() => piece?.map_err(Broken::from),
    };
    match piece {
        Ok(piece) => Some((Ok(piece), Some(pieces))),
        Err(error) => {
            tracing::warn!(error = %error, "a backup was broken off");
            Some((Err(error), None))
        }
    }
}
