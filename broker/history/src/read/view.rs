//! What there was at the moment of a question.

use std::sync::Arc;

use musubi_model::{EntityId, Tenant};
use musubi_store::StoreError;

use super::entity::EntityView;
use crate::live::LiveSegment;
use crate::recent::Recent;
use crate::retention::Retention;
use crate::segment::SegmentError;
use crate::series::EntityKey;

/// What there was at the moment of a question, oldest first: each place holds later changes than
/// those before it, and all of the tables than all of the segments.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) segments: Arc<[Arc<LiveSegment>]>,
    pub(crate) tables: Vec<Arc<Recent>>,
    /// How long what is kept, at that moment.
    pub(crate) retention: Retention,
}

impl View {
    /// Whether nothing was ever dropped because of its age, and nothing is to be.
    pub(crate) fn keeps_all(&self) -> bool {
        let holds = |segment: &Arc<LiveSegment>| segment.segment().summary().rollups > 0;
        self.retention.is_empty() && !self.segments.iter().any(holds)
    }

    /// An entity, if anything is known of it.
    pub(crate) fn entity(
        &self,
        tenant: &Tenant,
        id: &EntityId,
    ) -> Result<Option<EntityView<'_>>, StoreError> {
        let key = EntityKey { tenant: tenant.clone(), id: id.clone() };
        self.read_entity(key).map_err(unreadable)
    }

    /// The same, with the reason if a segment cannot be read.
    pub(crate) fn read_entity(
        &self,
        key: EntityKey,
    ) -> Result<Option<EntityView<'_>>, SegmentError> {
        let mut rows = Vec::new();
        for (place, segment) in self.segments.iter().enumerate() {
            if let Some(row) = segment.noted(segment.segment().entity(&key))? {
                rows.push((place, row));
            }
        }
        Ok(EntityView::new(self, key, rows))
    }
}

/// The answer when a segment cannot be read.
pub(crate) fn unreadable(error: SegmentError) -> StoreError {
    StoreError::Failed { doing: "reading a segment of the history", source: error.into() }
}
