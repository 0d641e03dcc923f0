//! Notifications: id, headers, body (CIM 009, clauses 5.3.1, 5.8.6 and 6.3.8).

use std::sync::Arc;

use bytes::Bytes;
use musubi_context::Renderer;
use musubi_model::{Entity, EntityId, Json, Tenant, Timestamp};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Change, Store, StoreError, Subject};
use musubi_view::{FindEntities, Gathered, Manner, Marks, Media, ViewError};

use crate::engine::applied::Applied;

mod headers;
mod id;
pub(crate) mod look;
mod told;
mod weight;

pub(crate) use headers::headers;
pub use id::NotificationKey;
use look::Look;
use told::told;
pub(crate) use weight::weight;

/// The most linked entities of one notification.
const MAX_LINKED: usize = 1000;

/// The longest `data` that is composed of more than the entities as they are, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a notification says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// Its identifier.
    pub(crate) id: &'a str,
    /// When it was made.
    pub(crate) notified_at: Timestamp,
}

/// What a notification tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// Changes, in the order of the log. An entity stands in the notification as often as it
    /// changed.
    Changes(&'a [Arc<Change>]),
    /// Entities as they are.
    State(&'a [Arc<Entity>]),
    /// An entity that has not changed for long, or has changed again after that.
    Alert {
        /// Which one. It is told as it is, if it is there.
        entity: &'a EntityId,
        /// Its last change before it fell silent.
        since: Timestamp,
        /// Whether it has changed again.
        returned: bool,
    },
}

/// Where linked entities are looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// Where entities are.
    pub(crate) store: &'a Arc<dyn Store>,
    /// Whose they are.
    pub(crate) tenant: &'a Tenant,
}

/// Why a notification cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    /// The store did not answer; another time it may.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It would be too large, and will be another time too.
    #[error("the notification cannot be written: {0}")]
    View(#[from] ViewError),
}

/// An entity to be told, and what is told of it beyond its state.
type Item = (Arc<Entity>, Option<Marks>);

/// The body of a notification. Linked entities, if the subscriber wants to have them, are looked
/// up as they are at `notified_at`.
///
/// # Errors
///
/// [`ComposeError`] if linked entities cannot be looked up or are too many.
pub(crate) async fn compose(
    applied: &Applied,
    envelope: &Envelope<'_>,
    content: Content<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<Bytes, ComposeError> {
    let look = &applied.look;
    let finder = Linking { surroundings, at: envelope.notified_at };
    let items = match content {
        Content::Changes(changes) => changes.iter().filter_map(|it| tell(applied, it)).collect(),
        Content::State(entities) => shown(applied, entities),
        Content::Alert { entity, .. } => {
            shown(applied, &finder.find_entities(vec![entity.clone()]).await?)
        }
    };
    // What needs nobody's help is written without going through the entities twice.
    let gathered = match look.special.join {
        None => Gathered::alone(items),
        Some(_) => look.special.gather_marked(&finder, items).await?,
    };
    Ok(write(applied, envelope, content, &gathered)?.into())
}

fn write(
    applied: &Applied,
    envelope: &Envelope<'_>,
    content: Content<'_>,
    gathered: &Gathered,
) -> Result<Vec<u8>, ViewError> {
    let look = &applied.look;
    let mut out = Vec::with_capacity(1024);
    begin(&mut out, applied, envelope);
    if let Content::Alert { entity, since, returned } = content {
        out.extend_from_slice(b",\"silence\":{\"entity\":");
        string(&mut out, entity.as_str());
        out.extend_from_slice(b",\"status\":");
        string(&mut out, if returned { "returned" } else { "silent" });
        out.extend_from_slice(b",\"since\":");
        string(&mut out, &since.to_string());
        out.push(b'}');
    }
    out.extend_from_slice(b",\"data\":");
    let named = applied.context.member().as_bytes();
    match look.media {
        Media::GeoJson => {
            out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[");
            data(&mut out, applied, gathered)?;
            out.push(b']');
            if look.context_in_collection {
                out.extend_from_slice(b",\"@context\":");
                out.extend_from_slice(named);
            }
            out.push(b'}');
        }
        Media::Json | Media::LdJson => {
            out.push(b'[');
            data(&mut out, applied, gathered)?;
            out.push(b']');
            if look.media == Media::LdJson {
                out.extend_from_slice(b",\"@context\":");
                out.extend_from_slice(named);
            }
        }
    }
    out.push(b'}');
    Ok(out)
}

/// Writes what every notification begins with.
fn begin(out: &mut Vec<u8>, applied: &Applied, envelope: &Envelope<'_>) {
    out.extend_from_slice(b"{\"id\":");
    string(out, envelope.id);
    out.extend_from_slice(b",\"type\":\"Notification\",\"subscriptionId\":");
    string(out, applied.subscription.id().as_str());
    out.extend_from_slice(b",\"notifiedAt\":");
    string(out, &envelope.notified_at.to_string());
}

/// What is told of a change.
fn tell(applied: &Applied, change: &Change) -> Option<Item> {
    match &change.subject {
        Subject::Entity(subject) => told(applied, subject, change.time),
        Subject::Record(_) | Subject::Evolution(_) => None,
    }
}

/// Entities as they are.
fn shown(applied: &Applied, entities: &[Arc<Entity>]) -> Vec<Item> {
    let shown = |entity| (applied.look.entity(entity, &applied.context), None);
    entities.iter().map(shown).collect()
}

/// Writes the entities, one after the other.
fn data(out: &mut Vec<u8>, applied: &Applied, gathered: &Gathered) -> Result<(), ViewError> {
    let look: &Look = &applied.look;
    if look.is_plain && gathered.is_plain() {
        let mut renderer = Renderer::new(out, &applied.context, &look.representation);
        for (index, entity) in gathered.entities().enumerate() {
            if index > 0 {
                renderer.comma();
            }
            renderer.entity(entity);
        }
        return Ok(());
    }
    let manner = Manner {
        media: look.media,
        context: &applied.context,
        representation: &look.representation,
        feature_context: None,
        longest: MAX_BYTES,
    };
    look.special.write(out, gathered, &manner)?;
    Ok(())
}

/// Looks up linked entities as they are at a moment.
struct Linking<'a> {
    surroundings: &'a Surroundings<'a>,
    at: Timestamp,
}

impl FindEntities for Linking<'_> {
    type Error = ComposeError;

    async fn find_entities(&self, ids: Vec<EntityId>) -> Result<Vec<Arc<Entity>>, ComposeError> {
        let query = EntityQuery {
            limit: ids.len(),
            filter: Filter::Ids(ids),
            at: Some(self.at),
            start: Start::Offset(0),
            ..EntityQuery::default()
        };
        let page = self.surroundings.store.select(self.surroundings.tenant, &query).await?;
        Ok(page.items.into_iter().map(|found| found.entity).collect())
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(Json::from(text).as_str().as_bytes());
}

#[cfg(test)]
mod tests;
