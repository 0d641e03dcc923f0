//! Which representation a client wants (CIM 009, clause 6.3.4).

use http::{HeaderMap, header};
pub(crate) use musubi_view::Media;
use musubi_view::thousandths;

use crate::error::Error;

/// What is on offer almost everywhere.
pub(crate) const LINKED: &[Media] = &[Media::Json, Media::LdJson];
/// What is on offer for entities.
pub(crate) const ENTITIES: &[Media] = &[Media::Json, Media::LdJson, Media::GeoJson];

/// The one of `offered` that the client prefers; among equals, the first.
pub(crate) fn negotiate(headers: &HeaderMap, offered: &[Media]) -> Result<Media, Error> {
    let mut values = headers.get_all(header::ACCEPT).iter();
    if let (Some(value), None) = (values.next(), values.next())
        && (value == "*/*" || value == "application/json")
        && offered.first() == Some(&Media::Json)
    {
        // What nearly every client sends.
        return Ok(Media::Json);
    }
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value
            .to_str()
            .map_err(|_| Error::InvalidRequest("the Accept header is not ASCII".to_owned()))?;
        for range in text.split(',').filter(|range| !range.trim().is_empty()) {
            ranges.push(parse_range(range)?);
        }
    }
    if ranges.is_empty() {
        return Ok(Media::Json);
    }
    let mut best: Option<(u32, Media)> = None;
    for media in offered {
        let weight = weight(&ranges, *media);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, *media));
        }
    }
    best.map(|(_, media)| media).ok_or_else(|| {
        let names: Vec<&str> = offered.iter().map(|media| media.name()).collect();
        Error::NotAcceptable(names.join(", "))
    })
}

const PROBLEM: &str = "application/problem+json";

/// Whether the client asks for problems under their own media type.
pub(crate) fn wants_problem_json(headers: &HeaderMap) -> bool {
    let names_it = |text: &str| {
        text.split(',').any(|range| {
            let name = range.split(';').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case(PROBLEM)
        })
    };
    // What nearly every client sends is shorter.
    let mut values = headers.get_all(header::ACCEPT).iter();
    values.any(|value| value.len() >= PROBLEM.len() && value.to_str().is_ok_and(names_it))
}

/// Type, subtype, and weight in thousandths.
fn parse_range(range: &str) -> Result<(&str, &str, u32), Error> {
    let malformed =
        || Error::InvalidRequest(format!("{:?} in Accept is no media range", range.trim()));
    let mut parts = range.split(';');
    let name = parts.next().unwrap_or_default().trim();
    let (kind, subtype) = name.split_once('/').ok_or_else(malformed)?;
    let mut weight = 1000;
    for parameter in parts {
        let Some((key, value)) = parameter.split_once('=') else { continue };
        if key.trim().eq_ignore_ascii_case("q") {
            // A weight that is none decides nothing.
            weight = thousandths(value.trim()).unwrap_or(weight);
        }
    }
    Ok((kind, subtype, weight))
}

/// The weight that the most specific range gives to a media type; 0 if no range covers it.
fn weight(ranges: &[(&str, &str, u32)], media: Media) -> u32 {
    let specificity = |kind: &str, subtype: &str| match (kind, subtype) {
        ("*", "*") => Some(1),
        (kind, "*") if kind.eq_ignore_ascii_case("application") => Some(2),
        (kind, subtype)
            if kind.eq_ignore_ascii_case("application")
                && subtype.eq_ignore_ascii_case(media.subtype()) =>
        {
            Some(3)
        }
        _ => None,
    };
    let covering = ranges.iter().filter_map(|(kind, subtype, weight)| {
        specificity(kind, subtype).map(|specificity| (specificity, *weight))
    });
    covering.max().map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: &[&str], offered: &[Media], expected: Option<Media>) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(negotiate(&headers, offered).ok(), expected, "{accept:?}");
    }

    #[test]
    fn the_first_of_the_list_wins_unless_weights_say_otherwise() {
        check(&[], ENTITIES, Some(Media::Json));
        check(&["*/*"], ENTITIES, Some(Media::Json));
        check(&["application/*"], LINKED, Some(Media::Json));
        check(&["application/ld+json, application/json"], LINKED, Some(Media::Json));
        check(&["application/json;q=0.1, application/ld+json;q=0.9"], LINKED, Some(Media::LdJson));
        check(&["application/json;q=0, application/ld+json"], LINKED, Some(Media::LdJson));
        check(&["application/json;q=0, */*"], LINKED, Some(Media::LdJson));
        check(
            &["application/geo+json;q=0.9, application/ld+json;q=0.1"],
            LINKED,
            Some(Media::LdJson),
        );
        check(&["application/geo+json"], ENTITIES, Some(Media::GeoJson));
        check(&["application/ld+json", "text/html"], LINKED, Some(Media::LdJson));
    }

    #[test]
    fn what_is_not_on_offer_is_refused() {
        check(&["application/geo+json"], LINKED, None);
        check(&["text/html"], ENTITIES, None);
        check(&["application/json;q=0"], LINKED, None);
        check(&["json"], LINKED, None);
        check(&["application/json;q=2"], LINKED, Some(Media::Json));
    }
}
