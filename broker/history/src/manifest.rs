//! The file that says of which segments a history consists, and up to which change of the log they
//! reach. It is replaced as a whole, so that a folder holds either what was or what is.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use musubi_model::{Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::segment::crc32c;

pub(crate) const NAME: &str = "MANIFEST";
const BESIDE: &str = "MANIFEST.new";
const MAGIC: [u8; 8] = *b"musubihm";
const FORMAT: u32 = 3;
/// The formats before are read, and replaced when the next segment is written. This one did not say up
/// to which gap the state of entities was recorded.
const UNSEEDED: u32 = 2;
/// And this one neither when a gap ended; it had a checksum of another kind, which is not compared.
const OLDEST: u32 = 1;

/// More than a manifest ever takes.
const MAX_BYTES: u64 = 16 << 20;

/// What a history consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The last change of the log that is in a segment.
    pub(crate) cursor: Sequence,
    /// The number of the next segment. None is used twice.
    pub(crate) next: u64,
    /// The last change of which it is known that it, or one before it, is missing; 0 if none is.
    pub(crate) gap_upto: Sequence,
    /// The segments, oldest first: each holds later changes than those before it.
    pub(crate) segments: Vec<Listed>,
    /// A moment before which all missing changes were; none if none is missing, or it is not known.
    #[serde(skip)]
    pub(crate) gap_until: Option<Timestamp>,
    /// The last change of a gap behind which what the entities were then was recorded; 0 if none was.
    #[serde(skip)]
    pub(crate) seeded_upto: Sequence,
}

/// A segment in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Its number, after which its file is named.
    pub(crate) id: u64,
    /// How often what is in it was merged.
    pub(crate) level: u32,
    /// The last change that is in it, at most.
    pub(crate) upto: Sequence,
    /// The length of its file in bytes.
    pub(crate) bytes: u64,
}

impl Manifest {
    /// The last change of which it is known that it, or one before it, is missing.
    pub(crate) fn gap(&self) -> Option<Sequence> {
        Some(self.gap_upto).filter(|upto| *upto > Sequence(0))
    }

    /// Reads the manifest of a folder; one without it holds nothing yet.
    pub(crate) fn read(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(NAME);
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let length = match fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        if length > MAX_BYTES {
            let what = "it is longer than any manifest".to_owned();
            return Err(OpenError::Damaged { path, what });
        }
        Self::from_bytes(&fs::read(&path).map_err(failed)?, &path)
    }

    /// Reads what such a file holds; errors name it by `path`.
    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let damaged = |what: &str| OpenError::Damaged { path: path.clone(), what: what.to_owned() };
        let Some((rest, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(damaged("it is cut short"));
        };
        let Some((head, body)) = rest.split_first_chunk::<12>() else {
            return Err(damaged("it is cut short"));
        };
        let [magic @ .., f0, f1, f2, f3] = *head;
        if magic != MAGIC {
            return Err(damaged("it does not begin as a manifest does"));
        }
        let found = u32::from_le_bytes([f0, f1, f2, f3]);
        if ![OLDEST, UNSEEDED, FORMAT].contains(&found) {
            return Err(OpenError::OtherFormat { path, found, expected: FORMAT });
        }
        if found > OLDEST && u32::from_le_bytes(*checksum) != crc32c(&[rest]) {
            return Err(damaged("its checksum is not that of its content"));
        }
        let unread = |error: postcard::Error| damaged(&error.to_string());
        let (mut manifest, mut rest): (Self, _) =
            postcard::take_from_bytes(body).map_err(unread)?;
        if found > OLDEST {
            (manifest.gap_until, rest) = postcard::take_from_bytes(rest).map_err(unread)?;
        }
        if found > UNSEEDED {
            (manifest.seeded_upto, rest) = postcard::take_from_bytes(rest).map_err(unread)?;
        }
        if rest.is_empty() { Ok(manifest) } else { Err(damaged("it goes on after its end")) }
    }

    /// The manifest as a file holds it.
    pub(crate) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        let body = postcard::to_stdvec(self).map_err(std::io::Error::other)?;
        bytes.extend(body);
        let later = postcard::to_stdvec(&(self.gap_until, self.seeded_upto));
        bytes.extend(later.map_err(std::io::Error::other)?);
        bytes.extend(crc32c(&[&bytes]).to_le_bytes());
        Ok(bytes)
    }

    /// Puts this manifest beside the one that counts, durably.
    pub(crate) fn write_beside(&self, folder: &Path) -> std::io::Result<()> {
        let mut file = File::create(folder.join(BESIDE))?;
        file.write_all(&self.to_bytes()?)?;
        file.sync_all()
    }

    /// Lets the manifest that stands beside be the one that counts. The folder is still to be made
    /// durable.
    pub(crate) fn replace(folder: &Path) -> std::io::Result<()> {
        fs::rename(folder.join(BESIDE), folder.join(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let listed = Listed { id: 7, level: 1, upto: Sequence(40), bytes: 1_000 };
        Manifest {
            cursor: Sequence(42),
            next: 9,
            gap_upto: Sequence(3),
            segments: vec![listed],
            gap_until: Some(Timestamp::from_micros(1_000)),
            seeded_upto: Sequence(2),
        }
    }

    fn write(folder: &Path) {
        manifest().write_beside(folder).unwrap();
        Manifest::replace(folder).unwrap();
    }

    #[test]
    fn a_manifest_of_a_format_before_is_read() {
        let begin = |format: u32| {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(format.to_le_bytes());
            bytes.extend(postcard::to_stdvec(&manifest()).unwrap());
            bytes
        };
        let unseeded = Manifest { seeded_upto: Sequence(0), ..manifest() };
        let mut bytes = begin(OLDEST);
        bytes.extend([1, 2, 3, 4]);
        let read = Manifest::from_bytes(&bytes, Path::new(NAME)).unwrap();
        assert_eq!(read, Manifest { gap_until: None, ..unseeded.clone() });
        let mut bytes = begin(UNSEEDED);
        bytes.extend(postcard::to_stdvec(&manifest().gap_until).unwrap());
        bytes.extend(crc32c(&[&bytes]).to_le_bytes());
        let read = Manifest::from_bytes(&bytes, Path::new(NAME)).unwrap();
        assert_eq!(read, unseeded);
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Manifest::default());
        write(folder.path());
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest());
    }

    #[test]
    fn every_damaged_byte_is_noticed_and_the_file_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            let refused = Manifest::read(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("MANIFEST"), "{at}: {refused}");
            fs::write(&path, &whole[..at]).unwrap();
            let refused = Manifest::read(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("MANIFEST"), "cut to {at}: {refused}");
        }
    }
}
