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
mod attribute_types;
mod attributes;
mod batch;
mod contexts;
mod criteria;
mod datasets;
mod dead_letters;
mod discovery;
mod docs;
mod earlier;
mod entities;
mod entity;
mod entity_query;
mod error;
mod expanded;
mod gate;
mod geojson;
mod grammar;
mod health;
mod join;
mod jsonld_contexts;
mod languages;
mod ledger;
mod link;
mod listing;
mod metrics;
mod names;
mod openapi;
mod options;
mod page;
mod paging;
mod parameters;
mod path;
mod patience;
mod payload;
mod preconditions;
mod prefer;
mod problem;
mod projection;
mod purge;
mod request_line;
mod router;
mod schemas;
mod server;
mod session;
mod shape;
mod source_identity;
mod special;
mod subscriptions;
mod types;
mod view;

pub use grammar::{context_link, media_type, projection_depth};
pub use options::{AdapterError, Adapters, Hosts, HttpOptions, Limits, PageSource, Readiness};
pub use router::router;
pub use server::{ServeOptions, serve};
