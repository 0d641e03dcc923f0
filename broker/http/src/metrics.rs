//! Counts and times of requests, by route. The counters of a route are found without asking a map
//! that all requests share.

use http::{Method, StatusCode};
use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Duration;

type Labels = Vec<(&'static str, String)>;
type Requests = Family<Labels, Counter>;
type Durations = Family<Labels, Histogram, fn() -> Histogram>;

/// From 100 µs to about half a minute.
fn histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0001, 4.0, 10))
}

/// The metrics of all routes.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Requests,
    durations: Durations,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let requests = Requests::default();
        let durations = Durations::new_with_constructor(histogram);
        registry.register(
            "http_requests",
            "Requests answered, by route, method and status",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its answer, by route",
            Unit::Seconds,
            durations.clone(),
        );
        Self { requests, durations }
    }

    /// The metrics of one route.
    pub(crate) fn route(&self, route: &'static str) -> RouteMetrics {
        let labels = vec![("route", route.to_owned())];
        let duration = self.durations.get_or_create_owned(&labels);
        let requests = self.requests.clone();
        RouteMetrics { route, requests, duration, counters: RwLock::default() }
    }
}

/// The metrics of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) route: &'static str,
    requests: Requests,
    duration: Histogram,
    /// The few answers that the route gives, each with its counter.
    counters: RwLock<Vec<(Method, StatusCode, Counter)>>,
}

/// Methods that have a label of their own; whatever else a client may invent shares one.
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

impl RouteMetrics {
    /// Counts an answer.
    pub(crate) fn count(&self, method: &Method, status: StatusCode, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        let counted = self.counters.read().iter().any(|(known, answered, counter)| {
            let same = known == method && *answered == status;
            if same {
                counter.inc();
            }
            same
        });
        if !counted {
            self.first(method, status);
        }
    }

    fn first(&self, method: &Method, status: StatusCode) {
        let known = METHODS.contains(method);
        let name = if known { method.as_str() } else { "other" };
        let labels = vec![
            ("route", self.route.to_owned()),
            ("method", name.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        let counter = self.requests.get_or_create_owned(&labels);
        counter.inc();
        if known {
            let mut counters = self.counters.write();
            if !counters.iter().any(|(known, answered, _)| known == method && *answered == status) {
                counters.push((method.clone(), status, counter));
            }
        }
    }
}
