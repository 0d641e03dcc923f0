//! Why a notifier ends.

use musubi_store::StoreError;

/// Why a notifier ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The store did not give what is needed to begin, or did not take the last results before
    /// the end. Nothing is lost: what was not saved is done again.
    #[error("the notifier could not use the store")]
    Store(#[source] StoreError),
}
