//! `@context` in, compiled terms out: expand, compact, cache, pinned contexts.
//!
//! NGSI-LD bodies are a profile of JSON-LD whose members have known shapes, so a context is
//! compiled once into a map and a reverse map, expansion is one walk over the body, and
//! compaction copies slices. Nothing here keeps entities or knows of HTTP requests; fetching a
//! context goes through [`musubi_outbound`].

mod compile;
mod context;
mod contexts;
mod core_context;
mod document;
mod error;
mod expand;
#[cfg(test)]
mod generated;
mod keyword;
mod pinned;
mod render;
mod table;
mod term;

pub use context::{Context, ContextSource};
pub use contexts::{
    CachedContext, ContextReference, Contexts, ContextsOptions, FindingHosted, HOSTED_PATH, Hosted,
    HostedContexts, HostedLimits, Origin, Uses, hosted_id, hosted_id_for, new_hosted_id,
};
pub use core_context::{CORE_CONTEXT_URL, core_context_url};
pub use error::{ContextError, InvalidBody};
pub use expand::{
    expand_attribute, expand_entity, expand_fragment, expand_kept, expand_record,
    expand_simplified_fragment, expand_temporal, expand_temporal_fragment, is_language_tag,
};
pub use render::{
    AggregatedAttribute, EvolutionReader, EvolutionRenderer, Form, LanguageText, PeriodValue,
    Renderer, Representation, render_entity,
};
pub use term::Coercion;
