//! Reading a segment.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use musubi_model::Tenant;

use super::blocks::{read_rollups, read_superseded};
use super::body::{EntityBody, read_types};
use super::few::FewReader;
use super::names::Names;
use super::page::{self, PageKind, Place};
use super::row::{Blob, Rows, SeriesPart};
use super::tail::{OldTail, RowPlace, START, Tail, Version};
use super::{RollUp, Scan, SegmentError, SegmentSummary};
use crate::chunk::{Chunk, ChunkStats};
use crate::column::Damaged;
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

const DAMAGED: Damaged = Damaged("a segment");

/// An entity of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityRow {
    pub(crate) key: EntityKey,
    pub(crate) head: Head,
    /// Its series, in order.
    pub(crate) names: Vec<SeriesName>,
    /// Where the instances stand that [`FewReader`] reads.
    few: Option<(Arc<[u8]>, Range<usize>)>,
}

impl EntityRow {
    /// Whether there is such a series.
    pub(crate) fn has(&self, name: &SeriesName) -> bool {
        self.names.binary_search(name).is_ok()
    }

    /// The instances of a series that stand in the row; none if none do.
    pub(super) fn few(&self, name: &SeriesName) -> Result<Vec<Entry>, Damaged> {
        let Ok(place) = self.names.binary_search(name) else { return Ok(Vec::new()) };
        let Some(mut reader) = self.few_reader()? else { return Ok(Vec::new()) };
        for _ in 0..place {
            reader.skip()?;
        }
        reader.entries()
    }

    /// What reads the instances that stand in the row; none if there are none.
    pub(super) fn few_reader(&self) -> Result<Option<FewReader<'_>>, Damaged> {
        let Some((page, range)) = &self.few else { return Ok(None) };
        FewReader::new(page.get(range.clone()).ok_or(DAMAGED)?).map(Some)
    }
}

/// Where a chunk stands, and what is known of it without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) stats: ChunkStats,
    stands: Stands,
}

/// Where the instances of a chunk are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stands {
    /// In a page of data.
    Page(Blob),
    /// They stood in the row of their entity, and that was read.
    Row(Arc<[Entry]>),
}

impl ChunkRef {
    pub(super) fn new(blob: Blob, stats: ChunkStats) -> Self {
        Self { stats, stands: Stands::Page(blob) }
    }

    pub(super) fn of_row(entries: Arc<[Entry]>, stats: ChunkStats) -> Self {
        Self { stats, stands: Stands::Row(entries) }
    }
}

/// The bytes of a chunk, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct RawChunk {
    page: Arc<[u8]>,
    range: Range<usize>,
    pub(super) stats: ChunkStats,
}

impl RawChunk {
    pub(super) fn bytes(&self) -> &[u8] {
        self.page.get(self.range.clone()).unwrap_or_default()
    }
}

/// The page that was read last, so that the next chunk in it is not read from the file again.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageSlot {
    /// Which segment it is of, which page, and its bytes.
    held: Option<(Arc<()>, u32, Arc<[u8]>)>,
}

/// A segment that is open for reading. It holds the directory, the names and the file handle.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    pub(super) tail: Tail,
    /// Where the pages end.
    end: u64,
    pub(super) version: Version,
    /// Tells this segment from others.
    token: Arc<()>,
}

impl Segment {
    /// Opens a segment, and checks that the file is whole as far as its directory.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Damaged`] if it is no segment, or its end is missing or damaged.
    pub(crate) fn open(path: &Path) -> Result<Self, SegmentError> {
        let file = File::open(path).map_err(SegmentError::io("opening a segment"))?;
        let OldTail { tail, end, version } = Tail::read(&file)?;
        Ok(Self { file, tail, end, version, token: Arc::new(()) })
    }

    /// What stands in it.
    pub(crate) fn summary(&self) -> &SegmentSummary {
        &self.tail.summary
    }

    /// Reads everything and compares all checksums.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Damaged`] if a byte is not what was written.
    pub(crate) fn verify(&self) -> Result<(), SegmentError> {
        let mut at = u64::try_from(START.len()).map_err(|_| DAMAGED)?;
        let mut found = 0_usize;
        while at < self.end {
            at = page::check(&self.file, at, self.end)?.end();
            found += 1;
        }
        if found == self.tail.places().count() { Ok(()) } else { Err(DAMAGED.into()) }
    }

    /// What is known of an entity, if it is there.
    pub(crate) fn entity(&self, key: &EntityKey) -> Result<Option<EntityRow>, SegmentError> {
        let Some(tenant) = self.tail.names.number_of_tenant(&key.tenant) else {
            return Ok(None);
        };
        let mut rows = self.rows_from(PageKind::Entities, tenant, key.id.as_str());
        while rows.advance()? {
            let here = (rows.tenant(), rows.id());
            if here == (tenant, key.id.as_str().as_bytes()) {
                return self.entity_row(&rows, None);
            }
            if here > (tenant, key.id.as_str().as_bytes()) {
                break;
            }
        }
        Ok(None)
    }

    /// The names that have numbers in it.
    pub(crate) fn names(&self) -> &Names {
        &self.tail.names
    }

    /// The tenants of which there are entities, in order.
    pub(crate) fn tenants(&self) -> &[Tenant] {
        &self.tail.names.tenants
    }

    /// Reads a chunk.
    pub(crate) fn load(
        &self,
        chunk: &ChunkRef,
        slot: &mut PageSlot,
    ) -> Result<Chunk, SegmentError> {
        let blob = match &chunk.stands {
            Stands::Page(blob) => *blob,
            Stands::Row(entries) => return Ok(Chunk::few(entries.clone())),
        };
        let (page, range) = self.blob(blob, slot)?;
        let read = Chunk::parse(page, range)?;
        if u64::try_from(read.len()) == Ok(chunk.stats.count) {
            Ok(read)
        } else {
            Err(DAMAGED.into())
        }
    }

    /// Reads a chunk, to be written again as it is.
    pub(super) fn load_raw(
        &self,
        (blob, stats): (Blob, ChunkStats),
        slot: &mut PageSlot,
    ) -> Result<RawChunk, SegmentError> {
        self.load(&ChunkRef::new(blob, stats), slot)?;
        let (page, range) = self.blob(blob, slot)?;
        Ok(RawChunk { page, range, stats })
    }

    /// All entities, in order.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan::new(self)
    }

    pub(super) fn read_rollups(
        &self,
        blob: Blob,
        slot: &mut PageSlot,
    ) -> Result<Vec<RollUp>, SegmentError> {
        let (page, range) = self.blob(blob, slot)?;
        Ok(read_rollups(page.get(range).ok_or(DAMAGED)?)?)
    }

    pub(super) fn corrections(
        &self,
        part: &SeriesPart,
        slot: &mut PageSlot,
    ) -> Result<Corrections, SegmentError> {
        let Some((removed_upto, blobs)) = &part.first else {
            return Err(DAMAGED.into());
        };
        let mut superseded = Vec::new();
        for blob in blobs {
            let (page, range) = self.blob(*blob, slot)?;
            superseded.extend(read_superseded(page.get(range).ok_or(DAMAGED)?)?);
        }
        Ok(Corrections { removed_upto: *removed_upto, superseded })
    }

    /// A page, its checksum compared.
    pub(super) fn page(&self, kind: PageKind, place: Place) -> Result<Arc<[u8]>, SegmentError> {
        page::read(&self.file, kind, place)
    }

    /// The entity of a row; none if it has none of these types.
    pub(super) fn entity_row(
        &self,
        rows: &Rows<'_>,
        wanted: Option<&[u32]>,
    ) -> Result<Option<EntityRow>, SegmentError> {
        if let Some(wanted) = wanted {
            let types = read_types(self.version, &mut rows.body())?;
            if !types.iter().any(|number| wanted.contains(number)) {
                return Ok(None);
            }
        }
        let names = &self.tail.names;
        let body = EntityBody::read(names, self.version, rows.body_bytes())?;
        let series = body.names.into_iter().map(|numbers| names.series(numbers));
        let series = series.collect::<Result<Vec<_>, Damaged>>()?;
        let few = body.few.len();
        Ok(Some(EntityRow {
            key: self.entity_key(rows)?,
            head: body.head,
            names: series,
            few: (few > 0).then(|| rows.end_of_body(few)),
        }))
    }

    pub(super) fn entity_key(&self, rows: &Rows<'_>) -> Result<EntityKey, Damaged> {
        Ok(EntityKey {
            tenant: self.tail.names.tenant(rows.tenant())?.clone(),
            id: rows.id_text()?.parse().map_err(|_| DAMAGED)?,
        })
    }

    /// The rows from the page on in which the first of an entity may stand.
    pub(super) fn rows_from(&self, kind: PageKind, tenant: u32, id: &str) -> Rows<'_> {
        let pages: &[RowPlace] = match kind {
            PageKind::Entities => &self.tail.entities,
            PageKind::Series => &self.tail.series,
            PageKind::Data => &[],
        };
        let after =
            pages.partition_point(|page| (page.first.tenant, &*page.first.id) < (tenant, id));
        Rows::new(self, kind, after.saturating_sub(1))
    }

    fn blob(
        &self,
        blob: Blob,
        slot: &mut PageSlot,
    ) -> Result<(Arc<[u8]>, Range<usize>), SegmentError> {
        let size = |number: u32| usize::try_from(number).map_err(|_| DAMAGED);
        let held = slot
            .held
            .as_ref()
            .filter(|(token, page, _)| Arc::ptr_eq(token, &self.token) && *page == blob.page);
        let page = if let Some((_, _, page)) = held {
            Arc::clone(page)
        } else {
            let place = self.tail.data.get(size(blob.page)?).ok_or(DAMAGED)?;
            let page = self.page(PageKind::Data, *place)?;
            slot.held = Some((Arc::clone(&self.token), blob.page, Arc::clone(&page)));
            page
        };
        let start = size(blob.offset)?;
        let end = start.checked_add(size(blob.length)?).ok_or(DAMAGED)?;
        if end > page.len() {
            return Err(DAMAGED.into());
        }
        Ok((page, start..end))
    }
}
