//! The query languages: from text, by way of a syntax tree, to meaning.
//!
//! [`Filter::matches`] defines what a query means; a store may evaluate it in any other way that
//! gives the same answer. Nothing here does IO or knows of a store. Names in the trees are
//! expanded: each parser takes a function that turns a term into its IRI.

mod cursor;
mod entity_query;
mod error;
mod filter;
mod geo_query;
mod linked;
mod mark;
mod moment;
mod order;
mod path;
mod pattern;
mod q;
mod scope_query;
mod stopped;
mod temporal;
#[cfg(test)]
mod test_terms;
mod type_selection;

pub use entity_query::{EntityQuery, Start};
pub use error::{InvalidQuery, Terms};
pub use filter::Filter;
pub use geo_query::{GeoQuery, GeoRelation};
pub use linked::{LinkedEntities, NoLinkedEntities};
pub use mark::{Axis, Mark};
pub use order::{Collation, Order, OrderBy, OrderKey, OrderOptions, OrderTerm};
pub use path::{AttributePath, Link};
pub use pattern::{InvalidPattern, Pattern};
pub use q::{Comparison, Literal, Query, QueryOptions};
pub use scope_query::ScopeQuery;
pub use stopped::Stopped;
pub use temporal::{
    Accumulator, Aggregate, Aggregation, AggregationMethod, AggregationRefusal,
    AttributeAggregates, Cut, EvolutionItem, EvolutionPage, EvolutionStart, InvalidDuration,
    InvalidZone, NotApplicable, PeriodAggregates, PeriodDuration, Periods, RollUp, Shown,
    TemporalProperty, TemporalQuery, TimeRelation, Zone, admits, admits_while, aggregate, cut_page,
    evolution_page, first_beyond, in_range, number_of,
};
pub use type_selection::TypeSelection;
