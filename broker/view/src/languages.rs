//! The language filter: which text of a language property is shown (CIM 009, clause 4.15).

use musubi_model::{Document, Node};
use serde::{Deserialize, Serialize};

use crate::{ViewError, thousandths};

/// The languages that a reader wants, the best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Languages(Vec<String>);

/// The most ranges of a list. Each is looked for in every language map that is shown.
const MAX_RANGES: usize = 16;
/// The longest range, in bytes; RFC 5646, section 4.4.1, has no longer tag.
const MAX_RANGE: usize = 35;

impl Languages {
    /// Reads language ranges as in `fr-CH,fr;q=0.9,*;q=0.5`.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if the text is no such list, or a long one.
    pub fn parse(text: &str) -> Result<Self, ViewError> {
        let invalid = || {
            let form = "lang: a list as in fr-CH,fr;q=0.9,*;q=0.5 is expected";
            ViewError::BadRequest(format!("{form}, and {text:?} is none"))
        };
        let mut ranges = Vec::new();
        for part in text.split(',') {
            if ranges.len() == MAX_RANGES {
                let reason = format!("lang: at most {MAX_RANGES} ranges are accepted");
                return Err(ViewError::BadRequest(reason));
            }
            let mut pieces = part.split(';');
            let range = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
            let mut weight = 1000;
            for piece in pieces {
                let (key, value) = piece.split_once('=').ok_or_else(invalid)?;
                if key.trim() != "q" {
                    return Err(invalid());
                }
                weight = thousandths(value.trim()).ok_or_else(invalid)?;
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let is_tag = (1..=MAX_RANGE).contains(&range.len()) && range.chars().all(fits);
            if range != "*" && !is_tag {
                return Err(invalid());
            }
            if weight > 0 {
                ranges.push((weight, range));
            }
        }
        ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        Ok(Self(ranges.into_iter().map(|(_, range)| range).collect()))
    }

    /// The text to show of a language map, with its tag; any, if none fits. None if the map is
    /// empty or no map.
    pub fn choose<'n, 'a>(&self, map: &'n Node<'a>) -> Option<(&'n str, &'n Node<'a>)> {
        let Document::Object(texts) = &map.document else { return None };
        let first = || texts.first();
        let chosen = self.0.iter().find_map(|range| {
            if range == "*" {
                return first();
            }
            let position = |fits: &dyn Fn(&str) -> bool| texts.iter().find(|(tag, _)| fits(tag));
            prefixes(range).find_map(|range| {
                position(&|tag| tag.eq_ignore_ascii_case(range))
                    .or_else(|| position(&|tag| extends(tag, range)))
            })
        });
        chosen.or_else(first).map(|(tag, text)| (&**tag, text))
    }
}

/// `nl-be`, then `nl`.
fn prefixes(range: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(range), |range| range.rsplit_once('-').map(|(prefix, _)| prefix))
}

/// Whether `tag` is `range` with something after it, as `en-US` is `en`.
fn extends(tag: &str, range: &str) -> bool {
    tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range))
        && tag.get(range.len()..).is_some_and(|rest| rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use musubi_model::Limits;

    use super::*;

    fn check(filter: &str, map: &str, expected: &str) {
        let node = Node::parse(map, Limits::default()).unwrap();
        let languages = Languages::parse(filter).unwrap();
        assert_eq!(languages.choose(&node).unwrap().0, expected, "{filter} of {map}");
    }

    #[test]
    fn the_best_language_that_is_there_is_chosen() {
        let map = r#"{"fr":"a","nl":"b"}"#;
        check("nl", map, "nl");
        check("NL", map, "nl");
        check("fr;q=0.2,nl;q=0.9", map, "nl");
        check("nl-BE", map, "nl");
        check("fr-CH,fr", map, "fr");
        check("de,*", map, "fr");
        check("*", map, "fr");
        check("de", map, "fr");
        check("nl;q=0,de", map, "fr");
        check("en", r#"{"fr":"a","en-US":"b"}"#, "en-US");
    }

    #[test]
    fn what_is_no_list_of_ranges_is_refused() {
        for text in ["", "fr;q=2", "fr;x=1", "f r", "fr,,nl", "é"] {
            assert!(Languages::parse(text).is_err(), "{text}");
        }
        assert!(Languages::parse(&["en"; MAX_RANGES].join(",")).is_ok());
        assert!(Languages::parse(&["en"; MAX_RANGES + 1].join(",")).is_err());
        assert!(Languages::parse(&["a"; 18].join("-")).is_ok());
        assert!(Languages::parse(&["a"; 19].join("-")).is_err());
    }
}
