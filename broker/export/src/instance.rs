//! An attribute instance as the temporal API has it (CIM 009, clauses 4.5.6 to 4.5.8), and a row.

use musubi_model::{AttributeType, Timestamp};
use serde_json::value::RawValue;

use crate::Row;
use crate::members::{Members, push_member, push_string};

/// Of which entity and attribute an instance is.
pub(crate) struct Of<'a> {
    pub(crate) entity: &'a str,
    pub(crate) types: &'a [String],
    pub(crate) attribute: &'a str,
}

/// The row that says what an instance says.
pub(crate) fn row(of: &Of<'_>, instance: &RawValue) -> Result<Row, String> {
    let members: Members<'_> = parse(instance)?;
    let kind = members.0.iter().find(|(name, _)| name == "type");
    let kind: String = parse(kind.ok_or("an instance has no type")?.1)?;
    let kind = AttributeType::from_name(&kind)
        .ok_or_else(|| format!("{kind:?} is no kind of attribute"))?;
    let mut row = Row {
        entity: of.entity.to_owned(),
        types: of.types.to_vec(),
        attribute: of.attribute.to_owned(),
        dataset_id: None,
        kind,
        value: String::new(),
        unit_code: None,
        observed_at: None,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        deleted_at: None,
        instance_id: None,
        rest: None,
    };
    let (mut created_at, mut modified_at) = (None, None);
    let mut rest = String::from("{");
    for (name, json) in &members.0 {
        match name.as_ref() {
            "type" => {}
            "datasetId" => row.dataset_id = Some(parse(json)?),
            // An empty unit would look like none in a column.
            "unitCode" if json.get() != "\"\"" => row.unit_code = Some(parse(json)?),
            "instanceId" => row.instance_id = Some(parse(json)?),
            "observedAt" => row.observed_at = Some(time(name, json)?),
            "createdAt" => created_at = Some(time(name, json)?),
            "modifiedAt" => modified_at = Some(time(name, json)?),
            "deletedAt" => row.deleted_at = Some(time(name, json)?),
            name if name == kind.member() => json.get().clone_into(&mut row.value),
            name => push_member(&mut rest, name, json.get()),
        }
    }
    if rest.len() > 1 {
        rest.push('}');
        row.rest = Some(rest);
    }
    if row.value.is_empty() {
        return Err(format!("an instance has no {}", kind.member()));
    }
    row.created_at = created_at.ok_or("an instance has no createdAt")?;
    row.modified_at = modified_at.ok_or("an instance has no modifiedAt")?;
    Ok(row)
}

pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(json: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(json.get()).map_err(|error| error.to_string())
}

fn time(name: &str, json: &RawValue) -> Result<Timestamp, String> {
    let text: String = parse(json)?;
    text.parse().map_err(|error| format!("{name}: {error}"))
}

/// Appends the instance that a row tells of. Its `instanceId` is that of another broker, and stays
/// behind.
pub(crate) fn push(out: &mut String, row: &Row) -> Result<(), String> {
    out.push('{');
    let string = |text: &str| {
        let mut json = String::with_capacity(text.len() + 2);
        push_string(&mut json, text);
        json
    };
    push_member(out, "type", &string(row.kind.as_str()));
    push_member(out, row.kind.member(), &row.value);
    if let Some(dataset) = &row.dataset_id {
        push_member(out, "datasetId", &string(dataset));
    }
    if let Some(unit) = &row.unit_code {
        push_member(out, "unitCode", &string(unit));
    }
    let times = [
        ("observedAt", row.observed_at),
        ("createdAt", Some(row.created_at)),
        ("modifiedAt", Some(row.modified_at)),
        ("deletedAt", row.deleted_at),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            push_member(out, name, &string(&time.to_string()));
        }
    }
    if let Some(rest) = &row.rest {
        let members: Members<'_> =
            serde_json::from_str(rest).map_err(|error| format!("rest: {error}"))?;
        for (name, json) in &members.0 {
            push_member(out, name, json.get());
        }
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Of<'static> = Of { entity: "urn:a:1", types: &[], attribute: "temperature" };

    fn of_text(text: &str) -> Result<Row, String> {
        row(&OF, serde_json::from_str(text).unwrap())
    }

    #[test]
    fn an_instance_comes_back_as_it_was_but_for_its_id() {
        let text = r#"{"type":"LanguageProperty","languageMap":{"ja":"雪 \"深\""},"datasetId":"urn:d:1","unitCode":"CEL","observedAt":"2024-01-01T00:00:00Z","createdAt":"2024-01-01T00:00:01.000002Z","modifiedAt":"0000-01-01T00:00:00Z","deletedAt":"9999-12-31T23:59:59.999999Z","accuracy":{"type":"Property","value":1.50,"modifiedAt":"2024-01-01T00:00:00Z"}}"#;
        let named = text.replacen('{', r#"{"instanceId":"urn:i:1","#, 1);
        let row = of_text(&named).unwrap();
        assert_eq!(row.instance_id.as_deref(), Some("urn:i:1"));
        assert_eq!(row.kind, AttributeType::LanguageProperty);
        assert_eq!(row.value, r#"{"ja":"雪 \"深\""}"#);
        let mut out = String::new();
        push(&mut out, &row).unwrap();
        assert_eq!(out, text);
    }

    #[test]
    fn an_empty_unit_is_not_taken_for_none() {
        let row = of_text(
            r#"{"type":"Property","value":1,"unitCode":"","createdAt":"2024-01-01T00:00:00Z","modifiedAt":"2024-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((row.unit_code, row.rest.as_deref()), (None, Some(r#"{"unitCode":""}"#)));
    }

    #[test]
    fn what_is_no_instance_is_refused() {
        let cases = [
            "[]",
            "{}",
            r#"{"type":"Property","value":1}"#,
            r#"{"type":"Property","createdAt":"2024-01-01T00:00:00Z","modifiedAt":"2024-01-01T00:00:00Z"}"#,
            r#"{"type":"Thing","value":1}"#,
            r#"{"type":"Property","value":1,"createdAt":"yesterday","modifiedAt":"2024-01-01T00:00:00Z"}"#,
        ];
        for text in cases {
            assert!(of_text(text).is_err(), "{text}");
        }
    }
}
