//! `EntityMaps` (CIM 009, clauses 5.2.39, 5.5.14 and 5.14): the entities that a query found, so that
//! the pages of its answer are all cut from the same ones.
//!
//! A map belongs to a tenant, and within it to whoever knows its id, which cannot be guessed; so that
//! who may read entities may let it live and delete it. Of what it lists a caller only sees what they
//! may see anyway.
//!
//! A map lists ids, and lives for minutes. It is bound to the conditions and to
//! the context of the query that it was made for: another query cannot be paged over it. Which of
//! the conditions are ids does not count, nor how the answer is to look. What a map lists and what is
//! gone, or satisfies the conditions no longer, is not in the pages, and leaves the map when a page
//! finds that out.
//!
//! A tenant has so many maps at most, and so many bytes of them. Beyond, those that expire first are
//! deleted before their time, and whoever pages over one of these gets a new one.
//!
//! No context source is ever asked, so every entity is listed as one that is here, and no map is
//! linked with others.

mod bound;
mod kept;
mod made;
mod paged;
mod retrieved;

use std::fmt;

use musubi_model::{EntityId, Timestamp};
use musubi_query::PeriodDuration;
use uuid::Uuid;

use crate::{Error, Right, Session};

/// The most ids that a map lists.
const MAX_IDS: usize = 10_000;
/// The most bytes that the ids of a map have together.
const MAX_BYTES: usize = 1024 * 1024;
/// The most maps that a tenant has. The one that expires first makes room for one more.
const MAX_MAPS: usize = 500;
/// The most bytes that all maps of a tenant have together. Those that expire first make room.
const MAX_BYTES_OF_TENANT: usize = 64 * 1024 * 1024;

const SECOND: i64 = 1_000_000;
/// How long a map lives if nobody says so, in microseconds.
const LIFETIME: i64 = 5 * 60 * SECOND;
/// How long it lives at least when it is made.
const SHORTEST: i64 = SECOND;
/// How long from now on it lives at most, whatever is asked for.
const LONGEST: i64 = 4 * 3_600 * SECOND;

/// The identifier of a map, `urn:ngsi-ld:EntityMap:<uuid>`. It cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityMapId(Uuid);

impl EntityMapId {
    const PREFIX: &'static str = "urn:ngsi-ld:EntityMap:";

    /// The identifier that this text is; none if it is not of a form that this broker gives.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(text.strip_prefix(Self::PREFIX)?.parse().ok()?);
        (id.to_string() == text).then_some(id)
    }

    fn fresh() -> Self {
        Self(Uuid::new_v4())
    }

    fn missing(self) -> Error {
        Error::ResourceNotFound(format!("entity map {self}"))
    }
}

impl fmt::Display for EntityMapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

/// A map (CIM 009, clause 5.2.39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityMap {
    /// What it is called.
    pub id: EntityMapId,
    /// From when on it is not there any more.
    pub expires_at: Timestamp,
    /// The entities, in the order of the query.
    pub entities: Vec<EntityId>,
}

/// Whether a request wants its answer to be of a map, and of which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapWish {
    /// No.
    #[default]
    None,
    /// Of one that is to be made.
    New,
    /// Of this one, or of a new one if it is not there any more.
    This(EntityMapId),
}

/// What a request says of entity maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapTerms {
    /// Whether it wants one.
    pub wish: MapWish,
    /// How long a new one is wanted. It lives four hours at most.
    pub lifetime: Option<PeriodDuration>,
    /// What the context is known by in which the names of the request are read. A map goes with
    /// that of the query it was made for.
    pub context: String,
}

/// The map that an answer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOfAnswer {
    /// One that was there.
    Used(EntityMapId),
    /// One that was made for it.
    Created(EntityMapId),
}

impl MapOfAnswer {
    /// What the map is called.
    pub fn id(self) -> EntityMapId {
        match self {
            Self::Used(id) | Self::Created(id) => id,
        }
    }
}

impl Session {
    /// The map of this id, with those of its entities that the caller may see (CIM 009, clause
    /// 5.14.1).
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::ResourceNotFound`] if there is no such map, or it has
    /// expired.
    pub async fn entity_map(&self, id: EntityMapId) -> Result<EntityMap, Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        let now = self.now();
        let live = self.live_map(id, now).await?.ok_or_else(|| id.missing())?;
        let entities = self.visible_of(live.ids, now).await?;
        Ok(EntityMap { id, expires_at: live.head.expires_at(), entities })
    }

    /// Lets a map live until then, or as long as maps live at most (CIM 009, clause 5.14.2).
    /// Without a time, nothing changes.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::ResourceNotFound`] if there is no such map, or it has
    /// expired; [`Error::Contended`].
    pub async fn update_entity_map(
        &self,
        id: EntityMapId,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let now = self.now();
            let found = self.live_head(id, now).await?;
            let (head, revision) = found.ok_or_else(|| id.missing())?;
            let Some(wanted) = expires_at else { return Ok(()) };
            let head = head.expiring(wanted.min(now.plus_micros(LONGEST)));
            if self.rewrite_head(id, &head, revision, now).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(format!("entity map {id}")))
    }

    /// Deletes a map (CIM 009, clause 5.14.3).
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`]; [`Error::ResourceNotFound`] if there is no such map, or it has
    /// expired; [`Error::Contended`].
    pub async fn delete_entity_map(&self, id: EntityMapId) -> Result<(), Error> {
        self.caller.require(Right::ReadEntities)?;
        self.require_tenant().await?;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let now = self.now();
            let found = self.live_head(id, now).await?;
            let (_, revision) = found.ok_or_else(|| id.missing())?;
            if self.remove_map(id, revision, now).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(format!("entity map {id}")))
    }
}

/// When a map ends that is made now.
fn expiry(lifetime: Option<PeriodDuration>, now: Timestamp) -> Timestamp {
    let micros = lifetime.map_or(LIFETIME, |lifetime| match lifetime.months {
        0 => {
            let days = i64::from(lifetime.days).saturating_mul(24 * 3_600 * SECOND);
            days.saturating_add(lifetime.micros)
        }
        _ => LONGEST,
    });
    now.plus_micros(micros.clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_in_no_other_way() {
        let id = EntityMapId::fresh();
        assert_eq!(EntityMapId::parse(&id.to_string()), Some(id));
        let uuid = id.0;
        for text in [
            uuid.to_string(),
            format!("urn:uuid:{uuid}"),
            format!("urn:ngsi-ld:EntityMap:{}", uuid.simple()),
            format!("urn:ngsi-ld:EntityMap:{}", uuid.to_string().to_uppercase()),
            "urn:ngsi-ld:EntityMap:".to_owned(),
        ] {
            // A uuid of digits alone has no upper case.
            if text != id.to_string() {
                assert_eq!(EntityMapId::parse(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn a_map_lives_as_long_as_is_wanted_within_limits() {
        let check = |wanted: Option<&str>, seconds: i64| {
            let lifetime = wanted.map(|text| text.parse().unwrap());
            let end = expiry(lifetime, Timestamp::EPOCH);
            assert_eq!(end, Timestamp::from_seconds(seconds), "{wanted:?}");
        };
        check(None, 300);
        check(Some("PT1H"), 3_600);
        check(Some("PT10S"), 10);
        check(Some("PT0S"), 1);
        check(Some("PT4H1S"), 14_400);
        check(Some("P1D"), 14_400);
        check(Some("P1M"), 14_400);
        check(Some("P10000Y"), 14_400);
    }
}
