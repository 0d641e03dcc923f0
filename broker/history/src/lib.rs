//! What entities were: the temporal evolution of every entity, kept in files of its own and built
//! from the change log.
//!
//! A reader of the log keeps what is new in memory (`recent`); from time to time that becomes an
//! immutable file, a segment (`segment`), and several segments become one. The manifest says which
//! segments there are and up to which change of the log they reach. An answer is put together from
//! all segments and from what is in memory, after the rest of the log has been read: so it is
//! complete the moment a write was acknowledged, and no write waits for it.

mod chunk;
mod column;
mod engine;
mod error;
mod folder;
mod live;
mod manifest;
mod metrics;
mod options;
mod read;
mod recent;
mod retention;
mod rolled;
mod segment;
mod series;

pub use engine::{Archive, Frozen, FrozenFile, Listing, Verified};
pub use error::OpenError;
pub use metrics::Metrics;
pub use options::HistoryOptions;
pub use retention::{Kept, RetentionRule};
