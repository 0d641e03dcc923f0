//! Who this broker is (CIM 009, clause 5.15.1).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use musubi_model::{Clock, Tenant, Timestamp};
use musubi_notify::NotificationKey;
use musubi_store::{Expect, Group, RecordKey, RecordKind, RecordQuery, RecordWrite, Store};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Error, Seal, Session};

/// What identifies a broker to others, in one tenant (CIM 009, clause 5.2.40).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIdentity {
    /// A URI that is this broker's alone, whatever the tenant.
    pub id: String,
    /// A name that is this broker's and this tenant's alone, of characters that a `Via` header may
    /// have. It stays over restarts.
    pub alias: String,
    /// How long the process has been running.
    pub uptime: Duration,
    /// The time now.
    pub time: Timestamp,
}

/// What the process knows of itself.
#[derive(Debug)]
pub(crate) struct Identity {
    started: Instant,
    /// As the store has it, once it was asked.
    id: OnceLock<Uuid>,
    /// What seals numbers, as the store has it, once it was asked.
    secret: OnceLock<Uuid>,
    /// The seal of the default tenant, which most requests are for: the key takes longer to make
    /// than a version to seal.
    seal: OnceLock<Seal>,
}

impl Identity {
    pub(crate) fn starting_now() -> Self {
        Self {
            started: Instant::now(),
            id: OnceLock::new(),
            secret: OnceLock::new(),
            seal: OnceLock::new(),
        }
    }
}

/// Where the store keeps the broker's id.
const ID: &str = "id";
/// Where the store keeps the broker's secret.
const SECRET: &str = "secret";

impl Session {
    /// Who this broker is to others (CIM 009, clause 5.15.1). Every tenant is answered, whether it
    /// exists or not: nothing of it is told.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    pub async fn source_identity(&self) -> Result<SourceIdentity, Error> {
        let identity = &self.broker.shared().identity;
        let id = self.stored_uuid(&identity.id, ID).await?;
        let alias = if self.tenant.is_default() {
            format!("musubi-{}", id.simple())
        } else {
            format!("musubi-{}.{}", id.simple(), self.tenant)
        };
        Ok(SourceIdentity {
            id: id.urn().to_string(),
            alias,
            uptime: identity.started.elapsed(),
            time: self.now(),
        })
    }

    /// What seals the numbers that this tenant is shown. Where no secret can be stored, on a full
    /// disk, readers are answered none the less, under one that lasts as long as the process.
    pub async fn seal(&self) -> Seal {
        let identity = &self.broker.shared().identity;
        if let Some(seal) = identity.seal.get().filter(|_| self.tenant.is_default()) {
            return *seal;
        }
        let known = &identity.secret;
        let secret = match self.stored_uuid(known, SECRET).await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::warn!("versions and cursors will change with the next start: {error}");
                *known.get_or_init(Uuid::new_v4)
            }
        };
        let seal = Seal::new(&secret, &self.tenant);
        if self.tenant.is_default() {
            return *identity.seal.get_or_init(|| seal);
        }
        seal
    }

    async fn stored_uuid(&self, known: &OnceLock<Uuid>, key: &str) -> Result<Uuid, Error> {
        if let Some(known) = known.get() {
            return Ok(*known);
        }
        let stored = read_or_make(self.broker.store(), key, self.now()).await?;
        Ok(*known.get_or_init(|| stored))
    }
}

/// What the ids of notifications are made with, whatever the tenant: to be asked for before the
/// notifier begins.
///
/// Where no secret can be stored, on a full disk, there is one that lasts as long as the process.
pub async fn notification_key(store: &dyn Store, clock: &dyn Clock) -> NotificationKey {
    let secret = match read_or_make(store, SECRET, clock.now()).await {
        Ok(secret) => secret,
        Err(error) => {
            tracing::warn!("ids of notifications will change with the next start: {error}");
            Uuid::new_v4()
        }
    };
    NotificationKey::of_secret(&secret)
}

/// The UUID that the store keeps under this key; a new one if there is none yet.
async fn read_or_make(store: &dyn Store, name: &str, now: Timestamp) -> Result<Uuid, Error> {
    if let Some(id) = read_uuid(store, name).await? {
        return Ok(id);
    }
    let id = Uuid::new_v4();
    let value = Some(Arc::from(id.to_string().as_bytes()));
    let record = RecordWrite { key: key(name), expect: Expect::Absent, value };
    let group = Group { time: now, records: vec![record], ..Group::default() };
    store.commit(vec![group]).await?;
    // Another request, or another process, may have been faster.
    let missing = || Error::Internal(format!("the broker's {name} was written and is lost"));
    read_uuid(store, name).await?.ok_or_else(missing)
}

async fn read_uuid(store: &dyn Store, name: &str) -> Result<Option<Uuid>, Error> {
    let query = RecordQuery {
        kind: RecordKind::Broker,
        tenant: Some(Tenant::default()),
        prefix: name.to_owned(),
        after: None,
        limit: 1,
    };
    let Some(record) = store.records(&query).await?.pop() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&record.value).unwrap_or_default();
    let unreadable = |_| Error::Internal(format!("the broker's stored {name} is no UUID"));
    Uuid::try_parse(text).map(Some).map_err(unreadable)
}

fn key(name: &str) -> RecordKey {
    let tenant = Tenant::default();
    RecordKey { kind: RecordKind::Broker, tenant, key: name.to_owned() }
}
