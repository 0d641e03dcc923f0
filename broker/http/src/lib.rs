//! The HTTP binding: routes, extractors, representations, problem details.
//!
//! Start reading at `router.rs`, which is the whole route table. A handler extracts, calls one
//! method of [`musubi_broker::Session`], and responds; whatever can be wrong with a request is
//! found by an extractor, and `problem.rs` is the only place that gives an error its status. No
//! store is named here.

mod accept;
mod adapters;
mod app;
mod attribute;
mod attributes;
mod batch;
mod contexts;
mod dead_letters;
mod entities;
mod entity;
mod error;
mod expanded;
mod gate;
mod geojson;
mod health;
mod join;
mod languages;
mod ledger;
mod link;
mod listing;
mod metrics;
mod names;
mod options;
mod page;
mod paging;
mod parameters;
mod path;
mod payload;
mod problem;
mod projection;
mod router;
mod server;
mod session;
mod shape;
mod subscriptions;
mod types;
mod view;

pub use options::{AdapterError, Adapters, Hosts, HttpOptions, Limits, PageSource, Readiness};
pub use router::router;
pub use server::{ServeOptions, serve};
