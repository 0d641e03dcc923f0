//! What the texts in a context stand for: the IRI expansion of JSON-LD 1.1, with the definitions
//! that it asks for made first.

use super::definition::Definition;
use super::{Compiler, Local, Progress, is_iri, of};
use crate::ContextError;
use crate::keyword::{keyword, looks_like_keyword};
use crate::term::{Coercion, Mapping, Term, has_scheme, split_compact};

/// What a text in a context stands for.
pub(super) enum Expanded {
    Nothing,
    Keyword(&'static str),
    /// An IRI; or a text that is none, if nothing makes it one.
    Iri(String),
}

impl Compiler<'_> {
    /// What the `@id` of a term stands for.
    pub(super) fn aliased<'d>(
        &mut self,
        term: &'d str,
        id: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Expanded, ContextError> {
        let expanded = self.expanded(id, local, depth)?;
        if let Expanded::Keyword("@context") = expanded {
            return Err(of(term, "it cannot stand for @context"));
        }
        // A term that looks like an IRI and means another one would make a liar of every reader.
        if looks_like_iri(term) {
            local.progress.insert(term, Progress::Done);
            let own = self.expanded(term, local, depth)?;
            let is_same = match (&expanded, &own) {
                (Expanded::Iri(iri), Expanded::Iri(own)) => iri == own,
                _ => false,
            };
            if !is_same {
                return Err(of(term, "it looks like an IRI and stands for another one"));
            }
        }
        Ok(expanded)
    }

    /// What a term stands for that has no `@id`, or itself as one.
    pub(super) fn own_iri<'d>(
        &mut self,
        term: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<String, ContextError> {
        if term.find(':').is_some_and(|at| at > 0) {
            let Some((prefix, rest)) = split_compact(term) else { return Ok(term.to_owned()) };
            self.define_first(prefix, local, depth)?;
            // Whatever stands before the colon counts, whether it may be a prefix or not.
            return match self.known(prefix).map(Term::iri) {
                None => Ok(term.to_owned()),
                Some(Some(base)) => Ok(format!("{base}{rest}")),
                Some(None) => Err(of(term, "what stands before its colon stands for no IRI")),
            };
        }
        match &self.vocab {
            Some(vocab) => Ok(format!("{vocab}{term}")),
            None => Err(of(term, "it has no @id, and there is no @vocab")),
        }
    }

    pub(super) fn coercion<'d>(
        &mut self,
        term: &'d str,
        definition: &Definition<'d>,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Option<Coercion>, ContextError> {
        let is_by_type = definition.has_container("@type");
        let Some(text) = definition.coercion else {
            return Ok(is_by_type.then_some(Coercion::Id));
        };
        let coercion = match self.expanded(text, local, depth)? {
            Expanded::Keyword("@id") => Some(Coercion::Id),
            Expanded::Keyword("@vocab") => Some(Coercion::Vocab),
            Expanded::Keyword("@json") => Some(Coercion::Json),
            Expanded::Keyword("@none") => None,
            Expanded::Iri(iri) if is_iri(&iri) => Some(Coercion::Datatype(iri.into())),
            Expanded::Iri(_) | Expanded::Keyword(_) | Expanded::Nothing => {
                return Err(of(term, "its @type is no IRI"));
            }
        };
        if is_by_type && !matches!(coercion, Some(Coercion::Id | Coercion::Vocab)) {
            return Err(of(term, "with a container of @type, its @type is @id or @vocab"));
        }
        Ok(coercion)
    }

    /// Refuses an `@index` that is no IRI, or of which the container has no use.
    pub(super) fn check_index<'d>(
        &mut self,
        term: &'d str,
        definition: &Definition<'d>,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<(), ContextError> {
        let Some(index) = definition.index else { return Ok(()) };
        let is_valid = match self.expanded(index, local, depth)? {
            Expanded::Iri(iri) => is_iri(&iri),
            Expanded::Keyword(_) | Expanded::Nothing => false,
        };
        if is_valid && definition.has_container("@index") {
            Ok(())
        } else {
            Err(of(term, "its @index is an IRI, for a container of @index"))
        }
    }

    /// What a text in a definition stands for, once the terms of the object that it is made of
    /// are defined.
    fn expanded<'d>(
        &mut self,
        text: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Expanded, ContextError> {
        self.define_first(text, local, depth)?;
        if self.known(text).is_none()
            && let Some((prefix, _)) = split_compact(text)
        {
            self.define_first(prefix, local, depth)?;
        }
        Ok(self.expanded_already(text))
    }

    fn define_first<'d>(
        &mut self,
        term: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<(), ContextError> {
        if local.definitions.contains_key(term) && keyword(term).is_none() {
            self.define(term, local, depth + 1)?;
        }
        Ok(())
    }

    /// What a text stands for by what is defined so far.
    pub(super) fn expanded_already(&self, text: &str) -> Expanded {
        if let Some(keyword) = keyword(text) {
            return Expanded::Keyword(keyword);
        }
        if looks_like_keyword(text) {
            return Expanded::Nothing;
        }
        match self.known(text).map(|term| &term.mapping) {
            Some(Mapping::Iri(iri, _)) => return Expanded::Iri(iri.to_string()),
            Some(Mapping::Keyword(keyword)) => return Expanded::Keyword(keyword),
            Some(Mapping::Nothing) => return Expanded::Nothing,
            None => {}
        }
        if let Some((prefix, rest)) = split_compact(text) {
            let base = self.known(prefix).filter(|term| term.is_prefix).and_then(Term::iri);
            if let Some(base) = base {
                return Expanded::Iri(format!("{base}{rest}"));
            }
        }
        Expanded::Iri(match &self.vocab {
            Some(vocab) if !has_scheme(text) => format!("{vocab}{text}"),
            _ => text.to_owned(),
        })
    }

    fn known(&self, text: &str) -> Option<&Term> {
        match self.terms.get(text) {
            Some(defined) => Some(&defined.term),
            None => self.core?.term(text),
        }
    }
}

/// Whether a colon or slash in a term makes it look like an IRI, whole or compact.
fn looks_like_iri(term: &str) -> bool {
    let mut inner = term.chars();
    inner.next();
    inner.next_back();
    inner.as_str().contains(':') || term.contains('/')
}
