//! Everything of a segment, in order.

use std::collections::VecDeque;

use musubi_model::Tenant;

use super::body::{EntityBody, SeriesNumbers, is_whole};
use super::few::FewReader;
use super::page::PageKind;
use super::reader::{PageSlot, RawChunk};
use super::row::{Blob, Rows, SeriesPart};
use super::{ChunkRef, RollUp, Segment, SegmentError};
use crate::chunk::ChunkStats;
use crate::column::Damaged;
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

const DAMAGED: Damaged = Damaged("the order of a segment");

/// What an entity of a segment is made of, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    /// A series; its entries and then its roll-ups follow.
    Series(SeriesName, Corrections),
    /// An instance.
    Entry(Entry),
    /// A roll-up.
    RollUp(RollUp),
}

/// The entities of a segment one after the other, each of which may be [opened](Self::open). It holds
/// a page of each kind and one chunk.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    entities: Rows<'a>,
    /// Whether `entities` is at one.
    is_at_entity: bool,
    series: Rows<'a>,
    /// Whether `series` is at a row that was not told yet.
    is_at_series: bool,
    /// The series of the entity that was opened that were not told yet, and of each the instances that
    /// stood in the entity's row.
    names: VecDeque<(SeriesNumbers, Vec<Entry>)>,
    /// The series that is told, if it has rows of its own.
    current: Option<SeriesNumbers>,
    /// What is left of the row of a series.
    part: VecDeque<Pending>,
    ready: VecDeque<Row>,
    slot: PageSlot,
}

/// What is read next.
#[derive(Debug)]
enum Pending {
    Chunk(Blob, ChunkStats),
    RollUps(Blob),
}

impl<'a> Scan<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self {
            segment,
            entities: Rows::new(segment, PageKind::Entities, 0),
            is_at_entity: false,
            series: Rows::new(segment, PageKind::Series, 0),
            is_at_series: false,
            names: VecDeque::new(),
            current: None,
            part: VecDeque::new(),
            ready: VecDeque::new(),
            slot: PageSlot::default(),
        }
    }

    /// Goes to the next entity, if there is one. Of the one before nothing may be left.
    pub(crate) fn next_entity(&mut self) -> Result<bool, SegmentError> {
        if !(self.names.is_empty() && self.part.is_empty() && self.ready.is_empty()) {
            return Err(DAMAGED.into());
        }
        self.current = None;
        self.is_at_entity = self.entities.advance()?;
        if !self.is_at_entity {
            // Series of no entity would be lost.
            self.is_at_series = self.is_at_series || self.series.advance()?;
            if self.is_at_series {
                return Err(DAMAGED.into());
            }
        }
        Ok(self.is_at_entity)
    }

    /// The number of the tenant and the id of the entity at which it is.
    pub(crate) fn entity(&self) -> Option<(u32, &[u8])> {
        self.is_at_entity.then(|| (self.entities.tenant(), self.entities.id()))
    }

    /// Its tenant.
    pub(crate) fn tenant(&self) -> Result<&'a Tenant, Damaged> {
        self.segment.tail.names.tenant(self.entities.tenant())
    }

    /// The body of its row, if that is all there is of it, and it says nothing of older segments.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        let body = self.entities.body_bytes();
        is_whole(self.segment.version, body).then_some(body)
    }

    /// What is known of the entity; [`step`](Self::step) tells of its series from then on.
    pub(crate) fn open(&mut self) -> Result<(EntityKey, Head), SegmentError> {
        let names = &self.segment.tail.names;
        let body = EntityBody::read(names, self.segment.version, self.entities.body_bytes())?;
        let mut few = if body.few.is_empty() { None } else { Some(FewReader::new(body.few)?) };
        for numbers in body.names {
            let entries = few.as_mut().map(FewReader::entries).transpose()?;
            self.names.push_back((numbers, entries.unwrap_or_default()));
        }
        Ok((self.segment.entity_key(&self.entities)?, body.head))
    }

    /// The next row of the entity that was opened.
    pub(crate) fn step(&mut self) -> Result<Option<Row>, SegmentError> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(Some(row));
            }
            if let Some(pending) = self.part.pop_front() {
                self.load(&pending)?;
            } else if !self.further_part()? && !self.next_series()? {
                return Ok(None);
            }
        }
    }

    /// The next chunk of the series that was told last, instead of its entries. None once the
    /// chunks are over, or after one of the entries was told.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<RawChunk>, SegmentError> {
        while self.ready.is_empty() {
            match self.part.pop_front() {
                Some(Pending::Chunk(blob, stats)) => {
                    return self.segment.load_raw((blob, stats), &mut self.slot).map(Some);
                }
                Some(rollups) => {
                    self.part.push_front(rollups);
                    break;
                }
                None if self.further_part()? => {}
                None => break,
            }
        }
        Ok(None)
    }

    fn load(&mut self, pending: &Pending) -> Result<(), SegmentError> {
        match pending {
            Pending::Chunk(blob, stats) => {
                let chunk = ChunkRef::new(*blob, *stats);
                let entries = self.segment.load(&chunk, &mut self.slot)?.entries()?;
                self.ready.extend(entries.into_iter().map(Row::Entry));
            }
            Pending::RollUps(blob) => {
                let rollups = self.segment.read_rollups(*blob, &mut self.slot)?;
                self.ready.extend(rollups.into_iter().map(Row::RollUp));
            }
        }
        Ok(())
    }

    /// Goes on with a further row of the series that is told, if there is one.
    fn further_part(&mut self) -> Result<bool, SegmentError> {
        let Some(current) = self.current else { return Ok(false) };
        let is_further = self.row_of_entity()?.is_some_and(|(numbers, _)| numbers == current);
        if is_further {
            self.take_part()?;
        }
        Ok(is_further)
    }

    /// Goes to the next series of the entity.
    fn next_series(&mut self) -> Result<bool, SegmentError> {
        self.current = None;
        let Some((numbers, few)) = self.names.pop_front() else {
            // A series that the entity does not name would be lost.
            return if self.row_of_entity()?.is_none() { Ok(false) } else { Err(DAMAGED.into()) };
        };
        let name = self.segment.tail.names.series(numbers)?;
        if !few.is_empty() {
            self.ready.push_back(Row::Series(name, Corrections::default()));
            self.ready.extend(few.into_iter().map(Row::Entry));
            return Ok(true);
        }
        if self.row_of_entity()? != Some((numbers, true)) {
            return Err(DAMAGED.into());
        }
        self.current = Some(numbers);
        let corrections = self.take_part()?;
        self.ready.push_back(Row::Series(name, corrections));
        Ok(true)
    }

    /// Of which series the next row is that was not told, and whether it is the first one of it; none
    /// if it is of a later entity.
    fn row_of_entity(&mut self) -> Result<Option<(SeriesNumbers, bool)>, SegmentError> {
        self.is_at_series = self.is_at_series || self.series.advance()?;
        if !self.is_at_series {
            return Ok(None);
        }
        let here = (self.series.tenant(), self.series.id());
        let entity = (self.entities.tenant(), self.entities.id());
        if here < entity {
            return Err(DAMAGED.into());
        }
        if here > entity {
            return Ok(None);
        }
        let mut input = self.series.body();
        let numbers = (input.short()?, input.short()?);
        Ok(Some((numbers, input.byte()? != 0)))
    }

    /// Takes what the row of a series says. Returns its corrections, if it is the first one.
    fn take_part(&mut self) -> Result<Corrections, SegmentError> {
        let mut input = self.series.body();
        // Behind the numbers of its names.
        input.short()?;
        input.short()?;
        let part = SeriesPart::read(&mut input)?;
        self.is_at_series = false;
        let corrections = match &part.first {
            Some(_) => self.segment.corrections(&part, &mut self.slot)?,
            None => Corrections::default(),
        };
        let chunks = part.chunks.into_iter();
        self.part.extend(chunks.map(|(blob, stats)| Pending::Chunk(blob, stats)));
        self.part.extend(part.rollups.into_iter().map(|(blob, _)| Pending::RollUps(blob)));
        Ok(corrections)
    }
}
