//! A compiled context: terms to IRIs, and back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::term::Term;

/// Seeded per process, because the keys come from clients.
pub(crate) type Seed = foldhash::fast::RandomState;

/// The terms of a context, and the way back from IRIs to them. Small things beside the terms of
/// the core context, which are a table of their own.
#[derive(Debug, Default)]
pub(crate) struct Table {
    terms: HashMap<Box<str>, Term, Seed>,
    /// For each IRI the one term that stands for it in what we write. No text in here needs an
    /// escape in JSON.
    reverse: HashMap<Arc<str>, Box<str>, Seed>,
    /// For each IRI that terms may be built upon the prefix that we write. Ordered, so that the
    /// prefixes of an IRI are found without looking at the others.
    prefixes: BTreeMap<Arc<str>, Box<str>>,
    /// Whether a term has a colon in it, so that what looks like a prefix and a rest may be one.
    has_compact: bool,
    /// About the bytes that the table holds.
    weight: usize,
}

impl Table {
    pub(crate) fn new(terms: impl IntoIterator<Item = (String, Term)>) -> Self {
        let mut table = Self::default();
        for (text, term) in terms {
            if let Some(iri) = term.iri() {
                table.weight += 2 * (text.len() + iri.len()) + PER_TERM;
                let is_plain = text.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\'));
                if is_plain && (term.is_name || text.contains(':')) {
                    let written = table.reverse.entry(Arc::clone(iri)).or_default();
                    prefer(written, &text);
                }
                if is_plain && term.is_prefix {
                    prefer(table.prefixes.entry(Arc::clone(iri)).or_default(), &text);
                }
            }
            table.has_compact |= text.contains(':');
            table.terms.insert(text.into_boxed_str(), term);
        }
        table
    }

    /// The table of a context that is used with `core`: no context changes the core's terms, nor
    /// what is written for the core's IRIs.
    pub(crate) fn beside(core: &Self, mut terms: HashMap<String, Term>) -> Self {
        terms.retain(|text, _| core.term(text).is_none());
        let mut table = Self::new(terms);
        table.reverse.retain(|iri, _| core.reverse(iri).is_none());
        table
    }

    /// What is said of a term.
    pub(crate) fn term(&self, text: &str) -> Option<&Term> {
        self.terms.get(text)
    }

    /// The IRI that a prefix stands for.
    pub(crate) fn prefix(&self, text: &str) -> Option<&Arc<str>> {
        self.terms.get(text).filter(|term| term.is_prefix)?.iri()
    }

    /// The term that stands for an IRI.
    pub(crate) fn reverse(&self, iri: &str) -> Option<&str> {
        self.reverse.get(iri).map(AsRef::as_ref)
    }

    /// Whether a prefix and a rest are together a term of their own that stands for another IRI.
    pub(crate) fn hides(&self, prefix: &str, rest: &str, iri: &str) -> bool {
        self.has_compact
            && self
                .term(&format!("{prefix}:{rest}"))
                .is_some_and(|term| term.iri().is_none_or(|other| **other != *iri))
    }

    /// Whether nothing is said of any term.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Each prefix that an IRI can be written with, longest base first, and the rest behind it; of
    /// very many that are made of one another only the longest.
    pub(crate) fn prefixes_of<'a>(
        &'a self,
        iri: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut within = Some(iri);
        let mut steps = 0..MAX_STEPS;
        std::iter::from_fn(move || {
            loop {
                steps.next()?;
                let bound = (Bound::Unbounded, Bound::Included(within?));
                let Some((base, prefix)) = self.prefixes.range::<str, _>(bound).next_back() else {
                    within = None;
                    return None;
                };
                let rest = iri.strip_prefix(&**base);
                // What is still to be found begins the IRI and comes before this base, so it is
                // no longer than what the two have in common, and shorter than the base.
                let common = base.bytes().zip(iri.bytes()).take_while(|(a, b)| a == b).count();
                let longest = common.min(base.len().saturating_sub(1));
                within = (1..=longest).rev().find_map(|length| iri.get(..length));
                if let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with("//"))
                {
                    return Some((prefix.as_ref(), rest));
                }
            }
        })
    }
}

/// The most bases that are looked at for one IRI. Each step goes from one level of a URL at least
/// to the one above, so only a context that means harm has more.
const MAX_STEPS: usize = 64;

/// About what a term costs beside its texts, in bytes.
const PER_TERM: usize = 160;

/// Shortest first, then in the order of the characters, so that the choice does not depend on the
/// order of the document.
fn prefer(written: &mut Box<str>, candidate: &str) {
    let is_better =
        written.is_empty() || (candidate.len(), candidate) < (written.len(), written.as_ref());
    if is_better {
        *written = candidate.into();
    }
}
