//! The entities of one tenant, resident.

use musubi_model::{EntityId, Position};
use musubi_store::Found;
use roaring::RoaringBitmap;

use crate::indexes::Indexes;
use crate::slot_table::SlotTable;

/// Slots per chunk.
const CHUNK: u32 = 4_096;

/// Entities of which it pays to load them with several threads.
pub(crate) const MANY: usize = 4_096;

/// Entities in slots, in the order of their creation, and what finds them.
///
/// A slot is never used again; a chunk without entities is freed. When the numbers of slots are
/// used up, the table is built anew, and its epoch grows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    chunks: Vec<Option<Box<Chunk>>>,
    /// The position of each chunk's first slot, of a freed chunk too.
    starts: Vec<Position>,
    next: u32,
    /// The slots by the ids of their entities.
    slots: SlotTable,
    live: RoaringBitmap,
    pub(crate) indexes: Indexes,
    version: Version,
}

/// What a reader compares to know whether what it planned still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Grows when slots get new numbers.
    pub(crate) epoch: u64,
    /// Grows with every write.
    writes: u64,
}

#[derive(Debug, Default)]
struct Chunk {
    positions: Vec<Position>,
    entities: Vec<Option<Found>>,
    live: u32,
}

impl Table {
    /// A table of these entities, which are in the order of their positions.
    pub(crate) fn load(entities: Vec<Found>) -> Self {
        let (mut slots, mut indexes) = (SlotTable::default(), Indexes::default());
        std::thread::scope(|scope| {
            let mut ids = || enter_ids(&mut slots, &entities);
            if entities.len() < MANY {
                ids();
            } else {
                scope.spawn(ids);
            }
            indexes = Indexes::load(&entities);
        });
        let mut table = Self { slots, indexes, ..Self::default() };
        for found in entities {
            table.append(found);
        }
        table
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// How many entities there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slots that hold an entity.
    pub(crate) fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    pub(crate) fn slot_of(&self, id: &EntityId) -> Option<u32> {
        self.slots.find(self.slots.hash(id.as_str()), |slot| self.is_of(slot, id))
    }

    /// Whether the entity in a slot has this id.
    fn is_of(&self, slot: u32, id: &EntityId) -> bool {
        self.at(slot).is_some_and(|found| found.entity.id == *id)
    }

    pub(crate) fn get(&self, id: &EntityId) -> Option<&Found> {
        self.at(self.slot_of(id)?)
    }

    /// The entity in a slot, if there is one.
    pub(crate) fn at(&self, slot: u32) -> Option<&Found> {
        let (chunk, offset) = place(slot);
        self.chunks.get(chunk)?.as_ref()?.entities.get(offset)?.as_ref()
    }

    /// The first slot after this position.
    pub(crate) fn slot_after(&self, position: Position) -> u32 {
        let chunk = self.starts.partition_point(|start| *start <= position).saturating_sub(1);
        let first = u32::try_from(chunk).unwrap_or(u32::MAX).saturating_mul(CHUNK);
        let within = match self.chunks.get(chunk) {
            Some(Some(chunk)) => chunk.positions.partition_point(|known| *known <= position),
            // Nothing is left in it.
            Some(None) => offset_of(CHUNK),
            None => 0,
        };
        first.saturating_add(u32::try_from(within).unwrap_or(u32::MAX))
    }

    /// Puts in a new state: in the slot of the entity if it is still the same one, in a new slot
    /// otherwise.
    pub(crate) fn put(&mut self, found: &Found) {
        self.version.writes += 1;
        let Some(slot) = self.slot_of(&found.entity.id) else { return self.insert(found) };
        let (chunk, offset) = place(slot);
        let kept = self.chunks.get_mut(chunk).and_then(Option::as_mut);
        let kept = kept.and_then(|chunk| chunk.entities.get_mut(offset)?.as_mut());
        match kept {
            Some(kept) if kept.position == found.position => {
                let old = std::mem::replace(kept, found.clone());
                self.indexes.update(slot, &old.entity, &found.entity);
            }
            Some(_) | None => {
                let id = found.entity.id.clone();
                self.remove(&id);
                self.insert(found);
            }
        }
    }

    fn insert(&mut self, found: &Found) {
        if self.next == u32::MAX {
            self.renumber();
        }
        let hash = self.slots.hash(found.entity.id.as_str());
        let slot = self.append(found.clone());
        self.slots.insert(hash, slot);
        self.indexes.insert(slot, &found.entity);
    }

    /// Takes an entity out.
    pub(crate) fn remove(&mut self, id: &EntityId) {
        self.version.writes += 1;
        let Some(slot) = self.slot_of(id) else { return };
        self.slots.remove(self.slots.hash(id.as_str()), |known| known == slot);
        self.live.remove(slot);
        let (index, offset) = place(slot);
        let Some(kept) = self.chunks.get_mut(index) else { return };
        let Some(chunk) = kept else { return };
        let removed = chunk.entities.get_mut(offset).and_then(Option::take);
        chunk.live -= u32::from(removed.is_some());
        // The last chunk still grows.
        if chunk.live == 0 && chunk.entities.len() == offset_of(CHUNK) {
            *kept = None;
        }
        if let Some(removed) = removed {
            self.indexes.remove(slot, &removed.entity);
        }
    }

    /// Puts an entity in a new slot. Neither its id nor an index leads there yet.
    fn append(&mut self, found: Found) -> u32 {
        let slot = self.next;
        let (index, offset) = place(slot);
        if offset == 0 {
            self.chunks.push(Some(Box::default()));
            self.starts.push(found.position);
        }
        if let Some(Some(chunk)) = self.chunks.get_mut(index) {
            self.live.insert(slot);
            chunk.positions.push(found.position);
            chunk.entities.push(Some(found));
            chunk.live += 1;
        }
        self.next += 1;
        slot
    }

    /// Gives the entities new slots, without gaps.
    fn renumber(&mut self) {
        let entities: Vec<Found> =
            self.live.iter().filter_map(|slot| self.at(slot).cloned()).collect();
        let version = Version { epoch: self.version.epoch + 1, writes: self.version.writes + 1 };
        *self = Self { version, ..Self::load(entities) };
    }
}

/// Enters the ids of a new table's entities, which are in slots from 0 on.
fn enter_ids(slots: &mut SlotTable, entities: &[Found]) {
    slots.reserve(entities.len());
    for (slot, found) in (0..).zip(entities) {
        slots.insert(slots.hash(found.entity.id.as_str()), slot);
    }
}

/// The chunk of a slot, and the place in it.
fn place(slot: u32) -> (usize, usize) {
    (offset_of(slot / CHUNK), offset_of(slot % CHUNK))
}

fn offset_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use musubi_model::{Entity, Revision, Timestamp};

    use super::*;

    fn found(number: u64) -> Found {
        let entity = Entity {
            id: format!("urn:x:{number}").parse().unwrap(),
            types: vec!["urn:x:Type".parse().unwrap()],
            scopes: Vec::new(),
            created_at: Timestamp::default(),
            modified_at: Timestamp::default(),
            expires_at: None,
            attributes: Vec::new(),
        };
        Found { position: Position(number), revision: Revision(number), entity: Arc::new(entity) }
    }

    fn positions(table: &Table) -> Vec<u64> {
        table.live().iter().map(|slot| table.at(slot).unwrap().position.0).collect()
    }

    #[test]
    fn an_empty_chunk_is_freed_and_positions_are_still_found() {
        let mut table = Table::load((1..=10_000).map(|number| found(number * 10)).collect());
        for number in 1..=u64::from(CHUNK) {
            table.remove(&found(number * 10).entity.id);
        }
        assert!(table.chunks[0].is_none());
        assert_eq!(table.len(), 10_000 - 4_096);
        assert_eq!(table.slot_after(Position(0)), CHUNK);
        assert_eq!(table.slot_after(Position(40_960)), CHUNK);
        assert_eq!(table.slot_after(Position(40_965)), CHUNK);
        assert_eq!(table.slot_after(Position(40_970)), CHUNK + 1);
        assert_eq!(table.slot_after(Position(100_000)), 10_000);
    }

    #[test]
    fn an_entity_of_a_new_position_moves_to_the_end() {
        let mut table = Table::load((1..=3).map(found).collect());
        let again = Found { position: Position(4), ..found(1) };
        table.put(&again);
        assert_eq!(positions(&table), [2, 3, 4]);
        assert_eq!(table.indexes.of_type(&"urn:x:Type".parse().unwrap()).unwrap().len(), 3);
    }

    #[test]
    fn used_up_slots_begin_again() {
        let mut table = Table::load((1..=5).map(found).collect());
        table.remove(&found(2).entity.id);
        let before = table.version();
        table.renumber();
        assert_ne!(table.version().epoch, before.epoch);
        assert_eq!(positions(&table), [1, 3, 4, 5]);
        assert_eq!(table.slot_of(&found(5).entity.id), Some(3));
        table.put(&found(6));
        assert_eq!(table.slot_of(&found(6).entity.id), Some(4));
    }
}
