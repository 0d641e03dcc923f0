//! The log: every batch, in the order in which they were written, in files of some 64 MiB.
//!
//! A write is acknowledged when its batch is here. A batch is one frame, added by one call to the
//! system, with a checksum over all of it: it is there as a whole or not at all. What is not whole at
//! the end of the last file was never acknowledged, and is cut off when the log is opened. Anywhere
//! else it is damage, and the log is not opened. Only where a batch is acknowledged before the disk
//! has it, a power cut may leave a hole in the end: then what is behind the hole is put aside.
//!
//! A file is made safe from a power cut before the next one is begun. Files are dropped, oldest first,
//! when nobody wants their changes any more and the tables hold what they did.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use musubi_model::Sequence;
use parking_lot::{Mutex, RwLock};

pub(super) use self::filler::Filler;
use self::frame::Entries;
pub(super) use self::frame::{Entry, Frame};
pub(super) use self::segment::Behind;
use self::segment::{Opened, Read, Segment};
use super::tables::Batch;
use super::{EngineError, Result};
use crate::folder::create_durably;

mod filler;
mod frame;
mod segment;

/// Bytes of a file, after which the next one is begun.
const LONGEST: u64 = 64 << 20;
/// How the name of a file ends while it is written anew.
const BESIDE: &str = "new";
/// How the name of a file ends that holds what was cut off.
const CUT_OFF: &str = "cut";

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// Oldest first; at least one.
    segments: RwLock<Vec<Arc<Segment>>>,
    end: Mutex<End>,
    /// Whether a test wants those behind the writer to fail.
    #[cfg(test)]
    pub(super) fails: std::sync::atomic::AtomicBool,
}

/// Where the log has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The last batch.
    pub(super) batch: Batch,
    /// The number of the next change.
    pub(super) next: Sequence,
}

/// What it means if something whole follows what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holes {
    /// Batches were acknowledged before the disk had them, which writes in any order.
    PowerCut,
    /// A batch was begun when the one before it was on the disk: something else has damaged that.
    Damage,
}

/// Something that a batch did, when it is read again.
pub(super) type Replay<'r> = &'r mut dyn FnMut(Batch, Entry<'_>) -> Result<()>;

impl Log {
    /// Opens the log in this folder, or makes one, and hands what was done by the batches after `mark`
    /// to `replay`.
    pub(super) fn open(
        folder: &Path,
        (mark, holes): (Batch, Holes),
        replay: Replay<'_>,
    ) -> Result<Self> {
        let failed = |source| failed("opening the log", source);
        create_durably(folder).map_err(failed)?;
        remove_half_made(folder).map_err(failed)?;
        let mut segments = segments(folder).map_err(failed)??;
        if segments.is_empty() {
            if mark > 0 {
                return Err(EngineError::Damaged("the files of the log are missing".to_owned()));
            }
            segments.push(Segment::create(folder, 1, Sequence(1)).map_err(failed)?);
        }
        let end = scan(&segments, (mark, holes), replay)?;
        if let Some(last) = segments.last() {
            // Who was killed may have left it where only a power cut can take it.
            last.sync().map_err(failed)?;
        }
        let segments = RwLock::new(segments.into_iter().map(Arc::new).collect());
        Ok(Self {
            folder: folder.to_owned(),
            segments,
            end: Mutex::new(end),
            #[cfg(test)]
            fails: std::sync::atomic::AtomicBool::default(),
        })
    }

    /// Writes the last file anew, beside itself. After an error of the disk the system may hold as
    /// written what is not, and say so however often it is asked.
    pub(super) fn write_anew(folder: &Path) -> Result<()> {
        let failed = |source| failed("writing the end of the log anew", source);
        let Some(last) = paths(folder).map_err(failed)?.pop() else { return Ok(()) };
        let beside = last.with_extension(BESIDE);
        let write = || {
            let mut copy = File::create(&beside)?;
            io::copy(&mut File::open(&last)?, &mut copy)?;
            copy.sync_all()?;
            crate::folder::rename_durably(&beside, &last)
        };
        write().map_err(|source| {
            // It may be what the disk has no room for.
            let _ = fs::remove_file(&beside);
            failed(source)
        })
    }

    /// Where it has come to.
    pub(super) fn end(&self) -> End {
        *self.end.lock()
    }

    fn last(&self) -> Result<Arc<Segment>> {
        let last = self.segments.read().last().cloned();
        last.ok_or_else(|| EngineError::Damaged("the log has no file".to_owned()))
    }

    /// Adds a batch, and gives where the log has come to. It survives the end of the process. After an error nothing
    /// is to be added until the log was opened again.
    pub(super) fn append(&self, frame: &mut Frame) -> Result<End> {
        let last = self.last()?;
        let mut end = self.end.lock();
        if frame.first().is_some_and(|first| first != end.next) {
            return Err(EngineError::Damaged("a batch does not follow the log".to_owned()));
        }
        let (head, bytes) = frame.seal(end.batch + 1, end.next)?;
        last.append((head, bytes)).map_err(|source| failed("writing the log", source))?;
        *end = End { batch: head.batch, next: head.next() };
        Ok(*end)
    }

    /// Makes everything safe from a power cut.
    pub(super) fn sync(&self) -> Result<()> {
        self.last()?.sync().map_err(|source| failed("syncing the log", source))
    }

    /// The same by way of a descriptor of its own, so that whoever calls [`sync`](Self::sync) hears of
    /// an error, too.
    pub(super) fn sync_beside(&self, who: Behind) -> Result<()> {
        #[cfg(test)]
        if self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(failed("syncing the log", io::Error::other("a test asked for it")));
        }
        let synced = self.last()?.sync_beside(who);
        synced.map_err(|source| failed("syncing the log", source))
    }

    /// Begins a new file, if the last one holds so many changes, or has become long.
    pub(super) fn roll(&self, segment_length: u64) -> Result<()> {
        let last = self.last()?;
        let End { batch, next } = self.end();
        let held = next.0.saturating_sub(last.first.0);
        if batch < last.batch || (held < segment_length.max(1) && last.len() < LONGEST) {
            return Ok(());
        }
        self.begin_file()
    }

    /// Begins a new file.
    fn begin_file(&self) -> Result<()> {
        let (last, End { batch, next }) = (self.last()?, self.end());
        let begin = || {
            last.sync()?;
            Segment::create(&self.folder, batch + 1, next)
        };
        let segment = begin().map_err(|source| failed("beginning a file of the log", source))?;
        self.segments.write().push(Arc::new(segment));
        last.close();
        Ok(())
    }

    /// Drops the files that end at the change `upto` or before and at the batch `mark` or before,
    /// except the one that holds the newest change. Says whether some could only be dropped with a
    /// later mark.
    pub(super) fn truncate(&self, upto: Sequence, mark: Batch) -> Result<bool> {
        let newest = self.end().next.0.saturating_sub(1);
        loop {
            let mut segments = self.segments.write();
            let (Some(first), Some(second)) = (segments.first(), segments.get(1)) else {
                return Ok(false);
            };
            let end = second.first.0.saturating_sub(1);
            if end > upto.0 || end >= newest {
                return Ok(false);
            }
            if second.batch > mark + 1 {
                return Ok(true);
            }
            let removed = fs::remove_file(first.path());
            removed.map_err(|source| failed("dropping a file of the log", source))?;
            segments.remove(0);
        }
    }

    /// Drops the files without changes that end at the batch `mark` or before: nobody asks for what is
    /// in them.
    pub(super) fn drop_unneeded(&self, mark: Batch) -> Result<()> {
        let mut segments = self.segments.write();
        let mut next: Option<(Batch, Sequence)> = None;
        let mut unneeded = Vec::new();
        for segment in segments.iter().rev() {
            if next.is_some_and(|(batch, first)| batch <= mark + 1 && first == segment.first) {
                unneeded.push(segment.batch);
            }
            next = Some((segment.batch, segment.first));
        }
        for batch in unneeded {
            let Some(at) = segments.iter().position(|segment| segment.batch == batch) else {
                continue;
            };
            let removed = segments.get(at).map_or(Ok(()), |file| fs::remove_file(file.path()));
            removed.map_err(|source| failed("dropping a file of the log", source))?;
            segments.remove(at);
        }
        Ok(())
    }

    /// The first change that may still be here.
    pub(super) fn first(&self) -> Sequence {
        self.segments.read().first().map_or(Sequence(1), |segment| segment.first)
    }

    /// Hands the changes after `after`, up to and including `upto`, to `visit`, at most `limit`, for as
    /// long as it succeeds.
    pub(super) fn visit<E: From<EngineError>>(
        &self,
        (after, upto): (Sequence, Sequence),
        limit: usize,
        mut visit: impl FnMut(Sequence, &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let reading = |source| failed("reading the log", source);
        let mut left = limit;
        let mut bytes = Vec::new();
        for segment in self.segments_after(after) {
            if segment.first > upto || left == 0 {
                break;
            }
            let mut reader = match segment.after(Sequence(after.0 + 1)) {
                Ok(reader) => reader,
                // It was dropped meanwhile.
                Err(_) if !self.has(&segment) => continue,
                Err(source) => return Err(reading(source).into()),
            };
            loop {
                let head = match segment.read(&mut reader, &mut bytes).map_err(reading)? {
                    Read::Whole(head) => head,
                    Read::End => break,
                    Read::Broken => return Err(damaged(&segment, reader.at()).into()),
                };
                if head.first > upto || left == 0 {
                    break;
                }
                let mut entries = Entries::of(&head, bytes.get(frame::HEAD..).unwrap_or_default());
                while let Some(entry) = entries.next()? {
                    let Entry::Change(sequence, row) = entry else { continue };
                    if sequence > after && sequence <= upto && left > 0 {
                        visit(sequence, row)?;
                        left -= 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn has(&self, segment: &Arc<Segment>) -> bool {
        self.segments.read().iter().any(|known| Arc::ptr_eq(known, segment))
    }

    /// The files that may hold a change after `after`.
    fn segments_after(&self, after: Sequence) -> Vec<Arc<Segment>> {
        let segments = self.segments.read();
        let before = segments.partition_point(|segment| segment.first <= after).saturating_sub(1);
        segments.iter().skip(before).cloned().collect()
    }

    /// Bytes of its files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.segments.read().iter().map(|segment| segment.len()).sum()
    }
}

/// The files in a folder, in their order.
fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if Segment::is_named_so(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Removes what was being written anew when its maker was killed.
fn remove_half_made(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == BESIDE) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn segments(folder: &Path) -> io::Result<Result<Vec<Segment>>> {
    let mut segments: Vec<Segment> = Vec::new();
    let paths = paths(folder)?;
    let last = paths.last().cloned();
    for path in paths {
        match Segment::open(&path)? {
            Opened::Whole(segment) => {
                segments.last().inspect(|before| before.close());
                segments.push(segment);
            }
            Opened::Unfinished if last.as_ref() == Some(&path) => fs::remove_file(&path)?,
            Opened::Unfinished | Opened::Damaged => {
                let what = format!("{} is no file of the log", path.display());
                return Ok(Err(EngineError::Damaged(what)));
            }
        }
    }
    Ok(Ok(segments))
}

/// Reads the files from the one on that the tables do not hold altogether, and cuts off what is not
/// whole at the end of the last.
fn scan(segments: &[Segment], (mark, holes): (Batch, Holes), replay: Replay<'_>) -> Result<End> {
    let missing = |what: &str| Err(EngineError::Damaged(what.to_owned()));
    let from = segments.iter().rposition(|segment| segment.batch <= mark + 1);
    let Some(unheld) = from.and_then(|from| segments.get(from..)) else {
        return missing("the log does not reach back to what the tables hold");
    };
    let Some(first) = unheld.first() else { return missing("the log has no file") };
    let mut end = End { batch: first.batch - 1, next: first.first };
    for (index, segment) in unheld.iter().enumerate() {
        if (segment.batch, segment.first) != (end.batch + 1, end.next) {
            return missing("a file of the log is missing");
        }
        let holes = (index + 1 == unheld.len()).then_some(holes);
        end = read_again((segment, holes), (mark, end), replay)?;
    }
    if end.batch < mark {
        return missing("the log ends before what the tables hold");
    }
    Ok(end)
}

/// Reads a file. What is not whole is cut off of the last one, for which it is said how.
fn read_again(
    (segment, holes): (&Segment, Option<Holes>),
    (mark, mut end): (Batch, End),
    replay: Replay<'_>,
) -> Result<End> {
    let reading = |source| failed("reading the log", source);
    let mut bytes = Vec::new();
    let mut reader = segment.frames().map_err(reading)?;
    loop {
        match segment.read(&mut reader, &mut bytes).map_err(reading)? {
            Read::Whole(head) if (head.batch, head.first) == (end.batch + 1, end.next) => {
                end = End { batch: head.batch, next: head.next() };
                let mut entries = Entries::of(&head, bytes.get(frame::HEAD..).unwrap_or_default());
                while head.batch > mark
                    && let Some(entry) = entries.next()?
                {
                    replay(head.batch, entry)?;
                }
            }
            Read::End => return Ok(end),
            Read::Broken
                if end.batch >= mark
                    && let Some(holes) = holes =>
            {
                cut_off((segment, reader.at()), end, holes)?;
                return Ok(end);
            }
            Read::Whole(_) | Read::Broken => return Err(damaged(segment, reader.at())),
        }
    }
}

/// Cuts off what follows the last whole batch.
fn cut_off((segment, at): (&Segment, u64), end: End, holes: Holes) -> Result<()> {
    let cutting = |source| failed("cutting off the log", source);
    let file = segment.path().display();
    let rest = segment.rest(at).map_err(cutting)?;
    if frame::is_in(&rest, end.batch + 2) {
        if holes == Holes::Damage {
            return Err(damaged(segment, at));
        }
        let aside = segment.path().with_extension(CUT_OFF);
        tracing::error!(
            %file,
            at,
            aside = %aside.display(),
            "the log has a hole, as a power cut leaves it in the last interval; what is behind it is              put aside"
        );
        fs::write(aside, &rest).map_err(cutting)?;
    } else {
        let bytes = rest.len();
        tracing::warn!(%file, at, bytes, "the last batch of the log is not whole; it is cut off");
    }
    segment.cut(at).map_err(cutting)
}

fn damaged(segment: &Segment, at: u64) -> EngineError {
    EngineError::Damaged(format!("{} is damaged at byte {at}", segment.path().display()))
}

fn failed(doing: &'static str, source: io::Error) -> EngineError {
    EngineError::Io { doing, source }
}

#[cfg(test)]
mod tests;
