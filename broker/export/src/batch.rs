//! Rows that go to a broker in one request.

use crate::Row;
use crate::instance;
use crate::members::{push_member, push_string};

/// The most rows of a request.
const MOST_ROWS: usize = 2_000;
/// About the longest request, in bytes: half of what a broker takes as it comes.
const MOST_BYTES: usize = 1 << 20;

/// What the members of an instance take beside their values, at most about.
const MEMBERS: usize = 320;

/// Rows on their way, and where they stand in their file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<(u64, Row)>,
    bytes: usize,
}

impl Batch {
    pub(crate) fn push(&mut self, number: u64, row: Row) {
        self.bytes += length(&row);
        self.rows.push((number, row));
    }

    /// Whether there is room for another row.
    pub(crate) fn has_room_for(&self, row: &Row) -> bool {
        let fits = self.rows.len() < MOST_ROWS && self.bytes + length(row) <= MOST_BYTES;
        self.rows.is_empty() || fits
    }
}

fn length(row: &Row) -> usize {
    row.size() + MEMBERS
}

/// The rows as a JSON array of temporal evolutions, one for each entity in a row.
///
/// # Errors
///
/// What is wrong with one of them.
pub(crate) fn body(rows: &[(u64, Row)]) -> Result<Vec<u8>, String> {
    let mut out = String::from("[");
    let same = |(_, one): &(u64, Row), (_, other): &(u64, Row)| {
        one.entity == other.entity && one.types == other.types
    };
    for entity in rows.chunk_by(same) {
        let Some((_, first)) = entity.first() else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        out.push('{');
        let mut id = String::new();
        push_string(&mut id, &first.entity);
        push_member(&mut out, "id", &id);
        push_member(&mut out, "type", &serde_json::Value::from(first.types.clone()).to_string());
        let mut names: Vec<&str> = Vec::new();
        for (_, row) in entity {
            if !names.contains(&row.attribute.as_str()) {
                names.push(&row.attribute);
            }
        }
        for name in names {
            push_member(&mut out, name, "[");
            let of_name = entity.iter().filter(|(_, row)| row.attribute == name);
            for (index, (_, row)) in of_name.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                instance::push(&mut out, row)?;
            }
            out.push(']');
        }
        out.push('}');
    }
    out.push(']');
    Ok(out.into_bytes())
}
