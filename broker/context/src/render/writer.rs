//! Writing JSON text piece by piece.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use musubi_model::Timestamp;
use smallvec::SmallVec;

use crate::Context;
use crate::context::Compacted;

/// The output, and the context whose names are written.
pub(super) struct Writer<'o, 'c> {
    out: &'o mut Vec<u8>,
    context: &'c Context,
    /// The last time that was written, and where it stands in the output: the times of an entity
    /// are mostly the same few.
    last: Option<(Timestamp, Range<usize>)>,
    names: WrittenNames<'c>,
}

/// Names that were written, and where they stand in the output: entities of one type have mostly
/// the same, in the same order, and stores keep one text of each.
#[derive(Default)]
struct WrittenNames<'c> {
    known: SmallVec<[(&'c Arc<str>, Range<usize>); 16]>,
    /// Where the next one is expected.
    next: usize,
}

impl<'c> WrittenNames<'c> {
    /// The most names that are remembered.
    const MAX: usize = 256;
    /// The most that are looked through for one that is not where it is expected.
    const NEAR: usize = 16;

    fn find(&mut self, name: &Arc<str>) -> Option<Range<usize>> {
        let (earlier, later) = self.known.split_at_checked(self.next)?;
        let mut around = later.iter().chain(earlier).take(Self::NEAR);
        let steps = around.position(|(known, _)| Arc::ptr_eq(known, name))?;
        let at = (self.next + steps) % self.known.len();
        self.next = at + 1;
        self.known.get(at).map(|(_, range)| range.clone())
    }

    fn remember(&mut self, name: &'c Arc<str>, range: Range<usize>) {
        if self.known.len() < Self::MAX {
            self.known.push((name, range));
            self.next = self.known.len();
        }
    }
}

impl<'o, 'c> Writer<'o, 'c> {
    pub(super) fn new(out: &'o mut Vec<u8>, context: &'c Context) -> Self {
        Self { out, context, last: None, names: WrittenNames::default() }
    }

    /// How long the output is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Text that is JSON already.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A string, with the escapes that it needs.
    pub(super) fn string(&mut self, text: &str) {
        self.raw("\"");
        self.escaped(text);
        self.raw("\"");
    }

    /// The short form of a name.
    pub(super) fn name(&mut self, iri: &'c Arc<str>) {
        if let Some(written) = self.names.find(iri) {
            self.out.extend_from_within(written);
            return;
        }
        let start = self.out.len();
        self.new_name(iri);
        self.names.remember(iri, start..self.out.len());
    }

    /// The short form of a name of which nothing is remembered.
    pub(super) fn new_name(&mut self, iri: &str) {
        self.compacted(self.context.short_name(iri));
    }

    /// The short form of a term of the vocabulary.
    pub(super) fn term(&mut self, iri: &str) {
        let short = self.context.compact(iri);
        self.string(&short);
    }

    pub(super) fn context_member(&mut self) {
        let context = self.context;
        self.raw(context.member());
    }

    /// A point in time, behind the text that is given.
    pub(super) fn time(&mut self, before: &str, time: Timestamp) {
        self.raw(before);
        let start = self.out.len();
        match &self.last {
            Some((last, range)) if *last == time => self.out.extend_from_within(range.clone()),
            _ => {
                self.raw("\"");
                self.raw(time.text().as_str());
                self.raw("\"");
                self.last = Some((time, start..self.out.len()));
            }
        }
    }

    pub(super) fn array<'t, T>(
        &mut self,
        elements: &'t [T],
        mut write: impl FnMut(&mut Self, &'t T),
    ) {
        self.raw("[");
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, element);
        }
        self.raw("]");
    }

    fn compacted(&mut self, name: Compacted<'_>) {
        self.raw("\"");
        match name {
            // What a context writes needs no escapes (see `Table`), and neither does an IRI.
            Compacted::Whole(text) => self.raw(text),
            Compacted::Prefixed(prefix, rest) => {
                self.raw(prefix);
                self.raw(":");
                self.raw(rest);
            }
        }
        self.raw("\"");
    }

    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) =
            rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
        {
            let (plain, special) = rest.split_at(at);
            self.raw(plain);
            let mut characters = special.chars();
            match characters.next() {
                Some('"') => self.raw("\\\""),
                Some('\\') => self.raw("\\\\"),
                Some('\n') => self.raw("\\n"),
                Some('\r') => self.raw("\\r"),
                Some('\t') => self.raw("\\t"),
                Some(other) => drop(write!(self.out, "\\u{:04x}", u32::from(other))),
                None => {}
            }
            rest = characters.as_str();
        }
        self.raw(rest);
    }
}
