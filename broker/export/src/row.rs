//! A row: one recorded instance of an attribute.

use musubi_model::{AttributeType, Json, Timestamp};
use serde_json::value::RawValue;

/// The columns of a file, in their order. Each is a member of [`Row`], or made of one.
pub const COLUMNS: [&str; 14] = [
    "entity",
    "types",
    "attribute",
    "datasetId",
    "kind",
    "value",
    "number",
    "unitCode",
    "observedAt",
    "createdAt",
    "modifiedAt",
    "deletedAt",
    "instanceId",
    "rest",
];

/// What stands between two types in the column `types`. No IRI and no term has it.
pub(crate) const BETWEEN_TYPES: char = '|';

/// One instance of an attribute as it was recorded. Two rows are equal if they say the same; with
/// how many digits a time was written is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The id of the entity.
    pub entity: String,
    /// The types that the entity has or had, at least one; in the terms of the core context.
    pub types: Vec<String>,
    /// The name of the attribute: an IRI, unless it is one of the core context or in its default
    /// vocabulary. The scopes are an attribute of the name `scope`.
    pub attribute: String,
    /// The data set; none for the default one.
    pub dataset_id: Option<String>,
    /// What kind of attribute it is.
    pub kind: AttributeType,
    /// The value as JSON text, as it stands under the member that belongs to the kind.
    pub value: String,
    /// The unit of measurement.
    pub unit_code: Option<String>,
    /// When the value held, as its source says.
    pub observed_at: Option<Timestamp>,
    /// When the instance came into being.
    pub created_at: Timestamp,
    /// When a write last touched it.
    pub modified_at: Timestamp,
    /// When it was deleted; only of the record of a deletion.
    pub deleted_at: Option<Timestamp>,
    /// By which name the broker that was asked knows the instance.
    pub instance_id: Option<String>,
    /// The other members of the instance, such as attributes of the attribute: the text of a JSON
    /// object with at least one member.
    pub rest: Option<String>,
}

impl Row {
    /// The value as a number, for those who reckon with files; none if it is not one. The text in
    /// [`value`](Self::value) is what counts.
    pub fn number(&self) -> Option<f64> {
        let starts_a_number = self.value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !starts_a_number {
            return None;
        }
        Json::parse(&self.value).ok()?.as_f64()
    }

    /// The types as one text.
    pub(crate) fn types_text(&self) -> String {
        self.types.join("|")
    }

    /// About how much memory the row takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let optional = [&self.dataset_id, &self.unit_code, &self.instance_id, &self.rest];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        let types: usize = self.types.iter().map(|name| name.len() + size_of::<String>()).sum();
        let texts = self.entity.len() + self.attribute.len() + self.value.len();
        size_of::<Self>() + texts + optional + types
    }
}

/// A row as a file has it: every cell a text or a number of microseconds that nobody has looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) entity: Option<String>,
    pub(crate) types: Option<String>,
    pub(crate) attribute: Option<String>,
    pub(crate) dataset_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) unit_code: Option<String>,
    pub(crate) observed_at: Option<Timestamp>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) modified_at: Option<Timestamp>,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) instance_id: Option<String>,
    pub(crate) rest: Option<String>,
}

impl TryFrom<Cells> for Row {
    type Error = String;

    /// The row, or what is wrong with it.
    fn try_from(cells: Cells) -> Result<Self, String> {
        let needed = |cell: Option<String>, name: &str| {
            cell.filter(|text| !text.is_empty()).ok_or_else(|| format!("{name} is empty"))
        };
        let needed_time =
            |cell: Option<Timestamp>, name: &str| cell.ok_or_else(|| format!("{name} is empty"));
        let types = needed(cells.types, "types")?;
        let types: Vec<String> = types.split(BETWEEN_TYPES).map(str::to_owned).collect();
        if types.iter().any(String::is_empty) {
            return Err("types has an empty type".to_owned());
        }
        let kind = needed(cells.kind, "kind")?;
        let kind = AttributeType::from_name(&kind)
            .ok_or_else(|| format!("{kind:?} is no kind of attribute"))?;
        let value = needed(cells.value, "value")?;
        is_json(&value).map_err(|error| format!("value is no JSON: {error}"))?;
        if let Some(rest) = &cells.rest {
            is_json(rest).map_err(|error| format!("rest is no JSON: {error}"))?;
            if !rest.trim_start().starts_with('{') {
                return Err("rest is no JSON object".to_owned());
            }
        }
        Ok(Self {
            entity: needed(cells.entity, "entity")?,
            types,
            attribute: needed(cells.attribute, "attribute")?,
            dataset_id: cells.dataset_id,
            kind,
            value,
            unit_code: cells.unit_code,
            observed_at: cells.observed_at,
            created_at: needed_time(cells.created_at, "createdAt")?,
            modified_at: needed_time(cells.modified_at, "modifiedAt")?,
            deleted_at: cells.deleted_at,
            instance_id: cells.instance_id,
            rest: cells.rest,
        })
    }
}

fn is_json(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(drop)
}
