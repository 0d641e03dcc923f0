//! What a request says: its parameters, headers, path and body, each read once, strictly, by an
//! extractor or by what extractors are made of.

pub(crate) mod accept;
pub(crate) mod criteria;
pub(crate) mod entity_map;
pub(crate) mod expanded;
pub(crate) mod known;
pub(crate) mod link;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod paging;
pub(crate) mod parameters;
pub(crate) mod path;
pub(crate) mod payload;
pub(crate) mod preconditions;
pub(crate) mod prefer;
