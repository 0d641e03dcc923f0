//! The notifier at work: one task that owns its state.

pub(crate) mod account;
mod aging;
pub(crate) mod applied;
mod ask;
mod chores;
mod consume;
pub(crate) mod courier;
mod deliver;
pub(crate) mod ledger;
pub(crate) mod metrics;
pub(crate) mod notifications;
pub(crate) mod notifier;
mod occur;
pub(crate) mod options;
mod persist;
pub(crate) mod reading;
mod settle;
pub(crate) mod start;
pub(crate) mod ticket;
