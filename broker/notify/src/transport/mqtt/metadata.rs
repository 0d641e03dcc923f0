//! What goes into a message: the notification, and what stands in the head of a request otherwise.

use http::header;
use serde_json::{Map, Value};

use crate::engine::applied::Applied;
use crate::notification::headers;

/// The headers of a request that are metadata of a message, under the names that they have there.
const NAMES: [(&str, &str); 3] =
    [("content-type", "Content-Type"), ("link", "Link"), ("ngsild-tenant", "NGSILD-Tenant")];

/// `{"metadata": …, "body": …}`, where the body is a notification as it is.
pub(super) fn message(applied: &Applied, body: &[u8]) -> Vec<u8> {
    let metadata = Value::Object(metadata(applied)).to_string();
    let mut out = Vec::with_capacity(metadata.len() + body.len() + 32);
    for part in [b"{\"metadata\":", metadata.as_bytes(), b",\"body\":", body, b"}"] {
        out.extend_from_slice(part);
    }
    out
}

/// Media type, context, tenant, and what the receiver asked for. As in a request the receiver may
/// have another `Link`, but not another media type or tenant.
fn metadata(applied: &Applied) -> Map<String, Value> {
    let mut metadata = Map::new();
    let headers = headers(applied);
    for (header, name) in NAMES {
        if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
            metadata.insert(name.to_owned(), value.into());
        }
    }
    for pair in &applied.subscription.notification.endpoint.receiver_info {
        let known = NAMES.iter().find(|(header, _)| pair.key.eq_ignore_ascii_case(header));
        match known {
            None => drop(metadata.insert(pair.key.clone(), pair.value.as_str().into())),
            Some((name, shown)) if *name == header::LINK.as_str() => {
                metadata.insert((*shown).to_owned(), pair.value.as_str().into());
            }
            Some(_) => {}
        }
    }
    metadata
}
