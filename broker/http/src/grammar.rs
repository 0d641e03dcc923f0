//! The grammars of requests that are read here, each by itself: for whoever wants to know what a
//! text is read as, without a server.

use http::HeaderMap;
use musubi_context::Context;
use musubi_view::Projection;

use crate::request::accept;
use crate::request::link;

/// The address of the context that the `Link` headers of a request name; none if they name none
/// (CIM 009, clause 6.3.5).
///
/// # Errors
///
/// Why the headers are refused, as a client reads it.
pub fn context_link(headers: &HeaderMap) -> Result<Option<String>, String> {
    link::context_url(headers).map_err(|error| error.to_string())
}

/// The media type in which a request for entities is answered, by its `Accept` headers (CIM 009,
/// clause 6.3.4).
///
/// # Errors
///
/// Why the headers are refused, as a client reads it.
pub fn media_type(headers: &HeaderMap) -> Result<&'static str, String> {
    let media = accept::negotiate(headers, accept::ENTITIES).map_err(|error| error.to_string())?;
    Ok(media.name())
}

/// Reads the parameters `pick` and `omit`; gives how many links deep they say something (CIM 009,
/// clause 4.21).
///
/// # Errors
///
/// Why the parameters are refused, as a client reads it.
pub fn projection_depth(
    pick: Option<&str>,
    omit: Option<&str>,
    context: &Context,
) -> Result<usize, String> {
    let projection = Projection::parse(pick, omit, context).map_err(|error| error.to_string())?;
    Ok(projection.depth())
}
