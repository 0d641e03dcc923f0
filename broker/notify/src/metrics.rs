//! What `/metrics` shows of the notifier.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::notifications::Shared;

/// The counters of a notifier.
#[derive(Debug)]
pub(crate) struct Metrics {
    attempts: Family<Outcome, Counter>,
    pub(crate) changes: Counter,
    pub(crate) matching: Histogram,
    pub(crate) open_breakers: Gauge,
    pub(crate) subscriptions: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            changes: Counter::default(),
            matching: Histogram::new(exponential_buckets(0.000_1, 4.0, 9)),
            open_breakers: Gauge::default(),
            subscriptions: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts an attempt: `delivered`, `failed`, `refused`, `dead` or `unread`.
    pub(crate) fn attempt(&self, outcome: &'static str) {
        self.attempts.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "notify_attempts",
            "Deliveries by what came of them; dead counts changes given up",
            self.attempts.clone(),
        );
        registry.register("notify_changes_read", "Changes read from the log", self.changes.clone());
        registry.register_with_unit(
            "notify_matching",
            "Time to find out whom a batch of changes concerns",
            Unit::Seconds,
            self.matching.clone(),
        );
        registry.register(
            "notify_open_breakers",
            "Endpoints that are left alone because they keep failing",
            self.open_breakers.clone(),
        );
        registry.register(
            "notify_subscriptions",
            "Subscriptions that the notifier serves",
            self.subscriptions.clone(),
        );
    }
}

/// What is computed when somebody looks.
#[derive(Debug)]
pub(crate) struct LedgerCollector(pub(crate) Arc<Shared>);

impl Collector for LedgerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let totals = self.0.totals();
        let age = self.0.oldest_pending_seconds();
        let counts = [
            ("notify_due", "Changes that were due to a subscription", totals.due),
            ("notify_delivered", "Due changes that were delivered", totals.delivered),
            ("notify_pending", "Due changes that are still to be delivered", totals.pending),
            ("notify_dead", "Due changes that are in the dead letters", totals.dead),
            ("notify_suppressed", "Due changes that are not to be sent", totals.suppressed),
        ];
        for (name, help, count) in counts {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        let gauge = ConstGauge::new(age);
        let metric = encoder.encode_descriptor(
            "notify_oldest_pending",
            "Age of the oldest change that is still to be delivered; 0 if there is none",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}
