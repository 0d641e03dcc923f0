//! An import: files of rows into a broker.

use std::path::{Path, PathBuf};

use crate::batch::{Batch, body};
use crate::superseded::Superseded;
use crate::{Destination, Error, Refusal, Row, RowReader, files, part_files};

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that were sent.
    pub rows: u64,
    /// Instances that are there now and were not before.
    pub recorded: u64,
    /// Instances that were there already.
    pub already_there: u64,
    /// Rows that were not sent, because a later one corrects them.
    pub superseded: u64,
}

/// Files on their way to a broker.
#[derive(Debug)]
pub struct Import {
    files: Vec<PathBuf>,
    superseded: Superseded,
}

impl Import {
    /// Finds the files that are meant, checks them, and looks for rows that others correct.
    ///
    /// # Errors
    ///
    /// As of [`part_files`] and [`RowReader`]; [`Error::Damaged`] if a file is not as its export
    /// left it.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut all = Vec::new();
        for path in paths {
            all.extend(part_files(path)?);
        }
        for file in &all {
            files::check(file)?;
        }
        let superseded = Superseded::find(&all)?;
        Ok(Self { files: all, superseded })
    }

    /// The files, in the order in which they are sent.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Sends the rows. `told` is called after every request.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] if a row is damaged or the broker refuses it; what stands before it has been
    /// sent. [`Error::Broker`]; [`Error::File`]; [`Error::Damaged`].
    pub async fn run(
        &self,
        destination: &dyn Destination,
        told: &mut (dyn FnMut(Imported) + Send),
    ) -> Result<Imported, Error> {
        let mut imported = Imported::default();
        for file in &self.files {
            let mut reader = RowReader::open(file)?;
            let mut batch = Batch::default();
            let mut number = 0;
            while let Some(row) =
                next(&mut reader, &mut batch, (destination, file), &mut imported).await?
            {
                number += 1;
                if self.superseded.has(&row) {
                    imported.superseded += 1;
                    continue;
                }
                if !batch.has_room_for(&row) {
                    send(&std::mem::take(&mut batch), (destination, file), &mut imported).await?;
                    told(imported);
                }
                batch.push(number, row);
            }
            send(&batch, (destination, file), &mut imported).await?;
            told(imported);
        }
        Ok(imported)
    }
}

/// The next row. Before an error is told, what stands before it is sent.
async fn next(
    reader: &mut RowReader,
    batch: &mut Batch,
    to: (&dyn Destination, &Path),
    imported: &mut Imported,
) -> Result<Option<Row>, Error> {
    match reader.next_row() {
        Ok(row) => Ok(row),
        Err(error) => {
            send(&std::mem::take(batch), to, imported).await?;
            Err(error)
        }
    }
}

/// Sends rows in one request; if they are refused, in smaller ones until it is known which one is at
/// fault.
async fn send(
    batch: &Batch,
    (destination, file): (&dyn Destination, &Path),
    imported: &mut Imported,
) -> Result<(), Error> {
    let mut left = vec![batch.rows.as_slice()];
    while let Some(rows) = left.pop() {
        let Some((number, _)) = rows.first() else { continue };
        let taken = match body(rows) {
            Ok(body) => destination.take(body).await,
            Err(reason) => Err(Refusal::Instances(reason)),
        };
        match taken {
            Ok(taken) => {
                imported.rows += u64::try_from(rows.len()).unwrap_or_default();
                imported.recorded += taken.recorded;
                imported.already_there += taken.already_there;
            }
            Err(Refusal::Instances(_)) if rows.len() > 1 => {
                let (one, other) = rows.split_at(rows.len() / 2);
                left.extend([other, one]);
            }
            Err(Refusal::Instances(reason)) => return Err(Error::row(file, *number, reason)),
            Err(Refusal::Failure(reason)) => return Err(Error::Broker(reason)),
        }
    }
    Ok(())
}
