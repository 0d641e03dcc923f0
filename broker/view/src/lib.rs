//! What a reader sees of entities, beyond what [`musubi_context::Representation`] says: some
//! members only, language properties as one text, some data sets, linked entities, an earlier
//! version of the specification, GeoJSON; and in notifications what a change took away, and what
//! was there before it.
//!
//! [`Special`] holds what a reader asks for. It gathers what is needed to write entities
//! ([`Special::gather`], which looks up linked entities by way of [`FindEntities`]) and writes them
//! ([`Special::write`]). Nothing here knows of requests or of subscriptions.

mod datasets;
mod earlier;
mod error;
mod geojson;
mod join;
mod languages;
mod marks;
mod media;
mod names;
mod projection;
mod quality;
mod shape;
mod special;
mod version;

pub use datasets::Datasets;
pub use earlier::Earlier;
pub use error::ViewError;
pub use join::{FindEntities, Join, JoinForm};
pub use languages::Languages;
pub use marks::{InstanceMark, Marks};
pub use media::Media;
pub use names::{MAX_NAMES, too_many_names};
pub use projection::Projection;
pub use quality::thousandths;
pub use shape::separate;
pub use special::{Gathered, Manner, Special, Written};
pub use version::Version;
