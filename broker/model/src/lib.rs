//! What an entity is: identifiers, attributes, values, time, scope, merge rules, changes.
//!
//! This crate is the lowest level of Musubi. It does no IO, reads no clock, rolls no dice, spawns
//! nothing and is not async: time enters as a [`Timestamp`]. It knows nothing of JSON-LD contexts
//! (every name here is expanded), of HTTP, or of a store.

mod attribute;
mod change;
mod clock;
mod entity;
mod evolution;
mod expiry;
mod fragment;
mod geometry;
mod id;
mod iri;
mod json;
mod merge;
mod name;
mod newtype;
mod revision;
mod scope;
mod tenant;
mod time;
mod value;

pub use attribute::{Attribute, Instance, Qualifiers};
pub use change::{AttributeChange, Cause, EntityChange, Trigger};
pub use clock::{Clock, SystemClock};
pub use entity::Entity;
pub use evolution::{
    AttributeEvolution, Datasets, Effect, Evolution, EvolutionAction, EvolutionChange,
    EvolutionStep, Existence, InstanceNumber, KeptTimes, NewInstance, NewRecord, Recorded,
    Recordings, SCOPE, scopes_json,
};
pub use fragment::{
    AttributeFragment, EntityFragment, EvolutionFragment, FragmentValue, InstanceFragment, Patch,
    RecordFragment,
};
pub use geometry::{InvalidGeometry, parse_geometry};
pub use id::{EntityId, InvalidEntityId};
pub use json::{Document, Json, JsonError, JsonKind, Limits, Node};
pub use merge::{Instances, InvalidFragment, NotUpdated, Older, Overwrite, UpdateResult};
pub use name::{AttrName, DatasetId, InvalidName, TypeName, Uri};
pub use revision::{Position, Revision, Sequence};
pub use scope::{InvalidScope, Scope};
pub use tenant::{InvalidTenant, Tenant};
pub use time::{InvalidTimestamp, Timestamp, TimestampText};
pub use value::{AttributeType, Value};

/// The prefix of the specification's own names.
pub const NGSI_LD: &str = "https://uri.etsi.org/ngsi-ld/";

/// The prefix under which a term without a definition is expanded (CIM 009, clause 5.5.7).
pub const DEFAULT_VOCAB: &str = "https://uri.etsi.org/ngsi-ld/default-context/";

/// The NGSI-LD Null: a value that asks for a deletion (CIM 009, clause 4.5.0).
pub const NULL: &str = "urn:ngsi-ld:null";
