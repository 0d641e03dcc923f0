//! A table of all shelters that are open at one moment, as municipalities publish it.
//!
//! A file that is not whole is refused as a whole: a row that is missing would read as a shelter
//! that closed. A row that is there, but without a head count that can be read, is a shelter that
//! is open with an unknown number of people.

mod columns;

use std::collections::HashSet;

use musubi_model::{EntityId, Timestamp};

use crate::era::parse_moment;
use columns::{Columns, field};

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// The moment of which it speaks.
    pub(crate) at: Timestamp,
    /// The shelters that are open, each once, in the order of the file; at least one of them has
    /// a head count.
    pub(crate) rows: Vec<Row>,
}

/// One shelter of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The entity, made of its id in the table, or of its name if the table has no ids.
    pub(crate) id: EntityId,
    /// Its name.
    pub(crate) name: String,
    /// The name in kana.
    pub(crate) kana: Option<String>,
    /// People who are there, or why that cannot be read, in a sentence.
    pub(crate) people: Result<u64, String>,
    /// Households that are there.
    pub(crate) households: Option<u64>,
    /// People who can stay inside.
    pub(crate) capacity: Option<u64>,
    /// Longitude and latitude, in degrees.
    pub(crate) position: Option<(f64, f64)>,
    /// The address in one line.
    pub(crate) address: Option<String>,
    /// The district.
    pub(crate) district: Option<String>,
    /// The telephone number.
    pub(crate) telephone: Option<String>,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// It is empty, or not the table of one moment.
    #[error("the file holds no table: {0}")]
    NoTable(String),
    /// The table has not the columns that are needed.
    #[error("the table has no column for {0}")]
    NoColumn(&'static str),
    /// A row cannot be read, so the table may be cut off.
    #[error("line {line}: {reason}")]
    Row {
        /// The line of the file, from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
}

/// The most rows of one table.
const MAX_ROWS: usize = 10_000;

/// Reads a table.
///
/// # Errors
///
/// [`SnapshotError`] if it cannot be read to its last row.
pub(crate) fn parse_snapshot(text: &str) -> Result<Snapshot, SnapshotError> {
    let no_table = |reason: &str| Err(SnapshotError::NoTable(reason.to_owned()));
    match text.trim_start().chars().next() {
        None => return no_table("it is empty"),
        Some('<' | '{' | '[') => return no_table("it is not CSV"),
        Some(_) => {}
    }
    if text.matches('"').count() % 2 == 1 {
        return no_table("a quoted field is not closed");
    }
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| row_error(&error))?.clone();
    let columns = Columns::find(&headers)?;
    let mut table = Table { columns, moment: None, rows: Vec::new(), seen: HashSet::new() };
    table.moment = table.columns.moment_in_header;
    let mut last = [csv::StringRecord::new(), csv::StringRecord::new()];
    for record in reader.records() {
        let record = record.map_err(|error| row_error(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        table.take(&record).map_err(|reason| SnapshotError::Row { line, reason })?;
        let [_, before] = last;
        last = [before, record];
    }
    if may_be_cut(text, &table.columns, &last) {
        return no_table("its last line does not end, so it may be cut off");
    }
    if table.rows.is_empty() {
        return no_table("it has no rows");
    }
    if table.rows.iter().all(|row| row.people.is_err()) {
        return no_table("no row has a head count");
    }
    let at = table.moment.ok_or(SnapshotError::NoColumn("the moment (時点)"))?;
    Ok(Snapshot { at, rows: table.rows })
}

/// What has been read of a table.
struct Table {
    columns: Columns,
    moment: Option<Timestamp>,
    rows: Vec<Row>,
    seen: HashSet<EntityId>,
}

impl Table {
    fn take(&mut self, record: &csv::StringRecord) -> Result<(), String> {
        if self.columns.is_no_shelter(record) {
            return Ok(());
        }
        if self.rows.len() == MAX_ROWS {
            return Err(format!("a table has at most {MAX_ROWS} rows"));
        }
        if let Some(text) = self.columns.moment.and_then(|column| field(record, column)) {
            let at = parse_moment(&text).map_err(|error| error.to_string())?;
            if self.moment.is_some_and(|known| known != at) {
                return Err("the rows speak of different moments".to_owned());
            }
            self.moment = Some(at);
        }
        let row = self.columns.row(record)?;
        if !self.seen.insert(row.id.clone()) {
            return Err(format!("the table names {} twice", row.name));
        }
        self.rows.push(row);
        Ok(())
    }
}

/// Whether the last cell, which no line end proves to be whole, may be the beginning of another
/// one that matters. It is whole if it is quoted, or the same as the one above.
fn may_be_cut(text: &str, columns: &Columns, last: &[csv::StringRecord; 2]) -> bool {
    let [before, record] = last;
    let column = record.len().saturating_sub(1);
    !text.ends_with(['\n', '\r', '"'])
        && columns.are_used(column)
        && record.get(column) != before.get(column)
}

fn row_error(error: &csv::Error) -> SnapshotError {
    let line = error.position().map_or(0, csv::Position::line);
    let reason = if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        format!("the row has {len} fields and the header {expected_len}: the file may be cut off")
    } else {
        error.to_string()
    };
    SnapshotError::Row { line, reason }
}

#[cfg(test)]
mod tests;
