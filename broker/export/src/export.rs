//! An export into a folder: one run after the other, each with what was modified since the one
//! before.

use std::path::Path;

use musubi_model::Timestamp;

use crate::folder::Folder;
use crate::journal::{Journal, Listed, Run};
use crate::position::{Position, Stretch};
use crate::{Error, Format, NoAnswer, RowWriter, Selection, Source, answer};

/// What an export shall be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is about.
    pub selection: Selection,
    /// The format of the files; none means that of the folder, or [`Format::Parquet`] in a new one.
    pub format: Option<Format>,
    /// How many rows a file has before the next one is begun; from 1. One answer's rows stay
    /// together.
    pub rows: u64,
}

/// How far an export has come since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows, which are instances.
    pub instances: u64,
    /// Entities; one counts once in each run.
    pub entities: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Files that are whole.
    pub parts: u64,
}

/// An export: a folder with files of rows, and `export.json`, which says what of it is whole.
///
/// A run reads what was modified before a moment that is fixed when it begins, and from the end of
/// the run before on. So every instance is in one run, also one that is modified at that very
/// moment: it is in the next one. An instance that is corrected has a new `modifiedAt`, and so comes
/// once more, in a later run. What is removed stays in the files.
#[derive(Debug)]
pub struct Export {
    folder: Folder,
    journal: Journal,
    rows: u64,
    counts: Counts,
}

/// A run that is under way.
struct Reading {
    stretch: Stretch,
    /// What is before it is in the parts, the last of which is not whole.
    position: Position,
    part: Option<RowWriter>,
}

/// Before anything that can have been modified.
fn first_moment() -> Timestamp {
    Timestamp::from_micros(i64::MIN)
}

impl Export {
    /// Opens the folder, or makes it. Until this is dropped nobody else can.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`]; [`Error::OtherExport`] if the folder holds one of another selection or
    /// format, or files of which nothing is known; [`Error::Damaged`] if `export.json` is;
    /// [`Error::File`].
    pub fn open(folder: &Path, options: Options) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let other = |reason: String| Error::OtherExport { path: folder.path().to_owned(), reason };
        let journal = match Journal::read(folder.path())? {
            Some(journal) => match journal.differs(options.format, &options.selection) {
                Some(reason) => return Err(other(reason)),
                None => journal,
            },
            None if folder.has_parts()? => return Err(other("without its export.json".to_owned())),
            None => Journal::new(options.format.unwrap_or_default(), options.selection),
        };
        Ok(Self { folder, journal, rows: options.rows.max(1), counts: Counts::default() })
    }

    /// The moment before which a run that did not come to its end reads.
    pub fn unfinished(&self) -> Option<Timestamp> {
        self.journal.run.as_ref().map(|run| run.until)
    }

    /// The moment before which everything is in the files; none before the first run has ended.
    pub fn until(&self) -> Option<Timestamp> {
        self.journal.until
    }

    /// How far it has come.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Goes on with the run that did not come to its end, and then reads what was modified before
    /// this moment. `told` is called after every answer.
    ///
    /// # Errors
    ///
    /// [`Error::Broker`]; [`Error::File`]. What is whole then stays, and the next call goes on from
    /// there.
    pub async fn run(
        &mut self,
        source: &dyn Source,
        until: Timestamp,
        told: &mut (dyn FnMut(Counts) + Send),
    ) -> Result<(), Error> {
        if self.journal.run.is_some() {
            self.finish_run(source, told).await?;
        }
        let from = self.journal.until.or(self.journal.selection.from);
        let from = from.unwrap_or_else(first_moment);
        if from >= until {
            return Ok(());
        }
        self.journal.run = Some(Run { from, until, position: Position::beginning() });
        self.journal.write(self.folder.path())?;
        self.finish_run(source, told).await
    }

    async fn finish_run(
        &mut self,
        source: &dyn Source,
        told: &mut (dyn FnMut(Counts) + Send),
    ) -> Result<(), Error> {
        let Some(Run { from, until, position }) = self.journal.run.clone() else {
            return Ok(());
        };
        self.folder.clean(&self.journal)?;
        let mut reading = Reading { stretch: Stretch { from, until }, position, part: None };
        match self.read(source, &mut reading, told).await {
            Ok(()) => self.end_run(reading.part, until),
            // What came before is whole: the next run goes on behind it.
            Err(error @ Error::Broker(_)) => {
                self.keep(reading.part, &reading.position)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks until there is nothing more. After an error of the broker everything up to the position
    /// is in the parts, and nothing else.
    async fn read(
        &mut self,
        source: &dyn Source,
        reading: &mut Reading,
        told: &mut (dyn FnMut(Counts) + Send),
    ) -> Result<(), Error> {
        while let Some(ask) = reading.position.ask(reading.stretch) {
            let mut position = reading.position.clone();
            let answer = match source.ask(&ask).await {
                Ok(answer) => answer,
                Err(NoAnswer::TooLong) => {
                    position.too_long().map_err(Error::Broker)?;
                    reading.position = position;
                    continue;
                }
                Err(NoAnswer::Because(reason)) => return Err(Error::Broker(reason)),
            };
            let entities = answer::told(&answer.body)
                .map_err(|reason| Error::Broker(format!("the broker's answer: {reason}")))?;
            let gain =
                position.answered(reading.stretch, &answer, entities).map_err(Error::Broker)?;
            self.counts.entities += gain.entities;
            self.counts.bytes += u64::try_from(answer.body.len()).unwrap_or_default();
            drop(answer);
            for row in gain.rows {
                let writer = match &mut reading.part {
                    Some(writer) => writer,
                    None => reading.part.insert(self.next_part()?),
                };
                writer.write(row)?;
                self.counts.instances += 1;
            }
            reading.position = position;
            if let Some(whole) = reading.part.take_if(|part| part.rows() >= self.rows) {
                self.keep(Some(whole), &reading.position)?;
            }
            told(self.counts);
        }
        Ok(())
    }

    fn next_part(&self) -> Result<RowWriter, Error> {
        let path = self.folder.path().join(self.journal.next_part());
        RowWriter::create(&path, self.journal.format)
    }

    fn list(&mut self, part: RowWriter) -> Result<(), Error> {
        let part = part.finish()?;
        self.journal.parts.push(Listed { run: self.journal.runs, part });
        self.counts.parts += 1;
        Ok(())
    }

    /// Notes that a part is whole, if there is one, and that the run goes on from here.
    fn keep(&mut self, part: Option<RowWriter>, position: &Position) -> Result<(), Error> {
        if let Some(part) = part {
            self.list(part)?;
        }
        if let Some(run) = &mut self.journal.run {
            run.position.clone_from(position);
        }
        self.journal.write(self.folder.path())
    }

    fn end_run(&mut self, part: Option<RowWriter>, until: Timestamp) -> Result<(), Error> {
        if let Some(part) = part {
            self.list(part)?;
        }
        self.journal.run = None;
        self.journal.runs += 1;
        self.journal.until = Some(until);
        self.journal.write(self.folder.path())
    }
}
