//! What a history tells of itself.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The metrics of a history. A clone shows the same figures.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) recent_instances: Gauge,
    pub(crate) recent_bytes: Gauge,
    pub(crate) instances: Gauge,
    pub(crate) segments: Gauge,
    pub(crate) disk_bytes: Gauge,
    pub(crate) cursor: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) gap: Gauge,
    pub(crate) damaged: Gauge,
    pub(crate) roll_ups: Gauge,
    pub(crate) dropped: Counter,
    pub(crate) seeded: Counter,
    pub(crate) flushes: Counter,
    pub(crate) flush_seconds: Counter<f64, AtomicU64>,
    pub(crate) merges: Counter,
    pub(crate) merges_put_off: Counter,
    pub(crate) merge_seconds: Counter<f64, AtomicU64>,
    pub(crate) failures: Counter,
}

impl Metrics {
    /// Shows the metrics in a registry, with names that begin with `history`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("history");
        let gauges = [
            ("memory_instances", "Instances that are in no segment yet", &self.recent_instances),
            ("memory_used_bytes", "What those take in memory, about", &self.recent_bytes),
            ("instances", "Instances in segments, corrected ones counted twice", &self.instances),
            ("roll_ups", "Roll-ups in segments", &self.roll_ups),
            ("segments", "Segments", &self.segments),
            ("disk_used_bytes", "Size of the segments", &self.disk_bytes),
            ("cursor", "The change of the log up to which segments reach", &self.cursor),
            ("lag", "Changes of the log that are not read yet", &self.lag),
            ("damaged_segments", "Segments found damaged, which are not merged", &self.damaged),
            ("gap", "1 if changes are missing that the log did not hold any more", &self.gap),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let counters = [
            ("flushes", "Segments written from memory", &self.flushes),
            ("dropped", "Instances dropped because of their age", &self.dropped),
            ("seeded", "Instances recorded of what entities were behind a gap", &self.seeded),
            ("merges", "Merges of segments", &self.merges),
            ("merges_put_off", "Merges put off for want of room on the disk", &self.merges_put_off),
            ("failures", "Segments that could not be written or merged", &self.failures),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let flush = "Time that went into writing segments from memory";
        registry.register_with_unit("flush", flush, Unit::Seconds, self.flush_seconds.clone());
        let merge = "Time that went into merging segments";
        registry.register_with_unit("merge", merge, Unit::Seconds, self.merge_seconds.clone());
    }
}

/// A figure for a gauge.
pub(crate) fn gauge(figure: impl TryInto<i64>) -> i64 {
    figure.try_into().unwrap_or(i64::MAX)
}
