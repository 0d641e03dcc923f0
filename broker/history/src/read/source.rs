//! Where instances stand that may be looked for.

use std::sync::Arc;

use musubi_model::Timestamp;
use musubi_store::StoreError;

use super::view::unreadable;
use crate::chunk::Chunk;
use crate::live::LiveSegment;
use crate::segment::{ChunkRef, PageSlot};
use crate::series::{Corrections, Entry};

/// A chunk that may hold what is looked for.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(super) segment: &'a LiveSegment,
    pub(crate) chunk: ChunkRef,
    /// What later places say of what is in it.
    pub(super) corrections: Arc<Corrections>,
    /// Between which moments its instances lie.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Source<'_> {
    pub(super) fn load(&self, slot: &mut PageSlot) -> Result<Chunk, StoreError> {
        self.segment.segment().load(&self.chunk, slot).map_err(unreadable)
    }

    pub(super) fn entries(&self, slot: &mut PageSlot) -> Result<Vec<Entry>, StoreError> {
        self.load(slot)?.entries().map_err(|error| unreadable(error.into()))
    }
}
