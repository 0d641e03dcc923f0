//! The system's times of recorded instances, which only those read who bring back what was recorded
//! before.

use std::collections::HashMap;

use musubi_model::{
    AttrName, AttributeType, DatasetId, EvolutionFragment, KeptTimes, Node, SCOPE, Timestamp,
};

use super::expand_temporal;
use crate::context::Meaning;
use crate::{Context, InvalidBody};

/// The temporal evolution in a body as [`expand_temporal`] reads it, and of each attribute the times
/// that its instances carry, in their order; none of those is after `now`.
///
/// # Errors
///
/// [`InvalidBody`] names the member that is wrong.
pub fn expand_kept(
    body: &Node<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<(EvolutionFragment, HashMap<AttrName, Vec<KeptTimes>>), InvalidBody> {
    let fragment = expand_temporal(body, context)?;
    let kept = Reader { context, now }.nested(body).map_err(InvalidBody::finished)?;
    Ok((fragment, kept.into_iter().collect()))
}

/// Members of an instance that are no attributes of it, although objects may stand there.
fn is_value(member: &str) -> bool {
    AttributeType::ALL.iter().any(|kind| kind.member() == member) || member == "@context"
}

/// What the times are read with.
struct Reader<'a> {
    context: &'a Context,
    now: Timestamp,
}

impl Reader<'_> {
    /// The attributes of an entity or of an instance.
    fn nested(&self, node: &Node<'_>) -> Result<Vec<(AttrName, Vec<KeptTimes>)>, InvalidBody> {
        let mut attributes = Vec::new();
        for (key, node) in node.as_object().unwrap_or_default() {
            if is_value(key) {
                continue;
            }
            let name = match (key.as_ref(), self.context.meaning(key)) {
                ("scope", _) => SCOPE.parse().ok(),
                (_, Meaning::Name(name)) => Some(name),
                (_, Meaning::Keyword(_) | Meaning::Unusable(_)) => None,
            };
            let Some(name) = name else { continue };
            let instances = match node.as_array() {
                Some(elements) => elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| {
                        self.kept(element).map_err(|error| error.within(&index.to_string()))
                    })
                    .collect(),
                None => self.kept(node).map(|kept| vec![kept]),
            };
            attributes.push((name, instances.map_err(|error| error.within(key))?));
        }
        Ok(attributes)
    }

    /// What an instance tells; nothing if a value stands in its place.
    fn kept(&self, node: &Node<'_>) -> Result<KeptTimes, InvalidBody> {
        let dataset: Option<DatasetId> =
            node.member("datasetId").and_then(Node::as_str).and_then(|text| text.parse().ok());
        Ok(KeptTimes {
            created_at: self.time(node, "createdAt")?,
            modified_at: self.time(node, "modifiedAt")?,
            dataset,
            attributes: self.nested(node)?,
        })
    }

    fn time(&self, node: &Node<'_>, name: &str) -> Result<Option<Timestamp>, InvalidBody> {
        let Some(node) = node.member(name) else { return Ok(None) };
        let read = node.as_str().and_then(|text| Timestamp::parse_utc(text).ok());
        let refuse = |reason| Err(InvalidBody::here(reason).within(name));
        match read {
            None => refuse("a time is written as in 2024-01-11T09:00:00Z"),
            Some(time) if time > self.now => {
                refuse("what is recorded was created and modified at a time that has come")
            }
            Some(time) => Ok(Some(time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::Limits;

    use super::*;

    fn read(text: &str) -> Result<HashMap<AttrName, Vec<KeptTimes>>, InvalidBody> {
        let node = Node::parse(text, Limits { depth: Limits::MAX_DEPTH }).unwrap();
        expand_kept(&node, &Context::core(), time("2024-01-01T00:00:00Z")).map(|(_, kept)| kept)
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn instances_and_attributes_of_them_keep_their_times() {
        let text = r#"{"id":"urn:a:1","type":"T","createdAt":"2020-01-01T00:00:00Z",
            "scope":[{"type":"Property","value":"/a","modifiedAt":"2021-01-01T00:00:00Z"}],
            "x":[{"type":"Property","value":{"createdAt":"no time"},"createdAt":"2022-01-01T00:00:00.5Z",
                  "datasetId":"urn:d:1",
                  "y":{"type":"Property","value":1,"modifiedAt":"2023-01-01T00:00:00Z"}},
                 {"type":"Property","value":2}]}"#;
        let kept = read(text).unwrap();
        let core = Context::core();
        let scope = &kept[&SCOPE.parse::<AttrName>().unwrap()];
        assert_eq!(scope[0].modified_at, Some(time("2021-01-01T00:00:00Z")));
        let x = &kept[&core.attribute("x").unwrap()];
        assert_eq!(x[0].created_at, Some(time("2022-01-01T00:00:00.5Z")));
        assert_eq!(x[0].dataset, Some("urn:d:1".parse().unwrap()));
        let (name, y) =
            x[0].attributes.iter().find(|(name, _)| *name == core.attribute("y").unwrap()).unwrap();
        assert_eq!(
            (name.as_str().rsplit('/').next(), y[0].modified_at),
            (Some("y"), Some(time("2023-01-01T00:00:00Z")))
        );
        assert_eq!(x[1], KeptTimes::default());
    }

    #[test]
    fn a_time_that_is_none_is_refused_where_it_stands() {
        let text = r#"{"id":"urn:a:1","type":"T","x":[{"type":"Property","value":1,"modifiedAt":"2021"}]}"#;
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("/x/0/modifiedAt"), "{error}");
    }

    #[test]
    fn a_time_of_the_system_that_is_yet_to_come_is_refused_where_it_stands() {
        let check = |member: &str, time: &str| {
            let text = format!(
                r#"{{"id":"urn:a:1","type":"T",
                    "x":{{"type":"Property","value":1,"y":{{"value":2,"{member}":"{time}"}}}}}}"#
            );
            read(&text).map_err(|error| error.to_string())
        };
        for member in ["createdAt", "modifiedAt"] {
            check(member, "2024-01-01T00:00:00Z").unwrap();
            let error = check(member, "2024-01-01T00:00:00.000001Z").unwrap_err();
            assert!(error.contains(&format!("/x/y/{member}")), "{error}");
        }
        check("observedAt", "2030-01-01T00:00:00Z").unwrap();
    }
}
