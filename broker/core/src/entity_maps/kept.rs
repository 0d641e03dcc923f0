//! How maps are kept: what a map is and which ids it lists are a record each, so that looking for
//! those that have expired does not read all ids.

use std::sync::Arc;

use musubi_model::{Cause, EntityId, Revision, Timestamp};
use musubi_store::{Expect, Record, RecordKind, RecordQuery, RecordWrite};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::bound::{Bound, digest};
use super::{EntityMapId, MAX_BYTES_OF_TENANT, MAX_MAPS};
use crate::commit::Plan;
use crate::{Error, Session};

const HEADS: &str = "head/";
const IDS: &str = "ids/";

/// How many records are read at once.
const SLICE: usize = 1_000;

/// What a map is, but for the ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// In microseconds since the epoch.
    expires_at: i64,
    /// How many bytes the ids had when the map was made, and what stands beside them here.
    bytes: usize,
    /// See [`Bound::conditions`].
    conditions: String,
    /// See [`Bound::context`].
    context: String,
    /// See [`Bound::instances`].
    instances: Option<String>,
}

impl Head {
    pub(super) fn new(bound: &Bound, ids: &[EntityId], expires_at: Timestamp) -> Self {
        let texts = [Some(&bound.conditions), Some(&bound.context), bound.instances.as_ref()];
        let beside = texts.into_iter().flatten().map(String::len).sum();
        Self {
            expires_at: expires_at.as_micros(),
            bytes: bytes(ids).saturating_add(beside),
            conditions: bound.conditions.clone(),
            context: bound.context.clone(),
            instances: bound.instances.clone(),
        }
    }

    pub(super) fn expires_at(&self) -> Timestamp {
        Timestamp::from_micros(self.expires_at)
    }

    pub(super) fn expiring(self, at: Timestamp) -> Self {
        Self { expires_at: at.as_micros(), ..self }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }

    /// Passes if names are read in the context that the map goes with.
    pub(super) fn require_context(&self, context: &str) -> Result<(), Error> {
        self.require_digest(&digest(context))
    }

    fn require_digest(&self, context: &str) -> Result<(), Error> {
        if self.context == context {
            return Ok(());
        }
        let reason = "NGSILD-EntityMap: the map was made for a query with another @context";
        Err(Error::BadRequestData(reason.to_owned()))
    }

    /// Passes if the map was made for a query with these conditions.
    pub(super) fn require_same(&self, bound: &Bound) -> Result<(), Error> {
        self.require_digest(&bound.context)?;
        if self.conditions == bound.conditions {
            return Ok(());
        }
        let reason = "NGSILD-EntityMap: the map was made for a query with other conditions; only \
                      ids, times and what says how to show and to cut the answer may be others";
        Err(Error::BadRequestData(reason.to_owned()))
    }

    /// Whether what a query with these conditions does not find is to leave the map.
    pub(super) fn is_judged_by(&self, bound: &Bound) -> bool {
        self.instances == bound.instances && !bound.names_ids
    }
}

/// A map that is there.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) id: EntityMapId,
    pub(super) head: Head,
    pub(super) ids: Vec<EntityId>,
    /// The version of the list.
    revision: Revision,
}

/// How many bytes ids have together.
pub(super) fn bytes(ids: &[EntityId]) -> usize {
    ids.iter().map(|id| id.as_str().len()).fold(0, usize::saturating_add)
}

impl Session {
    /// What the map of this id is, and its version; none if it is not there any more.
    pub(super) async fn live_head(
        &self,
        id: EntityMapId,
        now: Timestamp,
    ) -> Result<Option<(Head, Revision)>, Error> {
        let record = self.record(RecordKind::EntityMap, &key(HEADS, id)).await?;
        let Some(record) = record else { return Ok(None) };
        let head: Head = read(&record)?;
        Ok(Some((head, record.revision)).filter(|(head, _)| head.is_live(now)))
    }

    /// The map of this id; none if it is not there any more.
    pub(super) async fn live_map(
        &self,
        id: EntityMapId,
        now: Timestamp,
    ) -> Result<Option<Live>, Error> {
        let Some((head, _)) = self.live_head(id, now).await? else { return Ok(None) };
        // Whoever deleted it meanwhile took both.
        let record = self.record(RecordKind::EntityMap, &key(IDS, id)).await?;
        let Some(record) = record else { return Ok(None) };
        Ok(Some(Live { id, head, ids: read(&record)?, revision: record.revision }))
    }

    /// Keeps a new map, in the place of those that have expired, and of others if need be.
    pub(super) async fn keep_map(
        &self,
        head: &Head,
        ids: &[EntityId],
        now: Timestamp,
    ) -> Result<EntityMapId, Error> {
        let id = EntityMapId::fresh();
        let _turn = self.broker.shared().mapping.take_tenant(&self.tenant).await;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let mut records = self.room_for_map(head, now).await?;
            records.push(self.map_write(key(HEADS, id), Expect::Absent, Some(write(head)?)));
            records.push(self.map_write(key(IDS, id), Expect::Absent, Some(write(&ids)?)));
            if self.write_maps(records, now).await? {
                return Ok(id);
            }
        }
        Err(Error::Contended("an entity map".to_owned()))
    }

    /// What deletes the maps that have expired and, until there is room for one more, of the others
    /// those that expire first: nobody can keep a tenant from making maps by making many.
    async fn room_for_map(&self, head: &Head, now: Timestamp) -> Result<Vec<RecordWrite>, Error> {
        let mut records = Vec::new();
        let (mut live, mut bytes) = (Vec::new(), head.bytes);
        for (id, found, revision) in self.heads().await? {
            if found.is_live(now) {
                bytes = bytes.saturating_add(found.bytes);
                live.push((found.expires_at, found.bytes, id, revision));
            } else {
                records.extend(self.removal(id, revision));
            }
        }
        live.sort_unstable_by_key(|(expires_at, ..)| *expires_at);
        let mut maps = live.len();
        for (_, freed, id, revision) in live {
            if maps < MAX_MAPS && bytes <= MAX_BYTES_OF_TENANT {
                break;
            }
            records.extend(self.removal(id, revision));
            maps -= 1;
            bytes = bytes.saturating_sub(freed);
        }
        Ok(records)
    }

    /// Gives a map that is at this version another head; whether it still was.
    pub(super) async fn rewrite_head(
        &self,
        id: EntityMapId,
        head: &Head,
        revision: Revision,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let expect = Expect::At(revision);
        let record = self.map_write(key(HEADS, id), expect, Some(write(head)?));
        self.write_maps(vec![record], now).await
    }

    /// Lets a map list these alone. Whoever changed or deleted it meanwhile was faster: the next
    /// page will find out the same.
    pub(super) async fn rewrite_ids(
        &self,
        map: &Live,
        ids: &[EntityId],
        now: Timestamp,
    ) -> Result<(), Error> {
        let expect = Expect::At(map.revision);
        let record = self.map_write(key(IDS, map.id), expect, Some(write(&ids)?));
        self.write_maps(vec![record], now).await?;
        Ok(())
    }

    /// Deletes a map whose head is at this version; whether it still was.
    pub(super) async fn remove_map(
        &self,
        id: EntityMapId,
        revision: Revision,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.write_maps(self.removal(id, revision).into(), now).await
    }

    /// Deletes the maps that have expired by now; how many.
    pub(crate) async fn sweep_maps(&self, now: Timestamp) -> Result<usize, Error> {
        let mut swept = 0;
        let _turn = self.broker.shared().mapping.take_tenant(&self.tenant).await;
        for (id, head, revision) in self.heads().await? {
            if !head.is_live(now) && self.remove_map(id, revision, now).await? {
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// What each map of the tenant is, those among them that have expired and are not swept yet.
    async fn heads(&self) -> Result<Vec<(EntityMapId, Head, Revision)>, Error> {
        let mut heads = Vec::new();
        let mut after = None;
        loop {
            let query = RecordQuery {
                kind: RecordKind::EntityMap,
                tenant: Some(self.tenant.clone()),
                prefix: HEADS.to_owned(),
                after,
                limit: SLICE,
            };
            let records = self.broker.store().records(&query).await?;
            for record in &records {
                let id = record.key.key.strip_prefix(HEADS).and_then(|id| id.parse::<Uuid>().ok());
                let id = id.map(EntityMapId).ok_or_else(|| damaged(record, "its key is no id"))?;
                heads.push((id, read(record)?, record.revision));
            }
            match records.last() {
                Some(last) if records.len() == SLICE => {
                    after = Some((last.key.tenant.clone(), last.key.key.clone()));
                }
                Some(_) | None => return Ok(heads),
            }
        }
    }

    /// What deletes a map whose head is at this version.
    fn removal(&self, id: EntityMapId, revision: Revision) -> [RecordWrite; 2] {
        [
            self.map_write(key(HEADS, id), Expect::At(revision), None),
            self.map_write(key(IDS, id), Expect::Any, None),
        ]
    }

    fn map_write(&self, key: String, expect: Expect, value: Option<Arc<[u8]>>) -> RecordWrite {
        RecordWrite { key: self.record_key(RecordKind::EntityMap, key), expect, value }
    }

    async fn write_maps(&self, records: Vec<RecordWrite>, now: Timestamp) -> Result<bool, Error> {
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        Ok(self.commit_one(plan, now).await?.is_some())
    }
}

fn key(part: &str, id: EntityMapId) -> String {
    format!("{part}{}", id.0)
}

fn read<T: for<'d> Deserialize<'d>>(record: &Record) -> Result<T, Error> {
    serde_json::from_slice(&record.value).map_err(|error| damaged(record, &error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Result<Arc<[u8]>, Error> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::Internal(format!("an entity map cannot be written: {error}")))?;
    Ok(bytes.into())
}

fn damaged(record: &Record, why: &str) -> Error {
    Error::Internal(format!("entity map {}: {why}", record.key.key))
}
