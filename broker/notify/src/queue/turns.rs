//! Whose turn it is to send: round about over tenants, then over the endpoints of a tenant, then
//! over its subscriptions there. So nobody's notifications wait behind the many of somebody else,
//! and an endpoint that takes long holds up itself alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use musubi_model::Tenant;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::engine::account::AccountKey;
use crate::queue::endpoint::{Endpoint, EndpointKey, Pace, Sign};

/// How much may be under way at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// In all. Slow endpoints are given at most half of it and new ones a quarter, and quick ones
    /// never have less than half, so that there may be more for a while, but never twice as many.
    pub(crate) total: usize,
    /// To one endpoint.
    pub(crate) per_endpoint: usize,
    /// What takes longer than this is slow.
    pub(crate) slow: Duration,
}

impl Bounds {
    fn part(&self, of: usize) -> usize {
        (self.total / of).max(1)
    }
}

/// Who waits, in which order they get their turns, and what is under way.
#[derive(Debug)]
pub(crate) struct Turns {
    bounds: Bounds,
    endpoints: FxHashMap<EndpointKey, Endpoint>,
    tenants: FxHashMap<Tenant, Desk>,
    round: VecDeque<Tenant>,
    in_flight: PerPace<usize>,
    /// For which there is no room beside others of the same pace.
    held: PerPace<VecDeque<(Tenant, EndpointKey)>>,
    /// What is under way and has not been so for long.
    running: BTreeMap<Ticket, EndpointKey>,
    number: u64,
}

/// One for each pace.
#[derive(Debug, Default)]
struct PerPace<T> {
    quick: T,
    new: T,
    slow: T,
}

impl<T> PerPace<T> {
    fn of(&mut self, pace: Pace) -> &mut T {
        match pace {
            Pace::Quick => &mut self.quick,
            Pace::New => &mut self.new,
            Pace::Slow => &mut self.slow,
        }
    }
}

impl PerPace<usize> {
    fn sum(&self) -> usize {
        self.quick + self.new + self.slow
    }
}

/// A delivery that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    began: Instant,
    number: u64,
}

/// What waits of a tenant.
#[derive(Debug, Default)]
struct Desk {
    round: VecDeque<EndpointKey>,
    /// By endpoint; none of them is empty. An endpoint stands in the round, or it is parked or
    /// held.
    waiting: FxHashMap<EndpointKey, VecDeque<AccountKey>>,
    in_round: bool,
}

/// What is next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// This subscription may send to this endpoint. A turn that is not used is lost.
    Deliver(EndpointKey, AccountKey),
    /// This endpoint wants to be woken then.
    Wait(EndpointKey, Instant),
}

impl Turns {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            endpoints: FxHashMap::default(),
            tenants: FxHashMap::default(),
            round: VecDeque::new(),
            in_flight: PerPace::default(),
            held: PerPace::default(),
            running: BTreeMap::new(),
            number: 0,
        }
    }

    /// One more subscription names the endpoint.
    pub(crate) fn join(&mut self, key: &EndpointKey) {
        self.endpoints.entry(key.clone()).or_insert_with(Endpoint::new).accounts += 1;
    }

    /// One subscription less names the endpoint.
    pub(crate) fn leave(&mut self, key: &EndpointKey) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.accounts = endpoint.accounts.saturating_sub(1);
        }
        self.forget(key);
    }

    fn forget(&mut self, key: &EndpointKey) {
        if !self.endpoints.get(key).is_some_and(|it| it.accounts == 0 && it.in_flight == 0) {
            return;
        }
        if let Some(endpoint) = self.endpoints.remove(key) {
            for tenant in endpoint.parked {
                self.drop_queue(&tenant, key);
            }
        }
        for pace in [Pace::Quick, Pace::New, Pace::Slow] {
            let held = std::mem::take(self.held.of(pace));
            for (tenant, endpoint) in held {
                if endpoint == *key {
                    self.drop_queue(&tenant, key);
                } else {
                    self.held.of(pace).push_back((tenant, endpoint));
                }
            }
        }
    }

    fn drop_queue(&mut self, tenant: &Tenant, key: &EndpointKey) {
        if let Some(desk) = self.tenants.get_mut(tenant) {
            desk.waiting.remove(key);
        }
        self.clear_desk(tenant);
    }

    /// Forgets a tenant of which nothing waits.
    fn clear_desk(&mut self, tenant: &Tenant) {
        let is_idle = |desk: &Desk| desk.waiting.is_empty() && !desk.in_round;
        if self.tenants.get(tenant).is_some_and(is_idle) {
            self.tenants.remove(tenant);
        }
    }

    /// A subscription waits for its turn.
    pub(crate) fn queue(&mut self, key: &EndpointKey, account: AccountKey) {
        let tenant = account.tenant.clone();
        let desk = self.tenants.entry(tenant.clone()).or_default();
        if let Some(waiting) = desk.waiting.get_mut(key) {
            return waiting.push_back(account);
        }
        desk.waiting.insert(key.clone(), VecDeque::from([account]));
        self.place(&tenant, key);
    }

    /// A subscription does not wait any more.
    pub(crate) fn withdraw(&mut self, key: &EndpointKey, account: &AccountKey) {
        // Its queue, even if it is empty now, stays where it stands in the round.
        if let Some(desk) = self.tenants.get_mut(&account.tenant)
            && let Some(waiting) = desk.waiting.get_mut(key)
        {
            waiting.retain(|other| other != account);
        }
    }

    /// Puts what a tenant has waiting for an endpoint at the end of its round.
    fn place(&mut self, tenant: &Tenant, key: &EndpointKey) {
        let Some(desk) = self.tenants.get_mut(tenant) else { return };
        if !desk.waiting.contains_key(key) {
            return;
        }
        desk.round.push_back(key.clone());
        if !std::mem::replace(&mut desk.in_round, true) {
            self.round.push_back(tenant.clone());
        }
    }

    /// Whose turn it is.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Turn> {
        self.notice_slow(now);
        while self.has_room(Pace::Quick) {
            let (tenant, key) = self.next_pair()?;
            let Some(endpoint) = self.endpoints.get_mut(&key) else {
                self.drop_queue(&tenant, &key);
                continue;
            };
            match endpoint.room(now, self.bounds.per_endpoint) {
                Err(until) => {
                    endpoint.parked.push_back(tenant);
                    if !std::mem::replace(&mut endpoint.is_wake_planned, true) {
                        return Some(Turn::Wait(key, until));
                    }
                    continue;
                }
                Ok(room) if endpoint.in_flight >= room => {
                    // It comes back when one of them ends.
                    endpoint.parked.push_back(tenant);
                    continue;
                }
                Ok(_) => {}
            }
            let pace = endpoint.pace();
            if !self.has_room(pace) {
                self.held.of(pace).push_back((tenant, key));
                continue;
            }
            if let Some(account) = self.take(&tenant, &key) {
                return Some(Turn::Deliver(key, account));
            }
        }
        None
    }

    /// When to ask again at the latest, although nothing has ended: what is under way may be slow
    /// by then, and make room for others.
    pub(crate) fn look_at(&self) -> Option<Instant> {
        let is_waited = !self.round.is_empty() || !self.held.new.is_empty();
        let oldest = self.running.first_key_value().filter(|_| is_waited)?;
        Some(oldest.0.began + self.bounds.slow + Duration::from_millis(1))
    }

    fn has_room(&self, pace: Pace) -> bool {
        let (in_flight, total) = (self.in_flight.sum(), self.bounds.total.max(1));
        let is_free = in_flight < total;
        let has_half = self.in_flight.quick + self.in_flight.new < self.bounds.part(2);
        match pace {
            Pace::Quick => is_free || has_half && in_flight < total.saturating_mul(2),
            // Those of which nothing is known do not fill the room that is kept for quick ones.
            Pace::New => {
                let has_part = self.in_flight.new < self.bounds.part(4);
                let most = total.saturating_add(self.bounds.part(2));
                has_part && (is_free || has_half && in_flight < most)
            }
            Pace::Slow => is_free && self.in_flight.slow < self.bounds.part(2),
        }
    }

    fn next_pair(&mut self) -> Option<(Tenant, EndpointKey)> {
        while let Some(tenant) = self.round.pop_front() {
            let Some(desk) = self.tenants.get_mut(&tenant) else { continue };
            let key = desk.round.pop_front();
            desk.in_round = !desk.round.is_empty();
            if desk.in_round {
                self.round.push_back(tenant.clone());
            }
            if let Some(key) = key {
                return Some((tenant, key));
            }
            self.clear_desk(&tenant);
        }
        None
    }

    /// The first that waits, if there still is one; the others go to the end of the round.
    fn take(&mut self, tenant: &Tenant, key: &EndpointKey) -> Option<AccountKey> {
        let waiting = self.tenants.get_mut(tenant)?.waiting.get_mut(key)?;
        let account = waiting.pop_front();
        if waiting.is_empty() {
            self.drop_queue(tenant, key);
        } else {
            self.place(tenant, key);
        }
        account
    }

    /// A delivery begins.
    pub(crate) fn begin(&mut self, key: &EndpointKey, now: Instant) -> Ticket {
        self.number += 1;
        let ticket = Ticket { began: now, number: self.number };
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.in_flight += 1;
            *self.in_flight.of(endpoint.counted) += 1;
            self.running.insert(ticket, key.clone());
        }
        self.count(key);
        ticket
    }

    /// A delivery ends. `limit` failures in a row open the breaker for the `pause` that belongs
    /// to the number of times.
    pub(crate) fn end(
        &mut self,
        key: &EndpointKey,
        (ticket, now): (Ticket, Instant),
        sign: Sign,
        (limit, pause): (u32, impl Fn(u32) -> Duration),
    ) {
        let was_running = self.running.remove(&ticket).is_some();
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        let counted = self.in_flight.of(endpoint.counted);
        *counted = counted.saturating_sub(1);
        if !was_running {
            endpoint.overdue = endpoint.overdue.saturating_sub(1);
        }
        endpoint.note(sign, now.duration_since(ticket.began) > self.bounds.slow);
        if let Sign::Down(asked) = sign {
            endpoint.breaker.failed(now, limit, pause);
            endpoint.breaker.leave_alone(now, asked);
        }
        self.count(key);
        self.release(key, now);
        self.release_held();
        self.forget(key);
    }

    /// The endpoint takes part in the round again, if anybody waits for it.
    pub(crate) fn wake(&mut self, key: &EndpointKey, now: Instant) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.is_wake_planned = false;
        }
        self.release(key, now);
    }

    fn release(&mut self, key: &EndpointKey, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        // One of them is told until when it has to wait.
        let room = endpoint.room(now, self.bounds.per_endpoint).unwrap_or(endpoint.in_flight + 1);
        let free = room.saturating_sub(endpoint.in_flight).min(endpoint.parked.len());
        for tenant in endpoint.parked.drain(..free).collect::<Vec<_>>() {
            self.place(&tenant, key);
        }
    }

    fn release_held(&mut self) {
        for (pace, part) in [(Pace::New, 4), (Pace::Slow, 2)] {
            let free = self.bounds.part(part).saturating_sub(*self.in_flight.of(pace));
            let held = self.held.of(pace);
            let free = free.min(held.len());
            for (tenant, key) in held.drain(..free).collect::<Vec<_>>() {
                self.place(&tenant, &key);
            }
        }
    }

    /// Notices what has been under way for long.
    fn notice_slow(&mut self, now: Instant) {
        let mut has_noticed = false;
        while let Some(entry) = self.running.first_entry()
            && now.duration_since(entry.key().began) > self.bounds.slow
        {
            let key = entry.remove();
            if let Some(endpoint) = self.endpoints.get_mut(&key) {
                endpoint.overdue += 1;
            }
            self.count(&key);
            has_noticed = true;
        }
        if has_noticed {
            self.release_held();
        }
    }

    /// Counts what is under way to an endpoint at the pace that it has now.
    fn count(&mut self, key: &EndpointKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        let pace = endpoint.pace();
        let before = std::mem::replace(&mut endpoint.counted, pace);
        if before != pace {
            let counted = self.in_flight.of(before);
            *counted = counted.saturating_sub(endpoint.in_flight);
            *self.in_flight.of(pace) += endpoint.in_flight;
        }
    }

    /// Whether the endpoint is left alone.
    pub(crate) fn is_left_alone(&self, key: &EndpointKey) -> bool {
        self.endpoints.get(key).is_some_and(|endpoint| endpoint.breaker.is_open())
    }
}

#[cfg(test)]
mod tests;
