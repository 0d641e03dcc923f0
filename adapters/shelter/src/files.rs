//! Where snapshots come from: a file, a folder, a pattern, or an address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use musubi_adapter_kit::{Encoding, FileSource, MappingError, MappingFile};
use musubi_model::Timestamp;
use musubi_outbound::{Client, Request};
use url::Url;

use crate::encoding::decode;
use crate::{Snapshot, parse_snapshot};

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

/// What one file said.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The file's name, or the address without its query.
    pub(crate) origin: String,
    /// The bytes.
    pub(crate) payload: Bytes,
    /// When the file was last written, as far as that is known.
    pub(crate) written: Timestamp,
    /// The table, or why there is none.
    pub(crate) snapshot: Result<Snapshot, String>,
}

/// A sign of what is in the place, by which a change shows: names, lengths, times.
pub(crate) type Signature = Vec<(PathBuf, u64, Timestamp)>;

impl Place {
    /// The place that a mapping file names.
    pub(crate) fn of(mapping: &MappingFile, source: &FileSource) -> Result<Self, MappingError> {
        match (&source.path, &source.url) {
            (Some(path), None) => Ok(Self::Path(mapping.resolve(path))),
            (None, Some(url)) => Url::parse(url)
                .map(Self::Url)
                .map_err(|error| mapping.error(format!("source.url is no address: {error}"))),
            _ => Err(mapping.error("[source] kind = \"file\" takes either path or url")),
        }
    }

    /// What is there now, in the order of the moments of which it speaks; what cannot be read
    /// comes first. At most `limit` files are looked at.
    pub(crate) async fn read(
        &self,
        encoding: Encoding,
        client: &Client,
        limit: usize,
    ) -> Result<Vec<Reading>, String> {
        let mut readings = match self {
            Self::Url(url) => vec![fetch(url, encoding, client).await?],
            Self::Path(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read_all(&path, encoding, limit))
                    .await
                    .map_err(|error| error.to_string())??
            }
        };
        readings.sort_by_key(|reading| {
            reading.snapshot.as_ref().map_or(Timestamp::default(), |snapshot| snapshot.at)
        });
        Ok(readings)
    }

    /// A sign of what is there now; empty for an address.
    pub(crate) async fn signature(&self) -> Signature {
        let Self::Path(path) = self else { return Signature::new() };
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let files = list(&path).unwrap_or_default();
            files
                .into_iter()
                .filter_map(|file| {
                    let about = std::fs::metadata(&file).ok()?;
                    Some((file, about.len(), written(&about)))
                })
                .collect()
        })
        .await
        .unwrap_or_default()
    }
}

fn read_all(path: &Path, encoding: Encoding, limit: usize) -> Result<Vec<Reading>, String> {
    let files = list(path)?;
    if files.is_empty() {
        return Err(format!("{} has no CSV files", path.display()));
    }
    Ok(files.iter().take(limit).map(|file| read(file, encoding)).collect())
}

fn list(path: &Path) -> Result<Vec<PathBuf>, String> {
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
    Ok(files)
}

fn read(file: &Path, encoding: Encoding) -> Reading {
    let origin = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let about = std::fs::metadata(file);
    let written = about.as_ref().map(written).unwrap_or_default();
    let too_long = about.is_ok_and(|about| usize::try_from(about.len()).is_ok_and(|n| n > MAX_BYTES));
    let bytes = if too_long {
        Err(format!("the file is longer than {MAX_BYTES} bytes"))
    } else {
        std::fs::read(file).map_err(|error| format!("the file cannot be read: {error}"))
    };
    match bytes {
        Ok(bytes) => reading(origin, bytes.into(), written, encoding),
        Err(reason) => {
            Reading { origin, payload: Bytes::new(), written, snapshot: Err(reason) }
        }
    }
}

async fn fetch(url: &Url, encoding: Encoding, client: &Client) -> Result<Reading, String> {
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
    Ok(reading(origin, response.body, Timestamp::default(), encoding))
}

/// What these bytes say.
pub(crate) fn reading(origin: String, payload: Bytes, written: Timestamp, encoding: Encoding) -> Reading {
    let snapshot = decode(&payload, encoding)
        .and_then(|text| parse_snapshot(&text).map_err(|error| error.to_string()));
    Reading { origin, payload, written, snapshot }
}

fn written(about: &std::fs::Metadata) -> Timestamp {
    let since = about.modified().ok().and_then(|time| {
        let epoch = std::time::UNIX_EPOCH;
        i64::try_from(time.duration_since(epoch).ok()?.as_micros()).ok()
    });
    Timestamp::from_micros(since.unwrap_or_default())
}
