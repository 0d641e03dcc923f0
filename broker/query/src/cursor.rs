//! A place in the text of a query.

use crate::InvalidQuery;

/// The longest text of a query, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024;

/// Reads a query from left to right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    parameter: &'static str,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of `text`, the value of this query parameter.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if the text is longer than [`MAX_BYTES`].
    pub(crate) fn new(parameter: &'static str, text: &'a str) -> Result<Self, InvalidQuery> {
        let cursor = Self::unlimited(parameter, text);
        if text.len() > MAX_BYTES {
            let reason =
                format!("at most {MAX_BYTES} bytes are accepted, and these are {}", text.len());
            return Err(cursor.error(reason));
        }
        Ok(cursor)
    }

    /// The beginning of a text whose length somebody else limits.
    pub(crate) fn unlimited(parameter: &'static str, text: &'a str) -> Self {
        Self { parameter, text, at: 0 }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character, which stays unread.
    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether everything has been read.
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Reads `token`, if it is what comes next.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let comes = self.rest().starts_with(token);
        if comes {
            self.at += token.len();
        }
        comes
    }

    /// Reads so many bytes, which end at the end of a character.
    pub(crate) fn take(&mut self, bytes: usize) -> &'a str {
        let taken = self.rest().get(..bytes).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// Reads as long as the characters fit.
    pub(crate) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        self.take(rest.find(|character| !fits(character)).unwrap_or(rest.len()))
    }

    /// Passes over spaces.
    pub(crate) fn skip_spaces(&mut self) {
        self.take_while(|character| character == ' ');
    }

    /// An error at this place.
    pub(crate) fn error(&self, reason: impl Into<String>) -> InvalidQuery {
        let before = self.text.get(..self.at).unwrap_or_default();
        InvalidQuery {
            parameter: self.parameter,
            reason: reason.into(),
            at: before.chars().count() + 1,
            text: self.text.chars().take(200).collect(),
        }
    }
}
