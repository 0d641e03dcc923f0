//! A file of the log.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use musubi_model::Sequence;
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::xxh3_64;

use super::super::tables::Batch;
use super::frame::{self, HEAD, Head};

/// How the name of a file ends.
const ENDING: &str = ".log";
/// How a file begins.
const MAGIC: &[u8; 16] = b"musubi log    1\n";
/// Bytes before the first frame: the beginning, the first batch, the first change, a checksum.
pub(super) const BEGIN: u64 = 40;
/// Bytes of frames between two that it is known of where they are.
const STRIDE: u64 = 64 << 10;

/// Who asks for a file to be made safe, beside whoever writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Behind {
    /// The thread that does so once per interval.
    Syncer,
    /// The thread that writes the tables.
    Checkpointer,
}

/// A file that is open for each who asks for it to be made safe: of what the disk could not write, the
/// system tells each descriptor once, if it was there at the time.
#[derive(Debug)]
struct Open {
    file: Arc<File>,
    syncer: Arc<File>,
    checkpointer: Arc<File>,
}

impl Open {
    fn of(file: File, path: &Path) -> io::Result<Self> {
        let another = || Ok::<_, io::Error>(Arc::new(File::open(path)?));
        Ok(Self { file: Arc::new(file), syncer: another()?, checkpointer: another()? })
    }
}

/// A file of the log: frames, one after another.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    /// Open for as long as it is the last one: there may be more files than a process may open.
    file: RwLock<Option<Open>>,
    /// Its first batch.
    pub(super) batch: Batch,
    /// The first change that belongs in it.
    pub(super) first: Sequence,
    /// Where the next frame comes. What is before it is whole.
    end: AtomicU64,
    /// Frames, with their first change, as far as they have been come across.
    known: Mutex<Vec<(Sequence, u64)>>,
}

/// What a file was found to be.
#[derive(Debug)]
pub(super) enum Opened {
    /// It begins as it should.
    Whole(Segment),
    /// Its maker was interrupted before he could add anything to it.
    Unfinished,
    /// It does not begin as it should.
    Damaged,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Read {
    /// It is whole.
    Whole(Head),
    /// There is none: the file ends here.
    End,
    /// What is here is none.
    Broken,
}

impl Segment {
    /// Makes a file that begins with this batch and this change, safe from a power cut.
    pub(super) fn create(folder: &Path, batch: Batch, first: Sequence) -> io::Result<Self> {
        let path = folder.join(format!("{batch:020}{ENDING}"));
        let file =
            OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        let mut begin = MAGIC.to_vec();
        begin.extend_from_slice(&batch.to_le_bytes());
        begin.extend_from_slice(&first.0.to_le_bytes());
        begin.extend_from_slice(&xxh3_64(&begin).to_le_bytes());
        file.write_all_at(&begin, 0)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let (file, end) = (RwLock::new(Some(Open::of(file, &path)?)), AtomicU64::new(BEGIN));
        Ok(Self { path, file, batch, first, end, known: Mutex::default() })
    }

    /// Opens a file.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let end = file.metadata()?.len();
        let mut begin = [0; 40];
        if end < BEGIN {
            return Ok(Opened::Unfinished);
        }
        file.read_exact_at(&mut begin, 0)?;
        let number = |at: usize| {
            let bytes = begin.get(at..).and_then(<[u8]>::first_chunk::<8>);
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        if begin.first_chunk() != Some(MAGIC)
            || xxh3_64(begin.get(..32).unwrap_or_default()) != number(32)
        {
            // Nothing is added before the beginning is safe.
            return Ok(if end == BEGIN { Opened::Unfinished } else { Opened::Damaged });
        }
        Ok(Opened::Whole(Self {
            path: path.to_owned(),
            file: RwLock::new(Some(Open::of(file, path)?)),
            batch: number(16),
            first: Sequence(number(24)),
            end: AtomicU64::new(end),
            known: Mutex::default(),
        }))
    }

    /// Whether a file of this name is one of the log.
    pub(super) fn is_named_so(path: &Path) -> bool {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENDING))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    fn file(&self) -> io::Result<Arc<File>> {
        if let Some(open) = &*self.file.read() {
            return Ok(open.file.clone());
        }
        Ok(Arc::new(File::open(&self.path)?))
    }

    /// Lets go of the file, to which nothing is added any more. Who reads opens it again.
    pub(super) fn close(&self) {
        self.file.write().take();
    }

    /// Adds a frame. After an error nothing is to be added any more.
    pub(super) fn append(&self, (head, bytes): (Head, &[u8])) -> io::Result<()> {
        let at = self.len();
        self.file()?.write_all_at(bytes, at)?;
        self.know((head.first, at));
        let length = u64::try_from(bytes.len()).unwrap_or_default();
        self.end.store(at + length, Ordering::Release);
        Ok(())
    }

    /// Makes it safe from a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    /// The same, for somebody behind whoever writes. A file that is not the last one is safe.
    pub(super) fn sync_beside(&self, who: Behind) -> io::Result<()> {
        let file = self.file.read().as_ref().map(|open| match who {
            Behind::Syncer => open.syncer.clone(),
            Behind::Checkpointer => open.checkpointer.clone(),
        });
        file.map_or(Ok(()), |file| file.sync_data())
    }

    /// What is there from this place on.
    pub(super) fn rest(&self, at: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.len().saturating_sub(at)).map_err(io::Error::other)?;
        let mut rest = vec![0; length];
        self.file()?.read_exact_at(&mut rest, at)?;
        Ok(rest)
    }

    /// Cuts off what follows.
    pub(super) fn cut(&self, at: u64) -> io::Result<()> {
        let file = self.file()?;
        file.set_len(at)?;
        file.sync_all()?;
        self.end.store(at, Ordering::Release);
        Ok(())
    }

    /// Where to begin to look for this change.
    fn before(&self, sequence: Sequence) -> u64 {
        let known = self.known.lock();
        let count = known.partition_point(|(first, _)| *first <= sequence);
        count.checked_sub(1).and_then(|last| known.get(last)).map_or(BEGIN, |(_, at)| *at)
    }

    /// Remembers where a frame is, if none near is remembered.
    fn know(&self, (first, at): (Sequence, u64)) {
        let mut known = self.known.lock();
        let place = known.partition_point(|(_, before)| *before <= at);
        let before = place.checked_sub(1).and_then(|before| known.get(before));
        let is_far = before.is_none_or(|(_, before)| at >= before + STRIDE)
            && known.get(place).is_none_or(|(_, behind)| *behind >= at + STRIDE);
        if is_far {
            known.insert(place, (first, at));
        }
    }

    /// The first frame from this place on that has a change after `after`, or is behind it.
    pub(super) fn after(&self, sequence: Sequence) -> io::Result<Reader> {
        let mut reader = Reader { file: self.file()?, end: self.len(), at: self.before(sequence) };
        while let Some((head, end)) = reader.head()? {
            if head.next() > sequence {
                break;
            }
            self.know((head.first, reader.at));
            reader.at = end;
        }
        Ok(reader)
    }

    /// The frames from the beginning.
    pub(super) fn frames(&self) -> io::Result<Reader> {
        Ok(Reader { file: self.file()?, end: self.len(), at: BEGIN })
    }

    /// Reads the next frame: head and entries become `bytes`.
    pub(super) fn read(&self, reader: &mut Reader, bytes: &mut Vec<u8>) -> io::Result<Read> {
        if reader.at >= reader.end {
            return Ok(Read::End);
        }
        let Some((head, end)) = reader.head()? else { return Ok(Read::Broken) };
        bytes.resize(HEAD + head.length, 0);
        reader.file.read_exact_at(bytes, reader.at)?;
        if !frame::is_whole(bytes) {
            return Ok(Read::Broken);
        }
        self.know((head.first, reader.at));
        reader.at = end;
        Ok(Read::Whole(head))
    }
}

/// A place in a file from where it is read.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    end: u64,
    at: u64,
}

impl Reader {
    /// Where it stands.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The head of the frame here, and where the frame ends; none if there is no whole one.
    fn head(&self) -> io::Result<Option<(Head, u64)>> {
        let mut bytes = [0; HEAD];
        let left = self.end.saturating_sub(self.at);
        if left < u64::try_from(HEAD).unwrap_or_default() {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, self.at)?;
        let Some(head) = frame::read_head(&bytes) else { return Ok(None) };
        let length = u64::try_from(HEAD + head.length).unwrap_or(u64::MAX);
        Ok((length <= left).then_some((head, self.at + length)))
    }
}
