//! Which part of a list is wanted, and where the parts beside it are (CIM 009, clauses 5.5.9 and
//! 6.3.10).

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_broker::Seal;
use musubi_query::Start;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;
use crate::options::Limits;
use crate::request::accept::Media;
use crate::request::link::page_header;
use crate::request::parameters::{Parameter, Parameters};

const RESULTS_COUNT: HeaderName = HeaderName::from_static("ngsild-results-count");

/// The parameters by which a list is cut into pages.
pub(crate) const PARAMETERS: &[&str] = &["limit", "offset", "count"];

/// Those that say where the part begins, and how long it is.
const CUTS: [&str; 3] = ["limit", "offset", "after"];

/// What may not stand as it is in a value in the query of a link. Of what RFC 3986 lets stand
/// there, this is what separates parameters, and what separates links in a header.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'?');

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) count: bool,
    /// The cursor, empty at first, of a client that pages by cursor rather than by offset.
    after: Option<String>,
}

impl Paging {
    /// Reads `limit`, `offset`, `count` and `after`. `counted` says that the count is asked for in
    /// another way already.
    pub(crate) fn read(
        parameters: &Parameters,
        limits: &Limits,
        counted: bool,
    ) -> Result<Self, Error> {
        let count = counted || parameters.flag("count")?;
        let limit = parameters.number("limit")?.unwrap_or(limits.page_default);
        if limit > limits.page_max {
            return Err(Error::TooManyResults(limits.page_max));
        }
        if limit == 0 && !count {
            let reason = "limit=0 asks for the count alone, so count=true has to be there";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let offset = parameters.number("offset")?;
        let after = parameters.get("after").map(str::to_owned);
        if after.is_some() && offset.is_some() {
            let reason = "a page begins at an offset or after a cursor, not both";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        Ok(Self { offset: offset.unwrap_or(0), limit, count, after })
    }

    /// Whether the client pages by cursor.
    pub(crate) fn is_by_cursor(&self) -> bool {
        self.after.is_some()
    }

    /// The cursor of a client that pages by cursor; empty for the first page.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Where the page begins. `seal` opens cursors.
    pub(crate) fn start(&self, seal: Option<&Seal>) -> Result<Start, Error> {
        let Some(cursor) = self.after.as_deref().filter(|cursor| !cursor.is_empty()) else {
            return Ok(Start::Offset(self.offset));
        };
        seal.and_then(|seal| seal.position(cursor)).map(Start::After).ok_or_else(|| {
            Error::BadRequestData(format!("{cursor:?} is no cursor that this broker gave"))
        })
    }

    /// Adds the count, and the `Link` headers that point at the next page and the one before.
    ///
    /// `last` is where the last item of this page stands, if there are more.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap, list: &List<'_>) {
        if let Some(total) = list.total {
            headers.insert(RESULTS_COUNT, HeaderValue::from(total));
        }
        if self.limit == 0 {
            return;
        }
        if self.is_by_cursor() {
            if let (true, Some(last)) = (list.more, &list.last) {
                let next = list.header("next", ("after", last), self.limit);
                add(headers, next);
            }
            return;
        }
        if list.more {
            let next = || {
                let next = self.offset.saturating_add(self.limit);
                list.header("next", ("offset", &next.to_string()), self.limit)
            };
            let known = list.next.map_or_else(next, |link| link.at(list.path, next));
            add(headers, known);
        }
        if self.offset > 0 {
            let previous = self.offset.saturating_sub(self.limit).to_string();
            let previous = list.header("prev", ("offset", &previous), self.limit);
            add(headers, previous);
        }
    }
}

fn add(headers: &mut HeaderMap, link: Option<HeaderValue>) {
    if let Some(link) = link {
        headers.append(header::LINK, link);
    }
}

/// The list of which a page was cut.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    /// The path of the request.
    pub(crate) path: &'a str,
    /// The parameters of the request.
    pub(crate) parameters: &'a Parameters,
    /// The media type of the answer.
    pub(crate) media: Media,
    /// How many items the list has, if that was asked.
    pub(crate) total: Option<u64>,
    /// Whether the list goes on after this page.
    pub(crate) more: bool,
    /// The cursor behind the last item of this page, for lists that are cut by cursor.
    pub(crate) last: Option<String>,
    /// The header that points at the next page, where that is remembered.
    pub(crate) next: Option<&'a NextLink>,
}

/// The header that points at the page after one at an offset: always the same for the same request.
#[derive(Debug, Default)]
pub(crate) struct NextLink(OnceLock<(Box<str>, Option<HeaderValue>)>);

impl NextLink {
    /// That for a request to this path, made the first time.
    fn at(&self, path: &str, make: impl Fn() -> Option<HeaderValue>) -> Option<HeaderValue> {
        let (known, link) = self.0.get_or_init(|| (path.into(), make()));
        if **known == *path { link.clone() } else { make() }
    }
}

impl List<'_> {
    fn header(
        &self,
        relation: &str,
        (name, value): (&str, &str),
        limit: usize,
    ) -> Option<HeaderValue> {
        page_header(self.link(name, value, limit), relation, self.media.name())
    }

    /// The beginning of a link: a `<`, and the request again, but from there on, as a relative URL
    /// with its parameters sorted by name. A query in a body has to be sent again with it.
    fn link(&self, name: &str, value: &str, limit: usize) -> String {
        let limit = limit.to_string();
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(8);
        let repeated = |one: &&Parameter| one.in_url && !CUTS.contains(&one.name);
        pairs.extend(
            self.parameters.iter().filter(repeated).map(|one| (one.name, one.value.as_str())),
        );
        pairs.push(("limit", &limit));
        pairs.push((name, value));
        pairs.sort_unstable();
        // With some room for what is encoded, and for what stands behind it.
        let length: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut target = String::with_capacity(self.path.len() + length + 64);
        target.push('<');
        target.push_str(self.path.trim_end_matches('/'));
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.extend(utf8_percent_encode(value, VALUE));
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["limit", "offset", "count", "after", "type", "q"];

    fn links(query: &str, more: bool) -> Vec<String> {
        let parameters = Parameters::parse(Some(query), ALL).unwrap();
        let paging = Paging::read(&parameters, &Limits::default(), false).unwrap();
        let mut headers = HeaderMap::new();
        let list = List {
            path: "/ngsi-ld/v1/entities",
            parameters: &parameters,
            media: Media::Json,
            total: None,
            more,
            last: Some("00c0ffee00c0ffee".to_owned()),
            next: None,
        };
        paging.add_headers(&mut headers, &list);
        headers
            .get_all(header::LINK)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn links_repeat_the_request_with_sorted_parameters() {
        assert_eq!(
            links("type=A,urn%3Ab%3A%E9%81%BF&q=b%3D%3D1+%26*", true),
            [
                "</ngsi-ld/v1/entities?limit=20&offset=20&q=b%3D%3D1%20%26*&type=A%2Curn:b:%E9%81%BF>; rel=\"next\"; type=\"application/json\""
            ]
        );
        assert_eq!(
            links("limit=5&offset=3", false),
            ["</ngsi-ld/v1/entities?limit=5&offset=0>; rel=\"prev\"; type=\"application/json\""]
        );
        assert_eq!(links("limit=5", false), [""; 0]);
        assert_eq!(
            links("limit=5&after=", true),
            [
                "</ngsi-ld/v1/entities?after=00c0ffee00c0ffee&limit=5>; rel=\"next\"; type=\"application/json\""
            ]
        );
        assert_eq!(links("limit=5&after=00c0ffee00c0ffed", false), [""; 0]);
    }

    #[test]
    fn pages_that_cannot_be_are_refused() {
        for query in ["limit=0", "limit=1001", "offset=1&after=", "limit=x", "offset=-1"] {
            let parameters = Parameters::parse(Some(query), ALL).unwrap();
            assert!(Paging::read(&parameters, &Limits::default(), false).is_err(), "{query}");
        }
        let parameters = Parameters::parse(Some("limit=0&count=true"), ALL).unwrap();
        assert!(Paging::read(&parameters, &Limits::default(), false).is_ok());
    }
}
