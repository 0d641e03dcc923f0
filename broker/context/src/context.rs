//! A compiled `@context`.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use musubi_model::{AttrName, DEFAULT_VOCAB, InvalidName, TypeName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ContextError;
use crate::compile::compile_alone;
use crate::core_context::{CORE, CORE_CONTEXT_URL, default_name};
use crate::keyword::{keyword, looks_like_keyword};
use crate::table::Table;
use crate::term::{Coercion, Mapping, Name, Term, has_scheme, is_name, split_compact};

/// A compiled `@context`: a map from terms to names and a map back. Always ends with the core
/// context, whose terms nothing can change, and whose vocabulary takes every term that nothing
/// defines (CIM 009, clauses 4.4 and 5.5.7). Cloning is one atomic increment.
#[derive(Clone)]
pub struct Context(Arc<Compiled>);

struct Compiled {
    /// No two have the same.
    number: u64,
    source: ContextSource,
    /// The terms beside those of the core context.
    own: Table,
}

/// What a context is made of, complete in itself: whoever keeps it can have the context again
/// without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextSource {
    /// As of [`Context::url`].
    pub url: Option<String>,
    /// As of [`Context::member`].
    pub member: String,
    /// A context document, as JSON text, that refers to no other.
    pub document: String,
}

/// What stands for a term in a body.
pub(crate) enum Meaning {
    /// A name.
    Name(AttrName),
    /// A keyword.
    Keyword(&'static str),
    /// Nothing that could be used, because of this.
    Unusable(String),
}

/// An IRI in its short form: a text, or a prefix and what follows the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compacted<'a> {
    Whole(&'a str),
    Prefixed(&'a str, &'a str),
}

static CORE_CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    let source = ContextSource {
        url: Some(CORE_CONTEXT_URL.to_owned()),
        member: format!("\"{CORE_CONTEXT_URL}\""),
        document: "[]".to_owned(),
    };
    Context::new(source, Table::default())
});

impl Context {
    /// The core context alone.
    pub fn core() -> Self {
        CORE_CONTEXT.clone()
    }

    pub(crate) fn new(source: ContextSource, own: Table) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Compiled { number, source, own }))
    }

    /// What this context is known by as long as the process lives. Clones have the same.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// The number of the core context alone.
    pub fn core_number() -> u64 {
        CORE_CONTEXT.number()
    }

    /// The context that [`source`](Self::source) came from.
    ///
    /// # Errors
    ///
    /// [`ContextError::Invalid`] if the document is no context, or refers to another one.
    pub fn from_source(source: &ContextSource) -> Result<Self, ContextError> {
        let document: Value = serde_json::from_str(&source.document)
            .map_err(|error| ContextError::Invalid(format!("it is no JSON: {error}")))?;
        let own = compile_alone(&document, &CORE)?;
        Ok(Self::new(source.clone(), own))
    }

    /// Whether anybody else holds it too.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What this context is made of, to be kept.
    pub fn source(&self) -> ContextSource {
        self.0.source.clone()
    }

    /// The URL under which a client can get this context, as a `Link` header or an `@context`
    /// member names it. None for an inline context, which has no address.
    pub fn url(&self) -> Option<&str> {
        self.0.source.url.as_deref()
    }

    /// The value of the `@context` member of an `application/ld+json` body in this context, as
    /// JSON text: a URL, the inline context itself, or an array of that and the URL of the core
    /// context where the first does not name the core context by itself.
    pub fn member(&self) -> &str {
        &self.0.source.member
    }

    /// The expanded name of an attribute.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the term expands to no absolute URI.
    pub fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.name(term, |name| name.attribute.clone())
            .unwrap_or_else(|| self.absolute(term).unwrap_or(Cow::Borrowed(term)).parse())
    }

    /// The expanded name of a type.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the term expands to no absolute URI.
    pub fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.name(term, |name| name.entity_type.clone())
            .unwrap_or_else(|| self.absolute(term).unwrap_or(Cow::Borrowed(term)).parse())
    }

    /// The expanded form of any term or compact IRI, as the vocabulary of the context gives it.
    /// A term that the context takes out of use is given back as it is, and so is what has the
    /// form of a keyword; neither is an IRI.
    pub fn expand<'a>(&'a self, term: &'a str) -> Cow<'a, str> {
        match self.term(term).map(|term| &term.mapping) {
            Some(Mapping::Iri(iri, _)) => Cow::Borrowed(iri),
            Some(Mapping::Keyword(keyword)) => Cow::Borrowed(keyword),
            Some(Mapping::Nothing) => Cow::Borrowed(term),
            None => self.written_out(term),
        }
    }

    /// The IRI that a term or compact IRI in a body stands for; none where JSON-LD has nothing: for
    /// a keyword, and for a term that the context takes out of use.
    pub(crate) fn vocabulary<'a>(&'a self, term: &'a str) -> Option<Cow<'a, str>> {
        match self.term(term).map(|term| &term.mapping) {
            Some(Mapping::Iri(iri, _)) => Some(Cow::Borrowed(iri)),
            Some(Mapping::Keyword(_) | Mapping::Nothing) => None,
            None if looks_like_keyword(term) => None,
            None => Some(self.written_out(term)),
        }
    }

    /// The shortest name for an expanded one, such that [`expand`](Self::expand) gives it back: a
    /// term; what is left of the default vocabulary; a compact IRI; or the whole IRI. JSON-LD also
    /// looks at how the context reads the values of a term; here a name is written for what it
    /// stands for alone, because how values are read is for the data model to say (CIM 009, clause
    /// 5.5.7). The one IRI that no text can give back is one whose scheme the context takes for a
    /// prefix.
    pub fn compact<'a>(&'a self, iri: &'a str) -> Cow<'a, str> {
        match self.short(iri, |_| true) {
            Compacted::Whole(text) => Cow::Borrowed(text),
            Compacted::Prefixed(prefix, rest) => Cow::Owned(format!("{prefix}:{rest}")),
        }
    }

    /// How the context says that the values of a term are to be read.
    pub fn coercion(&self, term: &str) -> Option<&Coercion> {
        self.term(term)?.coercion.as_ref()
    }

    /// What a member of a body means, of which the name is not one of the specification's own.
    pub(crate) fn meaning(&self, term: &str) -> Meaning {
        self.checked(term, |name| name.attribute.clone()).map_or_else(
            |(keyword, reason)| keyword.map_or(Meaning::Unusable(reason), Meaning::Keyword),
            Meaning::Name,
        )
    }

    /// The type that a body names.
    pub(crate) fn checked_type(&self, term: &str) -> Result<TypeName, String> {
        self.checked(term, |name| name.entity_type.clone()).map_err(|(_, reason)| reason)
    }

    /// The short form of a name, as it would be accepted in a body.
    pub(crate) fn short_name<'a>(&'a self, iri: &'a str) -> Compacted<'a> {
        self.short(iri, is_name)
    }

    /// The short form of an IRI. `fits` says which terms without definition may be written.
    fn short<'a>(&'a self, iri: &'a str, fits: impl Fn(&str) -> bool) -> Compacted<'a> {
        let own = &self.0.own;
        if !own.is_empty()
            && let Some(term) = own.reverse(iri)
        {
            return Compacted::Whole(term);
        }
        if let Some(term) = iri.strip_prefix(DEFAULT_VOCAB) {
            // What is a name has neither a colon nor the sign of a keyword.
            let is_name = is_name(term);
            let is_free = is_name || (!term.is_empty() && !term.starts_with('@') && fits(term));
            let is_absolute = || !is_name && term.contains(':') && self.absolute(term).is_some();
            let is_term = || self.term(term).is_some() || is_absolute();
            if is_free && !is_term() {
                return Compacted::Whole(term);
            }
        } else if let Some(term) = CORE.reverse(iri) {
            return Compacted::Whole(term);
        }
        own.prefixes_of(iri)
            .chain(CORE.prefixes_of(iri))
            .filter(|(prefix, rest)| !own.hides(prefix, rest, iri))
            .min_by_key(|(prefix, rest)| (prefix.len() + rest.len(), *prefix))
            .map_or(Compacted::Whole(iri), |(prefix, rest)| Compacted::Prefixed(prefix, rest))
    }

    fn term(&self, text: &str) -> Option<&Term> {
        let own = &self.0.own;
        if !own.is_empty()
            && let Some(term) = own.term(text)
        {
            return Some(term);
        }
        CORE.term(text)
    }

    /// A part of the name of a term. None if the term is a compact IRI or an IRI.
    fn name<T>(&self, text: &str, part: impl Fn(&Name) -> T) -> Option<Result<T, InvalidName>> {
        let not_absolute = || InvalidName::NotAbsolute(text.chars().take(120).collect());
        match self.term(text).map(|term| &term.mapping) {
            Some(Mapping::Iri(_, Some(name))) => Some(Ok(part(name))),
            Some(Mapping::Iri(_, None) | Mapping::Keyword(_) | Mapping::Nothing) => {
                Some(Err(not_absolute()))
            }
            None if text.contains(':') => None,
            None if text.is_empty() || looks_like_keyword(text) => Some(Err(not_absolute())),
            None => Some(default_name(text, part).ok_or_else(not_absolute)),
        }
    }

    /// A part of the name of a term in a body, or the keyword that the term stands for, or why
    /// it cannot be used.
    fn checked<T>(
        &self,
        text: &str,
        part: impl Fn(&Name) -> T,
    ) -> Result<T, (Option<&'static str>, String)> {
        let refuse = |reason: &str| {
            let shown: String = text.chars().take(120).collect();
            Err((None, format!("{shown:?} {reason}")))
        };
        let not_a_name = "is no name: letters, digits and '_', beginning with a letter";
        match self.term(text) {
            Some(term) => match &term.mapping {
                Mapping::Keyword(keyword) => {
                    Err((Some(keyword), format!("{text:?} stands for the keyword {keyword}")))
                }
                Mapping::Nothing => refuse("is taken out of use by the @context"),
                Mapping::Iri(..) if !term.is_name && !text.contains(':') => refuse(not_a_name),
                Mapping::Iri(_, Some(name)) => Ok(part(name)),
                Mapping::Iri(_, None) => refuse("stands for no absolute URI in the @context"),
            },
            None if text.contains(':') => {
                let name = self.absolute(text).and_then(|iri| Name::new(&iri.into()));
                match name {
                    Some(name) => Ok(part(&name)),
                    None => refuse("is neither a name nor an absolute URI"),
                }
            }
            None if !is_name(text) => match keyword(text) {
                Some(keyword) => {
                    Err((Some(keyword), format!("the keyword {keyword} has no place here")))
                }
                None => refuse(not_a_name),
            },
            None => match default_name(text, part) {
                Some(part) => Ok(part),
                None => refuse("is too long for a name"),
            },
        }
    }

    /// What a text stands for that no context defines as a term.
    fn written_out<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.absolute(text) {
            Some(iri) => iri,
            None if text.is_empty() || looks_like_keyword(text) => Cow::Borrowed(text),
            None => Cow::Owned(format!("{DEFAULT_VOCAB}{text}")),
        }
    }

    /// A compact IRI written out, or an absolute IRI as it is; none if the text is neither.
    fn absolute<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if let Some((prefix, rest)) = split_compact(text) {
            let base = match self.0.own.term(prefix) {
                Some(_) => self.0.own.prefix(prefix),
                None => CORE.prefix(prefix),
            };
            if let Some(base) = base {
                return Some(Cow::Owned(format!("{base}{rest}")));
            }
        }
        has_scheme(text).then_some(Cow::Borrowed(text))
    }

    /// About the bytes that the context holds.
    pub fn weight(&self) -> usize {
        let source = &self.0.source;
        self.0.own.weight() + source.document.len() + source.member.len() + 256
    }

    /// Whether both are one and the same in memory.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.member()).finish()
    }
}

#[cfg(test)]
mod tests;
