//! How long it takes to find those whom a change concerns.

use std::time::Duration;

use musubi_model::{Tenant, Timestamp};
use musubi_notify::SubscriptionIndex;
use tokio::time::Instant;

use super::shapes::{Blend, change, subscription};
use crate::Failure;

/// How many changes are looked up.
const CHANGES: usize = 20_000;

/// Different ones among them.
const DIFFERENT: usize = 2_000;

/// What was measured of one index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Microseconds per change.
    pub(crate) median: f64,
    /// Microseconds of the slowest hundredth.
    pub(crate) tail: f64,
    /// How many a change concerned, at least and at most.
    pub(crate) matches: (usize, usize),
    /// Bytes that the index takes per subscription.
    pub(crate) bytes: usize,
    /// Microseconds that it takes to add one.
    pub(crate) adding: f64,
}

/// Fills an index, and looks changes up in it.
///
/// # Errors
///
/// If a subscription is refused.
pub(crate) fn measure(blend: Blend, count: usize) -> Result<Measured, Failure> {
    let tenant = Tenant::default();
    let mut index = SubscriptionIndex::default();
    let mut adding = Duration::ZERO;
    for serial in 0..count {
        let place = serial % blend.len();
        let Some((shape, matches)) = blend.get(place) else { continue };
        let one = subscription(*shape, (serial / blend.len(), *matches), serial)?;
        let started = Instant::now();
        index.insert(&tenant, one);
        adding += started.elapsed();
    }
    let changes: Vec<_> = (0..DIFFERENT)
        .map(|number| change(blend, count, number.wrapping_mul(2_654_435_761) % count.max(1)))
        .collect::<Result<_, _>>()?;
    let (time, mut least, mut most) = (Timestamp::from_seconds(3), usize::MAX, 0);
    let mut times = Vec::with_capacity(CHANGES);
    for change in changes.iter().cycle().take(CHANGES) {
        let started = Instant::now();
        let found = index.due(&tenant, change, time).decided.len();
        times.push(started.elapsed());
        (least, most) = (least.min(found), most.max(found));
    }
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    let all = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Measured {
        median: at(CHANGES / 2),
        tail: at(CHANGES / 100 * 99),
        matches: (least, most),
        bytes: index.heap_bytes() / count.max(1),
        adding: adding.as_secs_f64() * 1e6 / all,
    })
}
