//! What the store tells of itself.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The store's metrics. A clone shows the same figures.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) batch_groups: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) sync_seconds: Histogram,
    pub(crate) stall_seconds: Counter<f64, AtomicU64>,
    pub(crate) failures: Counter,
    pub(crate) queue_length: Gauge,
    pub(crate) tenants: Gauge,
    pub(crate) entities: Gauge,
    pub(crate) records: Gauge,
    pub(crate) log_first: Gauge,
    pub(crate) log_newest: Gauge,
    pub(crate) disk_bytes: Gauge,
    pub(crate) disk_free_bytes: Gauge,
    pub(crate) healthy: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        Self {
            batch_groups: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: seconds(),
            sync_seconds: seconds(),
            stall_seconds: Counter::default(),
            failures: Counter::default(),
            queue_length: Gauge::default(),
            tenants: Gauge::default(),
            entities: Gauge::default(),
            records: Gauge::default(),
            log_first: Gauge::default(),
            log_newest: Gauge::default(),
            disk_bytes: Gauge::default(),
            disk_free_bytes: Gauge::default(),
            healthy: Gauge::default(),
        }
    }

    /// Shows the metrics in a registry, with names that begin with `store`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("store");
        let groups = "Groups that were committed by one batch";
        registry.register("batch_groups", groups, self.batch_groups.clone());
        let commit = "Time from taking a batch to answering it";
        registry.register_with_unit("commit", commit, Unit::Seconds, self.commit_seconds.clone());
        let sync = "Time that the disk took to make a batch durable";
        registry.register_with_unit("sync", sync, Unit::Seconds, self.sync_seconds.clone());
        let stall = "Time that batches waited for the engine to catch up";
        registry.register_with_unit("stall", stall, Unit::Seconds, self.stall_seconds.clone());
        let failures = "Failures after which the engine was opened again";
        registry.register("engine_failures", failures, self.failures.clone());
        let gauges = [
            ("queue_length", "Requests that wait for the committer", &self.queue_length),
            ("tenants", "Tenants that have or had entities", &self.tenants),
            ("entities", "Entities", &self.entities),
            ("records", "Records in memory; what is due and dead letters are not", &self.records),
            ("log_first", "The oldest change that the log may hold", &self.log_first),
            ("log_newest", "The newest change in the log", &self.log_newest),
            ("disk_used_bytes", "Size of the engine's files", &self.disk_bytes),
            ("disk_free_bytes", "Room on the disk", &self.disk_free_bytes),
            ("healthy", "1 if writes are taken, 0 if not", &self.healthy),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }
}

/// A figure for a gauge.
pub(crate) fn gauge(figure: impl TryInto<i64>) -> i64 {
    figure.try_into().unwrap_or(i64::MAX)
}
