//! An endpoint: what fails together, and how it does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Tenant;
use tokio::time::Instant;
use url::Url;

use crate::queue::breaker::{Breaker, Permit};
use crate::subscription::address::{MQTT_PORT, MQTTS_PORT};

/// What fails together: scheme, host and port, for one tenant. Behind one host there may be a
/// receiver of each tenant, and what one of them does is neither to slow the others nor to be seen
/// by them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EndpointKey {
    tenant: Tenant,
    place: Arc<str>,
}

impl EndpointKey {
    pub(crate) fn of(tenant: &Tenant, uri: &Url) -> Self {
        let host = uri.host_str().unwrap_or_default();
        let known = match uri.scheme() {
            "mqtt" => Some(MQTT_PORT),
            "mqtts" => Some(MQTTS_PORT),
            _ => uri.port_or_known_default(),
        };
        let port = uri.port().or(known).unwrap_or_default();
        let place = format!("{}://{host}:{port}", uri.scheme()).into();
        Self { tenant: tenant.clone(), place }
    }
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// What a delivery says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is there, whatever it thinks of the notification.
    Alive,
    /// It is not, and wants to be left alone for so long.
    Down(Duration),
    /// Nothing.
    None,
}

/// What to expect of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It has answered soon.
    Quick,
    /// It has not answered yet.
    New,
    /// The last answer took long, one that is waited for does, or it has begun to fail.
    Slow,
}

/// A place that notifications go to, for all its subscriptions.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The subscriptions that name it.
    pub(crate) accounts: usize,
    pub(crate) in_flight: usize,
    pub(crate) breaker: Breaker,
    /// Whether it has ever answered.
    is_known: bool,
    /// Whether its last answer took long.
    was_slow: bool,
    /// How many of those in flight have been so for long.
    pub(crate) overdue: usize,
    /// The pace at which those in flight are counted.
    pub(crate) counted: Pace,
    /// The tenants that wait until it may be sent to again.
    pub(crate) parked: VecDeque<Tenant>,
    /// Whether it is going to be woken.
    pub(crate) is_wake_planned: bool,
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        Self {
            accounts: 0,
            in_flight: 0,
            breaker: Breaker::Working { failures: 0 },
            is_known: false,
            was_slow: false,
            overdue: 0,
            counted: Pace::New,
            parked: VecDeque::new(),
            is_wake_planned: false,
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        if self.was_slow || self.overdue > 0 || self.breaker.has_failed() {
            Pace::Slow
        } else if self.is_known {
            Pace::Quick
        } else {
            Pace::New
        }
    }

    /// How many deliveries may be under way to it at a time, of at most `limit`; or until when
    /// none may. Only one that is quick is sent several.
    pub(crate) fn room(&self, now: Instant, limit: usize) -> Result<usize, Instant> {
        match (self.breaker.permit(now), self.pace()) {
            (Permit::Closed(until), _) => Err(until),
            (Permit::Free, Pace::Quick) => Ok(limit.max(1)),
            (Permit::Probe, _) | (Permit::Free, Pace::New | Pace::Slow) => Ok(1),
        }
    }

    /// Notes how a delivery ended.
    pub(crate) fn note(&mut self, sign: Sign, took_long: bool) {
        match sign {
            Sign::Alive => {
                self.is_known = true;
                self.was_slow = took_long;
                self.breaker.succeeded();
            }
            Sign::Down(_) => self.was_slow = took_long,
            Sign::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_place_as_one_tenant_sees_it() {
        let key = |tenant: &str, uri: &str| {
            EndpointKey::of(&tenant.parse().unwrap(), &uri.parse().unwrap())
        };
        for (one, other) in [
            ("http://h/a", "http://h:80/b"),
            ("https://h/a", "https://h:443/b"),
            ("mqtt://h/a", "mqtt://h:1883/b"),
            ("mqtts://user:password@h/a", "mqtts://h:8883/b"),
        ] {
            assert_eq!(key("kyoto", one), key("kyoto", other));
            assert_ne!(key("kyoto", one), key("nara", one));
        }
        assert_ne!(key("kyoto", "http://h/"), key("kyoto", "http://h:81/"));
        assert_ne!(key("kyoto", "mqtt://h/a"), key("kyoto", "mqtts://h/a"));
    }
}
