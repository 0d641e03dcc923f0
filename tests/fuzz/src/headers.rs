//! Headers, and the parameters whose grammar the HTTP binding reads.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_context::Context;

/// A header for each line of the input.
fn headers(name: &HeaderName, data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

/// Reads each line as a `Link` header.
///
/// # Panics
///
/// If an address is read that is in none of them.
pub fn link_header(data: &[u8]) {
    let headers = headers(&header::LINK, data);
    if let Ok(Some(url)) = musubi_http::context_link(&headers) {
        let is_in = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(&url));
        assert!(headers.get_all(header::LINK).iter().any(is_in), "{url}");
    }
}

/// Reads each line as an `Accept` header.
pub fn accept(data: &[u8]) {
    let _ = musubi_http::media_type(&headers(&header::ACCEPT, data));
}

/// Reads the first line as `pick` and the second as `omit`.
///
/// # Panics
///
/// If more is nested in them than they have braces.
pub fn projection(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pick, omit) =
        text.split_once('\n').map_or((text, None), |(pick, omit)| (pick, Some(omit)));
    let pick = (!pick.is_empty()).then_some(pick);
    if let Ok(depth) = musubi_http::projection_depth(pick, omit, &Context::core()) {
        assert!(depth <= text.matches('{').count(), "{depth}");
    }
}
