//! Dead letters: what could not be delivered or mapped, kept for a person to look at, to send on
//! its way once more, or to throw away.

use std::fmt;

use futures_util::future::BoxFuture;
use musubi_model::{Cause, Tenant};
use musubi_store::{Expect, Record, RecordKind, RecordQuery, RecordWrite};
use serde_json::Value;

use crate::commit::Plan;
use crate::{Error, Right, Session};

/// What could not be delivered or mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which one.
    pub id: String,
    /// What is known of it: a JSON object with `at`, `adapter` or `subscription`, `origin`,
    /// `reason` and `payload`.
    pub content: Value,
}

/// What carries a dead letter to where it belongs, once more: to its adapter or to the receiver of
/// its subscription.
pub trait Replay: Send + Sync + fmt::Debug {
    /// Tries once. If it succeeds, the broker deletes the letter; until then it stays, so it may
    /// be replayed twice but is never lost.
    ///
    /// The error is a sentence for the operator.
    fn replay<'a>(
        &'a self,
        tenant: &'a Tenant,
        letter: &'a DeadLetter,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// How many letters are deleted in one commit.
const SLICE: usize = 500;

impl Session {
    /// Dead letters of the tenant in the order of their ids, after the one of the id `after` (all,
    /// if it is empty), at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn dead_letters(&self, after: &str, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.caller.require(Right::ReadDeadLetters)?;
        self.require_tenant().await?;
        let after = (!after.is_empty()).then(|| (self.tenant.clone(), after.to_owned()));
        let query = RecordQuery {
            kind: RecordKind::DeadLetter,
            tenant: Some(self.tenant.clone()),
            prefix: String::new(),
            after,
            limit,
        };
        let records = self.broker.store().records(&query).await?;
        Ok(records.iter().map(letter).collect())
    }

    /// The dead letter of this id.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn dead_letter(&self, id: &str) -> Result<DeadLetter, Error> {
        self.caller.require(Right::ReadDeadLetters)?;
        self.require_tenant().await?;
        let missing = || Error::ResourceNotFound(format!("dead letter {id}"));
        let record = self.record(RecordKind::DeadLetter, id).await?.ok_or_else(missing)?;
        Ok(letter(&record))
    }

    /// Sends a dead letter on its way once more, and deletes it if it arrives.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none; [`Error::NotReplayed`] if it was refused
    /// again; [`Error::NotSupported`] if this broker replays nothing.
    pub async fn replay_dead_letter(&self, id: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        let letter = self.dead_letter(id).await?;
        let Some(replay) = &self.broker.shared().options.replay else {
            return Err(Error::NotSupported("this broker does not replay dead letters".to_owned()));
        };
        replay.replay(&self.tenant, &letter).await.map_err(Error::NotReplayed)?;
        self.remove_dead_letters(vec![letter]).await
    }

    /// Throws a dead letter away.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn delete_dead_letter(&self, id: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        let letter = self.dead_letter(id).await?;
        self.remove_dead_letters(vec![letter]).await
    }

    /// Throws away all dead letters of the tenant that are there now, and says how many those
    /// were.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`]; then some may be gone.
    pub async fn purge_dead_letters(&self) -> Result<u64, Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        let mut purged = 0;
        let mut after = String::new();
        loop {
            let letters = self.dead_letters(&after, SLICE).await?;
            let Some(last) = letters.last() else { return Ok(purged) };
            after.clone_from(&last.id);
            purged += u64::try_from(letters.len()).unwrap_or(u64::MAX);
            self.remove_dead_letters(letters).await?;
        }
    }

    async fn remove_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<(), Error> {
        let records = letters
            .into_iter()
            .map(|letter| RecordWrite {
                key: self.record_key(RecordKind::DeadLetter, letter.id),
                expect: Expect::Any,
                value: None,
            })
            .collect();
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        self.commit_one(plan, self.now()).await.map(drop)
    }
}

fn letter(record: &Record) -> DeadLetter {
    // A letter that is no JSON is still shown: it is here because something was wrong.
    let content = serde_json::from_slice(&record.value).unwrap_or_else(
        |_| serde_json::json!({ "payload": String::from_utf8_lossy(&record.value) }),
    );
    DeadLetter { id: record.key.key.clone(), content }
}
