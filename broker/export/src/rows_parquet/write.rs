//! Writing, a row group at a time.

use std::io::Write;
use std::sync::Arc;

use musubi_model::Timestamp;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::{COMPRESSION, REQUIRED, schema};
use crate::{COLUMNS, Row};

/// The most rows of a row group.
const MOST_ROWS: usize = 1 << 16;
/// About the most memory that the rows of a row group take, in bytes.
const MOST_MEMORY: usize = 32 << 20;

/// Keeps the rows of a row group until they are written.
pub(crate) struct ParquetWriter<W: Write + Send> {
    inner: SerializedFileWriter<W>,
    rows: Vec<Row>,
    memory: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(out: W) -> Result<Self, String> {
        let properties = WriterProperties::builder()
            .set_compression(COMPRESSION)
            .set_created_by(concat!("musubi ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let schema = schema().map_err(|error| said(&error))?;
        let inner = SerializedFileWriter::new(out, schema, Arc::new(properties))
            .map_err(|error| said(&error))?;
        Ok(Self { inner, rows: Vec::new(), memory: 0 })
    }

    pub(crate) fn write(&mut self, row: Row) -> Result<(), String> {
        self.memory += row.size();
        self.rows.push(row);
        if self.rows.len() >= MOST_ROWS || self.memory >= MOST_MEMORY {
            self.row_group()?;
        }
        Ok(())
    }

    /// Writes the rest, and gives back what was written to.
    pub(crate) fn finish(mut self) -> Result<W, String> {
        self.row_group()?;
        self.inner.into_inner().map_err(|error| said(&error))
    }

    fn row_group(&mut self) -> Result<(), String> {
        self.memory = 0;
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.inner.next_row_group().map_err(|error| said(&error))?;
        for name in COLUMNS {
            column(&mut group, name, &self.rows).map_err(|error| said(&error))?;
        }
        group.close().map_err(|error| said(&error))?;
        self.rows.clear();
        Ok(())
    }
}

fn said(error: &ParquetError) -> String {
    error.to_string()
}

/// The values of a column, and for each row whether it has one.
struct Values<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Values<T> {
    fn of(rows: &[Row], cell: impl Fn(&Row) -> Option<T>) -> Self {
        let mut column = Self { values: Vec::new(), levels: Vec::with_capacity(rows.len()) };
        for row in rows {
            let value = cell(row);
            column.levels.push(i16::from(value.is_some()));
            column.values.extend(value);
        }
        column
    }

    fn levels(&self, name: &str) -> Option<&[i16]> {
        (!REQUIRED.contains(&name)).then_some(&self.levels)
    }
}

fn column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    name: &str,
    rows: &[Row],
) -> Result<(), ParquetError> {
    let unexpected = || ParquetError::General(format!("the column {name} is not in the schema"));
    let mut writer = group.next_column()?.ok_or_else(unexpected)?;
    match writer.untyped() {
        ColumnWriter::ByteArrayColumnWriter(typed) => {
            let column = Values::of(rows, |row| text(row, name));
            typed.write_batch(&column.values, column.levels(name), None)?;
        }
        ColumnWriter::DoubleColumnWriter(typed) => {
            let column = Values::of(rows, Row::number);
            typed.write_batch(&column.values, column.levels(name), None)?;
        }
        ColumnWriter::Int64ColumnWriter(typed) => {
            let column = Values::of(rows, |row| time(row, name).map(Timestamp::as_micros));
            typed.write_batch(&column.values, column.levels(name), None)?;
        }
        ColumnWriter::BoolColumnWriter(_)
        | ColumnWriter::Int32ColumnWriter(_)
        | ColumnWriter::Int96ColumnWriter(_)
        | ColumnWriter::FloatColumnWriter(_)
        | ColumnWriter::FixedLenByteArrayColumnWriter(_) => return Err(unexpected()),
    }
    writer.close()
}

fn text(row: &Row, name: &str) -> Option<ByteArray> {
    let text = match name {
        "entity" => &row.entity,
        "types" => return Some(row.types_text().into_bytes().into()),
        "attribute" => &row.attribute,
        "kind" => return Some(row.kind.as_str().into()),
        "value" => &row.value,
        "datasetId" => row.dataset_id.as_ref()?,
        "unitCode" => row.unit_code.as_ref()?,
        "instanceId" => row.instance_id.as_ref()?,
        "rest" => row.rest.as_ref()?,
        _ => return None,
    };
    Some(text.as_str().into())
}

fn time(row: &Row, name: &str) -> Option<Timestamp> {
    match name {
        "observedAt" => row.observed_at,
        "createdAt" => Some(row.created_at),
        "modifiedAt" => Some(row.modified_at),
        "deletedAt" => row.deleted_at,
        _ => None,
    }
}
