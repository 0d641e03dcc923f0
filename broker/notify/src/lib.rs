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

mod engine;
mod error;
mod letters;
mod matching;
mod notification;
mod occasions;
mod queue;
mod streams;
mod subscription;
#[cfg(test)]
mod testing;
mod transport;

pub use engine::ledger::{DeliveryStatus, Ledger};
pub use engine::notifications::{Notifications, Standing};
pub use engine::notifier::Notifier;
pub use engine::options::NotifierOptions;
pub use error::NotifyError;
pub use letters::dead_letter::DeadNotification;
pub use letters::replay::Replayer;
pub use matching::index::{Due, SubscriptionIndex};
pub use matching::linked::is_due;
pub use matching::matcher::{match_among, match_subscription};
pub use matching::trace::{Hindrance, attribute_word, hindrance, trigger_word};
pub use notification::NotificationKey;
pub use streams::feed::{Feed, FeedEnd, FeedEvent};
pub use streams::handle::{StreamOptions, Streams};
pub use streams::hub::StreamRefused;
pub use subscription::{
    InvalidSubscription, InvalidSubscriptionId, Problem, Status, Subscription, SubscriptionId,
    SubscriptionView,
};
