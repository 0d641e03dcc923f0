//! The headers of notifications (CIM 009, clause 6.3.8).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_context::CORE_CONTEXT_URL;
use musubi_view::Media;

use crate::engine::applied::Applied;

/// The headers of a notification: media type, context, tenant, and what the receiver asked for.
pub(crate) fn headers(applied: &Applied) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let look = &applied.look;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(look.media.name()));
    let in_header = match look.media {
        Media::Json => true,
        Media::LdJson => false,
        Media::GeoJson => !look.context_in_collection,
    };
    if in_header {
        let url = applied.context.url().unwrap_or(CORE_CONTEXT_URL);
        let link = format!(
            "<{url}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""
        );
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    if !applied.tenant.is_default()
        && let Ok(tenant) = HeaderValue::from_str(applied.tenant.as_str())
    {
        headers.insert(HeaderName::from_static("ngsild-tenant"), tenant);
    }
    for pair in &applied.subscription.notification.endpoint.receiver_info {
        // Both were checked when the subscription was read.
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(&pair.key), HeaderValue::from_str(&pair.value))
        {
            headers.insert(name, value);
        }
    }
    headers
}
