//! What the fuzz targets do with their input. The same functions replay the corpora in an
//! ordinary test, so no panic and no broken promise comes back unseen.
//!
//! What is promised of any input: it is read or refused, without a panic, in time and memory in
//! proportion to its length; and what is read and written again is read as the same.

mod bodies;
mod contexts;
mod headers;
mod queries;

pub use bodies::body;
pub use contexts::context;
pub use headers::{accept, link_header, projection};
pub use queries::{geo_query, order_by, q, scope_q, type_selection};
