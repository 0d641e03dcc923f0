//! Outgoing HTTP under guard: which addresses may be reached, how long, how much.
//!
//! Notifications, contexts and context sources go to addresses that clients name, so every
//! attempt is checked after the name is resolved, inside the connector. Redirects are not
//! followed, and proxies that the environment names are not used: either would reach an address
//! that nobody checked.

mod client;
mod guard;
mod resolver;
mod tls;

pub use client::{Client, Error, Request, Response};
pub use guard::{Guard, InvalidNetwork, Network, Private};
