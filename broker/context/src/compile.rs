//! Compilation: from context documents to a table, by the rules of JSON-LD 1.1 for what NGSI-LD
//! allows of it.

use std::collections::HashMap;

use musubi_model::DEFAULT_VOCAB;
use serde_json::{Map, Value};

use crate::ContextError;
use crate::document::{Piece, Unresolved, flatten};
use crate::keyword::{keyword, looks_like_keyword};
use crate::table::Table;
use crate::term::{Coercion, Mapping, Name, Term, is_name, split_compact};

/// How many definitions may wait for each other: a prefix that is made of a prefix, and so on.
const MAX_DEPENDENCY: usize = 32;
/// The longest IRI of a term, in bytes.
const MAX_IRI: usize = 2048;

/// Compiles the pieces of a context that is used with `core`. Pieces are processed in their
/// order, and the core context after them.
pub(crate) fn compile(pieces: &[Piece<'_>], core: &Table) -> Result<Table, ContextError> {
    let mut compiler = Compiler::new(Some(core));
    compiler.pieces(pieces)?;
    Ok(Table::beside(core, compiler.terms))
}

/// Compiles the core context, which alone may have scoped contexts. What they say of the inside
/// of a proof is not needed, because the inside of a proof is kept as it came.
pub(crate) fn compile_core(context: &Value) -> Result<Table, ContextError> {
    let Value::Object(definitions) = context else { return Err(invalid("it is no object")) };
    let mut compiler = Compiler::new(None);
    compiler.pieces(&[Piece::Object(definitions)])?;
    Ok(Table::new(compiler.terms))
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
    terms: HashMap<String, Term>,
    vocab: Option<String>,
}

/// The object that is being processed, and how far its definitions have got.
struct Local<'d> {
    definitions: &'d Map<String, Value>,
    progress: HashMap<&'d str, Progress>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Begun,
    Done,
}

/// What a definition says of its IRI.
#[derive(Clone, Copy, Default)]
enum Id<'d> {
    #[default]
    Unsaid,
    /// There is to be none.
    Nothing,
    Text(&'d str),
}

/// The members of a definition that matter here.
#[derive(Default)]
struct Definition<'d> {
    id: Id<'d>,
    coercion: Option<&'d str>,
    prefix: Option<bool>,
    /// Whether it is a string and no object.
    is_simple: bool,
}

impl<'c> Compiler<'c> {
    fn new(core: Option<&'c Table>) -> Self {
        Self { core, terms: HashMap::new(), vocab: core.map(|_| DEFAULT_VOCAB.to_owned()) }
    }

    fn pieces(&mut self, pieces: &[Piece<'_>]) -> Result<(), ContextError> {
        for piece in pieces {
            match piece {
                Piece::Reset => *self = Self::new(self.core),
                Piece::Object(definitions) => self.object(definitions)?,
            }
        }
        Ok(())
    }

    fn object(&mut self, definitions: &Map<String, Value>) -> Result<(), ContextError> {
        if definitions.contains_key("@import") {
            return Err(invalid("@import is not supported"));
        }
        if definitions.get("@version").is_some_and(|version| version.as_f64() != Some(1.1)) {
            return Err(invalid("@version is 1.1"));
        }
        if let Some(vocab) = definitions.get("@vocab") {
            self.vocab = self.vocab(vocab)?;
        }
        let mut local = Local { definitions, progress: HashMap::new() };
        for term in definitions.keys().filter(|term| !is_header(term)) {
            self.define(term, &mut local, 0)?;
        }
        Ok(())
    }

    fn vocab(&self, value: &Value) -> Result<Option<String>, ContextError> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(invalid("@vocab is a string or null"));
            }
        };
        let iri = if text.contains(':') {
            self.concatenated(text)
        } else {
            format!("{}{text}", self.vocab.as_deref().unwrap_or_default())
        };
        if iri.len() > MAX_IRI || !iri.contains(':') {
            return Err(invalid(format!("@vocab is no IRI: {}", shown(text))));
        }
        Ok(Some(iri))
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
            Some(Progress::Begun) => {
                return Err(invalid(format!("the term {} is defined by itself", shown(term))));
            }
            None => {}
        }
        if depth > MAX_DEPENDENCY {
            return Err(invalid(format!("the term {} depends on too many others", shown(term))));
        }
        if term.is_empty() {
            return Err(invalid("a term is not empty"));
        }
        if keyword(term).is_some() {
            // `"@type": {"@container": "@set"}` is the one keyword that may be defined.
            return if term == "@type" {
                Ok(())
            } else {
                Err(invalid(format!("the keyword {term} cannot be defined")))
            };
        }
        if looks_like_keyword(term) {
            return Ok(());
        }
        local.progress.insert(term, Progress::Begun);
        let value = local.definitions.get(term).unwrap_or(&Value::Null);
        // What an earlier context said of the term does not help to define it.
        let previous = self.terms.remove(term);
        let definition = self.definition(term, value)?;
        match self.term(term, &definition, local, depth)? {
            Some(defined) => drop(self.terms.insert(term.to_owned(), defined)),
            None => drop(previous.map(|previous| self.terms.insert(term.to_owned(), previous))),
        }
        local.progress.insert(term, Progress::Done);
        Ok(())
    }

    /// Reads a definition and refuses what NGSI-LD does not allow.
    fn definition<'d>(&self, term: &str, value: &'d Value) -> Result<Definition<'d>, ContextError> {
        let refuse = |what: &str| Err(invalid(format!("the term {}: {what}", shown(term))));
        let members = match value {
            Value::Null => return Ok(Definition { id: Id::Nothing, ..Definition::default() }),
            Value::String(iri) => {
                return Ok(Definition {
                    id: Id::Text(iri),
                    is_simple: true,
                    ..Definition::default()
                });
            }
            Value::Object(members) => members,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return refuse("its definition is a string, an object or null");
            }
        };
        let mut definition = Definition::default();
        for (member, value) in members {
            match (member.as_str(), value) {
                ("@id", Value::Null) => definition.id = Id::Nothing,
                ("@id", Value::String(iri)) => definition.id = Id::Text(iri),
                ("@id", _) => return refuse("its @id is a string or null"),
                ("@type", Value::String(coercion)) => definition.coercion = Some(coercion),
                ("@type", _) => return refuse("its @type is a string"),
                ("@container", container) if is_container(container) => {}
                ("@container", _) => return refuse("its @container is not one of JSON-LD's"),
                ("@prefix", Value::Bool(prefix)) => definition.prefix = Some(*prefix),
                ("@prefix", _) => return refuse("its @prefix is true or false"),
                ("@context", _) if self.core.is_some_and(|core| core.term(term).is_none()) => {
                    return refuse(
                        "it has a scoped @context, which NGSI-LD does not allow (CIM 009, clause 5.5.7)",
                    );
                }
                ("@reverse", _) => return refuse("@reverse is not supported"),
                (
                    "@context" | "@direction" | "@index" | "@language" | "@nest" | "@protected",
                    _,
                ) => {}
                (other, _) => return refuse(&format!("it has an unknown member {}", shown(other))),
            }
        }
        Ok(definition)
    }

    /// The term that a definition makes; none if it is to be ignored.
    fn term<'d>(
        &mut self,
        term: &'d str,
        definition: &Definition<'d>,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Option<Term>, ContextError> {
        let refuse = |what: &str| Err(invalid(format!("the term {}: {what}", shown(term))));
        let is_compact = term.find(':').is_some_and(|at| at > 0) || term.contains('/');
        let iri = match definition.id {
            Id::Nothing => return Ok(Some(nothing())),
            Id::Text(id) if id != term => {
                if keyword(id).is_none() && looks_like_keyword(id) {
                    return Ok(None);
                }
                self.iri(id, local, depth)?
            }
            Id::Unsaid | Id::Text(_) if is_compact => self.iri_of_compact(term, local, depth)?,
            Id::Unsaid | Id::Text(_) => match &self.vocab {
                Some(vocab) => format!("{vocab}{term}"),
                None => return refuse("it has no @id, and there is no @vocab"),
            },
        };
        let coercion = match definition.coercion {
            Some(coercion) => self.coercion(term, coercion, local, depth)?,
            None => None,
        };
        if let Some(keyword) = keyword(&iri) {
            if keyword == "@context" {
                return refuse("it cannot stand for @context");
            }
            let mapping = Mapping::Keyword(keyword);
            return Ok(Some(Term { mapping, coercion, is_prefix: false, is_name: is_name(term) }));
        }
        if !iri.contains(':') || iri.len() > MAX_IRI {
            return refuse(&format!("it stands for no IRI: {}", shown(&iri)));
        }
        // A term that looks like an IRI and means another one would make a liar of every reader.
        if is_compact && self.iri_of_compact(term, local, depth)? != iri {
            return refuse("it looks like an IRI and stands for another one");
        }
        let may_be_prefix = !is_compact && !term.contains(':');
        if definition.prefix == Some(true) && !may_be_prefix {
            return refuse("it cannot be a prefix");
        }
        let ends_in_delimiter = iri.ends_with([':', '/', '?', '#', '[', ']', '@']);
        let is_prefix =
            may_be_prefix && definition.prefix.unwrap_or(definition.is_simple && ends_in_delimiter);
        let iri = iri.into();
        let name = Name::new(&iri);
        let mapping = Mapping::Iri(iri, name);
        Ok(Some(Term { mapping, coercion, is_prefix, is_name: is_name(term) }))
    }

    fn coercion<'d>(
        &mut self,
        term: &str,
        text: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<Option<Coercion>, ContextError> {
        Ok(match text {
            "@id" => Some(Coercion::Id),
            "@vocab" => Some(Coercion::Vocab),
            "@json" => Some(Coercion::Json),
            "@none" => None,
            datatype => {
                let iri = self.iri(datatype, local, depth)?;
                if !iri.contains(':') {
                    let shown = shown(term);
                    return Err(invalid(format!("the term {shown}: its @type is no IRI")));
                }
                Some(Coercion::Datatype(iri.into()))
            }
        })
    }

    /// What a string in a definition stands for.
    fn iri<'d>(
        &mut self,
        text: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<String, ContextError> {
        if keyword(text).is_some() {
            return Ok(text.to_owned());
        }
        if local.definitions.contains_key(text) && !is_header(text) {
            self.define(text, local, depth + 1)?;
        }
        let defined = self.terms.get(text).or_else(|| self.core?.term(text));
        match defined.map(|term| &term.mapping) {
            Some(Mapping::Iri(iri, _)) => return Ok(iri.to_string()),
            Some(Mapping::Keyword(keyword)) => return Ok((*keyword).to_owned()),
            Some(Mapping::Nothing) => {
                let shown = shown(text);
                return Err(invalid(format!("the term {shown} is used and stands for nothing")));
            }
            None => {}
        }
        if text.find(':').is_some_and(|at| at > 0) {
            return self.iri_of_compact(text, local, depth);
        }
        Ok(match &self.vocab {
            Some(vocab) => format!("{vocab}{text}"),
            None => text.to_owned(),
        })
    }

    /// What a string with a colon stands for, whatever is defined under the whole of it.
    fn iri_of_compact<'d>(
        &mut self,
        text: &'d str,
        local: &mut Local<'d>,
        depth: usize,
    ) -> Result<String, ContextError> {
        if let Some((prefix, _)) = split_compact(text)
            && local.definitions.contains_key(prefix)
            && !is_header(prefix)
        {
            self.define(prefix, local, depth + 1)?;
        }
        Ok(self.concatenated(text))
    }

    /// A compact IRI written out; any other text as it is.
    fn concatenated(&self, text: &str) -> String {
        match split_compact(text).and_then(|(prefix, rest)| Some((self.prefix(prefix)?, rest))) {
            Some((base, rest)) => format!("{base}{rest}"),
            None => text.to_owned(),
        }
    }

    fn prefix(&self, text: &str) -> Option<&str> {
        match self.terms.get(text) {
            Some(term) => term.iri().filter(|_| term.is_prefix).map(|iri| &**iri),
            None => self.core?.prefix(text).map(|iri| &**iri),
        }
    }
}

/// Whether a member of a context object is not a term but says something of the whole.
fn is_header(member: &str) -> bool {
    matches!(
        member,
        "@base"
            | "@direction"
            | "@import"
            | "@language"
            | "@propagate"
            | "@protected"
            | "@version"
            | "@vocab"
    )
}

fn is_container(value: &Value) -> bool {
    let known = |value: &Value| {
        matches!(
            value.as_str(),
            Some("@graph" | "@id" | "@index" | "@language" | "@list" | "@set" | "@type")
        )
    };
    value.is_null() || value.as_array().map_or_else(|| known(value), |all| all.iter().all(known))
}

fn nothing() -> Term {
    Term { mapping: Mapping::Nothing, coercion: None, is_prefix: false, is_name: false }
}

fn invalid(reason: impl Into<String>) -> ContextError {
    ContextError::Invalid(reason.into())
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}
