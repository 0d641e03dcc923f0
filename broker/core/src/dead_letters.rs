//! Dead letters: what could not be delivered or mapped, kept for a person to look at, to send on
//! its way once more, or to throw away.

use std::fmt;

use futures_util::future::BoxFuture;
use musubi_model::{Cause, Tenant};
use musubi_store::{Expect, Record, RecordKind, RecordQuery, RecordWrite};
use serde_json::Value;

use crate::commit::Plan;
use crate::{Error, Right, Session};

mod filter;
mod replay;
mod retention;

pub use filter::LetterFilter;
pub use replay::Replayed;

/// What could not be delivered or mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which one.
    pub id: String,
    /// What is known of it: a JSON object with `at`, `adapter` or `subscription`, `origin` or
    /// `endpoint`, `reason` and `payload`.
    pub content: Value,
}

/// Some of the dead letters of a tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LetterPage {
    /// In the order of their ids.
    pub letters: Vec<DeadLetter>,
    /// After which id to go on, if there may be more.
    pub next: Option<String>,
}

/// What became of letters that were to be thrown away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many are gone.
    pub purged: u64,
    /// After which id to go on, if there may be more.
    pub next: Option<String>,
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

/// How many letters are read, or deleted, at once. One may be of some hundred kilobytes.
const SLICE: usize = 200;

/// The most letters that one page is made from, of which the others are not meant.
const LOOKED_AT: usize = 20_000;

/// The most letters that are looked at in one request to throw some away.
const PURGED_AT_ONCE: usize = 100_000;

impl Session {
    /// Dead letters of the tenant that are meant, in the order of their ids, after the one of the id
    /// `after` (all, if it is empty), at most `limit`. A page may hold fewer, or none, although there
    /// are more, where many others lie between: [`LetterPage::next`] says so.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: &str,
        limit: usize,
    ) -> Result<LetterPage, Error> {
        self.caller.require(Right::ReadDeadLetters)?;
        self.require_tenant().await?;
        let mut page = LetterPage::default();
        let mut slices = self.letter_slices(after);
        let mut last = None;
        let mut looked_at = 0_usize;
        while let Some(records) = slices.next().await? {
            looked_at += records.len();
            for record in &records {
                if filter.admits(record) {
                    if page.letters.len() == limit {
                        page.next = last;
                        return Ok(page);
                    }
                    page.letters.push(letter(record));
                }
                last = Some(record.key.key.clone());
            }
            if looked_at >= LOOKED_AT && !slices.is_over() {
                page.next = last;
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The dead letter of this id.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn dead_letter(&self, id: &str) -> Result<DeadLetter, Error> {
        self.caller.require(Right::ReadDeadLetters)?;
        Ok(letter(&self.letter_record(id).await?))
    }

    /// Throws a dead letter away.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn delete_dead_letter(&self, id: &str) -> Result<(), Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        self.letter_record(id).await?;
        self.remove_dead_letters(vec![id.to_owned()]).await
    }

    /// Throws away the dead letters of the tenant that are meant and come after the id `after` (all,
    /// if it is empty). At most 100,000 letters are looked at; [`Purged::next`] says where to go on
    /// after those.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`]; then some may be gone.
    pub async fn purge_dead_letters(
        &self,
        filter: &LetterFilter,
        after: &str,
    ) -> Result<Purged, Error> {
        self.caller.require(Right::WriteDeadLetters)?;
        self.require_tenant().await?;
        let mut purged = Purged::default();
        let mut slices = self.letter_slices(after);
        let mut looked_at = 0_usize;
        while let Some(records) = slices.next().await? {
            looked_at += records.len();
            let last = records.last().map(|record| record.key.key.clone());
            let meant = records.into_iter().filter(|record| filter.admits(record));
            let ids: Vec<String> = meant.map(|record| record.key.key).collect();
            if !ids.is_empty() {
                purged.purged += u64::try_from(ids.len()).unwrap_or(u64::MAX);
                self.remove_dead_letters(ids).await?;
            }
            if looked_at >= PURGED_AT_ONCE && !slices.is_over() {
                purged.next = last;
                return Ok(purged);
            }
        }
        Ok(purged)
    }

    async fn letter_record(&self, id: &str) -> Result<Record, Error> {
        self.require_tenant().await?;
        let missing = || Error::ResourceNotFound(format!("dead letter {id}"));
        self.record(RecordKind::DeadLetter, id).await?.ok_or_else(missing)
    }

    async fn remove_dead_letters(&self, ids: Vec<String>) -> Result<(), Error> {
        let records = ids
            .into_iter()
            .map(|id| RecordWrite {
                key: self.record_key(RecordKind::DeadLetter, id),
                expect: Expect::Any,
                value: None,
            })
            .collect();
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        self.commit_one(plan, self.now()).await.map(drop)
    }

    fn letter_slices(&self, after: &str) -> Slices<'_> {
        Slices { session: self, after: after.to_owned(), is_over: false }
    }
}

/// The letters of a tenant, a few at a time.
struct Slices<'s> {
    session: &'s Session,
    after: String,
    is_over: bool,
}

impl Slices<'_> {
    /// The next ones; none after the last.
    async fn next(&mut self) -> Result<Option<Vec<Record>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let after = std::mem::take(&mut self.after);
        let query = RecordQuery {
            kind: RecordKind::DeadLetter,
            tenant: Some(self.session.tenant.clone()),
            prefix: String::new(),
            after: (!after.is_empty()).then(|| (self.session.tenant.clone(), after)),
            limit: SLICE,
        };
        let records = self.session.broker.store().records(&query).await?;
        self.is_over = records.len() < SLICE;
        if let Some(last) = records.last() {
            self.after.clone_from(&last.key.key);
        }
        Ok(Some(records))
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

fn letter(record: &Record) -> DeadLetter {
    // A letter that is no JSON is still shown: it is here because something was wrong.
    let content = serde_json::from_slice(&record.value).unwrap_or_else(
        |_| serde_json::json!({ "payload": String::from_utf8_lossy(&record.value) }),
    );
    DeadLetter { id: record.key.key.clone(), content }
}
