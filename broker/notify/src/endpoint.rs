//! The endpoints: whose turn it is at which of them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio::time::Instant;
use url::Url;

use crate::account::AccountKey;
use crate::breaker::{Breaker, Permit};

/// Scheme, host and port: what fails together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EndpointKey(Arc<str>);

impl EndpointKey {
    pub(crate) fn of(uri: &Url) -> Self {
        let host = uri.host_str().unwrap_or_default();
        let port = uri.port_or_known_default().unwrap_or_default();
        Self(format!("{}://{host}:{port}", uri.scheme()).into())
    }
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place that notifications go to, for all its subscriptions.
#[derive(Debug)]
struct Endpoint {
    /// The subscriptions that name it.
    accounts: usize,
    in_flight: usize,
    /// Whether it stands in the round.
    in_round: bool,
    waiting: VecDeque<AccountKey>,
    breaker: Breaker,
}

/// All endpoints, and the round in which they get their turns, so that one with many
/// subscriptions does not crowd out the others.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    all: FxHashMap<EndpointKey, Endpoint>,
    round: VecDeque<EndpointKey>,
}

/// What is next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// This subscription may send to this endpoint. A turn that is not used is lost.
    Deliver(EndpointKey, AccountKey),
    /// This endpoint wants to be woken then.
    Wait(EndpointKey, Instant),
}

/// What a delivery says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is there, whatever it thinks of the notification.
    Alive,
    /// It is not.
    Down,
    /// Nothing.
    None,
}

impl Endpoints {
    /// One more subscription names the endpoint.
    pub(crate) fn join(&mut self, key: &EndpointKey) {
        let endpoint = self.all.entry(key.clone()).or_insert_with(|| Endpoint {
            accounts: 0,
            in_flight: 0,
            in_round: false,
            waiting: VecDeque::new(),
            breaker: Breaker::Working { failures: 0 },
        });
        endpoint.accounts += 1;
    }

    /// One subscription less names the endpoint.
    pub(crate) fn leave(&mut self, key: &EndpointKey) {
        if let Some(endpoint) = self.all.get_mut(key) {
            endpoint.accounts = endpoint.accounts.saturating_sub(1);
        }
        self.forget(key);
    }

    fn forget(&mut self, key: &EndpointKey) {
        if self.all.get(key).is_some_and(|it| it.accounts == 0 && it.in_flight == 0) {
            self.all.remove(key);
        }
    }

    /// A subscription waits for its turn.
    pub(crate) fn queue(&mut self, key: &EndpointKey, account: AccountKey) {
        if let Some(endpoint) = self.all.get_mut(key) {
            endpoint.waiting.push_back(account);
        }
        self.wake(key);
    }

    /// The endpoint takes part in the round again, if anybody waits for it.
    pub(crate) fn wake(&mut self, key: &EndpointKey) {
        if let Some(endpoint) = self.all.get_mut(key)
            && !endpoint.in_round
            && !endpoint.waiting.is_empty()
        {
            endpoint.in_round = true;
            self.round.push_back(key.clone());
        }
    }

    /// Whose turn it is, with at most `limit` deliveries to one endpoint at a time.
    pub(crate) fn next(&mut self, now: Instant, limit: usize) -> Option<Turn> {
        while let Some(key) = self.round.pop_front() {
            let Some(endpoint) = self.all.get_mut(&key) else { continue };
            endpoint.in_round = false;
            let limit = match endpoint.breaker.permit(now) {
                Permit::Free => limit.max(1),
                Permit::Probe => 1,
                Permit::Closed(until) => return Some(Turn::Wait(key, until)),
            };
            if endpoint.in_flight >= limit {
                // It comes back when one of them ends.
                continue;
            }
            let Some(account) = endpoint.waiting.pop_front() else { continue };
            self.wake(&key);
            return Some(Turn::Deliver(key, account));
        }
        None
    }

    /// A delivery begins.
    pub(crate) fn begin(&mut self, key: &EndpointKey) {
        if let Some(endpoint) = self.all.get_mut(key) {
            endpoint.in_flight += 1;
        }
    }

    /// A delivery ends. `limit` failures in a row open the breaker for the `pause` that belongs
    /// to the number of times.
    pub(crate) fn end(
        &mut self,
        key: &EndpointKey,
        sign: Sign,
        limit: u32,
        pause: impl Fn(u32) -> std::time::Duration,
    ) {
        let Some(endpoint) = self.all.get_mut(key) else { return };
        endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        match sign {
            Sign::Alive => endpoint.breaker.succeeded(),
            Sign::Down => endpoint.breaker.failed(Instant::now(), limit, pause),
            Sign::None => {}
        }
        self.wake(key);
        self.forget(key);
    }

    /// How many endpoints are left alone.
    pub(crate) fn open_breakers(&self) -> usize {
        self.all.values().filter(|endpoint| endpoint.breaker.is_open()).count()
    }
}
