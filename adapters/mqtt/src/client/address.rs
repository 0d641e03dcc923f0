//! Where brokers are.

use std::fmt;
use std::str::FromStr;

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Why a text is no address of a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a broker is named as in mqtt://host:1883 or mqtts://host:8883: {reason}")]
pub struct InvalidBrokerAddress {
    /// What is wrong. Does not quote the text, which may hold a password.
    pub reason: String,
}

impl FromStr for BrokerAddress {
    type Err = InvalidBrokerAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| InvalidBrokerAddress { reason: reason.to_owned() };
        let url = url::Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            other => return Err(refuse(&format!("{other} is another scheme"))),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refuse("the host is missing"))?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("user and password have keys of their own"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("nothing stands behind the port"));
        }
        Ok(Self { host, port: url.port().unwrap_or(if tls { 8883 } else { 1883 }), tls })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_scheme_host_and_port() {
        let check = |text: &str, written: &str| {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), written);
        };
        check("mqtt://broker.example", "mqtt://broker.example:1883");
        check("mqtts://broker.example/", "mqtts://broker.example:8883");
        check("mqtt://127.0.0.1:1884", "mqtt://127.0.0.1:1884");
    }

    #[test]
    fn what_names_no_broker_is_refused_without_quoting_a_password() {
        for text in ["", "broker:1883", "http://a", "mqtt://", "mqtt://a/b", "mqtt://a?b=c"] {
            assert!(text.parse::<BrokerAddress>().is_err(), "{text}");
        }
        let error = "mqtt://user:hunter2@a".parse::<BrokerAddress>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
