//! `/musubi/v1/streams/{id}`: what is due to a subscription, for clients that cannot be servers.
//!
//! By Server-Sent Events, or over a WebSocket if the client asks for the upgrade. A browser can
//! set no headers for either, so tenant, cursor and token may also stand in the query.

mod event_source;
mod web_socket;

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use musubi_broker::Caller;
use musubi_model::Tenant;

use crate::app::App;
use crate::error::Error;
use crate::options::Hosts;
use crate::problem::Problem;
use crate::request::parameters::Parameters;
use crate::server::gate::check_origin;
use crate::server::stay::Stay;
use crate::session::{TENANT, tenant};
use crate::streams::web_socket::Upgrade;
use crate::subscriptions::SubscriptionPath;

/// The parameters of a stream.
const PARAMETERS: &[&str] = &["tenant", "token", "after"];

/// The header in which a client that comes back says how far it was.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Who asks for a stream, and from where on.
#[derive(Debug)]
pub(crate) struct StreamRequest {
    tenant: Tenant,
    after: Option<String>,
    /// What the connection lends; none where there is no connection, as in a test of the router.
    stay: Option<Stay>,
    upgrade: Option<Upgrade>,
}

impl FromRequestParts<App> for StreamRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // The token stands for an Authorization header. Nobody asks for one yet, so neither does
        // anything; it is known so that pages which send it go on to work.
        let parameters = Parameters::parse(parts.uri.query(), PARAMETERS)?;
        let upgrade = Upgrade::of(parts)?;
        match (&upgrade, &app.hosts) {
            // A browser lets a page of any origin open a WebSocket, and read it.
            (Some(_), Hosts::LoopbackAnd(named)) => {
                check_origin(named, &app.origins, &parts.headers)?;
            }
            (Some(_), Hosts::Any) => {}
            (None, _) => event_source::check_accept(&parts.headers)?,
        }
        Ok(Self {
            tenant: named_tenant(&parts.headers, &parameters)?,
            after: cursor(&parts.headers, &parameters)?,
            stay: parts.extensions.remove::<Stay>(),
            upgrade,
        })
    }
}

fn named_tenant(headers: &HeaderMap, parameters: &Parameters) -> Result<Tenant, Error> {
    let in_header = tenant(headers)?;
    let Some(name) = parameters.get("tenant") else { return Ok(in_header) };
    let in_query: Tenant = name.parse()?;
    if headers.contains_key(TENANT) && in_header != in_query {
        let reason = "the parameter \"tenant\" and the header NGSILD-Tenant name two tenants";
        return Err(Error::InvalidRequest(reason.to_owned()));
    }
    Ok(in_query)
}

/// Where the client wants to go on. What it says by itself when it comes back counts for more than
/// the URL, in which stands where it began.
fn cursor(headers: &HeaderMap, parameters: &Parameters) -> Result<Option<String>, Error> {
    let header = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    let Some(value) = header else { return Ok(parameters.get("after").map(str::to_owned)) };
    let text = value.to_str().map_err(|_| {
        Error::BadRequestData(
            "the header Last-Event-ID is not ASCII, so it is no cursor".to_owned(),
        )
    })?;
    Ok(Some(text.to_owned()))
}

/// Answers with what is due to the subscription, for as long as the client listens.
pub(crate) async fn follow(
    State(app): State<App>,
    SubscriptionPath(id): SubscriptionPath,
    request: StreamRequest,
) -> Result<Response, Problem> {
    let StreamRequest { tenant, after, stay, upgrade } = request;
    let session = app.broker.session(Caller::Local, tenant);
    let stream = session.stream(&id, after.as_deref()).await?;
    let heartbeat = app.limits.heartbeat;
    Ok(match upgrade {
        None => event_source::answer(stream, stay, heartbeat),
        Some(upgrade) => {
            let missing = || Error::InvalidRequest("this connection cannot be upgraded".to_owned());
            upgrade.answer(stream, &stay.ok_or_else(missing)?, heartbeat)
        }
    })
}

/// The place between which a client may have missed something, as it is told.
fn gap(from: &str, to: &str) -> serde_json::Value {
    serde_json::json!({
        "from": from,
        "to": to,
        "detail": "the changes between these two cursors are no longer in the log: \
                   read the entities anew",
    })
}

/// Why a stream has ended, as a client is told.
fn end(reason: musubi_broker::FeedEnd) -> serde_json::Value {
    serde_json::json!({ "reason": reason.as_str() })
}
