//! Dead letters: what could not be delivered or mapped, kept for a person to look at, to send on
//! its way once more, or to throw away.

use std::fmt;

use futures_util::future::BoxFuture;
use musubi_model::{Cause, Sequence, Tenant};
use musubi_store::{Expect, Record, RecordKind, RecordWrite};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commit::Plan;
use crate::seal::Places;
use crate::{Error, Right, Session};

mod filter;
mod replay;
mod retention;
mod slices;

pub use filter::LetterFilter;
pub use replay::Replayed;
pub(crate) use replay::Run;
use slices::Slices;

/// What could not be delivered or mapped.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Which one.
    pub id: String,
    /// What is known of it: `at`, `adapter` or `subscription`, `origin` or `endpoint`, `reason`. Who
    /// reads letters gets `sequence` and `last`, places in the log, as sealed texts.
    pub content: Map<String, Value>,
    /// What was to be delivered or mapped, as it is written there. None if it was not asked for.
    pub payload: Option<Box<RawValue>>,
}

/// Whether letters are wanted with what was to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// With it.
    Shown,
    /// Without it.
    LeftOut,
}

/// Some of the dead letters of a tenant.
#[derive(Clone, Debug, Default)]
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

/// The most letters that one page is made from, of which the others are not meant, and the most bytes
/// of them.
const LOOKED_AT: usize = 20_000;
const LOOKED_AT_BYTES: usize = 256 * 1024 * 1024;

/// The most bytes of the letters of one page. One that is larger is a page of its own.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// The most letters that are looked at in one request to throw some away.
const PURGED_AT_ONCE: usize = 100_000;

impl Session {
    /// Dead letters of the tenant that are meant, in the order of their ids, after the one of the id
    /// `after` (all, if it is empty), at most `limit`, and at most 16 MiB unless one alone is larger. A
    /// page may hold fewer, or none, although there are more, where many others lie between:
    /// [`LetterPage::next`] says so.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: &str,
        limit: usize,
        payloads: Payloads,
    ) -> Result<LetterPage, Error> {
        self.caller.require(Right::ReadDeadLetters)?;
        self.require_tenant().await?;
        let mut page = LetterPage::default();
        let mut slices = self.letter_slices(after);
        let places = self.seal().await.places();
        let mut last = None;
        let (mut looked_at, mut bytes_looked_at, mut bytes) = (0_usize, 0_usize, 0_usize);
        while let Some(records) = slices.next().await? {
            looked_at += records.len();
            for record in &records {
                bytes_looked_at += record.value.len();
                if filter.admits(record) {
                    let (letter, size) = read(record, payloads);
                    let is_full = bytes + size > PAGE_BYTES && !page.letters.is_empty();
                    if page.letters.len() == limit || is_full {
                        page.next = last;
                        return Ok(page);
                    }
                    bytes += size;
                    page.letters.push(letter.sealed(&places));
                }
                last = Some(record.key.key.clone());
            }
            let is_long = looked_at >= LOOKED_AT || bytes_looked_at >= LOOKED_AT_BYTES;
            if is_long && !slices.is_over() {
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
        let letter = letter(&self.letter_record(id).await?);
        Ok(letter.sealed(&self.seal().await.places()))
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
        Slices::of(self.broker.store(), &self.tenant, after)
    }
}

impl DeadLetter {
    /// The same for a reader, who is not told how much is written in the whole broker.
    fn sealed(mut self, places: &Places) -> Self {
        for name in ["sequence", "last"] {
            let Some(place) = self.content.get_mut(name) else { continue };
            *place = match place.as_u64() {
                Some(number) => places.name(Sequence(number)).into(),
                None => Value::Null,
            };
        }
        self
    }
}

/// A letter as it is kept.
#[derive(Deserialize)]
struct Kept {
    #[serde(default, deserialize_with = "as_written")]
    payload: Option<Box<RawValue>>,
    #[serde(flatten)]
    content: Map<String, Value>,
}

/// What stands there, null too.
fn as_written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

fn letter(record: &Record) -> DeadLetter {
    let id = record.key.key.clone();
    // A letter of another form is still shown: it is here because something was wrong.
    let kept = serde_json::from_slice(&record.value).unwrap_or_else(|_| Kept {
        payload: serde_json::from_slice(&record.value).ok().or_else(|| {
            serde_json::value::to_raw_value(&String::from_utf8_lossy(&record.value)).ok()
        }),
        content: Map::new(),
    });
    DeadLetter { id, content: kept.content, payload: kept.payload }
}

/// A letter, and how many bytes it has.
fn read(record: &Record, payloads: Payloads) -> (DeadLetter, usize) {
    let mut letter = letter(record);
    let left_out = match payloads {
        Payloads::Shown => None,
        Payloads::LeftOut => letter.payload.take(),
    };
    let left_out = left_out.map_or(0, |payload| payload.get().len());
    (letter, record.value.len().saturating_sub(left_out))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use musubi_model::Revision;
    use musubi_store::RecordKey;

    use super::*;

    fn record(value: &[u8]) -> Record {
        let key = RecordKey {
            kind: RecordKind::DeadLetter,
            tenant: Tenant::default(),
            key: "1".to_owned(),
        };
        Record { key, revision: Revision(1), value: Arc::from(value) }
    }

    #[test]
    fn a_payload_is_as_it_is_written() {
        let check = |value: &str, payload: Option<&str>, members: usize| {
            let letter = letter(&record(value.as_bytes()));
            assert_eq!(letter.payload.as_deref().map(RawValue::get), payload, "{value}");
            assert_eq!(letter.content.len(), members, "{value}");
        };
        check(r#"{"reason":"x","payload":{"a": 1.10},"at":-3}"#, Some(r#"{"a": 1.10}"#), 2);
        check(r#"{"payload":12345678901234567890123}"#, Some("12345678901234567890123"), 0);
        check(r#"{"payload":null,"sequence":18446744073709551615}"#, Some("null"), 1);
        check(r#"{"reason":"x"}"#, None, 1);
        check("[1,2]", Some("[1,2]"), 0);
        check("no JSON", Some(r#""no JSON""#), 0);
    }
}
