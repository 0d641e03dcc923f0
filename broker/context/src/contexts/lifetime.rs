//! For how long a document may be used, as its headers say (CIM 009, clause 6.3.16; RFC 9111).

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use jiff::fmt::rfc2822::DateTimeParser;
use musubi_model::Timestamp;

/// For how long an answer that came at `now` may be used, if it says: `s-maxage`, since this is a
/// cache for many, else `max-age`, else `Expires`, less the age that it has already.
pub(super) fn lifetime(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let directives = directives(headers);
    if directives.is_uncachable {
        return Some(Duration::ZERO);
    }
    let Some(said) = directives.shared.or(directives.private).map(Duration::from_secs) else {
        return expires(headers, now);
    };
    let age = text(headers, &header::AGE).and_then(|text| text.trim().parse().ok());
    Some(said.saturating_sub(Duration::from_secs(age.unwrap_or(0))))
}

/// What `Cache-Control` says.
#[derive(Debug, Default)]
struct Directives {
    is_uncachable: bool,
    /// `s-maxage`, in seconds.
    shared: Option<u64>,
    /// `max-age`, in seconds.
    private: Option<u64>,
}

fn directives(headers: &HeaderMap) -> Directives {
    let said = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|it| it.to_str().ok());
    let mut directives = Directives::default();
    for directive in said.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = || value.trim_matches('"').parse().ok();
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => directives.is_uncachable = true,
            "s-maxage" => directives.shared = seconds(),
            "max-age" => directives.private = seconds(),
            _ => {}
        }
    }
    directives
}

/// As `Expires` says. A date that cannot be read, as in `Expires: 0`, has passed.
fn expires(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let until = date(text(headers, &header::EXPIRES)?).unwrap_or(i64::MIN);
    let from = text(headers, &header::DATE).and_then(date);
    let left = until.saturating_sub(from.unwrap_or(now.as_micros()));
    Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
}

/// A date of HTTP in microseconds since 1970.
fn date(text: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok().map(jiff::Timestamp::as_microsecond)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_is_read_from_the_headers() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let check = |given: &[(&'static str, &str)], seconds: Option<u64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(lifetime(&headers, now), seconds.map(Duration::from_secs), "{given:?}");
        };
        let said = |value: &str, seconds| check(&[("cache-control", value)], seconds);
        said("max-age=60", Some(60));
        said("public, Max-Age=\"60\", immutable", Some(60));
        said("max-age=60, s-maxage=10", Some(10));
        said("max-age=60, no-cache", Some(0));
        said("no-store", Some(0));
        said("public", None);
        said("max-age=soon", None);
        said("max-age=-1", None);
        check(&[], None);
        check(&[("cache-control", "max-age=60"), ("age", "50")], Some(10));
        check(&[("cache-control", "max-age=60"), ("age", "90")], Some(0));
        check(&[("expires", "Sat, 21 Nov 2026 10:05:00 GMT")], Some(300));
        check(
            &[
                ("expires", "Sat, 21 Nov 2026 10:05:00 GMT"),
                ("date", "Sat, 21 Nov 2026 10:04:00 GMT"),
            ],
            Some(60),
        );
        check(&[("expires", "Sat, 21 Nov 2026 09:00:00 GMT")], Some(0));
        check(&[("expires", "0")], Some(0));
        check(&[("expires", "0"), ("cache-control", "max-age=60")], Some(60));
    }
}
