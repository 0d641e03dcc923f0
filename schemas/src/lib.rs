//! JSON Schemas and the `@context` of the project's own data models, embedded, and their
//! validation.
//!
//! Schemas describe the simplified representation, as the Smart Data Models do, so a fragment is
//! simplified before it is checked. What a fragment does not mention is not checked: an update
//! need not carry everything.

mod model;
mod simplify;

pub use model::{InvalidSchema, SchemaProblem, Schemas};

/// The `@context` of the project's data models, as a JSON document.
pub const CONTEXT: &str = include_str!("../context.jsonld");

/// The file name under which a broker serves [`CONTEXT`].
pub const CONTEXT_NAME: &str = "musubi.jsonld";

/// The path under which a broker serves [`CONTEXT`].
pub const CONTEXT_PATH: &str = "/musubi/v1/contexts/musubi.jsonld";
