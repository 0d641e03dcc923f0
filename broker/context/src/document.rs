//! Context documents: JSON that names other documents, flattened into the objects that define
//! terms, in their order.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use url::Url;

use crate::ContextError;
use crate::core_context::{CORE_CONTEXT_URL, CoreUrl, core_url};

/// The deepest nesting of contexts that name contexts.
const MAX_DEPTH: usize = 8;
/// The most objects and nulls that one context may consist of.
const MAX_PIECES: usize = 1000;
/// The most terms that one context may define, over all its documents.
const MAX_TERMS: usize = 20_000;
/// The most references that are followed in one context.
const MAX_REFERENCES: usize = 1000;

/// The longest text that a context may come to once its references are followed, in bytes. One
/// document may be named many times.
const MAX_BYTES: usize = 4 << 20;

/// What has been loaded: the value of the `@context` member by normalized address.
pub(crate) type Documents = HashMap<String, Arc<Value>>;

/// A part of a flattened context.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// `null`: what came before is forgotten.
    Reset,
    /// Definitions.
    Object(&'a Map<String, Value>),
}

/// A context without references to others.
#[derive(Debug, Default)]
pub(crate) struct Flattened<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    /// Whether the core context was named somewhere, so that a reader who follows the references
    /// has it.
    pub(crate) names_core: bool,
}

/// Why a context could not be flattened.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// This document is needed first.
    Missing(String),
    /// No document will help.
    Failed(ContextError),
}

impl Unresolved {
    /// Why there is no context, where no document can be missing any more.
    pub(crate) fn into_error(self) -> ContextError {
        match self {
            Self::Failed(error) => error,
            Self::Missing(url) => {
                ContextError::NotAvailable { url, reason: "it is missing".to_owned() }
            }
        }
    }
}

impl From<ContextError> for Unresolved {
    fn from(error: ContextError) -> Self {
        Self::Failed(error)
    }
}

/// Flattens the value of an `@context` member. References to the core context are taken out,
/// since it always comes last and always wins.
pub(crate) fn flatten<'a>(
    root: &'a Value,
    documents: &'a Documents,
) -> Result<Flattened<'a>, Unresolved> {
    let mut walk = Walk { documents, flattened: Flattened::default(), terms: 0, references: 0 };
    walk.context(root, &mut Vec::new())?;
    Ok(walk.flattened)
}

impl Flattened<'_> {
    /// The pieces as one context document that refers to nothing but the core context, and to
    /// that only if it was named.
    ///
    /// # Errors
    ///
    /// [`ContextError::Invalid`] if it would be too long.
    pub(crate) fn to_snapshot(&self) -> Result<String, ContextError> {
        let mut text = self.to_document()?;
        if self.names_core {
            text.pop();
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&Value::from(CORE_CONTEXT_URL).to_string());
            text.push(']');
        }
        Ok(text)
    }

    /// The pieces as one context document that refers to nothing.
    ///
    /// # Errors
    ///
    /// [`ContextError::Invalid`] if it would be too long.
    pub(crate) fn to_document(&self) -> Result<String, ContextError> {
        let mut text = String::from("[");
        for piece in &self.pieces {
            if text.len() > 1 {
                text.push(',');
            }
            match piece {
                Piece::Reset => text.push_str("null"),
                Piece::Object(definitions) => {
                    text.push_str(&serde_json::to_string(definitions).unwrap_or_default());
                }
            }
            if text.len() > MAX_BYTES {
                let reason = format!("its definitions are longer than {MAX_BYTES} bytes");
                return Err(ContextError::Invalid(reason));
            }
        }
        text.push(']');
        Ok(text)
    }
}

const NO_CONTEXT: &str = "a context is a URL, an object, null, or an array of these";

/// Whether this can be an element of a context.
fn is_local_context(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Object(_) | Value::String(_))
}

struct Walk<'a> {
    documents: &'a Documents,
    flattened: Flattened<'a>,
    terms: usize,
    references: usize,
}

impl<'a> Walk<'a> {
    /// `path` holds the addresses of the documents that we are in, outermost first.
    fn context(&mut self, value: &'a Value, path: &mut Vec<String>) -> Result<(), Unresolved> {
        let Value::Array(elements) = value else { return self.element(value, path) };
        // Before anything is asked for, so that no document has to come for what is not valid.
        if elements.iter().any(|element| !is_local_context(element)) {
            return Err(invalid(NO_CONTEXT));
        }
        for element in elements {
            self.element(element, path)?;
        }
        Ok(())
    }

    fn element(&mut self, value: &'a Value, path: &mut Vec<String>) -> Result<(), Unresolved> {
        match value {
            Value::Null => self.push(Piece::Reset),
            Value::Object(definitions) => {
                self.terms += definitions.len();
                if self.terms > MAX_TERMS {
                    return Err(invalid(format!("it defines more than {MAX_TERMS} terms")));
                }
                self.push(Piece::Object(definitions))
            }
            Value::String(reference) => self.reference(reference, path),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(invalid(NO_CONTEXT)),
        }
    }

    fn push(&mut self, piece: Piece<'a>) -> Result<(), Unresolved> {
        if self.flattened.pieces.len() >= MAX_PIECES {
            return Err(invalid(format!("it consists of more than {MAX_PIECES} contexts")));
        }
        self.flattened.pieces.push(piece);
        Ok(())
    }

    fn reference(&mut self, text: &str, path: &mut Vec<String>) -> Result<(), Unresolved> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(invalid(format!("it refers to contexts more than {MAX_REFERENCES} times")));
        }
        let address = address(text, path.last().map(String::as_str))?;
        match core_url(&address) {
            CoreUrl::Known => {
                self.flattened.names_core = true;
                return Ok(());
            }
            CoreUrl::Unknown => {
                let reason = "there is no such version of the core context".to_owned();
                return Err(ContextError::NotAvailable { url: address, reason }.into());
            }
            CoreUrl::Other => {}
        }
        if path.contains(&address) {
            return Err(invalid(format!("{address} refers to itself")));
        }
        if path.len() >= MAX_DEPTH {
            return Err(invalid(format!("contexts are nested deeper than {MAX_DEPTH}")));
        }
        let document: &'a Value = match self.documents.get(&address) {
            Some(document) => document,
            None if address == DATA_INTEGRITY_URL => &DATA_INTEGRITY,
            None => return Err(Unresolved::Missing(address)),
        };
        path.push(address);
        self.context(document, path)?;
        path.pop();
        Ok(())
    }
}

fn invalid(reason: impl Into<String>) -> Unresolved {
    Unresolved::Failed(ContextError::Invalid(reason.into()))
}

/// The normalized address of a document: an absolute URL without a fragment.
pub(crate) fn address(text: &str, base: Option<&str>) -> Result<String, ContextError> {
    let refuse = || {
        let shown: String = text.chars().take(120).collect();
        ContextError::Invalid(format!("{shown:?} is no absolute URL"))
    };
    let mut url = match (Url::parse(text), base) {
        (Ok(url), _) => url,
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => {
            Url::parse(base).and_then(|base| base.join(text)).map_err(|_| refuse())?
        }
        (Err(_), _) => return Err(refuse()),
    };
    url.set_fragment(None);
    Ok(url.into())
}

/// The `@context` member of a context document.
pub(crate) fn context_of(text: &[u8]) -> Result<Arc<Value>, String> {
    let document: Value =
        serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let Value::Object(mut members) = document else {
        return Err("it is no JSON object".to_owned());
    };
    match members.remove("@context") {
        Some(context) => Ok(Arc::new(context)),
        None => Err("it has no @context member".to_owned()),
    }
}

/// About the bytes that a tree of JSON takes up, which can be many times those of its text.
pub(crate) fn weight_of(value: &Value) -> usize {
    /// What a member costs beside its key and value: hash, links, unused room.
    const MEMBER: usize = 48;
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(weight_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| MEMBER + key.len() + weight_of(value)).sum()
        }
    };
    size_of::<Value>() + inside
}

/// The context that the core context names for proofs. It stands here because a broker without
/// internet has to know it, and with its two outer terms only, because the scoped contexts behind
/// them are for what is inside a proof, which is kept as it came.
const DATA_INTEGRITY_URL: &str = "https://w3id.org/security/data-integrity/v2";

static DATA_INTEGRITY: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "DataIntegrityProof": "https://w3id.org/security#DataIntegrityProof",
        "proof": {"@id": "https://w3id.org/security#proof", "@type": "@id", "@container": "@graph"}
    })
});
