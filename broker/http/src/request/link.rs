//! The `Link` header: contexts in, contexts and pages out (CIM 009, clauses 6.3.5, 6.3.6 and
//! 6.3.10).

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, header};
use musubi_context::{CORE_CONTEXT_URL, Context, ContextReference};

use crate::app::App;
use crate::error::Error;
use crate::session::tenant;

const CONTEXT_RELATION: &str = "http://www.w3.org/ns/json-ld#context";

/// The address of the context that a request names in its `Link` header.
pub(crate) fn context_url(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut found: Option<String> = None;
    for value in headers.get_all(header::LINK) {
        let text = value
            .to_str()
            .map_err(|_| Error::InvalidRequest("the Link header is not ASCII".to_owned()))?;
        for (target, parameters) in links(text)? {
            if !has_relation(parameters, CONTEXT_RELATION) {
                continue;
            }
            if found.is_some() {
                let reason = "the Link header names more than one @context";
                return Err(Error::BadRequestData(reason.to_owned()));
            }
            found = Some(target.to_owned());
        }
    }
    Ok(found)
}

/// The context of a request that has none in its body.
pub(crate) async fn context(app: &App, headers: &HeaderMap) -> Result<Context, Error> {
    if !headers.contains_key(header::LINK) {
        return Ok(Context::core());
    }
    match context_url(headers)? {
        None => Ok(Context::core()),
        Some(url) => {
            let tenant = tenant(headers)?;
            Ok(app.broker.contexts().resolve(&tenant, ContextReference::Link(&url)).await?)
        }
    }
}

/// The `Link` header that names the context of an answer; none if it has no address.
pub(crate) fn context_header(context: &Context) -> Option<HeaderValue> {
    static CORE: LazyLock<Option<HeaderValue>> = LazyLock::new(|| header_for(CORE_CONTEXT_URL));
    match context.url()? {
        CORE_CONTEXT_URL => CORE.clone(),
        url => header_for(url),
    }
}

fn header_for(url: &str) -> Option<HeaderValue> {
    let text = format!("<{url}>; rel=\"{CONTEXT_RELATION}\"; type=\"application/ld+json\"");
    HeaderValue::try_from(text).ok()
}

/// The `Link` header that points at another page. `link` is the target, and what stands before it.
pub(crate) fn page_header(mut link: String, relation: &str, media: &str) -> Option<HeaderValue> {
    for part in [">; rel=\"", relation, "\"; type=\"", media, "\""] {
        link.push_str(part);
    }
    HeaderValue::try_from(link).ok()
}

/// Target and parameters of each link in a header.
fn links(text: &str) -> Result<Vec<(&str, &str)>, Error> {
    let malformed =
        || Error::InvalidRequest("the Link header is not of the form <url>; rel=\"…\"".to_owned());
    let mut links = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let inner = rest.strip_prefix('<').ok_or_else(malformed)?;
        let (target, after) = inner.split_once('>').ok_or_else(malformed)?;
        let end = end_of_parameters(after);
        let (parameters, next) = after.split_at(end);
        links.push((target, parameters));
        rest = next.trim_start_matches([',', ' ', '\t']);
    }
    Ok(links)
}

/// Where the parameters of a link end: at a comma outside of quotes.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn has_relation(parameters: &str, wanted: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|one| one == wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::LINK, HeaderValue::from_str(value).unwrap());
        }
        let found = context_url(&headers).map_err(drop);
        assert_eq!(found, expected.map(|url| url.map(str::to_owned)), "{values:?}");
    }

    #[test]
    fn the_context_is_the_link_of_its_relation() {
        let rel = "rel=\"http://www.w3.org/ns/json-ld#context\"";
        let link = |url: &str| format!("<{url}>; {rel}; type=\"application/ld+json\"");
        check(&[], Ok(None));
        check(&[&link("http://a/c")], Ok(Some("http://a/c")));
        check(&["<http://a/next>; rel=\"next\""], Ok(None));
        check(
            &[&format!("<http://a/next>; rel=\"next\", {}", link("http://a/c"))],
            Ok(Some("http://a/c")),
        );
        check(&[&format!("<http://a/c>;{rel};title=\"a, b\"")], Ok(Some("http://a/c")));
        check(&[&link("http://a/c"), &link("http://a/d")], Err(()));
        check(&[&format!("{}, {}", link("http://a/c"), link("http://a/d"))], Err(()));
        check(&["http://a/c; rel=next"], Err(()));
        check(&["<http://a/c"], Err(()));
    }
}
