//! A file of rows, whatever its format.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digesting;
use crate::rows_csv::{CsvReader, CsvWriter};
use crate::rows_parquet::{ParquetReader, ParquetWriter};
use crate::{Error, Format, Row};

type Out = Digesting<BufWriter<File>>;

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name of the file in its folder.
    pub(crate) file: String,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// How long it is.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// Writes rows to a file, which has `.partial` behind its name until it is whole.
pub struct RowWriter {
    path: PathBuf,
    partial: PathBuf,
    rows: u64,
    inner: Inner,
}

enum Inner {
    Parquet(Box<ParquetWriter<Out>>),
    Csv(Box<CsvWriter<Out>>),
}

impl RowWriter {
    /// Begins the file. What a process that was killed left under the partial name is overwritten.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(path: &Path, format: Format) -> Result<Self, Error> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(Error::file(&partial))?;
        let out = Digesting::new(BufWriter::with_capacity(256 << 10, file));
        let inner = match format {
            Format::Parquet => {
                let writer = ParquetWriter::new(out);
                Inner::Parquet(Box::new(writer.map_err(|reason| written(&partial, reason))?))
            }
            Format::Csv => Inner::Csv(Box::new(CsvWriter::new(out))),
        };
        Ok(Self { path: path.to_owned(), partial, rows: 0, inner })
    }

    /// How many rows have been written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a row.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn write(&mut self, row: Row) -> Result<(), Error> {
        let result = match &mut self.inner {
            Inner::Parquet(writer) => writer.write(row),
            Inner::Csv(writer) => writer.write(&row),
        };
        result.map_err(|reason| written(&self.partial, reason))?;
        self.rows += 1;
        Ok(())
    }

    /// Writes what is left, and returns once the whole file is on the disk under its name.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn finish(self) -> Result<Part, Error> {
        let out = match self.inner {
            Inner::Parquet(writer) => writer.finish(),
            Inner::Csv(writer) => writer.finish(),
        };
        let mut out = out.map_err(|reason| written(&self.partial, reason))?;
        out.flush().map_err(Error::file(&self.partial))?;
        let (buffer, bytes, sha256) = out.finish();
        let file =
            buffer.into_inner().map_err(|error| written(&self.partial, error.to_string()))?;
        file.sync_all().map_err(Error::file(&self.partial))?;
        fs::rename(&self.partial, &self.path).map_err(Error::file(&self.path))?;
        sync_folder_of(&self.path)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Part { file: name.into_owned(), rows: self.rows, bytes, sha256 })
    }
}

impl fmt::Debug for RowWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowWriter")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Makes the names in the folder of a file durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
}

fn written(path: &Path, reason: impl Into<String>) -> Error {
    Error::file(path)(std::io::Error::other(reason.into()))
}

/// Reads the rows of a file, one after the other.
pub struct RowReader(Rows);

enum Rows {
    Parquet(Box<ParquetReader>),
    Csv(Box<CsvReader>),
}

impl RowReader {
    /// Opens a file, whose name says what format it has.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Damaged`] if it is no such file, or a column is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match Format::of(path) {
            Some(Format::Parquet) => Ok(Self(Rows::Parquet(Box::new(ParquetReader::open(path)?)))),
            Some(Format::Csv) => Ok(Self(Rows::Csv(Box::new(CsvReader::open(path)?)))),
            None => Err(Error::damaged(path, "a file of history ends in .parquet or .csv")),
        }
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] if the file or the row is damaged. Nothing is to be read after that.
    pub fn next_row(&mut self) -> Result<Option<Row>, Error> {
        match &mut self.0 {
            Rows::Parquet(reader) => reader.next(),
            Rows::Csv(reader) => reader.next(),
        }
    }
}

impl fmt::Debug for RowReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match &self.0 {
            Rows::Parquet(_) => Format::Parquet,
            Rows::Csv(_) => Format::Csv,
        };
        f.debug_tuple("RowReader").field(&format).finish()
    }
}
