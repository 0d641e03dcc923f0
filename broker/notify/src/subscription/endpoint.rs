//! Where notifications go, and how they look (CIM 009, clauses 5.2.14, 5.2.15 and 5.2.22).

use std::fmt;

use http::{HeaderName, HeaderValue};
use musubi_context::{Context, Form};
use musubi_model::AttrName;
use serde::{Deserialize, Serialize};
use url::Url;

use super::InvalidSubscription;
use super::member::Member;

/// What a notification holds and where it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotificationParameters {
    /// Only these attributes; empty for all.
    pub(crate) attributes: Vec<AttrName>,
    pub(crate) format: Option<Format>,
    pub(crate) system_attributes: Option<bool>,
    pub(crate) endpoint: Endpoint,
}

/// The representation of the entities, as the client named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Format {
    Normalized,
    Concise,
    Simplified,
    KeyValues,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Normalized => "normalized",
            Self::Concise => "concise",
            Self::Simplified => "simplified",
            Self::KeyValues => "keyValues",
        }
    }

    pub(crate) fn form(self) -> Form {
        match self {
            Self::Normalized => Form::Normalized,
            Self::Concise => Form::Concise,
            Self::Simplified | Self::KeyValues => Form::Simplified,
        }
    }
}

/// The media type of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Accept {
    Json,
    JsonLd,
}

impl Accept {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLd => "application/ld+json",
        }
    }
}

/// A receiver of notifications.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) uri: Address,
    pub(crate) accept: Option<Accept>,
    /// Milliseconds.
    pub(crate) timeout: Option<f64>,
    /// Milliseconds.
    pub(crate) cooldown: Option<f64>,
    /// Headers for the receiver, checked to be such.
    pub(crate) receiver_info: Vec<KeyValue>,
    /// Settings for this side; kept and shown, without effect for HTTP.
    pub(crate) notifier_info: Vec<KeyValue>,
}

/// A URI that a request can be sent to, with its text as the client wrote it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) written: String,
}

impl TryFrom<String> for Address {
    type Error = url::ParseError;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        Ok(Self { url: written.parse()?, written })
    }
}

// A log may say which host, and no more: the rest of a URL may hold a secret, and so may the value
// of a header.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.key)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.written
    }
}

/// A key and a value (CIM 009, clause 5.2.22).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// The members that only answers have (CIM 009, clause 5.2.14.2). Ignored on input.
const OUTPUT_ONLY: [&str; 6] =
    ["lastFailure", "lastNotification", "lastSuccess", "status", "timesFailed", "timesSent"];

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

/// The most headers, or settings, of an endpoint.
const MAX_PAIRS: usize = 50;

impl NotificationParameters {
    pub(super) fn read(
        member: &Member<'_>,
        context: &Context,
    ) -> Result<Self, InvalidSubscription> {
        let mut attributes = Vec::new();
        let (mut format, mut system_attributes, mut endpoint) = (None, None, None);
        for (name, value) in member.members()? {
            match name {
                "attributes" => attributes = read_attributes(&value, context)?,
                "format" => format = Some(read_format(&value)?),
                "sysAttrs" => system_attributes = Some(value.boolean()?),
                "endpoint" => endpoint = Some(Endpoint::read(&value)?),
                "showChanges" if !value.boolean()? => {}
                "join" if value.text()? == "@none" => {}
                "pick" | "omit" | "showChanges" | "join" | "joinLevel" => {
                    return Err(value.unsupported("notifications do not support this yet"));
                }
                _ if OUTPUT_ONLY.contains(&name) => {}
                _ => return Err(value.refuse("a notification has no such member")),
            }
        }
        let endpoint = endpoint.ok_or_else(|| member.missing("endpoint"))?;
        Ok(Self { attributes, format, system_attributes, endpoint })
    }
}

/// The expanded names in an array of attribute names, of which there is at least one.
pub(super) fn read_attributes(
    member: &Member<'_>,
    context: &Context,
) -> Result<Vec<AttrName>, InvalidSubscription> {
    let mut names = Vec::new();
    for item in member.items()? {
        let text = item.text()?;
        if matches!(text, "" | "id" | "type" | "scope" | "@id" | "@type" | "@context") {
            return Err(item.refuse("the name of an attribute is needed"));
        }
        let name = context.attribute(text).map_err(|error| item.refuse(error))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_format(member: &Member<'_>) -> Result<Format, InvalidSubscription> {
    match member.text()? {
        "normalized" => Ok(Format::Normalized),
        "concise" => Ok(Format::Concise),
        "simplified" => Ok(Format::Simplified),
        "keyValues" => Ok(Format::KeyValues),
        _ => Err(member.refuse("one of normalized, concise, simplified and keyValues is needed")),
    }
}

impl Endpoint {
    fn read(member: &Member<'_>) -> Result<Self, InvalidSubscription> {
        let (mut uri, mut accept, mut timeout, mut cooldown) = (None, None, None, None);
        let (mut receiver_info, mut notifier_info) = (Vec::new(), Vec::new());
        for (name, value) in member.members()? {
            match name {
                "uri" => uri = Some(read_uri(&value)?),
                "accept" => accept = Some(read_accept(&value)?),
                "timeout" => timeout = Some(value.positive()?),
                "cooldown" => cooldown = Some(value.positive()?),
                "receiverInfo" => receiver_info = read_headers(&value)?,
                "notifierInfo" => notifier_info = read_pairs(&value)?,
                _ => return Err(value.refuse("an endpoint has no such member")),
            }
        }
        let uri = uri.ok_or_else(|| member.missing("uri"))?;
        Ok(Self { uri, accept, timeout, cooldown, receiver_info, notifier_info })
    }

    /// Host and port, for people.
    pub(crate) fn host(&self) -> String {
        let host = self.uri.url.host_str().unwrap_or_default();
        match self.uri.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

fn read_uri(member: &Member<'_>) -> Result<Address, InvalidSubscription> {
    let text = member.text()?;
    if text.len() > 2048 {
        return Err(member.refuse("a URI of at most 2048 bytes is needed"));
    }
    let address = Address::try_from(text.to_owned()).map_err(|error| member.refuse(error))?;
    match address.url.scheme() {
        "http" | "https" if address.url.host_str().is_some() => Ok(address),
        "mqtt" | "mqtts" => Err(member.unsupported("notifications over MQTT are not supported")),
        _ => Err(member.unsupported("a URI that begins with http:// or https:// is needed")),
    }
}

fn read_accept(member: &Member<'_>) -> Result<Accept, InvalidSubscription> {
    match member.text()? {
        "application/json" => Ok(Accept::Json),
        "application/ld+json" => Ok(Accept::JsonLd),
        "application/geo+json" => {
            Err(member.unsupported("notifications as GeoJSON are not supported"))
        }
        _ => Err(member.refuse("one of application/json and application/ld+json is needed")),
    }
}

fn read_pairs(member: &Member<'_>) -> Result<Vec<KeyValue>, InvalidSubscription> {
    let musubi_model::Document::Array(items) = &member.node.document else {
        return Err(member.refuse("an array is needed"));
    };
    if items.len() > MAX_PAIRS {
        return Err(member.refuse(format_args!("at most {MAX_PAIRS} pairs are allowed")));
    }
    let mut pairs = Vec::new();
    for (i, node) in items.iter().enumerate() {
        let item = Member::new(&member.at, &i.to_string(), node);
        let (mut key, mut text) = (None, None);
        for (name, value) in item.members()? {
            match name {
                "key" => key = Some(value.text()?.to_owned()),
                "value" => text = Some(value.text()?.to_owned()),
                _ => return Err(value.refuse("a pair has a key and a value and nothing else")),
            }
        }
        let key = key.ok_or_else(|| item.missing("key"))?;
        let value = text.ok_or_else(|| item.missing("value"))?;
        pairs.push(KeyValue { key, value });
    }
    Ok(pairs)
}

/// Pairs that can stand in the head of an HTTP request as they are.
fn read_headers(member: &Member<'_>) -> Result<Vec<KeyValue>, InvalidSubscription> {
    let pairs = read_pairs(member)?;
    for (i, pair) in pairs.iter().enumerate() {
        let at = |name: &str| format!("{}/{i}/{name}", member.at);
        let Ok(name) = HeaderName::try_from(&pair.key) else {
            return Err(InvalidSubscription::forbidden(
                at("key"),
                format_args!("{:?} is not the name of a header", pair.key),
            ));
        };
        if RESERVED.contains(&name.as_str()) {
            return Err(InvalidSubscription::forbidden(
                at("key"),
                format_args!("the header {name} is set by the broker"),
            ));
        }
        if pair.value == "urn:ngsi-ld:request" {
            let reason = "headers of the triggering request are not passed on";
            return Err(InvalidSubscription::unsupported(at("value"), reason));
        }
        if pair.value.len() > 8192 || HeaderValue::from_str(&pair.value).is_err() {
            let reason = "at most 8192 visible ASCII characters are needed";
            return Err(InvalidSubscription::forbidden(at("value"), reason));
        }
    }
    Ok(pairs)
}
