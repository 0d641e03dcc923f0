//! Query parameters, read strictly: a name that an operation does not know, or one that comes
//! twice, is refused rather than ignored (CIM 009, clause 6.3.20).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::Error;

/// The most parameters that a request may have.
const MAX: usize = 64;

/// The query parameters of a request, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<Parameter>);

/// One query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Decoded.
    pub(crate) value: String,
    /// Whether it stands in the URL, and not in the body of a query.
    pub(crate) in_url: bool,
}

impl Parameters {
    /// Reads a query string in which only the names in `allowed` may occur.
    pub(crate) fn parse(query: Option<&str>, allowed: &[&'static str]) -> Result<Self, Error> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut rest = query.unwrap_or_default();
        while !rest.is_empty() {
            let (pair, behind) = cut(rest, b'&');
            rest = behind;
            if pair.is_empty() {
                continue;
            }
            let (name, raw) = cut(pair, b'=');
            let name = decode(name)?;
            let Some(name) = allowed.iter().find(|allowed| **allowed == name) else {
                let reason = format!("there is no parameter {name:?} here; known are {allowed:?}");
                return Err(Error::InvalidRequest(reason));
            };
            if parameters.iter().any(|parameter| parameter.name == *name) {
                let reason = format!("the parameter {name:?} is given more than once");
                return Err(Error::InvalidRequest(reason));
            }
            if parameters.len() == MAX {
                return Err(Error::InvalidRequest(format!("more than {MAX} parameters")));
            }
            let value = decode(raw)?.into_owned();
            parameters.push(Parameter { name, value, in_url: true });
        }
        Ok(Self(parameters))
    }

    /// Adds what a member of a body says in the place of a parameter.
    pub(crate) fn add_member(&mut self, name: &'static str, value: String) -> Result<(), Error> {
        if self.get(name).is_some() {
            let reason = format!("{name:?} is given in the URL and in the body");
            return Err(Error::BadRequestData(reason));
        }
        self.0.push(Parameter { name, value, in_url: false });
        Ok(())
    }

    /// The value of a parameter, decoded.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|parameter| parameter.name == name).map(|one| one.value.as_str())
    }

    /// Whether a parameter that is `true` or `false` is `true`; absent means `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::InvalidRequest(format!(
                "the parameter {name:?} is true or false, and not {other:?}"
            ))),
        }
    }

    /// A parameter that is a whole number, 0 or more.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Some).ok_or_else(|| {
            Error::BadRequestData(format!(
                "the parameter {name:?} is a whole number, 0 or more, and not {text:?}"
            ))
        })
    }

    /// The words of the comma-separated parameter `options`, of which only those in `allowed` may
    /// occur.
    pub(crate) fn options(&self, allowed: &[&str]) -> Result<Vec<&str>, Error> {
        let Some(text) = self.get("options") else { return Ok(Vec::new()) };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        match words.iter().find(|word| !allowed.contains(word)) {
            None => Ok(words),
            Some(word) => Err(Error::InvalidRequest(format!(
                "there is no option {word:?} here; known are {allowed:?}"
            ))),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }
}

/// What stands before a character of ASCII, and what behind it; all is before one that is not there.
fn cut(text: &str, at: u8) -> (&str, &str) {
    let place = text.bytes().position(|byte| byte == at);
    let parts = place.and_then(|place| Some((text.get(..place)?, text.get(place + 1..)?)));
    parts.unwrap_or((text, ""))
}

/// Decodes a part of a query string, in which a plus stands for a space.
fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| Error::InvalidRequest(format!("the parameter {text:?} is not UTF-8")))?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_found_by_name() {
        let query = "q=a%3D%3D1&type=%E9%81%BF&limit=5&georel=near%3BmaxDistance+x";
        let parameters = Parameters::parse(Some(query), &["q", "type", "limit", "georel"]).unwrap();
        assert_eq!(parameters.get("q"), Some("a==1"));
        assert_eq!(parameters.get("type"), Some("避"));
        assert_eq!(parameters.get("georel"), Some("near;maxDistance x"));
        assert_eq!(parameters.number("limit").unwrap(), Some(5));
        assert_eq!(parameters.get("attrs"), None);
        assert_eq!(Parameters::parse(None, &[]).unwrap(), Parameters::default());
    }

    #[test]
    fn what_is_unknown_twice_or_malformed_is_refused() {
        assert!(Parameters::parse(Some("foo=1"), &["bar"]).is_err());
        assert!(Parameters::parse(Some("bar=1&bar=2"), &["bar"]).is_err());
        assert!(Parameters::parse(Some("bar=%FF"), &["bar"]).is_err());
        let parameters = Parameters::parse(
            Some("count=yes&limit=-1&options=a,b"),
            &["count", "limit", "options"],
        )
        .unwrap();
        assert!(parameters.flag("count").is_err());
        assert!(parameters.number("limit").is_err());
        assert!(parameters.options(&["a"]).is_err());
        assert_eq!(parameters.options(&["a", "b"]).unwrap(), ["a", "b"]);
    }
}
