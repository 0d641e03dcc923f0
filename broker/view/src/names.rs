//! Lists of names in what a reader asks for.

use crate::ViewError;

/// The most names that a list such as `attrs`, `pick` or `datasetId` may have. Each attribute of
/// each entity that is shown is compared with all of them.
pub const MAX_NAMES: usize = 500;

/// The error that the list of this name has more than [`MAX_NAMES`].
pub fn too_many_names(list: &str) -> ViewError {
    ViewError::BadRequest(format!("{list}: at most {MAX_NAMES} names are accepted"))
}
