//! Writing JSON text piece by piece.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use musubi_model::{AttributeType, Timestamp};
use smallvec::SmallVec;

use crate::Context;
use crate::context::Compacted;

/// The output, and the context whose names are written.
pub(super) struct Writer<'o, 'c> {
    out: &'o mut Vec<u8>,
    context: &'c Context,
    /// The last time that was written, what stood before it, and where both stand in the output:
    /// the times of an entity are mostly the same few.
    last: Option<(&'static str, Timestamp, Range<usize>)>,
    names: WrittenNames<'c>,
}

/// How a name was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// By itself.
    Alone,
    /// With all that stands before the value of a normalized attribute of this kind.
    Opening(AttributeType),
}

/// A name that was written.
struct WrittenName<'c> {
    name: &'c Arc<str>,
    how: Written,
    /// Where it stands in the output.
    range: Range<usize>,
}

/// Names that were written: entities of one type have mostly the same, in the same order, and
/// stores keep one text of each.
#[derive(Default)]
struct WrittenNames<'c> {
    known: SmallVec<[WrittenName<'c>; 16]>,
    /// Where the next one is expected.
    next: usize,
}

impl<'c> WrittenNames<'c> {
    /// The most names that are remembered.
    const MAX: usize = 256;
    /// The most that are looked through for one that is not where it is expected.
    const NEAR: usize = 16;

    #[inline]
    fn find(&mut self, name: &Arc<str>, how: Written) -> Option<Range<usize>> {
        let is_it = |known: &WrittenName<'_>| Arc::ptr_eq(known.name, name) && known.how == how;
        // After the last one of an entity comes the first one of the next.
        let expected = if self.next < self.known.len() { self.next } else { 0 };
        if let Some(known) = self.known.get(expected).filter(|known| is_it(known)) {
            self.next = expected + 1;
            return Some(known.range.clone());
        }
        self.find_around(is_it)
    }

    /// One that is not where it is expected.
    #[cold]
    fn find_around(&mut self, is_it: impl Fn(&WrittenName<'_>) -> bool) -> Option<Range<usize>> {
        let (earlier, later) = self.known.split_at_checked(self.next)?;
        let mut around = later.iter().chain(earlier).take(Self::NEAR);
        let steps = around.position(is_it)?;
        let mut at = self.next + steps;
        if at >= self.known.len() {
            at -= self.known.len();
        }
        self.next = at + 1;
        self.known.get(at).map(|known| known.range.clone())
    }

    fn remember(&mut self, name: &'c Arc<str>, how: Written, range: Range<usize>) {
        if self.known.len() < Self::MAX {
            self.known.push(WrittenName { name, how, range });
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

    /// The output from there on.
    pub(super) fn since(&self, start: usize) -> &[u8] {
        self.out.get(start..).unwrap_or_default()
    }

    /// The output, for somebody who knows what else to write.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Text that is JSON already.
    #[inline]
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// The end of an object.
    #[inline]
    pub(super) fn end(&mut self) {
        self.out.push(b'}');
    }

    /// A string, with the escapes that it needs.
    pub(super) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    /// The short form of a name.
    #[inline]
    pub(super) fn name(&mut self, iri: &'c Arc<str>) {
        if let Some(written) = self.names.find(iri, Written::Alone) {
            self.out.extend_from_within(written);
            return;
        }
        let start = self.out.len();
        self.new_name(iri);
        self.names.remember(iri, Written::Alone, start..self.out.len());
    }

    /// Everything before the value of a normalized attribute, if it was written before.
    #[inline]
    pub(super) fn repeat_opening(&mut self, iri: &Arc<str>, kind: AttributeType) -> bool {
        match self.names.find(iri, Written::Opening(kind)) {
            Some(written) => {
                self.out.extend_from_within(written);
                true
            }
            None => false,
        }
    }

    /// Everything before the value of a normalized attribute.
    pub(super) fn opening(&mut self, iri: &'c Arc<str>, kind: AttributeType) {
        let start = self.out.len();
        self.raw(",");
        self.new_name(iri);
        self.raw(":");
        self.raw(opening(kind));
        self.names.remember(iri, Written::Opening(kind), start..self.out.len());
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

    /// A text that needs no escapes, such as an IRI.
    pub(super) fn plain(&mut self, text: &str) {
        self.out.push(b'"');
        self.raw(text);
        self.out.push(b'"');
    }

    /// A point in time, behind the text that is given.
    #[inline]
    pub(super) fn time(&mut self, before: &'static str, time: Timestamp) {
        // Where equal texts stand in two places, nothing is lost but time.
        match &self.last {
            Some((same, last, range))
                if std::ptr::eq(*same, before) && last.is_written_like(time) =>
            {
                self.out.extend_from_within(range.clone());
            }
            _ => self.new_time(before, time),
        }
    }

    fn new_time(&mut self, before: &'static str, time: Timestamp) {
        let start = self.out.len();
        self.raw(before);
        self.out.push(b'"');
        self.raw(time.text().as_str());
        self.out.push(b'"');
        self.last = Some((before, time, start..self.out.len()));
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

/// What stands between the name and the value of a normalized attribute.
pub(super) fn opening(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::Property => "{\"type\":\"Property\",\"value\":",
        AttributeType::GeoProperty => "{\"type\":\"GeoProperty\",\"value\":",
        AttributeType::Relationship => "{\"type\":\"Relationship\",\"object\":",
        AttributeType::LanguageProperty => "{\"type\":\"LanguageProperty\",\"languageMap\":",
        AttributeType::VocabProperty => "{\"type\":\"VocabProperty\",\"vocab\":",
        AttributeType::JsonProperty => "{\"type\":\"JsonProperty\",\"json\":",
        AttributeType::ListProperty => "{\"type\":\"ListProperty\",\"valueList\":",
        AttributeType::ListRelationship => "{\"type\":\"ListRelationship\",\"objectList\":",
    }
}
