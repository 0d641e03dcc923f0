//! Values of the eight kinds.

use musubi_model::{
    AttributeType, Document, FragmentValue, Json, NULL, Node, Uri, Value, parse_geometry,
};

use super::{Walk, Walked, member};
use crate::InvalidBody;

impl Walk<'_> {
    /// The value that stands in the place of a value of this kind.
    pub(super) fn value(&self, kind: AttributeType, node: &Node<'_>) -> Walked<FragmentValue> {
        if node.document == Document::Null {
            return Err(InvalidBody::here(
                "null is no value; to take something away, say urn:ngsi-ld:null (CIM 009, clause 4.5.0)",
            ));
        }
        if is_null(kind, node) {
            return Ok(FragmentValue::Null);
        }
        let json = match kind {
            AttributeType::Property => node.to_json(),
            AttributeType::GeoProperty => geometry(node)?,
            AttributeType::Relationship => {
                one_or_more(node, |node| uri(node).map(drop))?;
                node.to_json()
            }
            AttributeType::LanguageProperty => {
                language_map(node)?;
                node.to_json()
            }
            AttributeType::VocabProperty => self.vocab(node)?,
            AttributeType::JsonProperty => {
                json_property(node)?;
                node.to_json()
            }
            AttributeType::ListProperty => {
                array(node)?;
                node.to_json()
            }
            AttributeType::ListRelationship => object_list(node)?,
        };
        Ok(FragmentValue::Typed(Value { kind, json }))
    }

    /// Terms of the vocabulary, expanded.
    fn vocab(&self, node: &Node<'_>) -> Walked<Json> {
        if node.as_array().is_none() {
            return self.vocab_term(node).map(|iri| iri.as_str().into());
        }
        let mut iris = Vec::new();
        one_or_more(node, |node| {
            iris.push(serde_json::Value::from(self.vocab_term(node)?.as_str()));
            Ok(())
        })?;
        Ok(Json::from(&serde_json::Value::Array(iris)))
    }

    fn vocab_term(&self, node: &Node<'_>) -> Walked<Uri> {
        let Some(term) = node.as_str() else {
            return Err(InvalidBody::here("a vocab is a string or an array of strings"));
        };
        let iri = self.context.vocabulary(term).and_then(|iri| iri.parse().ok());
        iri.ok_or_else(|| {
            let shown: String = term.chars().take(80).collect();
            InvalidBody::here(format!("{shown:?} does not expand to a URI"))
        })
    }
}

/// Whether this is the NGSI-LD Null in the place of a value of this kind (CIM 009, clause 4.5.0).
fn is_null(kind: AttributeType, node: &Node<'_>) -> bool {
    let is_text = |node: &Node<'_>| node.as_str() == Some(NULL);
    if is_text(node) {
        return true;
    }
    match kind {
        AttributeType::LanguageProperty => match node.as_object() {
            Some([(tag, text)]) => tag == "@none" && is_text(text),
            _ => false,
        },
        AttributeType::ListProperty | AttributeType::ListRelationship => match node.as_array() {
            Some([single]) => is_text(single) || single.member("object").is_some_and(is_text),
            _ => false,
        },
        AttributeType::Property
        | AttributeType::GeoProperty
        | AttributeType::Relationship
        | AttributeType::VocabProperty
        | AttributeType::JsonProperty => false,
    }
}

/// A geometry, as an object or as the text of one (CIM 009, clause 4.7.2).
fn geometry(node: &Node<'_>) -> Walked<Json> {
    let json = match node.as_str() {
        Some(text) => Json::parse(text)
            .map_err(|error| InvalidBody::here(format!("not a GeoJSON geometry: {error}")))?,
        None => node.to_json(),
    };
    parse_geometry(&json).map_err(|error| InvalidBody::here(format!("{error}")))?;
    Ok(json)
}

fn uri(node: &Node<'_>) -> Walked<Uri> {
    member::uri_text(node)?.parse().map_err(|error| InvalidBody::here(format!("{error}")))
}

/// Checks a single value, or each of an array that is not empty.
fn one_or_more(node: &Node<'_>, mut check: impl FnMut(&Node<'_>) -> Walked<()>) -> Walked<()> {
    let Some(elements) = node.as_array() else { return check(node) };
    if elements.is_empty() {
        return Err(InvalidBody::here("the array is not to be empty"));
    }
    for (index, element) in elements.iter().enumerate() {
        check(element).map_err(|error| error.within(&index.to_string()))?;
    }
    Ok(())
}

fn array<'n, 'a>(node: &'n Node<'a>) -> Walked<&'n [Node<'a>]> {
    node.as_array().ok_or_else(|| InvalidBody::here("a list is an array"))
}

/// JSON that no context touches: an object, or an array of objects (CIM 009, clause 4.5.24).
fn json_property(node: &Node<'_>) -> Walked<()> {
    let fits = match node.as_array() {
        Some(elements) => elements.iter().all(|element| element.as_object().is_some()),
        None => node.as_object().is_some(),
    };
    if fits { Ok(()) } else { Err(InvalidBody::here("json is an object or an array of objects")) }
}

/// Texts by language (CIM 009, clause 4.6.5).
fn language_map(node: &Node<'_>) -> Walked<()> {
    let members = match node.as_object() {
        Some(members) if !members.is_empty() => members,
        _ => return Err(InvalidBody::here("a languageMap is an object of texts by language")),
    };
    for (tag, texts) in members {
        let is_text = |node: &Node<'_>| node.as_str().is_some();
        let are_texts = match texts.as_array() {
            Some(elements) => elements.iter().all(is_text),
            None => is_text(texts),
        };
        let reason = match (is_language_tag(tag), are_texts) {
            (true, true) => continue,
            (false, _) => "the key is a language tag as in RFC 5646, or @none",
            (true, false) => "a text is a string or an array of strings",
        };
        return Err(InvalidBody::here(reason).within(tag));
    }
    Ok(())
}

/// Whether this is formed like a language tag: parts of one to eight letters and digits, the
/// first of letters alone (RFC 5646, clause 2.1), or `@none`.
pub fn is_language_tag(tag: &str) -> bool {
    if tag == "@none" {
        return true;
    }
    let mut parts = tag.split('-');
    let fits = |part: &str| (1..=8).contains(&part.len());
    parts.next().is_some_and(|first| fits(first) && first.bytes().all(|b| b.is_ascii_alphabetic()))
        && parts.all(|part| fits(part) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Targets in an order, as URIs or as objects with a URI under `object`; kept as URIs.
fn object_list(node: &Node<'_>) -> Walked<Json> {
    let target = |element: &Node<'_>| -> Walked<serde_json::Value> {
        let target = match element.as_object() {
            None => uri(element)?,
            Some([(key, target)]) if key == "object" => {
                uri(target).map_err(|error| error.within("object"))?
            }
            Some(_) => {
                return Err(InvalidBody::here("a target is a URI or an object with object alone"));
            }
        };
        Ok(target.as_str().into())
    };
    let targets: Walked<Vec<serde_json::Value>> = array(node)?
        .iter()
        .enumerate()
        .map(|(index, element)| target(element).map_err(|error| error.within(&index.to_string())))
        .collect();
    Ok(Json::from(&serde_json::Value::Array(targets?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_tag_has_parts_of_letters_and_digits() {
        for tag in ["en", "en-US", "zh-Hant-TW", "de-1996", "x-a", "@none", "ja"] {
            assert!(is_language_tag(tag), "{tag}");
        }
        for wrong in ["", "-", "en-", "en_US", "123", "waytoolong1", "日本", "@other", "en US"] {
            assert!(!is_language_tag(wrong), "{wrong}");
        }
    }
}
