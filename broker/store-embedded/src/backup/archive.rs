//! The file of a backup: a head, and frames that are each sealed by a checksum.
//!
//! ```text
//! head   "musubi backup\n", and a byte: the version of this format
//! frame  kind, 1 byte │ length of the payload, 4 bytes │ checksum, 8 bytes │ payload
//! ```
//!
//! Numbers are big-endian. A frame's checksum is XXH3 with 64 bits over its kind, its length and
//! its payload, with the number of the frame as the seed; so a frame that was changed, moved,
//! doubled or left out is found. The last frame is of the kind [`FrameKind::End`] and carries what
//! the frames before it come to, so a file that was cut off is told from a whole one, and two halves
//! of two files from one of either.

use std::io::{self, ErrorKind, Read};

use xxhash_rust::xxh3::Xxh3;

const MAGIC: &[u8; 14] = b"musubi backup\n";
/// The version of the format that is written here, and the newest that is read.
const VERSION: u8 = 1;
/// Bytes of the head.
const HEAD: usize = MAGIC.len() + 1;
/// Bytes of a frame before its payload.
const FRAME_HEAD: usize = 13;
/// The longest payload that is written, and read. A row is never cut in two, and none that the
/// broker makes comes near it.
pub(super) const MOST: usize = 1 << 30;

/// Why a backup cannot be read. In each case nothing of it is to be relied upon.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("this is no backup: it does not begin like one")]
    NotABackup,
    /// It was written by a version of the program that is newer than this one, or by none.
    #[error("the backup has the format {0}, and this version reads {VERSION}")]
    OtherVersion(u8),
    /// It ends before its end: it was cut off, or its writing was.
    #[error("the backup is not complete: it ends after {0} bytes, in the middle")]
    Cut(u64),
    /// It is not what was written.
    #[error("the backup is damaged in the frame that begins at byte {at}: {what}")]
    Damaged {
        /// Where, in bytes from the beginning.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// It could not be read.
    #[error("the backup cannot be read")]
    Io(#[from] io::Error),
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    /// Of what the backup is.
    Begin = 1,
    /// Rows of entities.
    State = 2,
    /// Rows of records.
    Records = 3,
    /// Rows of the store's own.
    Meta = 4,
    /// Rows of the log.
    Log = 5,
    /// Name and length of an attached file.
    File = 6,
    /// A part of the attached file that was named last.
    Data = 7,
    /// What all frames come to.
    End = 255,
}

impl FrameKind {
    const ALL: [Self; 8] = [
        Self::Begin,
        Self::State,
        Self::Records,
        Self::Meta,
        Self::Log,
        Self::File,
        Self::Data,
        Self::End,
    ];
}

/// Makes the bytes of an archive, frame by frame.
#[derive(Debug)]
pub(super) struct FrameWriter {
    sealer: Sealer,
}

/// Gives each frame its checksum, and all of them theirs.
struct Sealer {
    frames: u64,
    all: Xxh3,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Sealer {
    fn new() -> Self {
        Self { frames: 0, all: Xxh3::new() }
    }

    fn seal(&mut self, kind: u8, length: [u8; 4], payload: &[u8]) -> u64 {
        let mut one = Xxh3::with_seed(self.frames);
        one.update(&[kind]);
        one.update(&length);
        one.update(payload);
        let sum = one.digest();
        self.all.update(&sum.to_be_bytes());
        self.frames += 1;
        sum
    }
}

impl FrameWriter {
    /// Appends the head.
    pub(super) fn begin(bytes: &mut Vec<u8>) -> Self {
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        Self { sealer: Sealer::new() }
    }

    /// Appends a frame.
    ///
    /// # Errors
    ///
    /// If the payload is longer than a frame may be.
    pub(super) fn frame(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
        bytes: &mut Vec<u8>,
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MOST);
        let length = length.ok_or_else(|| {
            io::Error::other(format!("a row has {} bytes, which is too many", payload.len()))
        })?;
        let length = length.to_be_bytes();
        let sum = self.sealer.seal(kind as u8, length, payload);
        bytes.push(kind as u8);
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes.extend_from_slice(payload);
        Ok(())
    }

    /// The checksum of the frames so far.
    pub(super) fn total(&self) -> u64 {
        self.sealer.all.digest()
    }
}

/// Reads an archive, frame by frame, and passes on no byte whose checksum is not right.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    source: R,
    sealer: Sealer,
    /// Bytes that have been read.
    at: u64,
    /// Where the present frame begins.
    frame_at: u64,
    payload: Vec<u8>,
}

impl<R: Read> FrameReader<R> {
    /// Reads the head.
    pub(super) fn open(source: R) -> Result<Self, ArchiveError> {
        let mut reader =
            Self { source, sealer: Sealer::new(), at: 0, frame_at: 0, payload: Vec::new() };
        let mut head = [0; HEAD];
        let read = reader.fill(&mut head)?;
        let (magic, version) = head.split_at(MAGIC.len());
        let known = magic.get(..read.min(MAGIC.len())).unwrap_or_default();
        if !MAGIC.starts_with(known) || read == 0 {
            return Err(ArchiveError::NotABackup);
        }
        if read < HEAD {
            return Err(ArchiveError::Cut(reader.at));
        }
        match version {
            [VERSION] => Ok(reader),
            other => Err(ArchiveError::OtherVersion(other.first().copied().unwrap_or_default())),
        }
    }

    /// Reads the next frame, whose payload is then there.
    pub(super) fn advance(&mut self) -> Result<FrameKind, ArchiveError> {
        self.frame_at = self.at;
        let mut head = [0; FRAME_HEAD];
        if self.fill(&mut head)? < FRAME_HEAD {
            return Err(ArchiveError::Cut(self.at));
        }
        let [code, a, b, c, d, sum @ ..] = head;
        let length = [a, b, c, d];
        let most = u64::from(u32::from_be_bytes(length));
        if usize::try_from(most).map_or(true, |most| most > MOST) {
            return Err(self.damaged("its length is absurd"));
        }
        // What is not there takes no memory, whatever the length says.
        self.payload.clear();
        let read = (&mut self.source).take(most).read_to_end(&mut self.payload)?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.at += read;
        if read < most {
            return Err(ArchiveError::Cut(self.at));
        }
        if self.sealer.seal(code, length, &self.payload) != u64::from_be_bytes(sum) {
            return Err(self.damaged("its checksum is another"));
        }
        let kind = FrameKind::ALL.into_iter().find(|kind| *kind as u8 == code);
        kind.ok_or_else(|| self.damaged("nobody knows its kind"))
    }

    /// What the frame holds that was read last.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The checksum of the frames so far.
    pub(super) fn total(&self) -> u64 {
        self.sealer.all.digest()
    }

    /// Passes if nothing follows.
    pub(super) fn finish(&mut self) -> Result<(), ArchiveError> {
        self.frame_at = self.at;
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.damaged("it comes after the end")),
        }
    }

    /// The error that the present frame is not as it should be.
    pub(super) fn damaged(&self, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Damaged { at: self.frame_at, what: what.into() }
    }

    /// Reads until `bytes` are full or nothing is left; how many there were.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::begin(&mut bytes);
        writer.frame(FrameKind::State, b"one", &mut bytes).unwrap();
        writer.frame(FrameKind::State, b"two", &mut bytes).unwrap();
        let total = writer.total().to_be_bytes();
        writer.frame(FrameKind::End, &total, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let mut reader = FrameReader::open(bytes)?;
        let mut payloads = Vec::new();
        loop {
            let total = reader.total();
            if reader.advance()? == FrameKind::End {
                assert_eq!(reader.payload(), total.to_be_bytes());
                reader.finish()?;
                return Ok(payloads);
            }
            payloads.push(reader.payload().to_vec());
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_published_test_vectors() {
        // Of the reference implementation: XXH3, 64 bits, of nothing and of "abc".
        assert_eq!(Xxh3::new().digest(), 0x2d06_8005_38d3_94c2);
        let mut sum = Xxh3::new();
        sum.update(b"abc");
        assert_eq!(sum.digest(), 0x78af_5f94_892f_3950);
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&archive()).unwrap(), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn what_is_something_else_is_said_to_be() {
        for bytes in [&b""[..], b"m?", b"PK\x03\x04 and so on and on", b"musubi Backup\n\x01"] {
            let refused = read(bytes).unwrap_err();
            assert!(matches!(refused, ArchiveError::NotABackup), "{bytes:?}: {refused}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_and_named() {
        let mut bytes = archive();
        bytes[MAGIC.len()] = 2;
        let refused = read(&bytes).unwrap_err();
        assert_eq!(refused.to_string(), "the backup has the format 2, and this version reads 1");
    }

    #[test]
    fn frames_cannot_change_places() {
        let bytes = archive();
        let (frame, head) = (FRAME_HEAD + 3, HEAD);
        let mut moved = bytes.clone();
        moved[head..head + frame].copy_from_slice(&bytes[head + frame..head + 2 * frame]);
        moved[head + frame..head + 2 * frame].copy_from_slice(&bytes[head..head + frame]);
        let refused = read(&moved).unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged { .. }), "{refused}");
    }

    #[test]
    fn what_follows_the_end_is_found() {
        let mut bytes = archive();
        bytes.push(0);
        let refused = read(&bytes).unwrap_err();
        assert!(refused.to_string().ends_with("it comes after the end"), "{refused}");
    }

    #[test]
    fn a_length_that_nothing_follows_takes_no_memory() {
        let mut bytes = archive();
        bytes.truncate(HEAD + 1);
        bytes.extend_from_slice(&(1_u32 << 30).to_be_bytes());
        bytes.extend_from_slice(&[0; 8]);
        let mut reader = FrameReader::open(&*bytes).unwrap();
        assert!(matches!(reader.advance().unwrap_err(), ArchiveError::Cut(_)));
        assert!(reader.payload.capacity() < 1 << 16);
    }
}
