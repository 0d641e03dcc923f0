//! Rows as comma-separated values.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use musubi_model::Timestamp;

use crate::row::Cells;
use crate::{COLUMNS, Error, Row};

/// Writes rows behind a line of heads.
pub(crate) struct CsvWriter<W: Write> {
    inner: csv::Writer<W>,
    begun: bool,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { inner: csv::Writer::from_writer(out), begun: false }
    }

    pub(crate) fn write(&mut self, row: &Row) -> Result<(), String> {
        if !self.begun {
            self.inner.write_record(COLUMNS).map_err(|error| error.to_string())?;
            self.begun = true;
        }
        let optional = |time: Option<Timestamp>| time.map(moment).unwrap_or_default();
        let number = row.number().map(|number| format!("{number:?}")).unwrap_or_default();
        self.inner
            .write_record([
                row.entity.as_str(),
                &row.types_text(),
                &row.attribute,
                row.dataset_id.as_deref().unwrap_or_default(),
                row.kind.as_str(),
                &row.value,
                &number,
                row.unit_code.as_deref().unwrap_or_default(),
                &optional(row.observed_at),
                &moment(row.created_at),
                &moment(row.modified_at),
                &optional(row.deleted_at),
                row.instance_id.as_deref().unwrap_or_default(),
                row.rest.as_deref().unwrap_or_default(),
            ])
            .map_err(|error| error.to_string())
    }

    /// Writes the rest, and gives back what was written to.
    pub(crate) fn finish(mut self) -> Result<W, String> {
        if !self.begun {
            self.inner.write_record(COLUMNS).map_err(|error| error.to_string())?;
        }
        self.inner.into_inner().map_err(|error| error.to_string())
    }
}

/// A time with as many digits as it needs, however it was given.
fn moment(time: Timestamp) -> String {
    Timestamp::from_micros(time.as_micros()).to_string()
}

/// Reads rows, one after the other.
pub(crate) struct CsvReader {
    path: PathBuf,
    inner: csv::Reader<BufReader<File>>,
    /// Where in a record each of [`COLUMNS`] stands.
    places: [Option<usize>; COLUMNS.len()],
    record: StringRecord,
    row: u64,
}

impl CsvReader {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file(path))?;
        let mut inner = csv::Reader::from_reader(BufReader::with_capacity(256 << 10, file));
        let heads =
            inner.headers().map_err(|error| Error::damaged(path, error.to_string()))?.clone();
        let place = |name: &str| {
            // A byte order mark is no part of a name.
            heads.iter().position(|head| head.trim_start_matches('\u{feff}') == name)
        };
        let places = COLUMNS.map(place);
        let missing = COLUMNS.iter().zip(places).find(|(_, place)| place.is_none());
        if let Some((name, _)) = missing {
            return Err(Error::damaged(path, format!("there is no column {name}")));
        }
        Ok(Self { path: path.to_owned(), inner, places, record: StringRecord::new(), row: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row>, Error> {
        let row = self.row + 1;
        let read = self.inner.read_record(&mut self.record);
        if !read.map_err(|error| Error::row(&self.path, row, error.to_string()))? {
            return Ok(None);
        }
        self.row = row;
        let parsed = self.cells().and_then(Row::try_from);
        parsed.map(Some).map_err(|reason| Error::row(&self.path, row, reason))
    }

    fn cells(&self) -> Result<Cells, String> {
        let mut texts = self.places.map(|place| {
            let text = self.record.get(place?)?;
            (!text.is_empty()).then(|| text.to_owned())
        });
        let mut text = |index: usize| texts.get_mut(index).and_then(Option::take);
        let mut cells = Cells {
            entity: text(0),
            types: text(1),
            attribute: text(2),
            dataset_id: text(3),
            kind: text(4),
            value: text(5),
            unit_code: text(7),
            instance_id: text(12),
            rest: text(13),
            ..Cells::default()
        };
        let mut time = |index: usize| {
            let name = COLUMNS.get(index).copied().unwrap_or_default();
            let parsed = text(index).map(|text| text.parse::<Timestamp>());
            parsed.transpose().map_err(|error| format!("{name}: {error}"))
        };
        cells.observed_at = time(8)?;
        cells.created_at = time(9)?;
        cells.modified_at = time(10)?;
        cells.deleted_at = time(11)?;
        Ok(cells)
    }
}
