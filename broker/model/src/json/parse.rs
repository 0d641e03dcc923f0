//! The parser: one pass over the bytes, no copy of a string without escapes.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Document, JsonError, Limits, Node};

/// From so many members on, an object's keys are held in a set; below, looking through them is
/// quicker.
const MANY_KEYS: usize = 16;

/// The most digits of which every number fits into a `u32`.
const SHORT_DIGITS: usize = 9;

/// Parses `text` as one JSON value.
pub(super) fn document(text: &str, limits: Limits) -> Result<Node<'_>, JsonError> {
    let depth = limits.depth.min(Limits::MAX_DEPTH);
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth,
        remaining: depth,
        elements: Vec::new(),
        members: Vec::new(),
    };
    parser.skip_space();
    let parsed = parser.value().and_then(|node| {
        parser.skip_space();
        if parser.at == parser.bytes.len() {
            Ok(node)
        } else {
            Err(parser.error("the end of the text was expected"))
        }
    });
    parsed.map_err(|failure| failure.locate(text))
}

/// An error and the byte at which it is.
struct Failure {
    reason: Cow<'static, str>,
    at: usize,
}

impl Failure {
    fn locate(self, text: &str) -> JsonError {
        let mut at = self.at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        JsonError {
            reason: self.reason.into_owned(),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    remaining: usize,
    /// The elements of the arrays that are being read, those of the innermost last. What is read
    /// whole is taken out, into exactly as much room as it needs.
    elements: Vec<Node<'a>>,
    /// The same for the members of objects.
    members: Vec<Member<'a>>,
}

type Member<'a> = (Cow<'a, str>, Node<'a>);

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn error(&self, reason: &'static str) -> Failure {
        Failure { reason: Cow::Borrowed(reason), at: self.at }
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn value(&mut self) -> Result<Node<'a>, Failure> {
        let start = self.at;
        let document = match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Document::String(self.string()?)
            }
            Some(b'-' | b'0'..=b'9') => Document::Number(self.number()?),
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b't') => self.word("true", Document::Boolean(true))?,
            Some(b'f') => self.word("false", Document::Boolean(false))?,
            Some(b'n') => self.word("null", Document::Null)?,
            Some(_) => return Err(self.error("a value was expected")),
            None => return Err(self.error("a value was expected and the text ends")),
        };
        Ok(Node { raw: self.slice(start, self.at), document })
    }

    fn word(
        &mut self,
        word: &'static str,
        document: Document<'a>,
    ) -> Result<Document<'a>, Failure> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.error("a value was expected"));
        }
        self.at += word.len();
        Ok(document)
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Document<'a>, Failure>,
    ) -> Result<Document<'a>, Failure> {
        let Some(remaining) = self.remaining.checked_sub(1) else {
            let reason = format!("arrays and objects nest deeper than {} levels", self.depth);
            return Err(Failure { reason: Cow::Owned(reason), at: self.at });
        };
        self.remaining = remaining;
        self.at += 1;
        let document = read(self)?;
        self.remaining += 1;
        Ok(document)
    }

    fn array(&mut self) -> Result<Document<'a>, Failure> {
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Document::Array(Vec::new()));
        }
        let first = self.elements.len();
        loop {
            self.skip_space();
            let element = self.value()?;
            self.elements.push(element);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Document::Array(self.elements.drain(first..).collect()));
                }
                _ => return Err(self.error("',' or ']' was expected")),
            }
        }
    }

    fn object(&mut self) -> Result<Document<'a>, Failure> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Document::Object(Vec::new()));
        }
        let first = self.members.len();
        let mut keys = Keys::default();
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in quotes was expected"));
            }
            self.at += 1;
            let key = self.string()?;
            if keys.have(&key, self.members.get(first..).unwrap_or_default()) {
                let reason = format!("the key {key:?} stands twice in the same object");
                return Err(Failure { reason: Cow::Owned(reason), at: start });
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("':' was expected"));
            }
            self.at += 1;
            self.skip_space();
            let node = self.value()?;
            self.members.push((key, node));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Document::Object(self.members.drain(first..).collect()));
                }
                _ => return Err(self.error("',' or '}' was expected")),
            }
        }
    }

    /// The rest of a string whose opening quote has been read.
    fn string(&mut self) -> Result<Cow<'a, str>, Failure> {
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let plain = self.slice(start, self.at);
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut resolved = self.slice(start, self.at).to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(resolved));
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    resolved.push(character);
                }
                Some(_) => {
                    return Err(self.error("a control character in a string has to be escaped"));
                }
                None => return Err(self.error("the text ends inside a string")),
            }
            let start = self.at;
            self.skip_plain();
            resolved.push_str(self.slice(start, self.at));
        }
    }

    /// Goes to the next character that is not simply part of a string.
    fn skip_plain(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Result<char, Failure> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => return Err(Failure { reason: Cow::Borrowed("unknown escape"), at: start }),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Failure> {
        let lone = Failure {
            reason: Cow::Borrowed("half of a surrogate pair is not a character"),
            at: start,
        };
        let first = self.four_hex_digits()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(lone);
                }
                self.at += 2;
                let second = self.four_hex_digits()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone);
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            code => code,
        };
        char::from_u32(code).ok_or(lone)
    }

    fn four_hex_digits(&mut self) -> Result<u32, Failure> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error("four hexadecimal digits were expected"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<f64, Failure> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let digits = self.at;
        self.digits()?;
        if self.bytes.get(digits) == Some(&b'0') && self.at > digits + 1 {
            return Err(Failure {
                reason: Cow::Borrowed("a number has no leading zeros"),
                at: digits,
            });
        }
        if !matches!(self.peek(), Some(b'.' | b'e' | b'E')) && self.at - digits <= SHORT_DIGITS {
            return Ok(self.short_integer(start, digits));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = self.slice(start, self.at).parse().unwrap_or(f64::NAN);
        if number.is_finite() {
            Ok(number)
        } else {
            Err(Failure { reason: Cow::Borrowed("the number is too large"), at: start })
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Failure> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.error("a digit was expected")) }
    }

    /// The integer that was just read: an optional minus and at most [`SHORT_DIGITS`] digits.
    fn short_integer(&self, start: usize, digits: usize) -> f64 {
        let amount = self.slice(digits, self.at).bytes().fold(0_u32, |amount, digit| {
            amount.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0')))
        });
        let amount = f64::from(amount);
        if start == digits { amount } else { -amount }
    }
}

/// The keys of an object while it is read, if there are many.
#[derive(Default)]
struct Keys<'a>(Option<HashSet<Cow<'a, str>>>);

impl<'a> Keys<'a> {
    /// Whether one of the members so far has this key. Asked for each key, in their order.
    fn have(&mut self, key: &str, members: &[Member<'a>]) -> bool {
        if members.len() < MANY_KEYS {
            return members.iter().any(|(other, _)| other == key);
        }
        let all = || members.iter().map(|(key, _)| key.clone()).collect();
        let keys = self.0.get_or_insert_with(all);
        keys.extend(members.last().map(|(key, _)| key.clone()));
        keys.contains(key)
    }
}
