//! Requests as they go over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::Request;
use crate::connection::Message;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("musubi/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Why a URL cannot be asked for.
#[derive(Debug, thiserror::Error)]
#[error("its URL cannot be written into a request")]
pub(crate) struct Unwritable;

/// The request with the headers that the transport adds.
pub(crate) fn message(request: &Request, compressed: Compressed) -> Result<Message, Unwritable> {
    let url = &request.url;
    let target: Uri =
        url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| Unwritable)?;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let mut headers = request.headers.clone();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Unwritable)?);
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(ACCEPT).or_insert(ANYTHING);
    if compressed == Compressed::Welcome && !headers.contains_key(RANGE) {
        headers.entry(ACCEPT_ENCODING).or_insert(GZIP);
    }
    authorize(url, &mut headers);
    let mut message = Message::new(Full::new(Bytes::clone(&request.body)));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = target;
    *message.headers_mut() = headers;
    Ok(message)
}

/// Whether the body of the answer may come compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressed {
    Welcome,
    Unwanted,
}

/// User and password of the URL as a header (RFC 7617), unless there is one already.
fn authorize(url: &Url, headers: &mut HeaderMap) {
    let password = url.password();
    if (url.username().is_empty() && password.is_none()) || headers.contains_key(AUTHORIZATION) {
        return;
    }
    let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
    login.push(b':');
    login.extend(percent_decode_str(password.unwrap_or_default()));
    if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login))) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}
