//! The core context, and the names that it gives to terms which no context defines.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use musubi_model::DEFAULT_VOCAB;
use parking_lot::RwLock;

use crate::compile::compile_core;
use crate::document::context_of;
use crate::table::{Seed, Table};
use crate::term::{Name, is_name};

/// The core context that this version of Musubi speaks.
pub const CORE_CONTEXT_URL: &str =
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld";

/// The terms of the core context.
pub(crate) static CORE: LazyLock<Table> = LazyLock::new(core);

#[expect(clippy::expect_used, reason = "the document is part of the program, and tests compile it")]
fn core() -> Table {
    let document =
        context_of(include_bytes!("core-v1.9.jsonld")).expect("it is a context document");
    compile_core(&document).expect("it is a valid context")
}

/// What a URL is to the core context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreUrl {
    /// Its address, with a version that exists or without one.
    Known,
    /// Its address with a version that does not exist.
    Unknown,
    /// Something else.
    Other,
}

/// What a URL is to the core context. All versions are answered with the one that is built in:
/// each has the terms of those before it.
pub(crate) fn core_url(url: &str) -> CoreUrl {
    let version = url
        .strip_prefix("http")
        .map(|rest| rest.strip_prefix('s').unwrap_or(rest))
        .and_then(|rest| rest.strip_prefix("://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context"));
    let Some(version) = version else { return CoreUrl::Other };
    let known = match version.strip_suffix(".jsonld").map(|it| it.strip_prefix("-v1.").ok_or(it)) {
        Some(Err(rest)) => rest.is_empty(),
        Some(Ok(minor)) => minor.len() == 1 && minor.bytes().all(|byte| byte.is_ascii_digit()),
        None => false,
    };
    if known { CoreUrl::Known } else { CoreUrl::Unknown }
}

/// The versions of the core context of which each has a document of its own under its URL. What
/// came before 1.3 had the URL without a version.
const PUBLISHED: [&str; 7] = ["1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"];

/// The URL of the core context of a version such as `1.8`, if it was published.
pub fn core_context_url(version: &str) -> Option<String> {
    let base = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context";
    PUBLISHED.contains(&version).then(|| format!("{base}-v{version}.jsonld"))
}

/// The URLs of all core contexts that were published under a version.
pub(crate) fn core_context_urls() -> impl Iterator<Item = String> {
    PUBLISHED.iter().filter_map(|version| core_context_url(version))
}

/// The most names of the default vocabulary that are kept.
const MAX_NAMES: usize = 16_384;
/// Longer terms are not worth keeping, in bytes.
const MAX_KEPT: usize = 128;

/// Names of the default vocabulary by term, so that each is checked and allocated once.
static NAMES: LazyLock<RwLock<HashMap<Box<str>, Name, Seed>>> = LazyLock::new(RwLock::default);

/// A part of the name that the default vocabulary gives to a term, if the term may have one.
pub(crate) fn default_name<T>(term: &str, part: impl Fn(&Name) -> T) -> Option<T> {
    if let Some(name) = NAMES.read().get(term) {
        return Some(part(name));
    }
    let iri: Arc<str> = format!("{DEFAULT_VOCAB}{term}").into();
    let name = Name::new(&iri)?;
    let result = part(&name);
    if term.len() <= MAX_KEPT && is_name(term) {
        let mut names = NAMES.write();
        if names.len() >= MAX_NAMES {
            // Whoever sends so many names sends new ones all the time, so which are kept matters
            // little.
            names.clear();
        }
        names.insert(term.into(), name);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_the_core_context_that_exists_is_known() {
        let check = |file: &str, expected: CoreUrl| {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://uri.etsi.org/ngsi-ld/v1/{file}");
                assert_eq!(core_url(&url), expected, "{url}");
            }
        };
        check("ngsi-ld-core-context.jsonld", CoreUrl::Known);
        for minor in 0..=9 {
            check(&format!("ngsi-ld-core-context-v1.{minor}.jsonld"), CoreUrl::Known);
        }
        for file in [
            "ngsi-ld-core-context-v1.10.jsonld",
            "ngsi-ld-core-context-v1.jsonld",
            "ngsi-ld-core-context-v2.0.jsonld",
            "ngsi-ld-core-context-v1.9.json",
            "ngsi-ld-core-context-v1.x.jsonld",
            "ngsi-ld-core-context",
        ] {
            check(file, CoreUrl::Unknown);
        }
        check("other.jsonld", CoreUrl::Other);
        assert_eq!(core_url("https://example.org/ngsi-ld-core-context.jsonld"), CoreUrl::Other);
        assert_eq!(core_url(CORE_CONTEXT_URL), CoreUrl::Known);
    }

    #[test]
    fn every_published_core_context_is_known_and_the_newest_is_ours() {
        assert!(core_context_urls().all(|url| core_url(&url) == CoreUrl::Known));
        assert_eq!(core_context_urls().last().as_deref(), Some(CORE_CONTEXT_URL));
        for version in ["", "1", "1.2", "1.10", "2.0", "v1.9", "1.9.1", " 1.9"] {
            assert_eq!(core_context_url(version), None, "{version}");
        }
    }

    #[test]
    fn the_core_context_knows_its_terms() {
        let check = |term: &str, iri: &str| {
            assert_eq!(CORE.term(term).and_then(|term| term.iri()).map(|iri| &**iri), Some(iri));
        };
        check("Property", "https://uri.etsi.org/ngsi-ld/Property");
        check("value", "https://uri.etsi.org/ngsi-ld/hasValue");
        check("Point", "https://purl.org/geojson/vocab#Point");
        check("title", "http://purl.org/dc/terms/title");
        check("ngsildproof", "https://uri.etsi.org/ngsi-ld/ngsildproof");
    }

    #[test]
    fn a_name_of_the_default_vocabulary_is_shared() {
        let first = default_name("sharedByTwo", |name| name.attribute.clone()).unwrap();
        let second = default_name("sharedByTwo", |name| name.attribute.clone()).unwrap();
        assert_eq!(first.as_str(), format!("{DEFAULT_VOCAB}sharedByTwo"));
        assert!(Arc::ptr_eq(first.shared(), second.shared()));
        assert!(default_name("my attr", |_| ()).is_none());
    }
}
