//! The series of a segment, and where their chunks stand.

use std::sync::Arc;

use super::page::PageKind;
use super::row::{Rows, SeriesPart};
use super::{ChunkRef, EntityRow, PageSlot, RollUp, Segment, SegmentError};
use crate::chunk::ChunkStats;
use crate::column::Damaged;
use crate::series::{Corrections, EntityKey, Entry, SeriesKey, SeriesName};

const DAMAGED: Damaged = Damaged("a series");

/// A series of a segment, and what is known of it without reading its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesSummary {
    pub(crate) key: SeriesKey,
    pub(crate) corrections: Corrections,
    /// Of all its instances.
    pub(crate) stats: ChunkStats,
    /// How many roll-ups there are.
    pub(crate) rollups: u64,
    stands: Stands,
}

/// Where a series is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stands {
    /// In the row of its entity: these are its instances.
    Row(Arc<[Entry]>),
    /// Elsewhere: its first row is in this page.
    Page(usize),
}

impl SeriesSummary {
    /// Of a series of few instances, which stand in the row of their entity.
    fn of_row(key: SeriesKey, entries: Vec<Entry>) -> Self {
        let (corrections, stats) = (Corrections::default(), ChunkStats::of(&entries));
        Self { key, corrections, stats, rollups: 0, stands: Stands::Row(entries.into()) }
    }
}

impl Segment {
    /// The series of an entity, in order.
    pub(crate) fn series_of(&self, row: &EntityRow) -> Result<Vec<SeriesSummary>, SegmentError> {
        let mut found = Vec::with_capacity(row.names.len());
        if let Some(mut few) = row.few_reader()? {
            for name in &row.names {
                let entries = few.entries()?;
                if !entries.is_empty() {
                    found.push(SeriesSummary::of_row(SeriesKey::new(&row.key, name), entries));
                }
            }
        }
        if found.len() == row.names.len() {
            return Ok(found);
        }
        let Some(tenant) = self.tail.names.number_of_tenant(&row.key.tenant) else {
            return Ok(found);
        };
        let rows = self.rows_from(PageKind::Series, tenant, row.key.id.as_str());
        found.extend(self.collect(rows, tenant, &row.key, None)?);
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// One series of an entity, if it is there.
    pub(crate) fn series(
        &self,
        row: &EntityRow,
        name: &SeriesName,
    ) -> Result<Option<SeriesSummary>, SegmentError> {
        if !row.has(name) {
            return Ok(None);
        }
        let key = SeriesKey::new(&row.key, name);
        let few = row.few(name)?;
        if !few.is_empty() {
            return Ok(Some(SeriesSummary::of_row(key, few)));
        }
        let Some(tenant) = self.tail.names.number_of_tenant(&key.entity.tenant) else {
            return Ok(None);
        };
        let names = &self.tail.names;
        let wanted = (tenant, key.entity.id.as_str(), Some(&key.attribute), key.dataset.as_ref());
        let page = self.tail.series.partition_point(|page| {
            let dataset = names.dataset(page.first.dataset).ok().flatten();
            (
                page.first.tenant,
                &*page.first.id,
                names.attribute(page.first.attribute).ok(),
                dataset,
            ) < wanted
        });
        let rows = Rows::new(self, PageKind::Series, page.saturating_sub(1));
        Ok(self.collect(rows, tenant, &key.entity, Some(&key))?.into_iter().next())
    }

    /// Where the chunks of a series stand, in their order; of those that the caller wants.
    pub(crate) fn chunks(
        &self,
        series: &SeriesSummary,
        wanted: impl Fn(&ChunkStats) -> bool,
    ) -> Result<Vec<ChunkRef>, SegmentError> {
        let page = match &series.stands {
            Stands::Row(entries) if wanted(&series.stats) => {
                return Ok(vec![ChunkRef::of_row(entries.clone(), series.stats)]);
            }
            Stands::Row(_) => return Ok(Vec::new()),
            Stands::Page(page) => *page,
        };
        let mut chunks = Vec::new();
        self.parts((&series.key, page), |part| {
            let stand = part.chunks.into_iter().filter(|(_, stats)| wanted(stats));
            chunks.extend(stand.map(|(blob, stats)| ChunkRef::new(blob, stats)));
            Ok(())
        })?;
        Ok(chunks)
    }

    /// The roll-ups of a series, in the order of [`RollUp::key`].
    pub(crate) fn rollups(&self, series: &SeriesSummary) -> Result<Vec<RollUp>, SegmentError> {
        let mut rollups = Vec::new();
        let Stands::Page(page) = &series.stands else { return Ok(rollups) };
        if series.rollups == 0 {
            return Ok(rollups);
        }
        let mut slot = PageSlot::default();
        self.parts((&series.key, *page), |part| {
            for (blob, _) in part.rollups {
                rollups.extend(self.read_rollups(blob, &mut slot)?);
            }
            Ok(())
        })?;
        Ok(rollups)
    }

    /// The series of an entity, or one of them.
    fn collect(
        &self,
        mut rows: Rows<'_>,
        tenant: u32,
        key: &EntityKey,
        only: Option<&SeriesKey>,
    ) -> Result<Vec<SeriesSummary>, SegmentError> {
        let names = &self.tail.names;
        let mut found: Vec<SeriesSummary> = Vec::new();
        let mut slot = PageSlot::default();
        while rows.advance()? {
            let (here, wanted) = ((rows.tenant(), rows.id()), (tenant, key.id.as_str().as_bytes()));
            if here < wanted {
                continue;
            }
            if here > wanted {
                break;
            }
            let mut input = rows.body();
            let attribute = names.attribute(input.short()?)?;
            let dataset = names.dataset(input.short()?)?;
            if let Some(only) = only {
                let wanted = (&only.attribute, only.dataset.as_ref());
                if (attribute, dataset) < wanted {
                    continue;
                }
                if (attribute, dataset) > wanted {
                    break;
                }
            }
            let part = SeriesPart::read(&mut input)?;
            if part.first.is_some() {
                let entity = key.clone();
                let (attribute, dataset) = (attribute.clone(), dataset.cloned());
                found.push(SeriesSummary {
                    key: SeriesKey { entity, attribute, dataset },
                    corrections: self.corrections(&part, &mut slot)?,
                    stats: ChunkStats::default(),
                    rollups: 0,
                    stands: Stands::Page(rows.page()),
                });
            }
            let Some(series) = found.last_mut() else {
                return Err(DAMAGED.into());
            };
            part.chunks.iter().for_each(|(_, stats)| series.stats.merge(stats));
            for (_, number) in &part.rollups {
                series.rollups = series.rollups.saturating_add(*number);
            }
        }
        Ok(found)
    }

    /// What stands in the rows of a series.
    fn parts(
        &self,
        (key, page): (&SeriesKey, usize),
        mut each: impl FnMut(SeriesPart) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let names = &self.tail.names;
        let entity = &key.entity;
        let tenant = names.number_of_tenant(&entity.tenant).ok_or(DAMAGED)?;
        let wanted = (&key.attribute, key.dataset.as_ref());
        let mut rows = Rows::new(self, PageKind::Series, page);
        let mut begun = false;
        while rows.advance()? {
            let mut found = (rows.tenant(), rows.id()) == (tenant, entity.id.as_str().as_bytes());
            let mut input = rows.body();
            if found {
                let attribute = names.attribute(input.short()?)?;
                found = (attribute, names.dataset(input.short()?)?) == wanted;
            }
            if found {
                begun = true;
                each(SeriesPart::read(&mut input)?)?;
            } else if begun {
                break;
            }
        }
        if begun { Ok(()) } else { Err(DAMAGED.into()) }
    }
}
