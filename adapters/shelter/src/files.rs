//! Where snapshots come from: a file, a folder, a pattern, or an address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use musubi_adapter_kit::{Encoding, FileSource, MappingError, MappingFile};
use musubi_model::Timestamp;
use musubi_outbound::{Client, Request};
use url::Url;
use uuid::Uuid;

use crate::encoding::decode;
use crate::snapshot::{Snapshot, parse_snapshot};

/// The longest file that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;
/// The most files of a folder or pattern.
const MAX_FILES: usize = 100_000;
/// How long an address may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The place of the snapshots.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A file, a folder, or a pattern.
    Path(PathBuf),
    /// An address.
    Url(Url),
}

/// A file, as the file system tells of it without its being read. If one of the members is
/// another than before, the content may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FoundFile {
    path: PathBuf,
    /// Its name for people: without the folder, if that is the place.
    pub(crate) origin: String,
    length: u64,
    /// When it was last written.
    pub(crate) written: Timestamp,
}

/// What one file said.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The file's name, or the address without its query.
    pub(crate) origin: String,
    /// The bytes.
    pub(crate) payload: Bytes,
    /// A sign that is the same for the same bytes.
    pub(crate) mark: String,
    /// When it was last written, or fetched.
    pub(crate) written: Timestamp,
    /// The table, or why there is none.
    pub(crate) snapshot: Result<Snapshot, String>,
}

/// Why nothing can be said of a file now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// It is another than the one that was found: it is being written.
    #[error("{0}")]
    Changing(String),
    /// It cannot be read.
    #[error("{0}")]
    Failed(String),
}

impl Reading {
    /// What these bytes say.
    pub(crate) fn of(
        origin: String,
        payload: Bytes,
        written: Timestamp,
        encoding: Encoding,
    ) -> Self {
        let snapshot = decode(&payload, encoding)
            .and_then(|text| parse_snapshot(&text).map_err(|error| error.to_string()));
        Self { origin, mark: mark(&payload), payload, written, snapshot }
    }
}

/// A short sign that is the same for the same bytes, and another for others.
pub(crate) fn mark(bytes: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).simple().to_string()
}

impl Place {
    /// The place that a mapping file names.
    ///
    /// # Errors
    ///
    /// [`MappingError`] if it names none, or an address that is none.
    pub(crate) fn of(mapping: &MappingFile, source: &FileSource) -> Result<Self, MappingError> {
        let refuse = |reason: &str| mapping.error(format!("source.url {reason}"));
        match (&source.path, &source.url) {
            (Some(path), None) => Ok(Self::Path(mapping.resolve(path))),
            (None, Some(url)) => match Url::parse(url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self::Url(url)),
                Ok(_) => Err(refuse("is http or https; files are named by path")),
                Err(error) => Err(refuse(&format!("is no address: {error}"))),
            },
            _ => Err(mapping.error("[source] kind = \"file\" takes either path or url")),
        }
    }
}

/// The files that are at a path: itself, those in the folder, or those that fit the pattern; in
/// the order of their names.
pub(crate) async fn list(path: &Path) -> Result<Vec<FoundFile>, String> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || list_now(&path)).await.map_err(|error| error.to_string())?
}

fn list_now(path: &Path) -> Result<Vec<FoundFile>, String> {
    let shown = path.display();
    let mut files: Vec<PathBuf> = if path.is_dir() {
        std::fs::read_dir(path)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?
            .take(MAX_FILES)
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")))
            .collect()
    } else if path.is_file() {
        vec![path.to_owned()]
    } else {
        glob::glob(&path.to_string_lossy())
            .map_err(|error| format!("{shown} is no pattern: {error}"))?
            .take(MAX_FILES)
            .filter_map(Result::ok)
            .collect()
    };
    files.sort();
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    Ok(files.into_iter().filter_map(|file| found(file, folder)).collect())
}

fn found(path: PathBuf, folder: Option<&Path>) -> Option<FoundFile> {
    let about = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
    let shown = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(&path);
    let origin = shown.to_string_lossy().into_owned();
    Some(FoundFile { origin, length: about.len(), written: written(&about), path })
}

fn written(about: &std::fs::Metadata) -> Timestamp {
    let since = about.modified().ok().and_then(|time| {
        let epoch = std::time::UNIX_EPOCH;
        i64::try_from(time.duration_since(epoch).ok()?.as_micros()).ok()
    });
    Timestamp::from_micros(since.unwrap_or_default())
}

/// What a file says. A file that is too long says nothing that can be used.
///
/// # Errors
///
/// [`Unread`] if nothing can be said of it now.
pub(crate) async fn read(file: &FoundFile, encoding: Encoding) -> Result<Reading, Unread> {
    let file = file.clone();
    tokio::task::spawn_blocking(move || read_now(&file, encoding))
        .await
        .map_err(|error| Unread::Failed(error.to_string()))?
}

fn read_now(file: &FoundFile, encoding: Encoding) -> Result<Reading, Unread> {
    let FoundFile { path, origin, length, written: at } = file;
    if usize::try_from(*length).map_or(true, |length| length > MAX_BYTES) {
        return Ok(Reading {
            origin: origin.clone(),
            payload: Bytes::new(),
            mark: mark(format!("{length} {}", at.as_micros()).as_bytes()),
            written: *at,
            snapshot: Err(format!("the file is longer than {MAX_BYTES} bytes")),
        });
    }
    let failed =
        |error: std::io::Error| Unread::Failed(format!("{origin} cannot be read: {error}"));
    let bytes = std::fs::read(path).map_err(failed)?;
    let after = std::fs::metadata(path).map_err(failed)?;
    let is_same = after.len() == *length
        && written(&after) == *at
        && u64::try_from(bytes.len()).is_ok_and(|read| read == *length);
    if !is_same {
        return Err(Unread::Changing(format!("{origin} is being written")));
    }
    Ok(Reading::of(origin.clone(), bytes.into(), *at, encoding))
}

/// What an address says now.
///
/// # Errors
///
/// A sentence, if it does not answer with a success.
pub(crate) async fn fetch(
    url: &Url,
    encoding: Encoding,
    client: &Client,
    now: Timestamp,
) -> Result<Reading, String> {
    // A query may hold a key, which belongs into no letter and no log.
    let origin = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
    let request = Request {
        method: http::Method::GET,
        url: url.clone(),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        timeout: TIMEOUT,
        max_body: MAX_BYTES,
    };
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    if !response.status.is_success() {
        return Err(format!("{origin} answered {}", response.status));
    }
    Ok(Reading::of(origin, response.body, now, encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "ID,名称,人数,時点\nA,一,1,令和6年1月11日\n";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.csv"), TABLE).unwrap();
        std::fs::write(folder.path().join("A.CSV"), "unavailable").unwrap();
        std::fs::write(folder.path().join("notes.txt"), TABLE).unwrap();
        std::fs::create_dir(folder.path().join("old.csv")).unwrap();
        folder
    }

    #[test]
    fn of_a_folder_the_csv_files_are_found_in_the_order_of_their_names() {
        let folder = folder();
        let origins = |path: &Path| -> Vec<String> {
            list_now(path).unwrap().into_iter().map(|file| file.origin).collect()
        };
        assert_eq!(origins(folder.path()), ["A.CSV", "b.csv"]);
        assert_eq!(origins(&folder.path().join("b.csv")), ["b.csv"]);
        assert_eq!(origins(&folder.path().join("*.txt")).len(), 1);
        assert!(origins(&folder.path().join("nowhere")).is_empty());
    }

    #[test]
    fn a_file_that_is_another_than_the_one_that_was_found_is_not_read() {
        let folder = folder();
        let files = list_now(folder.path()).unwrap();
        let [_, file] = files.as_slice() else { panic!("{files:?}") };
        assert!(read_now(file, Encoding::Auto).unwrap().snapshot.is_ok());
        std::fs::write(&file.path, format!("{TABLE}B,二,2,\n")).unwrap();
        let unread = read_now(file, Encoding::Auto).unwrap_err();
        assert_eq!(unread, Unread::Changing("b.csv is being written".to_owned()));
        std::fs::remove_file(&file.path).unwrap();
        let unread = read_now(file, Encoding::Auto).unwrap_err();
        assert!(matches!(unread, Unread::Failed(_)), "{unread:?}");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let folder = folder();
        let file = std::fs::File::create(folder.path().join("A.CSV")).unwrap();
        file.set_len((64 << 20) + 1).unwrap();
        let found = list_now(folder.path()).unwrap().remove(0);
        let reading = read_now(&found, Encoding::Auto).unwrap();
        assert!(reading.payload.is_empty());
        assert!(reading.snapshot.unwrap_err().contains("longer than"));
    }

    #[test]
    fn the_same_bytes_have_the_same_sign() {
        assert_eq!(mark(b"a"), mark(b"a"));
        assert_ne!(mark(b"a"), mark(b"b"));
    }
}
