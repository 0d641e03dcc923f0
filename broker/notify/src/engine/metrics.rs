//! What `/metrics` shows of the notifier.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::Ledger;
use crate::engine::notifications::{Books, Shared};

/// The counters of a notifier.
#[derive(Debug)]
pub(crate) struct Metrics {
    attempts: Family<Outcome, Counter>,
    pub(crate) changes: Counter,
    pub(crate) matching: Histogram,
    pub(crate) lost: Counter,
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
            lost: Counter::default(),
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
            "notify_lost",
            "Changes that were due and were neither pending nor settled when the notifier began; \
             more than 0 is a bug",
            self.lost.clone(),
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

/// The most subscriptions, and the most tenants, that have series of their own. Each is five lines
/// of every answer, and five series in the memory of who collects them.
const MOST_SERIES: usize = 1_000;

/// A count of a ledger: the end of its name, what it says, and where it stands.
type Count = (&'static str, &'static str, fn(&Ledger) -> u64);

/// The counts of a ledger.
const COUNTS: [Count; 5] = [
    ("due", "Changes that were due", |ledger| ledger.due),
    ("delivered", "Due changes that were delivered", |ledger| ledger.delivered),
    ("pending", "Due changes that are still to be delivered", |ledger| ledger.pending),
    ("dead", "Due changes that are in the dead letters", |ledger| ledger.dead),
    ("suppressed", "Due changes that are not to be sent", |ledger| ledger.suppressed),
];

type Labels = Vec<(&'static str, String)>;

/// Ledgers with their labels, and how many more there are.
struct Series {
    ledgers: Vec<(Labels, Ledger)>,
    left_out: usize,
}

impl Series {
    /// One for each subscription, in the order of tenants and ids, so that those which are left out are
    /// the same every time.
    fn of_subscriptions(books: &Books) -> Self {
        let shown = books.accounts.iter().take(MOST_SERIES).map(|(key, shown)| {
            let tenant = ("tenant", key.tenant.to_string());
            (vec![tenant, ("subscription", key.id.to_string())], shown.ledger)
        });
        let left_out = books.accounts.len().saturating_sub(MOST_SERIES);
        Self { ledgers: shown.collect(), left_out }
    }

    /// One for each tenant that has subscriptions.
    fn of_tenants(books: &Books) -> Self {
        let tenants = books.tenants.iter().take(MOST_SERIES);
        let shown = tenants
            .map(|(tenant, (ledger, _))| (vec![("tenant", tenant.to_string())], *ledger))
            .collect();
        Self { ledgers: shown, left_out: books.tenants.len().saturating_sub(MOST_SERIES) }
    }

    /// Writes one gauge per count, and one that says how many are left out.
    fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        of: &str,
        whose: &str,
    ) -> Result<(), std::fmt::Error> {
        for (end, help, count) in COUNTS {
            let (name, help) = (format!("{of}_{end}"), format!("{help}, by {whose}"));
            let mut metric = encoder.encode_descriptor(&name, &help, None, MetricType::Gauge)?;
            for (labels, ledger) in &self.ledgers {
                gauge(count(ledger)).encode(metric.encode_family(labels)?)?;
            }
        }
        let name = format!("{of}_series_left_out");
        let help =
            format!("How many have no series of their own, beyond {MOST_SERIES}, by {whose}");
        let left_out = ConstGauge::new(i64::try_from(self.left_out).unwrap_or(i64::MAX));
        left_out.encode(encoder.encode_descriptor(&name, &help, None, MetricType::Gauge)?)
    }
}

fn gauge(count: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Collector for LedgerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let totals = self.0.totals();
        for (end, help, count) in COUNTS {
            let name = format!("notify_{end}");
            let metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            gauge(count(&totals)).encode(metric)?;
        }
        let metric = encoder.encode_descriptor(
            "notify_oldest_pending",
            "Age of the oldest change that is still to be delivered; 0 if there is none",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(self.0.oldest_pending_seconds()).encode(metric)?;
        let look = |books: &Books| (Series::of_tenants(books), Series::of_subscriptions(books));
        let (tenants, subscriptions) = self.0.look(look);
        tenants.encode(&mut encoder, "tenant", "tenant")?;
        subscriptions.encode(&mut encoder, "subscription", "subscription")
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::{SystemClock, Tenant};
    use prometheus_client::encoding::text;

    use super::*;
    use crate::DeliveryStatus;
    use crate::engine::account::AccountKey;
    use crate::engine::notifications::Shown;
    use crate::queue::endpoint::EndpointKey;

    fn shown(due: u64) -> Shown {
        let ledger = Ledger { due, delivered: due, ..Ledger::default() };
        let endpoint = EndpointKey::of(&Tenant::default(), &"http://receiver:1/".parse().unwrap());
        let status = DeliveryStatus::default();
        Shown { ledger, status, oldest: None, endpoint, reason: None }
    }

    fn key(tenant: &str, number: u32) -> AccountKey {
        let (tenant, id) = (tenant.parse().unwrap(), format!("urn:x:{number:05}"));
        AccountKey { tenant, id: id.parse().unwrap() }
    }

    fn text(shared: &Arc<Shared>) -> Vec<String> {
        let mut registry = Registry::with_prefix("musubi");
        registry.register_collector(Box::new(LedgerCollector(Arc::clone(shared))));
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_thousand_subscriptions_have_series_and_the_others_are_counted() {
        let shared =
            Arc::new(Shared::new(Arc::new(SystemClock), crate::NotificationKey::default()));
        let all = (0..1_003).map(|number| (key("a", number), Some(shown(2))));
        shared.show(all, Ledger::default());
        let lines = text(&shared);
        let due = lines.iter().filter(|line| line.starts_with("musubi_subscription_due{"));
        assert_eq!(due.count(), 1_000);
        let first = "musubi_subscription_due{tenant=\"a\",subscription=\"urn:x:00000\"} 2";
        assert!(lines.iter().any(|line| line == first), "{:?}", &lines[..40]);
        assert!(lines.contains(&"musubi_subscription_series_left_out 3".to_owned()));
        assert!(lines.contains(&"musubi_tenant_due{tenant=\"a\"} 2006".to_owned()));
        assert!(lines.contains(&"musubi_notify_due 2006".to_owned()));
    }

    #[test]
    fn the_sum_of_a_tenant_follows_its_subscriptions() {
        let shared =
            Arc::new(Shared::new(Arc::new(SystemClock), crate::NotificationKey::default()));
        let (one, other) = (key("a", 1), key("b", 1));
        let both = [(one.clone(), Some(shown(5))), (other.clone(), Some(shown(7)))];
        shared.show(both.into_iter(), Ledger::default());
        shared.show([(one.clone(), Some(shown(6)))].into_iter(), Ledger::default());
        let tenant = |tenant: &str| {
            let tenant: Tenant = tenant.parse().unwrap();
            shared.look(|books| {
                books.tenants.get(&tenant).map(|(ledger, count)| (ledger.due, *count))
            })
        };
        assert_eq!((tenant("a"), tenant("b")), (Some((6, 1)), Some((7, 1))));
        let retired = shown(6).ledger;
        shared.show([(one, None)].into_iter(), retired);
        assert_eq!((tenant("a"), tenant("b")), (None, Some((7, 1))));
        assert_eq!(shared.totals().due, 13);
        assert!(text(&shared).contains(&"musubi_notify_due 13".to_owned()));
    }
}
