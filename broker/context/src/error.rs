//! What can be wrong with a context or with a body.

/// Why there is no context (CIM 009, clause 5.5.6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// It could not be fetched.
    #[error("the @context {url} is not available: {reason}")]
    NotAvailable {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It is not valid, is no context document, or uses what NGSI-LD does not allow.
    #[error("the @context is not valid: {0}")]
    Invalid(String),
}

/// Why a body is no entity or fragment: a sentence that names the member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct InvalidBody {
    /// Where, as a JSON pointer, such as `/speed/observedAt`; `/` for the whole body.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

impl InvalidBody {
    /// What is wrong with the value at hand. Whoever hands it up says where that value stands,
    /// with [`within`](Self::within), so that a walk without errors keeps no path.
    pub(crate) fn here(reason: impl Into<String>) -> Self {
        Self { at: String::new(), reason: reason.into() }
    }

    /// The same, seen from the value that has the faulty one as this member or element.
    pub(crate) fn within(mut self, member: &str) -> Self {
        let shown: String = member.chars().take(120).collect();
        let segment = shown.replace('~', "~0").replace('/', "~1");
        self.at.insert_str(0, &segment);
        self.at.insert(0, '/');
        self
    }

    /// The same, seen from the whole body.
    pub(crate) fn finished(mut self) -> Self {
        if self.at.is_empty() {
            self.at.push('/');
        }
        self
    }
}
