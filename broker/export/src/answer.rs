//! The rows in an answer of the temporal API.

use serde_json::value::RawValue;

use crate::Row;
use crate::instance::{self, Of, parse};
use crate::members::Members;

/// What an answer tells of one entity.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its id.
    pub(crate) entity: String,
    /// The attributes that the answer names, also those of which it has no instance.
    pub(crate) attributes: Vec<String>,
    /// The instances.
    pub(crate) rows: Vec<Row>,
}

/// Reads an answer: an array of entities in the normalized representation, with system attributes.
pub(crate) fn told(body: &[u8]) -> Result<Vec<Told>, String> {
    let entities: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    entities.into_iter().map(entity).collect()
}

/// Members of an entity that are no attributes.
const NO_ATTRIBUTES: [&str; 7] =
    ["id", "type", "@context", "createdAt", "modifiedAt", "deletedAt", "expiresAt"];

fn entity(json: &RawValue) -> Result<Told, String> {
    let members: Members<'_> = parse(json)?;
    let member = |wanted: &str| {
        let found = members.0.iter().find(|(name, _)| name == wanted);
        found.map(|(_, json)| *json).ok_or_else(|| format!("an entity has no {wanted}"))
    };
    let id: String = parse(member("id")?)?;
    let types = match one_or_many(member("type")?) {
        Some(types) => types.into_iter().map(parse).collect::<Result<Vec<String>, _>>()?,
        None => vec![parse(member("type")?)?],
    };
    let mut told = Told { entity: id, attributes: Vec::new(), rows: Vec::new() };
    for (name, json) in &members.0 {
        if NO_ATTRIBUTES.contains(&name.as_ref()) {
            continue;
        }
        told.attributes.push(name.clone().into_owned());
        let of = Of { entity: &told.entity, types: &types, attribute: name };
        for instance in one_or_many(json).unwrap_or_else(|| vec![json]) {
            let row = instance::row(&of, instance);
            let row = row.map_err(|reason| format!("{} {name}: {reason}", told.entity))?;
            told.rows.push(row);
        }
    }
    Ok(told)
}

/// The elements, if it is an array.
fn one_or_many(json: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_entity_by_entity() {
        let instance = r#"{"type":"Property","value":1,"instanceId":"urn:i:1","createdAt":"2024-01-01T00:00:00Z","modifiedAt":"2024-01-01T00:00:00Z"}"#;
        let body = format!(
            r#"[{{"id":"urn:a:1","type":["A","B"],"scope":[{instance}],"x":[{instance},{instance}],"y":[],"createdAt":"2024-01-01T00:00:00Z"}},{{"id":"urn:a:2","type":"A","x":{instance}}}]"#
        );
        let told = told(body.as_bytes()).unwrap();
        let [one, other] = told.as_slice() else { panic!("two entities") };
        assert_eq!(one.attributes, ["scope", "x", "y"]);
        assert_eq!(one.rows.len(), 3);
        assert!(one.rows.iter().all(|row| row.types == ["A", "B"] && row.entity == "urn:a:1"));
        assert_eq!((other.rows.len(), other.rows[0].types.as_slice()), (1, &["A".to_owned()][..]));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in ["", "{}", "[1]", r#"[{"type":"A"}]"#, r#"[{"id":"a"}]"#, "[{}"] {
            assert!(told(text.as_bytes()).is_err(), "{text}");
        }
    }
}
