//! JSON Schemas of data models: the project's own with their `@context`, embedded; and any other
//! that an operator registers. What an entity is held against, and what is wrong with it then.
//!
//! Schemas describe the simplified representation, as the Smart Data Models do, so an entity is
//! simplified before it is checked ([`Documents`]). A [`Schema`] is compiled once; it refers to
//! nothing outside of itself and the project's models, never leads back to itself, and has no
//! pattern that takes more than linear time, so a check costs what schema and entity are long.

mod members;
mod model;
mod references;
mod schema;
mod simplify;
mod violation;

pub use model::{SchemaProblem, Schemas};
pub use schema::{InvalidSchema, Schema};
pub use simplify::{Documents, ShortNames};
pub use violation::Violation;

/// The `@context` of the project's data models, as a JSON document.
pub const CONTEXT: &str = include_str!("../context.jsonld");

/// The file name under which a broker serves [`CONTEXT`].
pub const CONTEXT_NAME: &str = "musubi.jsonld";

/// The path under which a broker serves [`CONTEXT`].
pub const CONTEXT_PATH: &str = "/musubi/v1/contexts/musubi.jsonld";
