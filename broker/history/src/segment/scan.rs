//! Everything of a segment, in order.

use std::collections::VecDeque;

use super::page::PageKind;
use super::reader::{ChunkRef, PageSlot, RawChunk};
use super::row::{Rows, SeriesPart};
use super::{RollUp, Segment, SegmentError};
use crate::column::Damaged;
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesKey};

const DAMAGED: Damaged = Damaged("the order of a segment");

/// What a segment is made of, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    /// An entity; its series follow.
    Entity(EntityKey, Head),
    /// A series; its entries and then its roll-ups follow.
    Series(SeriesKey, Corrections),
    /// An instance.
    Entry(Entry),
    /// A roll-up.
    RollUp(RollUp),
}

/// See [`Segment::scan`]. It holds a page of each kind and one chunk. After an error there is
/// nothing more.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    entities: Rows<'a>,
    series: Rows<'a>,
    /// The row of a series that was read and not told yet.
    next: Option<(SeriesKey, SeriesPart)>,
    /// The entity and the series of which it is told.
    entity: Option<EntityKey>,
    current: Option<SeriesKey>,
    /// What is left of the row of a series.
    part: VecDeque<Pending>,
    ready: VecDeque<Row>,
    slot: PageSlot,
    failed: bool,
}

/// What is read next.
#[derive(Debug)]
enum Pending {
    Chunk(ChunkRef),
    RollUps(super::row::Blob),
}

impl<'a> Scan<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self {
            segment,
            entities: Rows::new(segment, PageKind::Entities, 0),
            series: Rows::new(segment, PageKind::Series, 0),
            next: None,
            entity: None,
            current: None,
            part: VecDeque::new(),
            ready: VecDeque::new(),
            slot: PageSlot::default(),
            failed: false,
        }
    }

    fn step(&mut self) -> Result<Option<Row>, SegmentError> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(Some(row));
            }
            if let Some(pending) = self.part.pop_front() {
                self.load(&pending)?;
            } else if !self.series_row()? {
                return self.entity_row();
            }
        }
    }

    /// The next chunk of the series that was told last, instead of its entries. None once the
    /// chunks are over, or after one of the entries was told.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<RawChunk>, SegmentError> {
        let next = self.take_chunk();
        self.failed |= next.is_err();
        next
    }

    fn take_chunk(&mut self) -> Result<Option<RawChunk>, SegmentError> {
        while self.ready.is_empty() && !self.failed {
            match self.part.pop_front() {
                Some(Pending::Chunk(chunk)) => {
                    return self.segment.load_raw(&chunk, &mut self.slot).map(Some);
                }
                Some(rollups) => {
                    self.part.push_front(rollups);
                    break;
                }
                None if self.series_row()? => {}
                None => break,
            }
        }
        Ok(None)
    }

    fn load(&mut self, pending: &Pending) -> Result<(), SegmentError> {
        match pending {
            Pending::Chunk(chunk) => {
                let entries = self.segment.load(chunk, &mut self.slot)?.entries()?;
                self.ready.extend(entries.into_iter().map(Row::Entry));
            }
            Pending::RollUps(blob) => {
                let rollups = self.segment.read_rollups(*blob, &mut self.slot)?;
                self.ready.extend(rollups.into_iter().map(Row::RollUp));
            }
        }
        Ok(())
    }

    /// Goes on with the next row of a series, if it is of the entity of which it is told.
    fn series_row(&mut self) -> Result<bool, SegmentError> {
        if self.next.is_none() && self.series.advance()? {
            let mut input = self.series.body();
            let names = &self.segment.tail.names;
            let key = SeriesKey {
                entity: self.segment.entity_key(&self.series)?,
                attribute: names.attribute(input.short()?)?.clone(),
                dataset: names.dataset(input.short()?)?.cloned(),
            };
            self.next = Some((key, SeriesPart::read(&mut input)?));
        }
        let of_entity = |(key, _): &mut (SeriesKey, _)| Some(&key.entity) == self.entity.as_ref();
        let Some((key, part)) = self.next.take_if(of_entity) else {
            return Ok(false);
        };
        if part.first.is_some() {
            let corrections = self.segment.corrections(&part, &mut self.slot)?;
            self.current = Some(key.clone());
            self.ready.push_back(Row::Series(key, corrections));
        } else if self.current.as_ref() != Some(&key) {
            return Err(DAMAGED.into());
        }
        let chunks = part.chunks.into_iter();
        self.part.extend(chunks.map(|(blob, stats)| Pending::Chunk(ChunkRef::new(blob, stats))));
        self.part.extend(part.rollups.into_iter().map(|(blob, _)| Pending::RollUps(blob)));
        Ok(true)
    }

    fn entity_row(&mut self) -> Result<Option<Row>, SegmentError> {
        if !self.entities.advance()? {
            // Series of no entity would be lost.
            return if self.next.is_none() { Ok(None) } else { Err(DAMAGED.into()) };
        }
        let row = self.segment.entity_row(&self.entities, None)?.ok_or(DAMAGED)?;
        self.entity = Some(row.key.clone());
        Ok(Some(Row::Entity(row.key, row.head)))
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Row, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
