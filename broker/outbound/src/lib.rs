//! Outgoing connections under guard: which addresses may be reached, how long, how much.
//!
//! Notifications, contexts and context sources go to addresses that clients name, so every
//! attempt is checked after the name is resolved, inside the connector. Redirects are not
//! followed, and proxies that the environment names are not used: either would reach an address
//! that nobody checked.

mod client;
mod connection;
mod connector;
mod download;
mod guard;
mod gzip;
mod message;
mod names;
mod pool;
mod stream;
mod tls;

pub use client::{Client, ClientOptions, Error, Receipt, Request, Response};
pub use connector::Security;
pub use download::Download;
pub use guard::{Guard, InvalidNetwork, Network, Private};
pub use names::{Names, SystemNames};
pub use stream::Stream;
pub use tls::{Authorities, InvalidAuthorities};
