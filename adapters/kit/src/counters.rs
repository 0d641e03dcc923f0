//! What an adapter did, in numbers: for `/metrics` and for its status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use musubi_model::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

/// Why an input, or a part of one, was not used: a word of the metric's label, in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skip(pub &'static str);

impl Skip {
    /// A filter of the mapping file does not want it.
    pub const FILTERED: Self = Self("filtered");
    /// A value that is needed is not there.
    pub const MISSING: Self = Self("missing");
    /// A value is not of the kind that is needed, or an expression failed.
    pub const BAD_VALUE: Self = Self("bad_value");
    /// A number lies outside the range that is believed.
    pub const OUT_OF_RANGE: Self = Self("out_of_range");
    /// There is no usable time.
    pub const BAD_TIME: Self = Self("bad_time");
    /// What should be an identifier is not one.
    pub const BAD_ID: Self = Self("bad_id");
    /// There is no usable position.
    pub const BAD_POSITION: Self = Self("bad_position");
    /// The bytes are not of the format.
    pub const UNREADABLE: Self = Self("unreadable");
    /// It came before.
    pub const DUPLICATE: Self = Self("duplicate");
    /// Something newer is known already.
    pub const LATE: Self = Self("late");
    /// The device is not a known one.
    pub const UNKNOWN_DEVICE: Self = Self("unknown_device");
    /// It differs from the data model.
    pub const MODEL: Self = Self("model");
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAdapter {
    adapter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    adapter: String,
    reason: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;
type Instants = Gauge<i64, AtomicI64>;

/// The metrics of all adapters of a process. A cheap handle; one is registered, and gives each
/// adapter its [`Counters`].
#[derive(Clone, Debug, Default)]
pub struct AdapterMetrics {
    received: Family<ByAdapter, Counter>,
    mapped: Family<ByAdapter, Counter>,
    skipped: Family<ByReason, Counter>,
    unchanged: Family<ByAdapter, Counter>,
    written: Family<ByAdapter, Counter>,
    retried: Family<ByAdapter, Counter>,
    dead: Family<ByAdapter, Counter>,
    lag: Family<ByAdapter, Seconds>,
    feed_age: Family<ByAdapter, Seconds>,
    last_success: Family<ByAdapter, Instants>,
    last_failure: Family<ByAdapter, Instants>,
}

impl AdapterMetrics {
    /// Adds the metrics to a registry, under names that begin with `adapter_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("adapter");
        registry.register("received", "Inputs that came in", self.received.clone());
        registry.register("mapped", "Entities that inputs became", self.mapped.clone());
        registry.register("skipped", "Inputs or parts not used", self.skipped.clone());
        registry.register("unchanged", "Inputs that change nothing", self.unchanged.clone());
        registry.register("written", "Entities that were written", self.written.clone());
        registry.register("retried", "Attempts after a failure", self.retried.clone());
        registry.register("dead", "Dead letters", self.dead.clone());
        registry.register(
            "lag_seconds",
            "From the arrival of the newest settled input to its being durable",
            self.lag.clone(),
        );
        registry.register(
            "feed_age_seconds",
            "From the time that the source says its data is of to now",
            self.feed_age.clone(),
        );
        registry.register(
            "last_success_timestamp_seconds",
            "When the adapter last did what it should",
            self.last_success.clone(),
        );
        registry.register(
            "last_failure_timestamp_seconds",
            "When the adapter last could not",
            self.last_failure.clone(),
        );
    }

    /// The counters of the adapter of that name.
    pub fn counters(&self, adapter: &str) -> Counters {
        let label = ByAdapter { adapter: adapter.to_owned() };
        Counters(Arc::new(Cells {
            received: self.received.get_or_create_owned(&label),
            mapped: self.mapped.get_or_create_owned(&label),
            unchanged: self.unchanged.get_or_create_owned(&label),
            written: self.written.get_or_create_owned(&label),
            retried: self.retried.get_or_create_owned(&label),
            dead: self.dead.get_or_create_owned(&label),
            lag: self.lag.get_or_create_owned(&label),
            feed_age: self.feed_age.get_or_create_owned(&label),
            last_success: self.last_success.get_or_create_owned(&label),
            last_failure: self.last_failure.get_or_create_owned(&label),
            skipped: self.skipped.clone(),
            by_reason: Mutex::default(),
            last: Mutex::default(),
            adapter: label.adapter,
        }))
    }
}

/// The counters of one adapter: a cheap handle.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    adapter: String,
    received: Counter,
    mapped: Counter,
    unchanged: Counter,
    written: Counter,
    retried: Counter,
    dead: Counter,
    lag: Seconds,
    feed_age: Seconds,
    last_success: Instants,
    last_failure: Instants,
    skipped: Family<ByReason, Counter>,
    /// Handles on the labelled counters that this adapter has used.
    by_reason: Mutex<BTreeMap<Skip, Counter>>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    success: Option<Timestamp>,
    failure: Option<(Timestamp, String)>,
}

impl Counters {
    /// Counters that nobody reads from outside, for a preview or a test.
    pub fn unregistered(adapter: &str) -> Self {
        AdapterMetrics::default().counters(adapter)
    }

    /// The adapter.
    pub fn adapter(&self) -> &str {
        &self.0.adapter
    }

    /// So many inputs came in.
    pub fn received(&self, inputs: usize) {
        add(&self.0.received, inputs);
    }

    /// Inputs became so many entities.
    pub fn mapped(&self, entities: usize) {
        add(&self.0.mapped, entities);
    }

    /// So many inputs, or parts of them, were not used.
    pub fn skipped(&self, why: Skip, inputs: usize) {
        if inputs == 0 {
            return;
        }
        let mut by_reason = self.0.by_reason.lock();
        let counter = by_reason.entry(why).or_insert_with(|| {
            let label = ByReason { adapter: self.0.adapter.clone(), reason: why.0 };
            self.0.skipped.get_or_create_owned(&label)
        });
        add(counter, inputs);
    }

    /// So many inputs changed nothing.
    pub fn unchanged(&self, inputs: usize) {
        add(&self.0.unchanged, inputs);
    }

    /// So many entities were written.
    pub fn written(&self, entities: usize) {
        add(&self.0.written, entities);
    }

    /// Something failed and is tried again.
    pub fn retried(&self) {
        add(&self.0.retried, 1);
    }

    /// So many inputs became dead letters.
    pub fn dead(&self, inputs: usize) {
        add(&self.0.dead, inputs);
    }

    /// The seconds from the arrival of the newest input of a batch to its being settled.
    pub fn lag_seconds(&self, seconds: f64) {
        self.0.lag.set(seconds);
    }

    /// The seconds from the time that the source says its data is of to now.
    pub fn feed_age_seconds(&self, seconds: f64) {
        self.0.feed_age.set(seconds);
    }

    /// The adapter did what it should.
    pub fn succeeded(&self, at: Timestamp) {
        self.0.last_success.set(at.as_micros().div_euclid(1_000_000));
        self.0.last.lock().success = Some(at);
    }

    /// The adapter could not; `error` is a sentence without secrets.
    pub fn failed(&self, at: Timestamp, error: impl Into<String>) {
        self.0.last_failure.set(at.as_micros().div_euclid(1_000_000));
        self.0.last.lock().failure = Some((at, error.into()));
    }

    /// The numbers as JSON, for the status of the adapter: counts since the start, seconds, and
    /// times in RFC 3339.
    pub fn status(&self) -> Value {
        let cells = &self.0;
        let skipped: serde_json::Map<String, Value> = cells
            .by_reason
            .lock()
            .iter()
            .map(|(why, counter)| (why.0.to_owned(), Value::from(counter.get())))
            .collect();
        let last = cells.last.lock();
        json!({
            "received": cells.received.get(),
            "mapped": cells.mapped.get(),
            "skipped": skipped,
            "unchanged": cells.unchanged.get(),
            "written": cells.written.get(),
            "retried": cells.retried.get(),
            "dead": cells.dead.get(),
            "lagSeconds": cells.lag.get(),
            "feedAgeSeconds": cells.feed_age.get(),
            "lastSuccess": last.success.map(|at| at.to_string()),
            "lastFailure": last.failure.as_ref().map(|(at, _)| at.to_string()),
            "lastError": last.failure.as_ref().map(|(_, error)| error.clone()),
        })
    }
}

fn add(counter: &Counter, amount: usize) {
    counter.inc_by(u64::try_from(amount).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_status_and_in_the_registry() {
        let metrics = AdapterMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let counters = metrics.counters("tokyo");
        counters.received(3);
        counters.skipped(Skip::BAD_POSITION, 2);
        counters.skipped(Skip::BAD_POSITION, 0);
        counters.clone().written(1);
        counters.failed(Timestamp::from_seconds(5), "no answer");

        let status = counters.status();
        assert_eq!(status["received"], 3);
        assert_eq!(status["skipped"], json!({ "bad_position": 2 }));
        assert_eq!(status["written"], 1);
        assert_eq!(status["lastError"], "no answer");
        assert_eq!(status["lastSuccess"], Value::Null);

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("adapter_received_total{adapter=\"tokyo\"} 3"), "{text}");
        assert!(
            text.contains("adapter_skipped_total{adapter=\"tokyo\",reason=\"bad_position\"} 2"),
            "{text}"
        );
    }
}
