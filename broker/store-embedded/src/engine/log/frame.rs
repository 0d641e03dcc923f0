//! A batch as it stands in the log: a head, and behind it what the batch does.
//!
//! ```text
//! checksum u64 | length of the entries u32 | changes u32 | batch u64 | first change u64 | entries
//! ```
//!
//! The checksum (XXH3) is of all that follows it. An entry begins with a byte that says what it is;
//! its parts have their lengths before them. Numbers are little-endian.

use musubi_model::Sequence;
use xxhash_rust::xxh3::xxh3_64;

use super::super::{EngineError, tables::Batch};

/// Bytes of the head.
pub(super) const HEAD: usize = 32;

const CHANGE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const CEILINGS: u8 = 4;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes behind the head.
    pub(super) length: usize,
    /// How many changes are among the entries.
    pub(super) changes: u32,
    /// Which batch it is.
    pub(super) batch: Batch,
    /// The number of its first change, or, if it has none, of the next one.
    pub(super) first: Sequence,
}

impl Head {
    /// The number of the change that follows the batch.
    pub(super) fn next(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.changes))
    }
}

/// A part of what a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Entry<'f> {
    /// It adds a change to the log.
    Change(Sequence, &'f [u8]),
    /// It writes a record.
    Put(&'f [u8], &'f [u8]),
    /// It deletes a record.
    Delete(&'f [u8]),
    /// It reserves numbers.
    Ceilings(&'f [u8]),
}

/// A batch in the making.
#[derive(Debug)]
pub(in super::super) struct Frame {
    bytes: Vec<u8>,
    changes: u32,
    first: Option<Sequence>,
}

impl Default for Frame {
    fn default() -> Self {
        Self { bytes: vec![0; HEAD], changes: 0, first: None }
    }
}

impl Frame {
    /// Adds a change. The changes of a batch are consecutive.
    pub(in super::super) fn change(&mut self, sequence: Sequence, row: &[u8]) {
        self.first.get_or_insert(sequence);
        self.changes += 1;
        self.bytes.push(CHANGE);
        self.part(row);
    }

    pub(in super::super) fn put(&mut self, key: &[u8], row: &[u8]) {
        self.bytes.push(PUT);
        self.part(key);
        self.part(row);
    }

    pub(in super::super) fn delete(&mut self, key: &[u8]) {
        self.bytes.push(DELETE);
        self.part(key);
    }

    pub(in super::super) fn ceilings(&mut self, row: &[u8]) {
        self.bytes.push(CEILINGS);
        self.part(row);
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD
    }

    /// How many bytes it takes.
    pub(in super::super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The number of its first change.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.first
    }

    fn part(&mut self, part: &[u8]) {
        // What does not fit is found when the frame is sealed: it is longer than can be said.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(part);
    }

    /// Makes it the batch of this number, and gives its head and its bytes. `next` is the number of the
    /// next change, if it has none itself.
    pub(super) fn seal(
        &mut self,
        batch: Batch,
        next: Sequence,
    ) -> Result<(Head, &[u8]), EngineError> {
        let length = self.bytes.len() - HEAD;
        let said = u32::try_from(length).map_err(|_| EngineError::TooLarge(length))?;
        let first = self.first.unwrap_or(next);
        let head = Head { length, changes: self.changes, batch, first };
        let mut bytes = [0; HEAD];
        write(&mut bytes, 8, &said.to_le_bytes());
        write(&mut bytes, 12, &self.changes.to_le_bytes());
        write(&mut bytes, 16, &batch.to_le_bytes());
        write(&mut bytes, 24, &first.0.to_le_bytes());
        write(&mut self.bytes, 0, &bytes);
        let checksum = xxh3_64(self.bytes.get(8..).unwrap_or_default());
        write(&mut self.bytes, 0, &checksum.to_le_bytes());
        Ok((head, &self.bytes))
    }
}

fn write(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

/// Reads a head; none if this is none.
pub(super) fn read_head(bytes: &[u8; HEAD]) -> Option<Head> {
    let length = u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let changes = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?);
    let batch = u64::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
    let first = u64::from_le_bytes(*bytes.get(24..)?.first_chunk()?);
    if batch == 0 {
        return None;
    }
    Some(Head { length: usize::try_from(length).ok()?, changes, batch, first: Sequence(first) })
}

/// Whether these are the bytes of a frame, head and entries, as they were written.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let Some((checksum, rest)) = bytes.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*checksum) == xxh3_64(rest)
}

/// Whether the frame of this batch is somewhere in these bytes, whole.
pub(super) fn is_in(bytes: &[u8], batch: Batch) -> bool {
    /// Where a head says which batch it is.
    const AT: usize = 16;
    let sought = batch.to_le_bytes();
    let places = bytes.windows(sought.len()).enumerate().skip(AT);
    places.filter(|(_, found)| *found == sought).any(|(place, _)| {
        let rest = bytes.get(place - AT..).unwrap_or_default();
        let head = rest.first_chunk().and_then(read_head);
        let frame = head.and_then(|head| rest.get(..HEAD + head.length));
        frame.is_some_and(is_whole)
    })
}

/// The entries of a frame, one after another.
#[derive(Debug)]
pub(super) struct Entries<'f> {
    rest: &'f [u8],
    next: Sequence,
}

impl<'f> Entries<'f> {
    /// Those of the frame with this head.
    pub(super) fn of(head: &Head, entries: &'f [u8]) -> Self {
        Self { rest: entries, next: head.first }
    }

    fn part(&mut self) -> Option<&'f [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(part)
    }

    fn entry(&mut self) -> Option<Entry<'f>> {
        let (kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match *kind {
            CHANGE => {
                let sequence = self.next;
                self.next.0 += 1;
                Entry::Change(sequence, self.part()?)
            }
            PUT => Entry::Put(self.part()?, self.part()?),
            DELETE => Entry::Delete(self.part()?),
            CEILINGS => Entry::Ceilings(self.part()?),
            _ => return None,
        })
    }

    /// The next entry; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'f>>, EngineError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        match self.entry() {
            Some(entry) => Ok(Some(entry)),
            None => Err(EngineError::Damaged("a batch of the log is malformed".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut frame = Frame::default();
        frame.change(Sequence(7), b"seven");
        frame.put(b"key", b"row");
        frame.change(Sequence(8), b"");
        frame.delete(b"gone");
        frame.ceilings(b"high");
        frame.seal(3, Sequence(1)).unwrap().1.to_vec()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = sealed();
        assert!(is_whole(&bytes));
        let (head, entries) = bytes.split_first_chunk::<HEAD>().unwrap();
        let head = read_head(head).unwrap();
        let length = entries.len();
        assert_eq!(head, Head { length, changes: 2, batch: 3, first: Sequence(7) });
        assert_eq!(head.next(), Sequence(9));
        let mut entries = Entries::of(&head, entries);
        let mut read = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            read.push(entry);
        }
        assert_eq!(
            read,
            [
                Entry::Change(Sequence(7), b"seven"),
                Entry::Put(b"key", b"row"),
                Entry::Change(Sequence(8), b""),
                Entry::Delete(b"gone"),
                Entry::Ceilings(b"high"),
            ]
        );
    }

    #[test]
    fn a_batch_without_changes_says_which_one_comes_next() {
        let mut frame = Frame::default();
        assert!(frame.is_empty());
        frame.delete(b"gone");
        let (head, _) = frame.seal(9, Sequence(5)).unwrap();
        assert_eq!((head.first, head.next()), (Sequence(5), Sequence(5)));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_found() {
        let bytes = sealed();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(!is_whole(&changed), "byte {at}");
            assert!(!is_whole(&bytes[..at]), "cut at {at}");
        }
    }

    #[test]
    fn a_frame_is_found_among_other_bytes() {
        let mut bytes = vec![3; 100];
        assert!(!is_in(&bytes, 3));
        bytes.extend(sealed());
        bytes.extend([0; 9]);
        assert!(is_in(&bytes, 3));
        assert!(!is_in(&bytes, 4));
        assert!(!is_in(&bytes[..140], 3), "it is not whole");
    }

    #[test]
    fn entries_that_are_none_are_refused() {
        let head = Head { length: 0, changes: 0, batch: 1, first: Sequence(1) };
        for entries in [&[9_u8][..], &[CHANGE, 5, 0, 0, 0, 1], &[PUT, 0, 0, 0, 0], &[DELETE, 1]] {
            Entries::of(&head, entries).next().unwrap_err();
        }
    }
}
