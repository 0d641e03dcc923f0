//! Share-cycle stations from GBFS feeds.
//!
//! A feed of version 1, 2 or 3, behind an address or in a folder, is polled as it asks for, and
//! its stations become `BikeHireDockingStation` entities. What is wrong with one station costs
//! that station and is counted; nothing is ever deleted. Vehicles, zones and prices are not
//! mapped.

mod adapter;
mod feed;
mod map;
mod model;
mod parse;
mod schedule;
mod source;
mod terms;

use std::sync::Arc;

use musubi_adapter_kit::{Adapter, MappingError, MappingFile, Services};

pub use terms::terms;

/// The adapter that a mapping file with `[source] kind = "gbfs"` describes.
///
/// # Errors
///
/// [`MappingError`] if the source is of another kind, or the file asks for what a feed cannot do.
pub fn from_mapping(
    mapping: &MappingFile,
    services: Services,
) -> Result<Arc<dyn Adapter>, MappingError> {
    let adapter = adapter::GbfsAdapter::from_mapping(mapping, services)?;
    Ok(Arc::new(adapter))
}
