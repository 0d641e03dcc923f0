//! Subscriptions: what they say, whom a change concerns, and how it is told.
//!
//! [`Subscription`] is read, kept and shown here; [`match_subscription`] defines which change is
//! due to which subscription, and [`SubscriptionIndex`] finds the same answer faster. The
//! [`Notifier`] reads the change log from its cursor, writes what is due together with the new
//! cursor, and delivers it in lanes: the order of one subscription is kept, an endpoint that is
//! down delays nobody else, and what cannot be delivered ends in the dead letters. The [`Ledger`]
//! of each subscription accounts for every change: due = delivered + pending + dead +
//! suppressed.
//!
//! Nothing here knows of requests to the API. Who creates a subscription writes a record, and
//! the notifier learns of it from the log.

mod account;
mod applied;
mod attempt;
mod backoff;
mod breaker;
mod consume;
mod dead_letter;
mod deliver;
mod endpoint;
mod error;
mod index;
mod lane;
mod ledger;
mod matcher;
mod metrics;
mod notification;
mod notifications;
mod notifier;
mod options;
mod outbox;
mod persist;
mod replay;
mod retry_after;
mod start;
mod subscription;
mod terms;
#[cfg(test)]
mod testing;

pub use dead_letter::DeadNotification;
pub use error::NotifyError;
pub use index::SubscriptionIndex;
pub use ledger::{DeliveryStatus, Ledger};
pub use matcher::match_subscription;
pub use notifications::Notifications;
pub use notifier::Notifier;
pub use options::NotifierOptions;
pub use replay::Replayer;
pub use subscription::{
    InvalidSubscription, InvalidSubscriptionId, Problem, Status, Subscription, SubscriptionId,
    SubscriptionView,
};
