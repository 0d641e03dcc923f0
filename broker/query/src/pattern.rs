//! Regular expressions in queries.

use std::fmt;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::Extractor;
use serde::{Deserialize, Serialize};

/// A regular expression, matched anywhere in a text unless it is anchored. Matching takes time
/// linear in the text, whatever the expression. Two patterns are equal if their texts are.
///
/// The specification asks for extended regular expressions of POSIX (IEEE 1003.2). These are
/// understood, and so is much of what other languages add, such as `\d`, `\b`, `(?i)` and `.*?`.
/// Repetitions directly behind each other, as in `a**`, which POSIX leaves undefined, are refused,
/// and so is what cannot be matched in linear time: back references and looking around.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a usable regular expression: {0}")]
pub struct InvalidPattern(String);

impl Pattern {
    /// The most memory that a compiled pattern takes, in bytes. `x{1000}{1000}` is refused. The
    /// time that matching takes grows with the product of this and the text.
    pub const MAX_COMPILED_BYTES: usize = 128 << 10;

    /// The most memory that matching takes to be quick, in bytes.
    const MAX_CACHE_BYTES: usize = 1 << 20;

    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] if the text is no regular expression, or if it would take more than
    /// [`MAX_COMPILED_BYTES`](Self::MAX_COMPILED_BYTES).
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let ast = ast::parse::Parser::new().parse(text);
        if ast.is_ok_and(|ast| ast::visit(&ast, Repetitions).is_err()) {
            return Err(InvalidPattern("two repetitions follow each other".to_owned()));
        }
        RegexBuilder::new(text)
            .size_limit(Self::MAX_COMPILED_BYTES)
            .dfa_size_limit(Self::MAX_CACHE_BYTES)
            .build()
            .map(Self)
            .map_err(|error| InvalidPattern(reason(&error)))
    }

    /// The pattern of texts that begin so.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] if the text is too long.
    pub fn prefix(text: &str) -> Result<Self, InvalidPattern> {
        Self::new(&format!("^{}", regex::escape(text)))
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The texts with one of which everything begins in which the pattern is found; none if that
    /// cannot be said, or takes more than a few.
    pub fn beginnings(&self) -> Option<Vec<String>> {
        let tree = regex_syntax::Parser::new().parse(self.as_str()).ok()?;
        if !tree.properties().look_set_prefix().contains(Look::Start) {
            return None;
        }
        let mut literals = Extractor::new().limit_total(Self::MAX_BEGINNINGS).extract(&tree);
        // A text comes right before those that begin with it.
        literals.sort();
        let mut texts: Vec<String> = Vec::new();
        for literal in literals.literals()? {
            // A literal may end inside a character.
            let text = literal.as_bytes().utf8_chunks().next().map_or("", |chunk| chunk.valid());
            if text.is_empty() {
                return None;
            }
            if texts.last().is_none_or(|shorter| !text.starts_with(&**shorter)) {
                texts.push(text.to_owned());
            }
        }
        Some(texts)
    }

    /// The most texts of [`beginnings`](Self::beginnings).
    const MAX_BEGINNINGS: usize = 8;

    /// Whether the pattern is found in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Looks for repetitions that are repeated themselves. An expression that is none at all is left
/// to the compiler, which says why.
struct Repetitions;

impl ast::Visitor for Repetitions {
    type Output = ();
    type Err = ();

    fn finish(self) -> Result<(), ()> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        let is_repeated =
            matches!(ast, Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)));
        if is_repeated { Err(()) } else { Ok(()) }
    }
}

/// The reason alone, on one line: the drawing that the library adds does not fit into a sentence.
fn reason(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "it is too large".to_owned();
    }
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl std::str::FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_pattern_is_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            assert_eq!(
                Pattern::new(text).unwrap_err().to_string(),
                format!("not a usable regular expression: {reason}")
            );
        };
        check("(", "unclosed group");
        check("(\\w{1000}){1000}", "it is too large");
        for text in ["a**", "a+*", "a?{2}", "(b|a{2}{3})c", "\\w{1000}{1000}", "a*?+"] {
            check(text, "two repetitions follow each other");
        }
        assert!(Pattern::new("*a").is_err());
        assert!(Pattern::new("(a)\\1").is_err(), "a back reference");
        assert!(Pattern::new("(?=a)").is_err(), "looking ahead");
        check("1[01]{5000}[^01]", "it is too large");
        assert!(Pattern::new(r"^[\w.-]+@\w+\.(jp|com)$").is_ok(), "an everyday one");
        let deep = "(".repeat(1_000) + &")".repeat(1_000);
        assert!(Pattern::new(&deep).is_err());
    }

    #[test]
    fn a_pattern_is_found_anywhere_and_kept_as_its_text() {
        let pattern = Pattern::new("^urn:.*:1$").unwrap();
        assert!(pattern.is_match("urn:ngsi-ld:Shelter:1"));
        assert!(!pattern.is_match("urn:ngsi-ld:Shelter:12"));
        let bytes = postcard::to_stdvec(&pattern).unwrap();
        assert_eq!(postcard::from_bytes::<Pattern>(&bytes).unwrap(), pattern);
        assert!(serde_json::from_str::<Pattern>("\"(\"").is_err());
    }

    #[test]
    fn everyday_expressions_mean_what_posix_says() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(Pattern::new(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        };
        check("^urn:ngsi-ld:(Room|Car):[[:digit:]]{2,3}$", "urn:ngsi-ld:Car:042", true);
        check("^urn:ngsi-ld:(Room|Car):[[:digit:]]{2,3}$", "urn:ngsi-ld:Car:4", false);
        check("(a*)*b", "xaab", true);
        check("a.*?b", "axxb", true);
        check("[*]+", "a*b", true);
        check("a\\*\\*", "a**", true);
        check("避難所.+", "urn:避難所:1", true);
    }

    #[test]
    fn the_beginnings_of_a_pattern_are_those_of_what_it_matches() {
        let check = |pattern: &str, expected: Option<&[&str]>| {
            let found = Pattern::new(pattern).unwrap().beginnings();
            let expected = expected.map(|texts| texts.iter().map(ToString::to_string).collect());
            assert_eq!(found, expected, "{pattern}");
        };
        check("^urn:ngsi-ld:Room:.*", Some(&["urn:ngsi-ld:Room:"]));
        check("^urn:(a|b):", Some(&["urn:a:", "urn:b:"]));
        check("^urn:a$", Some(&["urn:a"]));
        check("^urn:ab*", Some(&["urn:a"]));
        check("urn:ngsi-ld:Room:.*", None);
        check("^a|b", None);
        check("(?m)^urn:a", None);
        check("^", None);
        check("^.*", None);
        check("^(urn:a)?", None);
        check("^\\w+", None);
        check("^避難所.", Some(&["避難所"]));
    }

    proptest::proptest! {
        #[test]
        fn whatever_matches_begins_as_the_pattern_says(
            pattern in "\\^?(\\^|[ab.|]|\\(a\\|b\\)|[ab][*?+]|\\[ab\\]|\\(\\?i\\)){0,6}",
            texts in proptest::collection::vec("[abA]{0,5}", 8),
        ) {
            let Ok(pattern) = Pattern::new(&pattern) else { return Ok(()) };
            let Some(beginnings) = pattern.beginnings() else { return Ok(()) };
            for text in texts.iter().filter(|text| pattern.is_match(text)) {
                let begins = beginnings.iter().any(|beginning| text.starts_with(&**beginning));
                proptest::prop_assert!(begins, "{pattern:?} {beginnings:?} {text}");
            }
        }
    }

    #[test]
    fn matching_takes_linear_time() {
        let pattern = Pattern::new("^(a+)+$").unwrap();
        assert!(!pattern.is_match(&("a".repeat(100_000) + "b")));
    }
}
