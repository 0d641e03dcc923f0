//! How a notifier works.

use std::time::Duration;

use crate::NotificationKey;

/// Bounds, times and the secret of a [`Notifier`](crate::Notifier).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierOptions {
    /// The most changes that are read from the log at once; at least 1. Default 1,000.
    pub batch_changes: usize,
    /// After so many pairs of change and subscription a batch is closed, so that one row of the
    /// outbox stays small; at least 1. Default 10,000.
    pub batch_pairs: usize,
    /// The most pending changes of one subscription that are held in memory; at least 1. The
    /// others wait in the store. Default 256.
    pub lane_window: usize,
    /// The most deliveries at the same time; at least 1. Slow endpoints are given at most half of
    /// them and such as have not answered yet a quarter. The others never have less than half, so
    /// that when many become slow at once there may be more for a while, but never twice as many.
    /// Default 1,024.
    pub deliveries: usize,
    /// The most deliveries to one endpoint (scheme, host and port, for one tenant) at the same time; at least 1.
    /// A slow endpoint gets one at a time, and so does one that has not answered yet. Default 8.
    pub deliveries_per_endpoint: usize,
    /// An endpoint is slow while its last answer took longer than this, or one under way does, or
    /// it fails. Default 1 s.
    pub slow: Duration,
    /// How long an endpoint may take to answer, unless the subscription asks for less. Default
    /// 10 s.
    pub timeout: Duration,
    /// The pause after the first failure of a delivery; it doubles with every further one.
    /// Default 1 s.
    pub first_retry: Duration,
    /// The longest pause, whatever the endpoint's `Retry-After` asks for. Only a subscription's own
    /// `cooldown` may be longer, up to `max_age`. Default 5 minutes.
    pub longest_retry: Duration,
    /// After so many attempts a change goes to the dead letters; at least 1. Default 500.
    pub attempts: u32,
    /// After so many attempts that the endpoint refused (a status 3xx or 4xx other than 408, 425
    /// and 429, or an address that may not be reached) a change goes to the dead letters, and so does
    /// every later one at its first refusal, until one is accepted or fails in another way; at least
    /// 1. Default 5.
    pub refusals: u32,
    /// A change of this age goes to the dead letters when its delivery fails, and with it every
    /// older one that waits behind it. Pending changes of a subscription that has been paused for
    /// so long are suppressed. Default 24 hours.
    pub max_age: Duration,
    /// After so many failures in a row an endpoint is left alone for a while; at least 1. The
    /// pauses are those of `first_retry` and `longest_retry`. Default 5.
    pub breaker_failures: u32,
    /// How long results of deliveries may wait to be saved. A crash repeats at most the
    /// deliveries of that time. Default 100 ms.
    pub save_delay: Duration,
    /// After so many results they are saved at once; at least 1. Default 256.
    pub save_results: usize,
    /// How long the cursor may wait to be saved when nothing is due. A crash reads the changes of
    /// that time again. Default 1 s.
    pub cursor_delay: Duration,
    /// How long deliveries under way may take to end when the notifier stops. Default 10 s.
    pub grace: Duration,
    /// How often paused and expired subscriptions are looked through for what they hold back.
    /// Default 30 s.
    pub sweep: Duration,
    /// What the ids of notifications are made with: the same after every start, so that they are.
    /// Default one that everybody knows, which is for tests.
    pub ids: NotificationKey,
}

impl Default for NotifierOptions {
    fn default() -> Self {
        Self {
            batch_changes: 1000,
            batch_pairs: 10_000,
            lane_window: 256,
            deliveries: 1024,
            deliveries_per_endpoint: 8,
            slow: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_mins(5),
            attempts: 500,
            refusals: 5,
            max_age: Duration::from_hours(24),
            breaker_failures: 5,
            save_delay: Duration::from_millis(100),
            save_results: 256,
            cursor_delay: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            sweep: Duration::from_secs(30),
            ids: NotificationKey::default(),
        }
    }
}
