//! The keywords of JSON-LD 1.1.

const KEYWORDS: [&str; 23] = [
    "@base",
    "@container",
    "@context",
    "@direction",
    "@graph",
    "@id",
    "@import",
    "@included",
    "@index",
    "@json",
    "@language",
    "@list",
    "@nest",
    "@none",
    "@prefix",
    "@propagate",
    "@protected",
    "@reverse",
    "@set",
    "@type",
    "@value",
    "@version",
    "@vocab",
];

/// The keyword that this text is.
pub(crate) fn keyword(text: &str) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|keyword| *keyword == text)
}

/// Whether the text has the form that JSON-LD keeps for keywords of the future.
pub(crate) fn looks_like_keyword(text: &str) -> bool {
    text.strip_prefix('@')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphabetic()))
}
