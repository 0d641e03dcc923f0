//! What the receiver is told beside a notification: `receiverInfo` (CIM 009, clauses 5.2.15, 6.3.8
//! and 7.2).

use http::{HeaderName, HeaderValue};

use super::InvalidSubscription;
use super::address::Channel;
use super::pair::KeyValue;

/// Headers that belong to the transport or to this broker, not to the subscriber.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "ngsild-tenant",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of a signature, which nobody else may set if there is one.
const SIGNATURE: [&str; 3] = ["webhook-id", "webhook-signature", "webhook-timestamp"];

/// Checks that the pairs, found at `at`, can be sent as they are.
pub(super) fn check(
    pairs: &[KeyValue],
    at: &str,
    channel: Channel,
    is_signed: bool,
) -> Result<(), InvalidSubscription> {
    for (i, pair) in pairs.iter().enumerate() {
        let wrong = |name: &str, reason: std::fmt::Arguments<'_>| {
            Err(InvalidSubscription::forbidden(format!("{at}/{i}/{name}"), reason))
        };
        if pair.value == "urn:ngsi-ld:request" {
            let reason = "headers of the triggering request are not passed on";
            return Err(InvalidSubscription::unsupported(format!("{at}/{i}/value"), reason));
        }
        if channel != Channel::Http {
            let earlier = pairs.iter().take(i).any(|other| other.key == pair.key);
            match pair.key.as_str() {
                "" => return wrong("key", format_args!("a key is needed")),
                key if earlier => return wrong("key", format_args!("the key {key:?} is not new")),
                _ => continue,
            }
        }
        let Ok(name) = HeaderName::try_from(&pair.key) else {
            return wrong("key", format_args!("{:?} is not the name of a header", pair.key));
        };
        if RESERVED.contains(&name.as_str()) || is_signed && SIGNATURE.contains(&name.as_str()) {
            return wrong("key", format_args!("the header {name} is set by the broker"));
        }
        if HeaderValue::from_str(&pair.value).is_err() {
            return wrong("value", format_args!("visible ASCII characters are needed"));
        }
    }
    Ok(())
}
