//! Writing a segment.

use std::borrow::Borrow;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use musubi_model::{InstanceNumber, Sequence, Tenant};
use serde::{Deserialize, Serialize};

use super::blocks::{BLOCK, write_rollups, write_superseded};
use super::body::{EntityBody, renumber};
use super::few::{FEW, FewWriter};
use super::names::{Foreign, NewNames};
use super::open::{OpenEntity, OpenSeries, Unfinished};
use super::page::{DATA_PAGE, PageFile, PageKind, Place};
use super::row::{Blob, RowKey, RowPage, SeriesPart, end_rows};
use super::tail::{RowPlace, START, Tail};
use super::{RawChunk, RollUp, SegmentError};
use crate::chunk::{CHUNK, CHUNK_BYTES, Chunk, ChunkStats, cut_at_gaps, entry_order};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

/// What stands in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentSummary {
    /// Bytes of the file.
    #[serde(skip)]
    pub(crate) bytes: u64,
    pub(crate) entities: u64,
    pub(crate) series: u64,
    /// Of all instances. Between the times that it says there may be fewer, if rows were taken over as
    /// they were.
    pub(crate) stats: ChunkStats,
    pub(crate) rollups: u64,
    /// How many instances are said to be superseded.
    pub(crate) corrections: u64,
}

/// Writes a segment, row by row in order: an entity, then each of its series in order, and of each
/// series its entries in the order of [`entry_order`] and its roll-ups in the order of
/// [`RollUp::key`]. It stands under `<name>.part` until it is finished, and is removed if it never
/// is. It holds a page of each kind, a chunk, the names, and the directory.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    path: PathBuf,
    unfinished: Unfinished,
    file: PageFile,
    names: NewNames,
    entities: (RowPage, Vec<RowPlace>),
    series: (RowPage, Vec<RowPlace>),
    data: (Vec<u8>, Vec<Place>),
    /// The entity of the last row, by the number of its tenant and its id.
    last: Option<(u32, Vec<u8>)>,
    entity: Option<OpenEntity>,
    open: Option<OpenSeries>,
    /// The instances of the entity that stand in its row.
    few: FewWriter,
    /// The body of a row.
    body: Vec<u8>,
    summary: SegmentSummary,
    /// What is known of the instances in rows that were taken over as they were, and perhaps of others;
    /// how many they are.
    taken_over: (ChunkStats, u64),
}

impl SegmentWriter {
    /// Begins a segment that is going to stand at `path`.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`] as for every step.
    pub(crate) fn create(path: &Path) -> Result<Self, SegmentError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
        let file = file.map_err(SegmentError::io("creating a segment"))?;
        let mut file = PageFile { file, at: 0 };
        let unfinished = Unfinished(Some(part));
        file.append(&START)?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file,
            names: NewNames::default(),
            entities: (RowPage::default(), Vec::new()),
            series: (RowPage::default(), Vec::new()),
            data: (Vec::new(), Vec::new()),
            last: None,
            entity: None,
            open: None,
            few: FewWriter::default(),
            body: Vec::new(),
            summary: SegmentSummary::default(),
            taken_over: (ChunkStats::default(), 0),
        })
    }

    /// Begins an entity.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if it is not after the one before.
    pub(crate) fn entity(&mut self, key: &EntityKey, head: &Head) -> Result<(), SegmentError> {
        self.begin(&key.tenant, key.id.as_str().as_bytes())?;
        self.entity = Some(OpenEntity { head: head.clone(), names: Vec::new() });
        Ok(())
    }

    /// Adds an entity with all that is known of it, as it stands in a row of another segment that is
    /// [whole](super::Scan::whole), or that was made like one. What is known of the instances there
    /// has to be said by [`take_over`](Self::take_over).
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if it is not after the one before.
    pub(crate) fn whole(
        &mut self,
        (tenant, id): (&Tenant, &[u8]),
        body: &[u8],
        names: &mut Foreign<'_>,
    ) -> Result<(), SegmentError> {
        self.begin(tenant, id)?;
        self.body.clear();
        let counted = renumber(body, (names, &mut self.names), &mut self.body)?;
        self.summary.series += u64::try_from(counted.series).unwrap_or_default();
        self.taken_over.1 = self.taken_over.1.saturating_add(counted.instances);
        self.put_row()
    }

    /// Takes note of what is known of instances among which are those that [`whole`](Self::whole) adds.
    pub(crate) fn take_over(&mut self, stats: &ChunkStats) {
        self.taken_over.0.merge(stats);
    }

    /// Goes to an entity.
    fn begin(&mut self, tenant: &Tenant, id: &[u8]) -> Result<(), SegmentError> {
        let known = &self.names.names.tenants;
        let is_later = match &self.last {
            None => true,
            Some((_, last)) if known.last() == Some(tenant) => last.as_slice() < id,
            Some(_) => known.last() < Some(tenant),
        };
        if !is_later {
            return Err(SegmentError::Order("an entity"));
        }
        self.end_entity()?;
        let number = self.names.tenant(tenant);
        let (of, last) = self.last.get_or_insert_default();
        *of = number;
        last.clear();
        last.extend_from_slice(id);
        self.summary.entities += 1;
        Ok(())
    }

    /// Begins a series of the entity that was begun last.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if there is no entity, or it is not after the series before, or if the
    /// corrections are not in order.
    pub(crate) fn series(
        &mut self,
        name: SeriesName,
        corrections: &Corrections,
    ) -> Result<(), SegmentError> {
        let before = self.open.as_ref().map(|open| &open.name);
        if self.entity.is_none() || before.is_some_and(|before| *before >= name) {
            return Err(SegmentError::Order("a series"));
        }
        if !corrections.superseded.is_sorted_by(|one, two| one.number < two.number) {
            return Err(SegmentError::Order("a correction"));
        }
        self.end_series()?;
        let numbers = (self.names.attribute(&name.0), self.names.dataset(name.1.as_ref()));
        if let Some(entity) = &mut self.entity {
            entity.names.push(numbers);
        }
        let mut superseded = Vec::new();
        for block in corrections.superseded.chunks(BLOCK) {
            superseded.push(self.place(&write_superseded(block))?);
            self.summary.corrections += u64::try_from(block.len()).unwrap_or_default();
        }
        self.open = Some(OpenSeries {
            name,
            numbers,
            part: SeriesPart {
                first: Some((corrections.removed_upto, superseded)),
                ..SeriesPart::default()
            },
            entries: Vec::new(),
            bytes: 0,
            last: None,
            rollups: Vec::new(),
            last_rollup: None,
        });
        self.summary.series += 1;
        Ok(())
    }

    /// Adds an instance to the series that was begun last.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if there is no series, or the instance is not after the one before,
    /// or a roll-up stands before it.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Err(SegmentError::Order("an instance"));
        };
        let order = entry_order(&entry);
        if open.last_rollup.is_some() || open.last.is_some_and(|last| last >= order) {
            return Err(SegmentError::Order("an instance"));
        }
        let bytes = Chunk::bytes_of(&entry);
        if open.entries.len() >= CHUNK
            || (!open.entries.is_empty() && open.bytes.saturating_add(bytes) > CHUNK_BYTES)
        {
            self.end_chunk()?;
        }
        if let Some(open) = &mut self.open {
            open.last = Some(order);
            open.bytes = open.bytes.saturating_add(bytes);
            open.entries.push(entry);
        }
        Ok(())
    }

    /// Begins a series with these instances, as [`series`](Self::series) and [`push`](Self::push) do,
    /// without a copy of them.
    ///
    /// # Errors
    ///
    /// As for these.
    pub(crate) fn series_of(
        &mut self,
        name: SeriesName,
        corrections: &Corrections,
        entries: &[&Entry],
    ) -> Result<(), SegmentError> {
        self.series(name, corrections)?;
        if entries.len() <= FEW {
            return entries.iter().try_for_each(|entry| self.push((*entry).clone()));
        }
        if !entries.is_sorted_by(|one, other| entry_order(one) < entry_order(other)) {
            return Err(SegmentError::Order("an instance"));
        }
        let (mut begin, mut bytes) = (0, 0_usize);
        for (at, entry) in entries.iter().enumerate() {
            let more = Chunk::bytes_of(entry);
            let is_full = at - begin >= CHUNK || bytes.saturating_add(more) > CHUNK_BYTES;
            if is_full && at > begin {
                self.put_chunks(entries.get(begin..at).unwrap_or_default())?;
                (begin, bytes) = (at, 0);
            }
            bytes = bytes.saturating_add(more);
        }
        self.put_chunks(entries.get(begin..).unwrap_or_default())?;
        if let Some(open) = &mut self.open {
            open.last = entries.last().map(|entry| entry_order(entry));
        }
        Ok(())
    }

    /// Adds a chunk of another segment, as it stands there, to the series that was begun last.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if there is no series, or the chunk is not after all instances before,
    /// or a roll-up stands before it.
    pub(crate) fn chunk(&mut self, chunk: &RawChunk) -> Result<(), SegmentError> {
        self.end_chunk()?;
        let Some(open) = &mut self.open else {
            return Err(SegmentError::Order("a chunk"));
        };
        let times = &chunk.stats.primary;
        let is_later = open.last.is_none_or(|(time, ..)| time <= times.first);
        if open.last_rollup.is_some() || !is_later {
            return Err(SegmentError::Order("a chunk"));
        }
        // Which number the last one has is not known, so what comes behind has to be of a later time.
        let last = InstanceNumber { sequence: Sequence(u64::MAX), ordinal: u32::MAX };
        open.last = Some((times.last, last, Sequence(u64::MAX)));
        self.summary.stats.merge(&chunk.stats);
        let blob = self.place(chunk.bytes())?;
        self.add_blob(|part| part.chunks.push((blob, chunk.stats)))
    }

    /// Adds a roll-up to the series that was begun last; no instance comes after it.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Order`] if there is no series, or the roll-up is not after the one before.
    pub(crate) fn rollup(&mut self, rollup: &RollUp) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Err(SegmentError::Order("a roll-up"));
        };
        if open.last_rollup.is_some_and(|last| last >= rollup.key()) {
            return Err(SegmentError::Order("a roll-up"));
        }
        open.last_rollup = Some(rollup.key());
        open.rollups.push(*rollup);
        self.summary.rollups += 1;
        if open.rollups.len() >= BLOCK { self.end_rollups() } else { Ok(()) }
    }

    /// Makes the file durable and gives it its name; the folder is the caller's to sync.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`] if the file system fails. Nothing stands at the path then.
    pub(crate) fn finish(mut self) -> Result<SegmentSummary, SegmentError> {
        self.end_entity()?;
        end_rows(&mut self.file, PageKind::Entities, (&mut self.entities.0, &mut self.entities.1))?;
        end_rows(&mut self.file, PageKind::Series, (&mut self.series.0, &mut self.series.1))?;
        self.end_data()?;
        let (taken_over, number) = &self.taken_over;
        let instances = self.summary.stats.count.saturating_add(*number);
        self.summary.stats.merge(taken_over);
        self.summary.stats.count = instances;
        let mut tail = Tail {
            names: self.names.names,
            entities: self.entities.1,
            series: self.series.1,
            data: self.data.1,
            summary: self.summary,
        };
        tail.write(&mut self.file)?;
        self.file.file.sync_all().map_err(SegmentError::io("syncing a segment"))?;
        if let Some(part) = &self.unfinished.0 {
            fs::rename(part, &self.path).map_err(SegmentError::io("naming a segment"))?;
        }
        self.unfinished.0 = None;
        Ok(tail.summary)
    }

    fn end_entity(&mut self) -> Result<(), SegmentError> {
        self.end_series()?;
        let Some(OpenEntity { head, names }) = self.entity.take() else {
            return Ok(());
        };
        let types: Vec<u32> = head.types.iter().map(|name| self.names.type_name(name)).collect();
        self.body.clear();
        EntityBody::write((&head, &types), &names, &self.few, &mut self.body);
        self.few.clear();
        self.put_row()
    }

    /// Puts the row of the entity that was begun last into its page.
    fn put_row(&mut self) -> Result<(), SegmentError> {
        let Some((tenant, id)) = &self.last else { return Ok(()) };
        let row = RowKey { tenant: *tenant, id, attribute: 0, dataset: 0 };
        let (page, places) = &mut self.entities;
        if !page.has_room(row, &self.body) {
            end_rows(&mut self.file, PageKind::Entities, (page, places))?;
        }
        Ok(page.push(row, &self.body)?)
    }

    fn end_series(&mut self) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.is_short() && self.few.has_room() {
            self.few.begin(open.entries.len());
            for entry in &open.entries {
                self.few.put(entry.into());
                self.summary.stats.add(entry);
            }
        } else {
            self.few.pass();
            self.end_chunk()?;
            self.end_rollups()?;
            self.end_part()?;
        }
        self.open = None;
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.entries.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut open.entries);
        open.bytes = 0;
        self.put_chunks(&entries)
    }

    /// Writes instances of the series that is open.
    fn put_chunks<E: Borrow<Entry>>(&mut self, entries: &[E]) -> Result<(), SegmentError> {
        for part in cut_at_gaps(entries) {
            let stats = ChunkStats::of(part);
            self.summary.stats.merge(&stats);
            let blob = self.place(&Chunk::encode(part))?;
            self.add_blob(|row| row.chunks.push((blob, stats)))?;
        }
        Ok(())
    }

    fn end_rollups(&mut self) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.rollups.is_empty() {
            return Ok(());
        }
        let number = u64::try_from(open.rollups.len()).unwrap_or(u64::MAX);
        let block = write_rollups(&open.rollups);
        open.rollups.clear();
        let blob = self.place(&block)?;
        self.add_blob(|part| part.rollups.push((blob, number)))
    }

    fn add_blob(&mut self, add: impl FnOnce(&mut SeriesPart)) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        add(&mut open.part);
        if open.part.is_full() { self.end_part() } else { Ok(()) }
    }

    /// Writes the row of what is known of the series so far, if there is something.
    fn end_part(&mut self) -> Result<(), SegmentError> {
        let (Some(open), Some((tenant, id))) = (&mut self.open, &self.last) else {
            return Ok(());
        };
        let part = std::mem::take(&mut open.part);
        if part.first.is_none() && part.chunks.is_empty() && part.rollups.is_empty() {
            return Ok(());
        }
        let (attribute, dataset) = open.numbers;
        let row = RowKey { tenant: *tenant, id, attribute, dataset };
        let body = part.write(attribute, dataset);
        let (page, places) = &mut self.series;
        if !page.has_room(row, &body) {
            end_rows(&mut self.file, PageKind::Series, (page, places))?;
        }
        Ok(page.push(row, &body)?)
    }

    /// Puts bytes into a page of data.
    fn place(&mut self, bytes: &[u8]) -> Result<Blob, SegmentError> {
        if !self.data.0.is_empty() && self.data.0.len() + bytes.len() > DATA_PAGE {
            self.end_data()?;
        }
        let short = |number: usize| u32::try_from(number).map_err(|_| SegmentError::too_large());
        let blob = Blob {
            page: short(self.data.1.len())?,
            offset: short(self.data.0.len())?,
            length: short(bytes.len())?,
        };
        self.data.0.extend_from_slice(bytes);
        Ok(blob)
    }

    /// Writes a page of data, if there is something in it.
    fn end_data(&mut self) -> Result<(), SegmentError> {
        if !self.data.0.is_empty() {
            self.data.1.push(self.file.append_page(PageKind::Data, &self.data.0)?);
            self.data.0.clear();
        }
        Ok(())
    }
}
