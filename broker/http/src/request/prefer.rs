//! The `Prefer` header (RFC 7240; CIM 009, clauses 4.3.6.8 and 6.3.6).

use http::{HeaderMap, HeaderName, HeaderValue};
use musubi_view::Version;

/// The header that says what a client prefers.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The header that says which preferences were followed.
pub(crate) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a client prefers. What is unknown or malformed is ignored, as RFC 7240 says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// Whether the context of GeoJSON is to be in a `Link` header, rather than in the body.
    pub(crate) context_in_header: bool,
    /// The version of the specification that the answer is to conform to.
    pub(crate) version: Option<Version>,
}

/// The version that an answer conforms to for whoever asks for this one, as the value of
/// `Preference-Applied`.
pub(crate) fn applied(version: Version) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("ngsi-ld={version}")).ok()
}

impl Preferences {
    /// What the headers of a request say. The first of several wishes of a kind counts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        if !headers.contains_key(PREFER) {
            return preferences;
        }
        let mut body = None;
        let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        for wish in texts.flat_map(|text| text.split(',')) {
            // What follows a semicolon are parameters, and none is known.
            let wish = wish.split(';').next().unwrap_or_default();
            let Some((name, value)) = wish.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("body") && body.is_none() {
                body = Some(value == "json");
            } else if name.eq_ignore_ascii_case("ngsi-ld") && preferences.version.is_none() {
                preferences.version = Version::parse(value);
            }
        }
        preferences.context_in_header = body.unwrap_or(false);
        preferences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&'static str], in_header: bool, version: Option<u16>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        let expected =
            Preferences { context_in_header: in_header, version: version.map(Version::one_dot) };
        assert_eq!(Preferences::of(&headers), expected, "{values:?}");
    }

    #[test]
    fn known_preferences_are_read_and_others_ignored() {
        check(&[], false, None);
        check(&["body=json"], true, None);
        check(&["Body = \"json\"; x=1"], true, None);
        check(&["body=ld+json", "body=json"], false, None);
        check(&["return=minimal, ngsi-ld=1.5, body=json"], true, Some(5));
        check(&["ngsi-ld=1.9"], false, Some(9));
        check(&["ngsi-ld=1.12"], false, Some(9));
        check(&["ngsi-ld=2.0"], false, Some(9));
        check(&["ngsi-ld=1.0", "ngsi-ld=1.4"], false, Some(0));
        for text in
            ["ngsi-ld", "ngsi-ld=", "ngsi-ld=1", "ngsi-ld=0.9", "ngsi-ld=1.x", "ngsi-ld=1.99999999"]
        {
            let mut headers = HeaderMap::new();
            headers.append(PREFER, HeaderValue::from_static(text));
            assert_eq!(Preferences::of(&headers).version, None, "{text}");
        }
    }
}
