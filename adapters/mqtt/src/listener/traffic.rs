//! What goes on at the listener, in numbers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Numbers of a listener, from its start. A cheap handle: clones count together.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections whose CONNECT was accepted.
    pub accepted: Counter,
    /// Connections refused because there were too many.
    pub over_capacity: Counter,
    /// Connections refused because of a wrong or missing password.
    pub unauthenticated: Counter,
    /// Connections that a newer one with the same client identifier ended.
    pub taken_over: Counter,
    /// Connections ended for packets that are malformed, too large or not allowed.
    pub violations: Counter,
    /// Connections ended because nothing came for one and a half times the keep-alive.
    pub silent: Counter,
    /// Messages received with quality of service 1.
    pub at_least_once: Counter,
    /// Messages received with quality of service 0.
    pub at_most_once: Counter,
    /// Messages of quality 0 dropped, the oldest first, because too many waited.
    pub dropped: Counter,
    /// Messages refused because their topic is not one of the user's.
    pub unauthorized: Counter,
    /// Messages that were handed on and refused.
    pub refused: Counter,
    /// Acknowledgements sent.
    pub acknowledged: Counter,
    /// Messages that wait for their verdict.
    pub waiting: Gauge,
}

impl Traffic {
    /// Makes the numbers part of `/metrics`, each beginning with `mqtt_`.
    pub fn register(&self, registry: &mut Registry) {
        let mut count = |name: &str, help: &str, counter: &Counter| {
            registry.register(format!("mqtt_{name}"), help, counter.clone());
        };
        count("connections_accepted", "Connections accepted", &self.accepted);
        count("connections_over_capacity", "Connections refused: too many", &self.over_capacity);
        count("connections_unauthenticated", "Connections refused: login", &self.unauthenticated);
        count("connections_taken_over", "Connections ended by a newer one", &self.taken_over);
        count("connections_violating", "Connections ended: bad packets", &self.violations);
        count("connections_silent", "Connections ended: keep-alive passed", &self.silent);
        count("messages_at_least_once", "Messages of quality 1", &self.at_least_once);
        count("messages_at_most_once", "Messages of quality 0", &self.at_most_once);
        count("messages_dropped", "Messages of quality 0 dropped", &self.dropped);
        count("messages_unauthorized", "Messages to others' topics", &self.unauthorized);
        count("messages_refused", "Messages that could not be used", &self.refused);
        count("messages_acknowledged", "Acknowledgements sent", &self.acknowledged);
        let mut level = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(format!("mqtt_{name}"), help, gauge.clone());
        };
        level("connections", "Connections that are open", &self.connections);
        level("messages_waiting", "Messages that wait for their verdict", &self.waiting);
    }
}
