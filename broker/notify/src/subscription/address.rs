//! Where notifications go: the `uri` of an endpoint (CIM 009, clauses 5.2.15 and 7.2).

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use super::InvalidSubscription;
use super::member::Member;

/// A URI that notifications can be sent to, with its text as the client wrote it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) written: String,
}

/// How notifications reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// `http://` and `https://`: as requests.
    Http,
    /// `mqtt://` and `mqtts://`: as messages on a topic.
    Mqtt,
    /// `musubi:stream`: to the clients that follow the subscription's stream, and to nobody else.
    Stream,
}

/// The address of a subscription that has no receiver but those who follow its stream.
pub(crate) const STREAM: &str = "musubi:stream";

/// The port of MQTT where an address names none.
pub(crate) const MQTT_PORT: u16 = 1883;
/// The port of MQTT over TLS where an address names none.
pub(crate) const MQTTS_PORT: u16 = 8883;

/// The longest address, in bytes.
const MAX_BYTES: usize = 2048;

impl TryFrom<String> for Address {
    type Error = url::ParseError;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        Ok(Self { url: written.parse()?, written })
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.written
    }
}

// A log may say which host, and no more: the rest of a URL may hold a secret.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }
}

impl Address {
    /// How notifications reach it.
    pub(crate) fn channel(&self) -> Channel {
        match self.url.scheme() {
            "mqtt" | "mqtts" => Channel::Mqtt,
            "musubi" => Channel::Stream,
            _ => Channel::Http,
        }
    }

    /// The broker and the topic, if it is reached by MQTT.
    pub(crate) fn mqtt(&self) -> Option<MqttAddress> {
        (self.channel() == Channel::Mqtt).then(|| MqttAddress::of(&self.url).ok())?
    }

    pub(super) fn read(member: &Member<'_>) -> Result<Self, InvalidSubscription> {
        let text = member.text()?;
        if text.len() > MAX_BYTES {
            return Err(member.refuse(format_args!("a URI of at most {MAX_BYTES} bytes is needed")));
        }
        let address = Self::try_from(text.to_owned()).map_err(|error| member.refuse(error))?;
        match address.url.scheme() {
            "http" | "https" if address.url.host_str().is_some() => Ok(address),
            "mqtt" | "mqtts" => match MqttAddress::of(&address.url) {
                Ok(_) => Ok(address),
                Err(reason) => Err(member.refuse(reason)),
            },
            _ if text == STREAM => Ok(address),
            _ => Err(member.unsupported(format_args!(
                "notifications go to http://, https://, mqtt:// and mqtts:// and to {STREAM}"
            ))),
        }
    }
}

/// A topic of an MQTT broker (CIM 009, clause 7.2).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MqttAddress {
    /// A name or an IP address; one of version 6 without brackets.
    pub(crate) host: String,
    /// 1883 if the client named none, 8883 for `mqtts`.
    pub(crate) port: u16,
    /// Whether TLS is spoken.
    pub(crate) secure: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// A name that can be published to: not empty, without wildcards.
    pub(crate) topic: String,
}

impl fmt::Debug for MqttAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtt {}:{}/…", self.host, self.port)
    }
}

impl MqttAddress {
    /// Reads `mqtt[s]://[user][:password]@host[:port]/topic[/subtopic]*`, or says what is wrong.
    fn of(url: &Url) -> Result<Self, &'static str> {
        let secure = url.scheme() == "mqtts";
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("a host is needed, as in mqtt://example.org/topic");
        }
        let default = if secure { MQTTS_PORT } else { MQTT_PORT };
        let port = url.port().unwrap_or(default);
        if port == 0 {
            return Err("0 is not the number of a port");
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err("a topic has no # (a wildcard) and no ? in it, unless it is written %3F");
        }
        let user = (!url.username().is_empty()).then(|| decode(url.username())).transpose()?;
        let password = url.password().map(decode).transpose()?;
        let topic = decode(url.path().strip_prefix('/').unwrap_or_default())?;
        if topic.is_empty() {
            return Err("a topic is needed, as in mqtt://example.org/topic");
        }
        if topic.contains(['#', '+', '\0']) {
            return Err("a topic that is published to has no wildcards in it");
        }
        Ok(Self { host: host.to_owned(), port, secure, user, password, topic })
    }
}

fn decode(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "what is written with % has to be UTF-8")
}
