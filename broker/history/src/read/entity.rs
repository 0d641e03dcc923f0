//! One entity, put together from all places.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use musubi_model::{AttrName, Entity, Evolution, InstanceNumber, Recorded, Sequence, Timestamp};
use musubi_query::TemporalQuery;
use musubi_store::StoreError;

use super::deadline::Deadline;
use super::gather::{End, Gather, Needed, has_certainly, moments};
use super::source::Source;
use super::view::{View, unreadable};
use crate::chunk::ChunkStats;
use crate::live::LiveSegment;
use crate::recent::RecentEntity;
use crate::retention::Limits;
use crate::segment::{EntityRow, PageSlot, SegmentError, SeriesSummary};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

/// How many instances in memory are looked at between two looks at the time.
const CHECKED: usize = 1_024;

/// One entity, and the places that know of it.
#[derive(Debug)]
pub(crate) struct EntityView<'a> {
    view: &'a View,
    key: EntityKey,
    head: Head,
    /// Oldest first; not those of which all was removed.
    segments: Vec<(&'a LiveSegment, EntityRow)>,
    /// As they were when this was made: all that is asked later is of that moment.
    tables: Vec<Arc<RecentEntity>>,
}

impl<'a> EntityView<'a> {
    /// From what the segments say of it; none if it is not there, or not any more.
    pub(super) fn new(
        view: &'a View,
        key: EntityKey,
        rows: Vec<(usize, EntityRow)>,
    ) -> Option<Self> {
        let mut head = Head::nothing();
        let mut segments: Vec<(&LiveSegment, EntityRow)> = Vec::new();
        for (place, row) in rows {
            if row.head.removed_upto > Sequence(0) {
                segments.clear();
            }
            head.merge(row.head.clone());
            segments.push((view.segments.get(place)?, row));
        }
        let mut tables: Vec<Arc<RecentEntity>> = Vec::new();
        for table in &view.tables {
            let Some(table) = table.entity(&key) else { continue };
            let later = table.head().clone();
            if later.removed_upto > Sequence(0) {
                segments.clear();
                tables.clear();
            }
            head.merge(later);
            tables.push(table);
        }
        head.is_there().then_some(Self { view, key, head, segments, tables })
    }

    pub(crate) fn id(&self) -> &musubi_model::EntityId {
        &self.key.id
    }

    pub(super) fn segments(&self) -> &[(&'a LiveSegment, EntityRow)] {
        &self.segments
    }

    pub(super) fn tables(&self) -> &[Arc<RecentEntity>] {
        &self.tables
    }

    /// Whether nothing of it was ever dropped because of its age, and nothing is to be.
    pub(super) fn keeps_all(&self) -> bool {
        self.view.keeps_all()
    }

    /// What there is of the series of an attribute.
    pub(crate) fn limits(&self, attribute: &AttrName) -> Limits {
        self.view.retention.limits(&self.key.tenant, &self.head.types, attribute)
    }

    /// Whether what this segment holds of the entity counts: not all of it was removed later.
    pub(crate) fn counts(&self, live: &LiveSegment) -> bool {
        self.segments.iter().any(|(counted, _)| std::ptr::eq(*counted, live))
    }

    /// What places that hold later changes than this one say of what a series was before.
    pub(crate) fn corrections_after(
        &self,
        upto: Sequence,
        name: &SeriesName,
    ) -> Result<Corrections, SegmentError> {
        let mut corrections = Corrections::default();
        for table in self.tables.iter().rev() {
            corrections = earlier(table.corrections(name), corrections);
        }
        for (live, row) in self.segments.iter().rev() {
            if live.listed().upto <= upto {
                break;
            }
            if let Some(summary) = live.noted(live.segment().series(row, name))? {
                corrections = earlier(summary.corrections, corrections);
            }
        }
        Ok(corrections)
    }

    /// The types that it has or had.
    pub(crate) fn types(&self) -> &[musubi_model::TypeName] {
        &self.head.types
    }

    /// The evolution without anything recorded.
    pub(crate) fn bare(&self) -> Evolution {
        Evolution {
            id: self.key.id.clone(),
            types: self.head.types.clone(),
            created_at: self.head.created_at,
            modified_at: self.head.modified_at,
            deleted_at: self.head.deleted_at,
            scopes: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// What a filter of a temporal query looks at.
    pub(crate) fn outline_entity(&self) -> Entity {
        Entity {
            id: self.key.id.clone(),
            types: self.head.types.clone(),
            scopes: Vec::new(),
            created_at: self.head.created_at,
            modified_at: self.head.modified_at,
            expires_at: None,
            attributes: Vec::new(),
        }
    }

    /// The series of which anything is said anywhere, sorted.
    pub(crate) fn series(&self) -> BTreeSet<SeriesName> {
        let of_tables = self.tables.iter().flat_map(|table| table.series().cloned());
        let of_segments = self.segments.iter().flat_map(|(_, row)| row.names.iter().cloned());
        of_segments.chain(of_tables).collect()
    }

    /// The instances of an attribute that a query needs, in order: those of these series of it.
    pub(crate) fn instances(
        &self,
        series: &[SeriesName],
        query: &TemporalQuery,
        needed: Needed,
        deadline: &Deadline,
    ) -> Result<Vec<Recorded>, StoreError> {
        let limits = self.limits_of(series);
        let mut gather = Gather::new(query, needed, limits);
        let mut sources = Vec::new();
        for name in series {
            let corrections = self.gather_recent(name, &mut gather, deadline)?;
            sources.extend(self.sources(name, corrections, query)?);
        }
        deadline.check_instances(gather.len())?;
        deadline.check_bytes(gather.bytes())?;
        sort(&mut sources, needed);
        let mut slot = PageSlot::default();
        for source in sources {
            deadline.check()?;
            gather.trim();
            let best = match needed {
                Needed::All | Needed::Some(_, End::First, _) => source.first,
                Needed::Some(_, End::Last, _) => source.last,
            };
            if !gather.wants_time(best) {
                continue;
            }
            for entry in source.entries(&mut slot)? {
                if !source.corrections.covers(&entry) && gather.wants(&entry.recorded) {
                    gather.take(entry.recorded);
                }
            }
            deadline.check_instances(gather.len())?;
            deadline.check_bytes(gather.bytes())?;
        }
        Ok(gather.finish())
    }

    /// What there is of these series of one attribute.
    pub(super) fn limits_of(&self, series: &[SeriesName]) -> Limits {
        series.first().map_or(Limits::NONE, |(attribute, _)| self.limits(attribute))
    }

    /// Whether a series has an instance in the range.
    pub(crate) fn has_any(
        &self,
        name: &SeriesName,
        query: &TemporalQuery,
        deadline: &Deadline,
    ) -> Result<bool, StoreError> {
        let limits = self.limits(&name.0);
        let gather = Gather::new(query, Needed::Some(1, End::Last, None), limits);
        let mut is_found = false;
        let corrections = self.visit_recent(name, deadline, &mut |entry| {
            is_found = gather.wants(&entry.recorded);
            if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if is_found {
            return Ok(true);
        }
        let sources = self.sources(name, corrections, query)?;
        let is_certain = |source: &Source<'_>| {
            source.corrections.is_empty()
                && source.chunk.stats.primary.first >= limits.cutoff
                && has_certainly(&source.chunk.stats, query)
        };
        if sources.iter().any(is_certain) {
            return Ok(true);
        }
        let mut slot = PageSlot::default();
        for source in sources {
            deadline.check()?;
            let entries = source.entries(&mut slot)?;
            let mut left = entries.iter().filter(|entry| !source.corrections.covers(entry));
            if left.any(|entry| gather.wants(&entry.recorded)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The instance of this number in a series.
    pub(crate) fn instance(
        &self,
        name: &SeriesName,
        number: InstanceNumber,
    ) -> Result<Option<Recorded>, StoreError> {
        let mut corrections = Corrections::default();
        let limits = self.limits(&name.0);
        let is_there = |entry: &Entry, later: &Corrections| {
            !later.covers(entry) && !limits.hides(&entry.recorded)
        };
        for table in self.tables.iter().rev() {
            let entry = table.entry(name, number);
            if let Some(entry) = entry.filter(|entry| is_there(entry, &corrections)) {
                return Ok(Some(entry.recorded.clone()));
            }
            corrections = earlier(table.corrections(name), corrections);
        }
        let holds = |stats: &ChunkStats| {
            stats.first_sequence <= number.sequence && number.sequence <= stats.last_sequence
        };
        let mut slot = PageSlot::default();
        for source in self.sources_where(name, corrections, &holds)? {
            let chunk = source.segment.segment().load(&source.chunk, &mut slot);
            let chunk = chunk.map_err(unreadable)?;
            let numbers = chunk.instance_numbers().map_err(|error| unreadable(error.into()))?;
            if !numbers.contains(&number) {
                continue;
            }
            let entries = chunk.entries().map_err(|error| unreadable(error.into()))?;
            let found = entries
                .into_iter()
                .filter(|entry| entry.recorded.number == number)
                .find(|entry| is_there(entry, &source.corrections));
            if let Some(entry) = found {
                return Ok(Some(entry.recorded));
            }
        }
        Ok(None)
    }

    /// Takes in what the tables hold of a series, and returns what they say of the segments.
    pub(super) fn gather_recent(
        &self,
        name: &SeriesName,
        gather: &mut Gather<'_>,
        deadline: &Deadline,
    ) -> Result<Corrections, StoreError> {
        self.visit_recent(name, deadline, &mut |entry| {
            if gather.wants(&entry.recorded) {
                gather.take(entry.recorded.clone());
            }
            ControlFlow::Continue(())
        })
    }

    /// Shows what the tables hold of a series and is still there, the newest first, for as long as
    /// the visitor wants to see more. Returns what they say of the segments.
    fn visit_recent(
        &self,
        name: &SeriesName,
        deadline: &Deadline,
        visitor: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<Corrections, StoreError> {
        let mut corrections = Corrections::default();
        let mut seen = 0_usize;
        let mut late = Ok(());
        for table in self.tables.iter().rev() {
            let visited = table.visit(name, &mut |entry| {
                seen += 1;
                if seen.is_multiple_of(CHECKED) {
                    late = deadline.check();
                    if late.is_err() {
                        return ControlFlow::Break(());
                    }
                }
                if corrections.covers(entry) { ControlFlow::Continue(()) } else { visitor(entry) }
            });
            if visited.is_break() {
                break;
            }
            corrections = earlier(table.corrections(name), corrections);
        }
        late.map(|()| corrections)
    }

    /// The chunks of a series that may hold what is in the range of a query.
    pub(crate) fn sources(
        &self,
        name: &SeriesName,
        corrections: Corrections,
        query: &TemporalQuery,
    ) -> Result<Vec<Source<'a>>, StoreError> {
        let cutoff = self.limits(&name.0).cutoff;
        let wanted =
            |stats: &ChunkStats| stats.primary.last >= cutoff && moments(stats, query).is_some();
        let mut sources = self.sources_where(name, corrections, &wanted)?;
        for source in &mut sources {
            if let Some((first, last)) = moments(&source.chunk.stats, query) {
                (source.first, source.last) = (first, last);
            }
        }
        Ok(sources)
    }

    /// The chunks of a series that are wanted, the newest segments first, each with what later places
    /// say of it.
    fn sources_where(
        &self,
        name: &SeriesName,
        mut corrections: Corrections,
        wanted: &dyn Fn(&ChunkStats) -> bool,
    ) -> Result<Vec<Source<'a>>, StoreError> {
        let mut sources = Vec::new();
        for (live, row) in self.segments.iter().rev() {
            let segment = live.segment();
            let Some(summary) = segment.series(row, name).map_err(unreadable)? else { continue };
            if wanted(&summary.stats) {
                let later = Arc::new(corrections.clone());
                let chunks = segment.chunks(&summary, wanted).map_err(unreadable)?;
                sources.extend(chunks.into_iter().map(|chunk| Source {
                    segment: live,
                    chunk,
                    corrections: later.clone(),
                    first: Timestamp::EPOCH,
                    last: Timestamp::EPOCH,
                }));
            }
            let SeriesSummary { corrections: own, .. } = summary;
            corrections = earlier(own, corrections);
        }
        Ok(sources)
    }
}

/// The series, attribute by attribute.
pub(crate) fn by_attribute(
    series: &BTreeSet<SeriesName>,
) -> impl Iterator<Item = (AttrName, Vec<SeriesName>)> {
    let all: Vec<SeriesName> = series.iter().cloned().collect();
    let groups: Vec<_> = all
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|group| Some((group.first()?.0.clone(), group.to_vec())))
        .collect();
    groups.into_iter()
}

/// What two places say together.
pub(super) fn earlier(mut earlier: Corrections, later: Corrections) -> Corrections {
    earlier.merge(later);
    earlier
}

/// Those first of which most can be needed.
fn sort(sources: &mut [Source<'_>], needed: Needed) {
    match needed {
        Needed::All => {}
        Needed::Some(_, End::First, _) => sources.sort_by_key(|source| source.first),
        Needed::Some(_, End::Last, _) => {
            sources.sort_by_key(|source| std::cmp::Reverse(source.last));
        }
    }
}
