//! Conditional requests on one entity (RFC 9110, section 13), an extension of ours.
//!
//! The answer to a retrieval has a strong `ETag`, unless linked entities are joined into it. `PATCH`,
//! `PUT`, `DELETE` of an entity or of an attribute of it, and `POST` of attributes, take it back:
//!
//! - `If-Match`: the change happens only if the entity is still at one of these versions.
//! - `If-None-Match`: the change happens only if the entity is at none of them. With `*`, a creation
//!   that meets an entity of that id is answered 412 rather than 409; a retrieval is answered 304
//!   if the client has what it would get.
//! - `Musubi-If-Newer: observedAt`: attribute instances that were observed no later than those that
//!   are there are left alone, and named in an answer of 207. Batches take it too.
//!
//! Where an operation is about more than one entity, the first two say nothing and are not looked
//! at.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use musubi_broker::{Conditions, OutOfOrder, Version, Versions};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::prefer::PREFER;

/// What an answer that has a tag depends on beside its URL, for whoever keeps answers.
const VARY: HeaderValue = HeaderValue::from_static("accept, link, ngsild-tenant, prefer");

/// Room for all headers of an answer, so that the map is not made anew as it grows.
pub(crate) const HEADERS: usize = 6;

/// Asks that what arrives late changes nothing.
pub(crate) const IF_NEWER: HeaderName = HeaderName::from_static("musubi-if-newer");

/// The conditions that the headers of a write name.
pub(crate) fn conditions(headers: &HeaderMap) -> Result<Conditions, Error> {
    let versions = |name: HeaderName| -> Result<Option<Versions>, Error> {
        Ok(tags(headers, &name)?.map(|tags| tags.versions(name == header::IF_NONE_MATCH)))
    };
    let out_of_order = match headers.get(IF_NEWER).map(HeaderValue::as_bytes) {
        None => OutOfOrder::Apply,
        Some(b"observedAt") => OutOfOrder::LeaveAlone,
        Some(_) => {
            let reason = "the header Musubi-If-Newer names the member that says which of two is \
                          newer, and that is observedAt";
            return Err(Error::InvalidRequest(reason.to_owned()));
        }
    };
    Ok(Conditions {
        matches: versions(header::IF_MATCH)?,
        matches_none: versions(header::IF_NONE_MATCH)?,
        out_of_order,
    })
}

/// What a reader has already, and how it asks.
#[derive(Debug)]
pub(crate) struct Reader {
    known: Option<Tags>,
    /// What distinguishes the representation that it asks for from others at the same URL.
    variant: u32,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let known = tags(&parts.headers, &header::IF_NONE_MATCH)?;
        Ok(Self { known, variant: variant(&parts.headers) })
    }
}

impl Reader {
    /// The headers of the answer that shows the entity.
    pub(crate) fn headers(&self, version: Version) -> HeaderMap {
        let mut tag = String::with_capacity(32);
        tag.push('"');
        push_digits(&mut tag, version.number(), 16);
        tag.push('-');
        push_digits(&mut tag, u64::from(self.variant), 8);
        tag.push('"');
        let mut headers = HeaderMap::with_capacity(HEADERS);
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::VARY, VARY);
        headers
    }

    /// The answer, or 304 without a body if the reader has it already.
    pub(crate) fn answer(&self, response: Response) -> Response {
        let Some(known) = &self.known else { return response };
        let Some(tag) = response.headers().get(header::ETAG).cloned() else { return response };
        if !known.include(&tag) {
            return response;
        }
        (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (header::VARY, VARY)]).into_response()
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// As `{:0count$x}` would write it, which takes ten times as long as all else of a tag.
fn push_digits(text: &mut String, number: u64, count: u32) {
    for place in (0..count).rev() {
        let digit = usize::try_from((number >> (4 * place)) & 0xf).unwrap_or_default();
        text.push(DIGITS.get(digit).map_or('0', |digit| char::from(*digit)));
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Listed(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    is_weak: bool,
    /// What stands between the quotes.
    text: String,
}

impl Tags {
    fn include(&self, tag: &HeaderValue) -> bool {
        let text = tag.to_str().unwrap_or_default().trim_matches('"');
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| tag.text == text),
        }
    }

    /// The versions of the entity that these tags stand for, whatever the representation. A tag of
    /// others is that of no version.
    fn versions(self, weak_too: bool) -> Versions {
        let tags = match self {
            Self::Any => return Versions::Any,
            Self::Listed(tags) => tags,
        };
        let known = tags.into_iter().filter(|tag| weak_too || !tag.is_weak);
        let version = |tag: Tag| tag.text.rsplit_once('-')?.0.parse().ok();
        Versions::OneOf(known.filter_map(version).collect())
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Error> {
    let mut tags: Option<Tags> = None;
    for value in headers.get_all(name) {
        let malformed = || {
            let reason = format!("the header {name} is a list of entity tags in quotes, or *");
            Error::InvalidRequest(reason)
        };
        let text = value.to_str().map_err(|_| malformed())?;
        let more = parse(text).ok_or_else(malformed)?;
        tags = match (tags, more) {
            (None, more) => Some(more),
            (Some(Tags::Listed(mut tags)), Tags::Listed(more)) => {
                tags.extend(more);
                Some(Tags::Listed(tags))
            }
            (Some(_), _) => return Err(malformed()),
        };
    }
    Ok(tags)
}

/// Reads `*`, or tags with commas between them. A tag may have a comma inside.
fn parse(text: &str) -> Option<Tags> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(Tags::Listed(tags));
        }
        let weak = rest.strip_prefix("W/");
        let (inside, after) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { is_weak: weak.is_some(), text: inside.to_owned() });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

/// A number that differs, but for rare accidents, where the headers differ that an answer depends
/// on (FNV-1a).
fn variant(headers: &HeaderMap) -> u32 {
    let names = [header::ACCEPT, header::LINK, PREFER];
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    for name in names {
        for value in headers.get_all(name) {
            value.as_bytes().iter().copied().for_each(&mut add);
            add(b'\n');
        }
        add(0);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_the_digits_of_the_version_and_of_the_variant() {
        for (number, variant) in
            [(0, 0), (0x0123_4567_89ab_cdef, 0x0bad_cafe), (u64::MAX, u32::MAX)]
        {
            let version: Version = format!("{number:016x}").parse().unwrap();
            let headers = Reader { known: None, variant }.headers(version);
            let expected = format!("\"{version}-{variant:08x}\"");
            assert_eq!(headers.get(header::ETAG).unwrap().to_str().unwrap(), expected);
        }
    }

    #[test]
    fn lists_of_tags_are_read() {
        let check = |text: &str, expected: Option<&[(bool, &str)]>| {
            let listed = |tags: &[(bool, &str)]| {
                let tag = |(is_weak, text): &(bool, &str)| Tag {
                    is_weak: *is_weak,
                    text: (*text).to_owned(),
                };
                Tags::Listed(tags.iter().map(tag).collect())
            };
            assert_eq!(parse(text), expected.map(listed), "{text}");
        };
        check("\"7-a\"", Some(&[(false, "7-a")]));
        check(" W/\"7\" ,\"a,b\",, \"\"", Some(&[(true, "7"), (false, "a,b"), (false, "")]));
        for text in ["", ",", "7", "\"7", "\"7\" \"8\"", "*, \"7\"", "W/7"] {
            check(text, None);
        }
        assert_eq!(parse("*"), Some(Tags::Any));
    }

    #[test]
    fn a_weak_tag_is_good_enough_to_refuse_and_not_to_accept() {
        let [one, two] = ["0000000000000007", "00000000000000ff"];
        let tags = parse(&format!("W/\"{one}-0\", \"{two}-0\", \"other\"")).unwrap();
        let versions = |texts: &[&str]| {
            Versions::OneOf(texts.iter().map(|text| text.parse().unwrap()).collect())
        };
        assert_eq!(tags.clone().versions(true), versions(&[one, two]));
        assert_eq!(tags.versions(false), versions(&[two]));
    }
}
