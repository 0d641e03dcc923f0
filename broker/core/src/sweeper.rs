//! The service that removes what has expired, in all tenants.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use musubi_model::Tenant;
use tokio::time::MissedTickBehavior;

use crate::{Broker, Caller, Error};

/// How the sweeper works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweeperOptions {
    /// How long it rests between rounds; at least a millisecond.
    pub interval: Duration,
    /// How many entities are looked at, and committed, at once; at least 1.
    pub page: usize,
    /// How many pages of one tenant a round looks at before it is the next tenant's turn; at least
    /// 1. What is left is for the next round, which then comes at once.
    pub pages: usize,
}

impl Default for SweeperOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), page: 500, pages: 20 }
    }
}

/// How long the sweeper rests between looking for entity maps that have expired. New ones make room
/// for themselves meanwhile.
const MAPS_INTERVAL: Duration = Duration::from_mins(1);

/// Removes what has expired (CIM 009, clause 4.22), a little after it has: no reader sees it
/// meanwhile.
#[derive(Debug)]
pub struct Sweeper {
    broker: Broker,
    options: SweeperOptions,
}

/// What a round found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepRound {
    /// How many entities were deleted or lost parts.
    pub entities: usize,
    /// Whether more had expired than a round looks at.
    pub more: bool,
}

impl Sweeper {
    /// A sweeper for all tenants of a broker.
    pub fn new(broker: Broker, options: SweeperOptions) -> Self {
        Self { broker, options }
    }

    /// Works until `shutdown` is there. A store that fails is asked again in the next round.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let stop = shutdown.boxed().shared();
        let mut ticks = tokio::time::interval(self.options.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut maps = tokio::time::interval(MAPS_INTERVAL);
        maps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.clone() => return,
                _ = ticks.tick() => {}
                _ = maps.tick() => {
                    tokio::select! {
                        () = stop.clone() => return,
                        swept = self.round_of_maps() => if let Err(error) = swept {
                            tracing::warn!(%error, "entity maps that have expired could not be removed");
                        },
                    }
                    continue;
                }
            }
            let round = tokio::select! {
                () = stop.clone() => return,
                round = self.round() => round,
            };
            match round {
                Ok(round) => {
                    if round.entities > 0 {
                        tracing::debug!(entities = round.entities, "what has expired was removed");
                    }
                    if round.more {
                        ticks.reset_immediately();
                    }
                    is_failing = false;
                }
                // Said once, and not every second of a night.
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "what has expired could not be removed");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Looks at every tenant once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer; then some tenants may have been swept.
    pub async fn round(&self) -> Result<SweepRound, Error> {
        let mut round = SweepRound::default();
        for tenant in self.broker.tenants() {
            let swept = self.tenant(tenant).await?;
            round.entities += swept.entities;
            round.more |= swept.more;
        }
        Ok(round)
    }

    /// Looks at the entity maps of every tenant once; how many were removed.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer; then some tenants may have been swept.
    pub async fn round_of_maps(&self) -> Result<usize, Error> {
        let mut swept = 0;
        for tenant in self.broker.tenants() {
            let session = self.broker.session(Caller::Local, tenant);
            swept += session.sweep_maps(session.now()).await?;
        }
        Ok(swept)
    }

    async fn tenant(&self, tenant: Tenant) -> Result<SweepRound, Error> {
        let session = self.broker.session(Caller::Local, tenant);
        let now = session.now();
        let mut round = SweepRound::default();
        let mut after = None;
        for _ in 0..self.options.pages.max(1) {
            let swept = session.sweep(after, self.options.page.max(1), now).await?;
            round.entities += swept.entities;
            after = swept.next;
            if after.is_none() {
                break;
            }
        }
        // Without any progress there is no hurry: others are writing what was to be removed.
        round.more = after.is_some() && round.entities > 0;
        Ok(round)
    }
}
