//! Where a feed's files are: behind an address, or in a folder. The only module with IO.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use musubi_outbound::{Client, Request, Response};
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest file read, in bytes. The station list of a country is a few megabytes.
const MAX_BODY: usize = 64 * 1024 * 1024;
const MAX_REDIRECTS: usize = 3;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind an address.
    Web(Url),
    /// In the file system.
    File(PathBuf),
}

impl Place {
    /// The place for a log, a status or an entity: without query and user, where secrets stand.
    pub(crate) fn public(&self) -> String {
        match self {
            Self::Web(url) => {
                let mut url = url.clone();
                let secret = url.query().is_some();
                url.set_query(None);
                url.set_fragment(None);
                // Both fail only where there is no user to take away.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                if secret { format!("{url}?…") } else { url.to_string() }
            }
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Why a file could not be got. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub(crate) struct FetchError {
    /// The file's public place.
    pub(crate) place: String,
    /// What happened.
    pub(crate) reason: String,
}

/// By what a file is known when it is asked for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

/// What came of asking for a file.
#[derive(Clone, Debug)]
pub(crate) enum Fetched {
    /// Its bytes.
    Found {
        /// The file.
        bytes: Bytes,
        /// What to ask with next time.
        validators: Validators,
        /// How long the answer may be kept.
        max_age: Option<Duration>,
    },
    /// It is as it was.
    NotModified,
    /// There is no such file.
    Absent,
}

/// Gets the files of one feed.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    client: Client,
    root: Place,
    headers: HeaderMap,
}

impl Source {
    /// The feed at `root`: the address of its `gbfs.json`, or a folder, or a file in one.
    /// `headers` go with every request to the same host as `root`.
    pub(crate) fn new(client: Client, root: Place, headers: HeaderMap) -> Self {
        Self { client, root, headers }
    }

    /// What the operator wrote, understood: `http(s)` or `file` address, or a path seen from
    /// `folder`.
    ///
    /// # Errors
    ///
    /// A sentence if it is an address of another kind.
    pub(crate) fn place(text: &str, folder: &Path) -> Result<Place, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Place::Web(url)),
            Ok(url) if url.scheme() == "file" => url
                .to_file_path()
                .map(Place::File)
                .map_err(|()| format!("{text:?} names no file of this machine")),
            // One letter is a drive.
            Ok(url) if url.scheme().len() > 1 => {
                Err(format!("{}: is not supported; use http, https or file", url.scheme()))
            }
            Ok(_) | Err(_) => Ok(Place::File(folder.join(text))),
        }
    }

    /// Whether the feed is behind an address, and not in the file system.
    pub(crate) fn is_web(&self) -> bool {
        matches!(self.root, Place::Web(_))
    }

    /// The folder of a feed that is files.
    fn folder(&self) -> Option<PathBuf> {
        match &self.root {
            Place::Web(_) => None,
            Place::File(path) if path.is_dir() => Some(path.clone()),
            Place::File(path) => Some(path.parent().unwrap_or(path).to_path_buf()),
        }
    }

    /// The place of `gbfs.json`.
    pub(crate) fn discovery(&self) -> Place {
        match (&self.root, self.folder()) {
            (Place::Web(_), _) | (Place::File(_), None) => self.root.clone(),
            (Place::File(path), Some(folder)) if *path == folder => {
                Place::File(folder.join("gbfs.json"))
            }
            (Place::File(path), Some(_)) => Place::File(path.clone()),
        }
    }

    /// The place of a file that `gbfs.json` names with `address`. In a folder it is the file of
    /// that name, whatever the address. On the host of the feed, the query of the feed's address
    /// (which may be a key) is added if the file has none.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if the address is none.
    pub(crate) fn named(&self, name: &str, address: &str) -> Result<Place, FetchError> {
        if let Some(folder) = self.folder() {
            return Ok(Place::File(folder.join(format!("{name}.json"))));
        }
        let refuse =
            |reason: &str| FetchError { place: name.to_owned(), reason: reason.to_owned() };
        let Place::Web(root) = &self.root else { return Err(refuse("the feed has no address")) };
        let mut url =
            root.join(address).map_err(|_| refuse("gbfs.json names an address that is none"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("gbfs.json names an address that is neither http nor https"));
        }
        if url.origin() == root.origin() && url.query().is_none() {
            url.set_query(root.query());
        }
        Ok(Place::Web(url))
    }

    /// Gets a file, unless it is as it was.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer, or one that is neither a file nor "not there".
    pub(crate) async fn fetch(
        &self,
        place: &Place,
        validators: &Validators,
    ) -> Result<Fetched, FetchError> {
        match place {
            Place::Web(url) => self.get(url, validators).await,
            Place::File(path) => read(path.clone()).await.map_err(|error| FetchError {
                place: place.public(),
                reason: format!("the file cannot be read: {error}"),
            }),
        }
    }

    async fn get(&self, start: &Url, validators: &Validators) -> Result<Fetched, FetchError> {
        let place = Place::Web(start.clone()).public();
        let refuse = |reason: String| FetchError { place: place.clone(), reason };
        let mut url = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = Request {
                method: Method::GET,
                headers: self.request_headers(&url, validators),
                url: url.clone(),
                body: Bytes::new(),
                timeout: TIMEOUT,
                max_body: MAX_BODY,
            };
            let sent = self.client.send(request).await;
            let response = sent.map_err(|error| refuse(error.to_string()))?;
            if !response.status.is_redirection() || response.status == StatusCode::NOT_MODIFIED {
                return understand(response).map_err(refuse);
            }
            let target = response.headers.get(LOCATION).and_then(|target| target.to_str().ok());
            url = target
                .and_then(|target| url.join(target).ok())
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| refuse(format!("a redirect ({}) to nowhere", response.status)))?;
        }
        Err(refuse(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn request_headers(&self, url: &Url, validators: &Validators) -> HeaderMap {
        let same_host = matches!(&self.root, Place::Web(root) if root.origin() == url.origin());
        let mut headers = if same_host { self.headers.clone() } else { HeaderMap::new() };
        if let Some(etag) = &validators.etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(time) = &validators.last_modified {
            headers.insert(IF_MODIFIED_SINCE, time.clone());
        }
        headers
    }
}

fn understand(response: Response) -> Result<Fetched, String> {
    match response.status {
        StatusCode::OK => Ok(Fetched::Found {
            validators: Validators {
                etag: response.headers.get(ETAG).cloned(),
                last_modified: response.headers.get(LAST_MODIFIED).cloned(),
            },
            max_age: max_age(&response.headers),
            bytes: response.body,
        }),
        StatusCode::NOT_MODIFIED => Ok(Fetched::NotModified),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Fetched::Absent),
        status => Err(format!("the answer is {status}")),
    }
}

/// `max-age` of `Cache-Control`, in seconds.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let mut directives = text.split(',').map(str::trim);
    let seconds = directives.find_map(|directive| directive.strip_prefix("max-age="))?;
    seconds.parse().ok().map(Duration::from_secs)
}

async fn read(path: PathBuf) -> std::io::Result<Fetched> {
    let read = tokio::task::spawn_blocking(move || {
        let size = std::fs::metadata(&path)?.len();
        if usize::try_from(size).map_or(true, |size| size > MAX_BODY) {
            return Err(std::io::Error::other(format!("it has more than {MAX_BODY} bytes")));
        }
        std::fs::read(&path)
    });
    match read.await {
        Ok(Ok(bytes)) => Ok(Fetched::Found {
            bytes: Bytes::from(bytes),
            validators: Validators::default(),
            max_age: None,
        }),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(Fetched::Absent),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(text: &str) -> Source {
        let place = Source::place(text, Path::new("")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("secret"));
        Source::new(Client::unguarded(), place, headers)
    }

    #[test]
    fn a_place_is_shown_without_its_secrets() {
        let place =
            Source::place("https://u:p@example.org/gbfs.json?acl:consumerKey=K#f", Path::new(""));
        assert_eq!(place.unwrap().public(), "https://example.org/gbfs.json?…");
    }

    #[test]
    fn an_address_is_http_or_a_file() {
        let folder = Path::new("/town");
        let check = |text: &str, expected: &str| {
            assert_eq!(Source::place(text, folder).unwrap().public(), expected, "{text}");
        };
        check("http://example.org/a", "http://example.org/a");
        check("file:///data/gbfs", "/data/gbfs");
        check("feeds/kyoto", "/town/feeds/kyoto");
        check("/data/gbfs", "/data/gbfs");
        assert!(Source::place("ftp://example.org/a", folder).is_err());
    }

    #[test]
    fn the_key_of_the_feed_goes_to_the_feeds_host_only() {
        let source = web("https://a.example/gbfs.json?key=K");
        let named = |address: &str| match source.named("station_status", address).unwrap() {
            Place::Web(url) => url.to_string(),
            Place::File(path) => panic!("{path:?}"),
        };
        assert_eq!(named("https://a.example/s.json"), "https://a.example/s.json?key=K");
        assert_eq!(named("s.json"), "https://a.example/s.json?key=K");
        assert_eq!(named("https://a.example/s.json?x=1"), "https://a.example/s.json?x=1");
        assert_eq!(named("https://b.example/s.json"), "https://b.example/s.json");
        assert!(source.named("station_status", "file:///etc/passwd").is_err());
        let headers = |address: &str| {
            let url = Url::parse(address).unwrap();
            source.request_headers(&url, &Validators::default()).contains_key("x-key")
        };
        assert!(headers("https://a.example/s.json"));
        assert!(!headers("https://b.example/s.json"));
        assert!(!headers("http://a.example/s.json"));
    }

    #[test]
    fn in_a_folder_the_files_are_the_folders_own() {
        let folder = tempfile::tempdir().unwrap();
        let place = Source::place(&folder.path().display().to_string(), Path::new("")).unwrap();
        let source = Source::new(Client::unguarded(), place, HeaderMap::new());
        let expected = |name: &str| Place::File(folder.path().join(name));
        assert_eq!(source.discovery(), expected("gbfs.json"));
        let named = source.named("station_status", "https://elsewhere.example/x.json").unwrap();
        assert_eq!(named, expected("station_status.json"));
    }

    #[test]
    fn the_age_of_an_answer_is_read() {
        let check = |text: &'static str, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(text));
            assert_eq!(max_age(&headers).map(|age| age.as_secs()), expected, "{text}");
        };
        check("public, max-age=30", Some(30));
        check("no-cache", None);
        check("max-age=soon", None);
    }
}
