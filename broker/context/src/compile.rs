//! Compilation: from context documents to a table, by the rules of JSON-LD 1.1 for what NGSI-LD
//! allows of it (CIM 009, clauses 4.4 and 5.5.7).
//!
//! Two rules are NGSI-LD's own. The core context is there before and after: what a user context
//! refers to may be one of its terms, and at the end none of its terms is changed. And nothing in
//! a context reshapes what the data model says of entities and attributes: scoped contexts,
//! `@reverse`, `@import` and a `@propagate` of false are refused; `@base`, `@language`,
//! `@direction`, `@nest`, `@index` and `@container` have to be valid and change nothing, since
//! identifiers are absolute, values are kept as they came, and where instances, lists and maps of
//! languages stand is not for a context to say.

use std::collections::HashMap;

use musubi_model::DEFAULT_VOCAB;
use serde_json::{Map, Value};

use crate::ContextError;
use crate::document::{Piece, Unresolved, flatten};
use crate::keyword::{keyword, looks_like_keyword};
use crate::table::Table;
use crate::term::{Mapping, Name, Term, has_scheme, is_name};

mod container;
mod definition;
mod header;
mod iri;

use definition::{Definition, Id};
use header::{Header, Vocab, is_header};
use iri::Expanded;

/// How many definitions may wait for each other: a prefix that is made of a prefix, and so on.
const MAX_DEPENDENCY: usize = 32;
/// The longest IRI of a term, in bytes.
const MAX_IRI: usize = 2048;

/// Compiles the pieces of a context that is used with `core`. Pieces are processed in their
/// order, and the core context after them.
pub(crate) fn compile(pieces: &[Piece<'_>], core: &Table) -> Result<Table, ContextError> {
    let mut compiler = Compiler::new(Some(core));
    compiler.pieces(pieces)?;
    Ok(Table::beside(core, compiler.into_terms()))
}

/// Compiles the core context, which alone may have scoped contexts. What they say of the inside
/// of a proof is not needed, because the inside of a proof is kept as it came.
pub(crate) fn compile_core(context: &Value) -> Result<Table, ContextError> {
    let Value::Object(definitions) = context else { return Err(invalid("it is no object")) };
    let mut compiler = Compiler::new(None);
    compiler.pieces(&[Piece::Object(definitions)])?;
    Ok(Table::new(compiler.into_terms()))
}

/// Compiles a document that refers to no other.
pub(crate) fn compile_alone(context: &Value, core: &Table) -> Result<Table, ContextError> {
    let none = HashMap::new();
    match flatten(context, &none) {
        Ok(flattened) => compile(&flattened.pieces, core),
        Err(Unresolved::Failed(error)) => Err(error),
        Err(Unresolved::Missing(url)) => {
            Err(invalid(format!("it refers to {url} and was to be complete in itself")))
        }
    }
}

struct Compiler<'c> {
    /// The terms that are there before and after. None while they are compiled.
    core: Option<&'c Table>,
    terms: HashMap<String, Defined>,
    vocab: Option<String>,
}

/// A term, and what has to be known of it while contexts are compiled.
struct Defined {
    term: Term,
    /// Of a protected term what the table does not keep: it may be defined again only if it is
    /// the same in this too.
    protected: Option<String>,
}

/// The object that is being processed, and how far its definitions have got.
struct Local<'d> {
    definitions: &'d Map<String, Value>,
    progress: HashMap<&'d str, Progress>,
    /// Whether its definitions are protected unless they say otherwise.
    is_protected: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Begun,
    Done,
}

impl<'c> Compiler<'c> {
    fn new(core: Option<&'c Table>) -> Self {
        Self { core, terms: HashMap::new(), vocab: core.map(|_| DEFAULT_VOCAB.to_owned()) }
    }

    fn into_terms(self) -> HashMap<String, Term> {
        self.terms.into_iter().map(|(text, defined)| (text, defined.term)).collect()
    }

    fn pieces(&mut self, pieces: &[Piece<'_>]) -> Result<(), ContextError> {
        for piece in pieces {
            match piece {
                Piece::Reset => self.reset()?,
                Piece::Object(definitions) => self.object(definitions)?,
            }
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), ContextError> {
        for (term, defined) in &self.terms {
            if defined.protected.is_some() && !self.is_of_core(term) {
                let shown = shown(term);
                return Err(invalid(format!("null takes away the protected term {shown}")));
            }
        }
        *self = Self::new(self.core);
        Ok(())
    }

    fn object(&mut self, definitions: &Map<String, Value>) -> Result<(), ContextError> {
        let header = Header::read(definitions)?;
        match header.vocab {
            Vocab::Unsaid => {}
            Vocab::Nothing => self.vocab = None,
            Vocab::Text(text) => self.vocab = Some(self.vocab(text)?),
        }
        let mut local =
            Local { definitions, progress: HashMap::new(), is_protected: header.is_protected };
        for term in definitions.keys().filter(|term| !is_header(term)) {
            self.define(term, &mut local, 0)?;
        }
        Ok(())
    }

    /// A vocabulary: an IRI, or what is behind the one that is in force.
    fn vocab(&self, text: &str) -> Result<String, ContextError> {
        let refuse = || Err(invalid(format!("@vocab is no IRI: {}", shown(text))));
        match self.expanded_already(text) {
            Expanded::Iri(iri) if is_iri(&iri) => Ok(iri),
            Expanded::Iri(_) | Expanded::Keyword(_) | Expanded::Nothing => refuse(),
        }
    }

    fn is_of_core(&self, term: &str) -> bool {
        self.core.is_some_and(|core| core.term(term).is_some())
    }

    /// Defines one term of the object, and first those that it is made of.
    fn define<'d>(
        &mut self,
        term: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<(), ContextError> {
        match local.progress.get(term) {
            Some(Progress::Done) => return Ok(()),
            Some(Progress::Begun) => return Err(of(term, "it is defined by itself")),
            None => {}
        }
        if depth > MAX_DEPENDENCY {
            return Err(of(term, "it depends on too many others"));
        }
        if term.is_empty() {
            return Err(invalid("a term is not empty"));
        }
        let value = local.definitions.get(term).unwrap_or(&Value::Null);
        if keyword(term).is_some() {
            return definition::check_keyword(term, value);
        }
        if looks_like_keyword(term) {
            return Ok(());
        }
        local.progress.insert(term, Progress::Begun);
        let may_be_scoped = self.core.is_none() || self.is_of_core(term);
        let definition = Definition::read(term, value, may_be_scoped)?;
        // What an earlier context said of the term does not help to define it.
        let previous = self.terms.remove(term);
        let defined = self.term(term, &definition, local, depth)?.map(|defined| {
            let is_protected = definition.is_protected.unwrap_or(local.is_protected);
            Defined { term: defined, protected: is_protected.then(|| definition.details()) }
        });
        if let Some(defined) = self.unless_protected(term, defined, previous, &definition)? {
            self.terms.insert(term.to_owned(), defined);
        }
        local.progress.insert(term, Progress::Done);
        Ok(())
    }

    /// Which of two definitions stays: the new one, unless the previous one is protected, which
    /// allows only the same again. The core's own terms are protected by more than this.
    fn unless_protected(
        &self,
        term: &str,
        defined: Option<Defined>,
        previous: Option<Defined>,
        definition: &Definition<'_>,
    ) -> Result<Option<Defined>, ContextError> {
        let Some(previous) = previous else { return Ok(defined) };
        let Some(details) = &previous.protected else { return Ok(defined) };
        if self.is_of_core(term) {
            return Ok(defined);
        }
        let is_same = defined.is_some_and(|defined| defined.term.is_same(&previous.term))
            && *details == definition.details();
        if is_same {
            Ok(Some(previous))
        } else {
            Err(of(term, "it is protected, and a later definition says something else"))
        }
    }

    /// The term that a definition makes; none if it is to be ignored.
    fn term<'d>(
        &mut self,
        term: &'d str,
        definition: &Definition<'d>,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Option<Term>, ContextError> {
        let is_named = is_name(term);
        let coercion = self.coercion(term, definition, local, depth)?;
        let (iri, may_be_prefix) = match definition.id {
            Id::Nothing => {
                let mapping = Mapping::Nothing;
                return Ok(Some(Term { mapping, coercion, is_prefix: false, is_name: false }));
            }
            Id::Text(id) if id != term => {
                if keyword(id).is_none() && looks_like_keyword(id) {
                    return Ok(None);
                }
                match self.aliased(term, id, local, depth)? {
                    Expanded::Iri(iri) => (iri, definition.is_simple),
                    Expanded::Keyword(keyword) => {
                        if definition.prefix == Some(true) {
                            return Err(of(term, "a keyword cannot be a prefix"));
                        }
                        let mapping = Mapping::Keyword(keyword);
                        let term = Term { mapping, coercion, is_prefix: false, is_name: is_named };
                        return Ok(Some(term));
                    }
                    Expanded::Nothing => return Err(of(term, "its @id stands for nothing")),
                }
            }
            Id::Unsaid | Id::Text(_) => (self.own_iri(term, local, depth)?, false),
        };
        if !is_iri(&iri) {
            return Err(of(term, &format!("it stands for no IRI: {}", shown(&iri))));
        }
        self.check_index(term, definition, local, depth)?;
        let is_plain = !term.contains([':', '/']);
        if definition.prefix.is_some() && !is_plain {
            return Err(of(term, "with ':' or '/' in it, it cannot have @prefix"));
        }
        let ends_in_delimiter = iri.ends_with([':', '/', '?', '#', '[', ']', '@']);
        let is_prefix = definition.prefix.unwrap_or(may_be_prefix && is_plain && ends_in_delimiter);
        let iri = iri.into();
        let name = Name::new(&iri);
        let mapping = Mapping::Iri(iri, name);
        Ok(Some(Term { mapping, coercion, is_prefix, is_name: is_named }))
    }
}

/// Whether this may be the IRI of a term. What is wrong behind its scheme is said when the term
/// is used, so that one bad line does not make a long context unusable.
fn is_iri(text: &str) -> bool {
    text.len() <= MAX_IRI && has_scheme(text) && !text.starts_with("_:")
}

fn of(term: &str, what: &str) -> ContextError {
    invalid(format!("the term {}: {what}", shown(term)))
}

fn invalid(reason: impl Into<String>) -> ContextError {
    ContextError::Invalid(reason.into())
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests;
