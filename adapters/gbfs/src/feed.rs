//! The files of one feed, kept between polls, so that only what is due is asked for and only
//! what is new is read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use musubi_model::Timestamp;

use crate::model::{Discovery, Document, Station, Status, System};
use crate::parse::{self, Unreadable};
use crate::schedule::Freshness;
use crate::source::{FetchError, Fetched, Place, Source, Validators};

/// Why a feed gives nothing now. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FeedError {
    /// A file could not be got.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file could be got and not read.
    #[error("{place}: {unreadable}")]
    Unreadable {
        /// The file's public place.
        place: String,
        /// What is wrong with it.
        unreadable: Unreadable,
    },
    /// A file that every feed needs is not there.
    #[error("{0}: there is no such file, and a feed without it cannot be used")]
    Absent(String),
}

/// A feed and what was last got of it.
#[derive(Debug)]
pub(crate) struct Feed {
    source: Source,
    language: Option<String>,
    min_interval: Duration,
    discovery: Option<File<Discovery>>,
    system: Option<File<System>>,
    stations: Option<File<Vec<Station>>>,
    statuses: Option<File<Vec<Status>>>,
}

/// What a feed says now.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) system: Arc<Document<System>>,
    pub(crate) stations: Arc<Document<Vec<Station>>>,
    pub(crate) statuses: Arc<Document<Vec<Status>>>,
    /// Whether a file that entities are made of is another than at the last refresh.
    pub(crate) is_new: bool,
    /// How old the numbers are.
    pub(crate) freshness: Freshness,
    /// What went wrong and could be helped, by what was known before.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct File<T> {
    place: Place,
    validators: Validators,
    hash: u64,
    document: Arc<Document<T>>,
    max_age: Option<Duration>,
    /// Not asked for again before this.
    due: Timestamp,
}

impl<T> File<T> {
    fn freshness(&self) -> Freshness {
        Freshness {
            last_updated: self.document.last_updated,
            ttl: self.document.ttl,
            max_age: self.max_age,
        }
    }

    /// Notes when to ask again. Files of this machine are looked at every time.
    fn schedule(&mut self, now: Timestamp, min_interval: Duration) {
        let wait = match self.place {
            Place::Web(_) => self.freshness().wait(now, min_interval, 0.0),
            Place::File(_) => Duration::ZERO,
        };
        self.due = now.plus_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
    }
}

/// What asking for a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Update {
    New,
    Same,
    Absent,
}

/// Whether a file is asked for although it is not due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Always,
    WhenDue,
}

impl Feed {
    pub(crate) fn new(source: Source, language: Option<String>, min_interval: Duration) -> Self {
        Self {
            source,
            language,
            min_interval,
            discovery: None,
            system: None,
            stations: None,
            statuses: None,
        }
    }

    /// Who runs the system, if it is known by now.
    pub(crate) fn system(&self) -> Option<&System> {
        self.system.as_ref().map(|file| &file.document.data)
    }

    /// Gets what is due. A file that rarely changes and cannot be got is as it was; the status
    /// of the stations has to be got.
    pub(crate) async fn refresh(&mut self, now: Timestamp) -> Result<Snapshot, FeedError> {
        let mut warnings = Vec::new();
        let language = self.language.clone();
        let read = |bytes: &[u8]| parse::discovery(bytes, language.as_deref());
        let fetcher = Fetcher { source: &self.source, now, min_interval: self.min_interval };
        let place = self.source.discovery();
        // Without a gbfs.json, which version 1 allows, the files are beside it.
        fetcher.kept(&mut self.discovery, place, &read, &mut warnings).await?;
        let place = self.place("system_information")?;
        let mut updates = vec![
            fetcher.kept(&mut self.system, place.clone(), &parse::system, &mut warnings).await?,
        ];
        let system = known(self.system.as_ref(), &place)?;
        let place = self.place("station_information")?;
        updates.push(
            fetcher
                .kept(&mut self.stations, place.clone(), &parse::stations, &mut warnings)
                .await?,
        );
        let stations = known(self.stations.as_ref(), &place)?;
        let place = self.place("station_status")?;
        let update =
            fetcher.file(&mut self.statuses, place.clone(), &parse::statuses, Ask::Always).await?;
        updates.push(update);
        let numbers = self.statuses.as_ref().filter(|_| update != Update::Absent);
        Ok(Snapshot {
            system,
            stations,
            statuses: known(numbers, &place)?,
            is_new: updates.contains(&Update::New),
            freshness: numbers.map(File::freshness).unwrap_or_default(),
            warnings,
        })
    }

    fn place(&self, name: &str) -> Result<Place, FetchError> {
        let named = self.discovery.as_ref().and_then(|file| file.document.data.get(name));
        let beside = format!("{name}.json");
        self.source.named(name, named.unwrap_or(&beside))
    }
}

/// What was read of a file that every feed needs.
fn known<T>(file: Option<&File<T>>, place: &Place) -> Result<Arc<Document<T>>, FeedError> {
    let document = file.map(|file| Arc::clone(&file.document));
    document.ok_or_else(|| FeedError::Absent(place.public()))
}

type Read<'a, T> = &'a (dyn Fn(&[u8]) -> Result<Document<T>, Unreadable> + Sync);

struct Fetcher<'a> {
    source: &'a Source,
    now: Timestamp,
    min_interval: Duration,
}

impl Fetcher<'_> {
    /// As [`file`](Self::file), when it is due, and with what is kept instead of an error.
    async fn kept<T>(
        &self,
        slot: &mut Option<File<T>>,
        place: Place,
        read: Read<'_, T>,
        warnings: &mut Vec<String>,
    ) -> Result<Update, FeedError> {
        match self.file(slot, place, read, Ask::WhenDue).await {
            Err(error) if slot.is_some() => {
                warnings.push(error.to_string());
                Ok(Update::Same)
            }
            other => other,
        }
    }

    async fn file<T>(
        &self,
        slot: &mut Option<File<T>>,
        place: Place,
        read: Read<'_, T>,
        ask: Ask,
    ) -> Result<Update, FeedError> {
        let kept = slot.as_mut().filter(|file| file.place == place);
        let validators = match &kept {
            Some(file) if ask == Ask::WhenDue && self.now < file.due => return Ok(Update::Same),
            Some(file) => file.validators.clone(),
            None => Validators::default(),
        };
        let fetched = self.source.fetch(&place, &validators).await?;
        match (fetched, kept) {
            (Fetched::Absent, _) => Ok(Update::Absent),
            (Fetched::NotModified, Some(file)) => {
                file.schedule(self.now, self.min_interval);
                Ok(Update::Same)
            }
            (Fetched::NotModified, None) => Err(FeedError::Fetch(FetchError {
                place: place.public(),
                reason: "the answer is \"not modified\" although nothing is known".to_owned(),
            })),
            (Fetched::Found { bytes, validators, max_age }, kept) => {
                let hash = hash(&bytes);
                let document = match kept {
                    // Read already: the publisher knows no ETag.
                    Some(file) if file.hash == hash => Ok(Arc::clone(&file.document)),
                    Some(_) | None => read(&bytes).map(Arc::new),
                };
                let document = document.map_err(|unreadable| FeedError::Unreadable {
                    place: place.public(),
                    unreadable,
                })?;
                let is_same = slot.as_ref().is_some_and(|file| file.hash == hash);
                let due = self.now;
                let mut file = File { place, validators, hash, document, max_age, due };
                file.schedule(self.now, self.min_interval);
                *slot = Some(file);
                Ok(if is_same { Update::Same } else { Update::New })
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
