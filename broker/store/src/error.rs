//! Why a store did not answer.

/// Why a store did not answer. The variants are what callers answer differently.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot do this now and will be able to again; the write may or may not exist.
    #[error("the store is not available for {doing}")]
    Unavailable {
        /// What was asked, as the end of the sentence "not available for …".
        doing: &'static str,
        /// What is behind it, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is too little room on the disk; nothing was written.
    #[error("there is too little room on the disk to write")]
    Full,
    /// The query would take longer than the store allows, or more room.
    #[error("the query takes longer than {0} ms, or more room than there is")]
    TooComplex(u64),
    /// The store failed.
    #[error("the store failed while {doing}")]
    Failed {
        /// What it was doing, as the end of the sentence "failed while …".
        doing: &'static str,
        /// What is behind it, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
