//! A group before it is known which numbers its expectations name.

use std::sync::Arc;

use musubi_model::{Cause, Entity, EntityId, Tenant, Timestamp};

use super::ledger::{Key, Ledger, Pair, Wish};
use crate::{Group, RecordKey, RecordWrite, Write};

/// A group of wishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) time: Timestamp,
    pub(super) cause: Cause,
    pub(super) entities: Vec<EntityDraft>,
    pub(super) records: Vec<RecordDraft>,
}

#[derive(Clone, Debug)]
pub(super) struct EntityDraft {
    pub(super) tenant: Tenant,
    pub(super) id: EntityId,
    pub(super) wish: Wish,
    pub(super) state: Option<Arc<Entity>>,
}

#[derive(Clone, Debug)]
pub(super) struct RecordDraft {
    pub(super) key: RecordKey,
    pub(super) wish: Wish,
    pub(super) value: Option<Arc<[u8]>>,
}

impl EntityDraft {
    pub(super) fn key(&self) -> Key {
        Key::Entity(self.tenant.clone(), self.id.clone())
    }
}

impl RecordDraft {
    pub(super) fn key(&self) -> Key {
        Key::Record(self.key.clone())
    }
}

impl Draft {
    /// The group for each of the two.
    pub(super) fn groups(&self, ledger: &Ledger) -> Pair<Group> {
        let empty = || Group { time: self.time, cause: self.cause.clone(), ..Group::default() };
        let mut groups = Pair { reference: empty(), store: empty() };
        for draft in &self.entities {
            let expect = ledger.expectation(&draft.key(), draft.wish);
            let write = |expect| {
                let EntityDraft { tenant, id, state, .. } = draft.clone();
                Write { tenant, id, expect, state }
            };
            groups.reference.writes.push(write(expect.reference));
            groups.store.writes.push(write(expect.store));
        }
        for draft in &self.records {
            let expect = ledger.expectation(&draft.key(), draft.wish);
            let write = |expect| {
                let RecordDraft { key, value, .. } = draft.clone();
                RecordWrite { key, expect, value }
            };
            groups.reference.records.push(write(expect.reference));
            groups.store.records.push(write(expect.store));
        }
        groups
    }

    /// What it writes to, in order, and whether that is there afterwards.
    pub(super) fn effects(&self) -> impl Iterator<Item = (Key, bool)> {
        let entities = self.entities.iter().map(|draft| (draft.key(), draft.state.is_some()));
        let records = self.records.iter().map(|draft| (draft.key(), draft.value.is_some()));
        entities.chain(records)
    }
}
