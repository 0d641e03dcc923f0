//! The HTTP binding: routes, extractors, representations, problem details.
//!
//! Start reading at `router.rs`, which is the whole route table. A handler extracts, calls one
//! method of [`musubi_broker::Session`], and responds; whatever can be wrong with a request is
//! found by an extractor, and `problem.rs` is the only place that gives an error its status. No
//! store is named here.

mod adapters;
mod app;
mod attribute;
mod attribute_types;
mod attributes;
mod backup;
mod batch;
mod contexts;
mod dead_letters;
mod discovery;
mod docs;
mod entities;
mod entity;
mod entity_maps;
mod entity_query;
mod error;
mod grammar;
mod health;
mod jsonld_contexts;
mod ledger;
mod metrics;
mod openapi;
mod options;
mod page;
mod problem;
mod purge;
mod request;
mod router;
mod schemas;
mod server;
mod session;
mod source_identity;
mod streams;
mod subscriptions;
mod temporal;
mod trace;
mod types;
mod view;

pub use grammar::{context_link, media_type, projection_depth};
pub use options::{AdapterError, Adapters, Hosts, HttpOptions, Limits, PageSource, Readiness};
pub use router::router;
pub use server::{ServeOptions, serve};
