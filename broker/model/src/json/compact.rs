//! JSON text without its insignificant white space.

use std::borrow::Cow;

/// `text`, which is valid JSON, without the white space between its tokens. Nothing is copied
/// when there is none, which is how most clients write.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    let mut gaps = Gaps { bytes: text.as_bytes(), at: 0 };
    let Some(mut gap) = gaps.next() else { return Cow::Borrowed(text) };
    let mut compact = String::with_capacity(text.len());
    let mut copied = 0;
    loop {
        compact.push_str(text.get(copied..gap.start).unwrap_or_default());
        copied = gap.end;
        let Some(next) = gaps.next() else { break };
        gap = next;
    }
    compact.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(compact)
}

/// The stretches of white space outside of strings, in order.
struct Gaps<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Gaps<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let found =
                rest.iter().position(|byte| matches!(byte, b'"' | b' ' | b'\t' | b'\n' | b'\r'))?;
            let start = self.at + found;
            if rest.get(found) == Some(&b'"') {
                self.at = self.end_of_string(start + 1);
                continue;
            }
            let length = rest
                .iter()
                .skip(found)
                .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
                .unwrap_or(rest.len() - found);
            self.at = start + length;
            return Some(start..self.at);
        }
    }
}

impl Gaps<'_> {
    /// Where the string ends whose first character stands at `at`: behind its closing quote.
    fn end_of_string(&self, mut at: usize) -> usize {
        while let Some(rest) = self.bytes.get(at..) {
            let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
                break;
            };
            at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return at;
            }
            at += 1;
        }
        self.bytes.len()
    }
}
