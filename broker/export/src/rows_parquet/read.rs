//! Reading, some rows of all columns at a time.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use musubi_model::Timestamp;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

use super::Column;
use crate::row::Cells;
use crate::{COLUMNS, Error, Row};

/// How many rows are read at once.
const AT_ONCE: usize = 1024;

/// Reads rows, one after the other.
pub(crate) struct ParquetReader {
    path: PathBuf,
    inner: SerializedFileReader<File>,
    /// Where in the file each of [`COLUMNS`] stands.
    places: [usize; COLUMNS.len()],
    /// The row group that is read next.
    next_group: usize,
    group: Option<Group>,
    /// Read and not yet given, the last one first.
    rows: Vec<Cells>,
    /// How many rows were given.
    row: u64,
}

/// What remains of a row group.
struct Group {
    columns: Vec<(&'static str, ColumnReader)>,
    left: usize,
}

impl ParquetReader {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file(path))?;
        let opened = unbroken(|| {
            let inner = SerializedFileReader::new(file).map_err(|error| said(&error))?;
            let places = places(&inner)?;
            Ok((inner, places))
        });
        let (inner, places) = opened.map_err(|reason| Error::damaged(path, reason))?;
        let path = path.to_owned();
        Ok(Self { path, inner, places, next_group: 0, group: None, rows: Vec::new(), row: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row>, Error> {
        while self.rows.is_empty() {
            let more = unbroken(|| self.read());
            if !more.map_err(|reason| Error::row(&self.path, self.row + 1, reason))? {
                return Ok(None);
            }
        }
        let Some(cells) = self.rows.pop() else { return Ok(None) };
        self.row += 1;
        let row = Row::try_from(cells);
        row.map(Some).map_err(|reason| Error::row(&self.path, self.row, reason))
    }

    /// Reads on; whether there was anything left.
    fn read(&mut self) -> Result<bool, String> {
        let Some(group) = &mut self.group else { return self.open_group() };
        if group.left == 0 {
            self.group = None;
            return Ok(true);
        }
        let wanted = group.left.min(AT_ONCE);
        let mut rows = vec![Cells::default(); wanted];
        for (name, column) in &mut group.columns {
            fill(&mut rows, name, column)?;
        }
        group.left -= wanted;
        rows.reverse();
        self.rows = rows;
        Ok(true)
    }

    fn open_group(&mut self) -> Result<bool, String> {
        if self.next_group >= self.inner.num_row_groups() {
            return Ok(false);
        }
        let group = self.inner.get_row_group(self.next_group).map_err(|error| said(&error))?;
        self.next_group += 1;
        let left = usize::try_from(group.metadata().num_rows())
            .map_err(|_| "a row group has less than no rows".to_owned())?;
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for (name, place) in COLUMNS.into_iter().zip(self.places) {
            // What it says stands in the value.
            if name != "number" {
                columns.push((name, group.get_column_reader(place).map_err(|error| said(&error))?));
            }
        }
        self.group = Some(Group { columns, left });
        Ok(true)
    }
}

/// What reading came to. The library that reads panics on some files that are damaged.
fn unbroken<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let caught = catch_unwind(AssertUnwindSafe(read));
    caught.unwrap_or_else(|_| Err("the file is damaged".to_owned()))
}

fn said(error: &ParquetError) -> String {
    error.to_string()
}

/// Where the columns stand, if all are there and of the right kind.
fn places(file: &SerializedFileReader<File>) -> Result<[usize; COLUMNS.len()], String> {
    let schema = file.metadata().file_metadata().schema_descr();
    let mut places = [0; COLUMNS.len()];
    for (name, place) in COLUMNS.iter().zip(&mut places) {
        let found = schema.columns().iter().position(|column| column.path().string() == *name);
        *place = found.ok_or_else(|| format!("there is no column {name}"))?;
        let descriptor = schema.column(*place);
        let column = Column::of(name);
        let fits = descriptor.physical_type() == column.physical()
            && descriptor.max_rep_level() == 0
            && descriptor.max_def_level() <= 1;
        let in_micros = match descriptor.logical_type_ref() {
            Some(LogicalType::Timestamp(time)) => time.unit == TimeUnit::MICROS,
            Some(_) | None => column != Column::Time,
        };
        if !fits || !in_micros {
            let wanted = match column {
                Column::Text | Column::Json => "texts",
                Column::Number => "numbers of 64 bits",
                Column::Time => "times in microseconds",
            };
            return Err(format!("the column {name} has to hold {wanted}"));
        }
    }
    Ok(places)
}

fn fill(rows: &mut [Cells], name: &str, column: &mut ColumnReader) -> Result<(), String> {
    let within = |reason: String| format!("{name}: {reason}");
    match column {
        ColumnReader::ByteArrayColumnReader(column) => {
            let texts = values::<ByteArrayType>(column, rows.len()).map_err(within)?;
            for (row, text) in rows.iter_mut().zip(texts) {
                *text_cell(row, name) = text.as_ref().map(utf8).transpose().map_err(within)?;
            }
            Ok(())
        }
        ColumnReader::Int64ColumnReader(column) => {
            let times = values::<Int64Type>(column, rows.len()).map_err(within)?;
            for (row, micros) in rows.iter_mut().zip(times) {
                *time_cell(row, name) = micros.map(moment).transpose().map_err(within)?;
            }
            Ok(())
        }
        ColumnReader::BoolColumnReader(_)
        | ColumnReader::Int32ColumnReader(_)
        | ColumnReader::Int96ColumnReader(_)
        | ColumnReader::FloatColumnReader(_)
        | ColumnReader::DoubleColumnReader(_)
        | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Err(within("another kind of column".to_owned()))
        }
    }
}

/// The cells of so many rows of a column.
fn values<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    wanted: usize,
) -> Result<impl Iterator<Item = Option<T::T>>, String> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < wanted {
        let records = column.read_records(wanted - read, Some(&mut levels), None, &mut values);
        match records.map_err(|error| said(&error))? {
            (0, ..) => return Err("it ends before the others".to_owned()),
            (records, ..) => read += records,
        }
    }
    // A column whose rows all have a value has no levels.
    let present = if levels.is_empty() { vec![1; wanted] } else { levels };
    let has = present.iter().filter(|level| **level != 0).count();
    if present.len() != wanted || has != values.len() {
        return Err("values are missing".to_owned());
    }
    let mut values = values.into_iter();
    Ok(present.into_iter().map(move |level| if level == 0 { None } else { values.next() }))
}

fn utf8(bytes: &ByteArray) -> Result<String, String> {
    bytes.as_utf8().map(str::to_owned).map_err(|error| said(&error))
}

fn moment(micros: i64) -> Result<Timestamp, String> {
    let time = Timestamp::from_micros(micros);
    if time.as_micros() == micros {
        Ok(time)
    } else {
        Err(format!("{micros} is a time outside of the years 0 to 9999"))
    }
}

fn text_cell<'r>(row: &'r mut Cells, name: &str) -> &'r mut Option<String> {
    match name {
        "entity" => &mut row.entity,
        "types" => &mut row.types,
        "attribute" => &mut row.attribute,
        "datasetId" => &mut row.dataset_id,
        "kind" => &mut row.kind,
        "value" => &mut row.value,
        "unitCode" => &mut row.unit_code,
        "instanceId" => &mut row.instance_id,
        _ => &mut row.rest,
    }
}

fn time_cell<'r>(row: &'r mut Cells, name: &str) -> &'r mut Option<Timestamp> {
    match name {
        "observedAt" => &mut row.observed_at,
        "createdAt" => &mut row.created_at,
        "modifiedAt" => &mut row.modified_at,
        _ => &mut row.deleted_at,
    }
}
