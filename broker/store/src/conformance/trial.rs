//! A store and the reference, side by side.

use std::sync::Arc;

use musubi_model::{Sequence, Tenant, Timestamp};

use super::generate::Generator;
use super::ledger::{Key, Ledger};
use super::subject::{Place, Subject};
use super::violation::Breach;
use crate::{Change, Found, Record, ReferenceStore, Store, StoreError};

/// How a store ends before it is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Kill,
}

/// A store under test, the reference, and what is known of both.
pub(super) struct Trial {
    pub(super) place: Box<dyn Place>,
    pub(super) store: Arc<dyn Store>,
    pub(super) reference: ReferenceStore,
    pub(super) ledger: Ledger,
    /// The log from the first change on, with the store's numbers.
    pub(super) log: Vec<Arc<Change>>,
    /// Up to here the store may have dropped changes, if it was ever asked to.
    pub(super) truncated: Option<Sequence>,
    pub(super) generator: Generator,
    pub(super) now: Timestamp,
}

impl Trial {
    /// A trial over a new place.
    pub(super) async fn begin(subject: &dyn Subject, generator: Generator) -> Result<Self, Breach> {
        let mut place = subject.place();
        let store = open(&mut *place).await?;
        Ok(Self {
            place,
            store,
            reference: ReferenceStore::new(),
            ledger: Ledger::default(),
            log: Vec::new(),
            truncated: None,
            generator,
            now: Timestamp::from_seconds(1_700_000_000),
        })
    }

    /// Ends the store and opens it again. Everything that was there has to be there.
    pub(super) async fn restart(mut self, ending: Ending) -> Result<Self, Breach> {
        self.audit().await?;
        let Self { mut place, store, .. } = self;
        end(&mut *place, store, ending).await?;
        self.store = open(&mut *place).await?;
        self.place = place;
        self.reference = self.reference.reopen();
        self.audit().await.map_err(Breach::after_reopening)?;
        Ok(self)
    }

    /// Compares everything that can be asked for.
    pub(super) async fn audit(&self) -> Result<(), Breach> {
        for tenant in &self.generator.vocabulary.tenants {
            self.compare_all_entities(tenant).await?;
            self.compare_types(tenant).await?;
            self.compare_attributes(tenant).await?;
        }
        self.compare_all_records().await?;
        self.compare_newest()?;
        self.compare_log(Sequence(0), usize::MAX).await
    }

    /// The number of the newest change.
    pub(super) fn newest(&self) -> Sequence {
        Sequence(u64::try_from(self.log.len()).unwrap_or(u64::MAX))
    }

    /// What the reference has found, with the store's numbers.
    pub(super) fn translated(&self, tenant: &Tenant, found: &Found) -> Result<Found, Breach> {
        let key = Key::Entity(tenant.clone(), found.entity.id.clone());
        let position = self.ledger.position(tenant, found.position);
        let revision = self.ledger.revision(&key, found.revision);
        match (position, revision) {
            (Some(position), Some(revision)) => {
                Ok(Found { position, revision, entity: found.entity.clone() })
            }
            _ => Err(unknown(&key)),
        }
    }

    /// A record of the reference, with the store's revision.
    pub(super) fn translated_record(&self, record: &Record) -> Result<Record, Breach> {
        let key = Key::Record(record.key.clone());
        match self.ledger.revision(&key, record.revision) {
            Some(revision) => Ok(Record { revision, ..record.clone() }),
            None => Err(unknown(&key)),
        }
    }
}

/// Every number is taken down when it is given, so this is a mistake of the suite.
fn unknown(key: &Key) -> Breach {
    let difference = format!("{key:?} has a revision or position that the suite did not see");
    Breach::new(super::Rule::State, "comparing", difference)
}

/// Opens a place.
pub(super) async fn open(place: &mut dyn Place) -> Result<Arc<dyn Store>, Breach> {
    place.open().await.map_err(|error| Breach::error("opening the store", &*error))
}

/// Ends a store.
pub(super) async fn end(
    place: &mut dyn Place,
    store: Arc<dyn Store>,
    ending: Ending,
) -> Result<(), Breach> {
    let ended = match ending {
        Ending::Close => place.close(store).await,
        Ending::Kill => place.kill(store).await,
    };
    ended.map_err(|error| Breach::error("ending the store", &*error))
}

/// The answer of a store that is well.
pub(super) fn answered<T>(doing: &str, answer: Result<T, StoreError>) -> Result<T, Breach> {
    answer.map_err(|error| Breach::error(doing, &error))
}
