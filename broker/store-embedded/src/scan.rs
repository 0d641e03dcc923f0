//! Answering a query from a table: at once where the indexes suffice, in slices where entities have
//! to be looked at.

use std::sync::Arc;
use std::time::Duration;

use musubi_model::Position;
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Found, Page, StoreError};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::table::{Table, Version};

/// The most entities whose pointers are taken under one lock.
const SLICE: usize = 1_024;

/// The most candidates that are looked at on the caller's thread.
const INLINE: usize = 2_048;

/// The longest that the caller's thread looks at them.
const INLINE_TIME: Duration = Duration::from_millis(1);

/// Entities that are looked at between two looks at the clock.
const TICK: usize = 32;

/// The first step towards an answer.
#[derive(Debug)]
pub(crate) enum Step {
    /// This is it.
    Done(Page),
    /// These entities have to be looked at.
    Look(Box<Scan>),
}

/// Entities to be looked at.
#[derive(Debug)]
pub(crate) struct Scan {
    /// What is to be asked of them, and the whole question.
    residue: Filter,
    filter: Filter,
    /// The slots after the slice.
    rest: RoaringBitmap,
    slice: std::vec::IntoIter<Found>,
    /// Where the last slice ended.
    last: Position,
    version: Version,
    answer: Answer,
}

/// What was found so far.
#[derive(Debug)]
struct Answer {
    start: Start,
    limit: usize,
    count: bool,
    matching: usize,
    page: Page,
}

/// The entities of some ids, found without any index but that of the ids.
pub(crate) fn look_up(table: &Table, query: &EntityQuery) -> Option<Page> {
    let Filter::Ids(ids) = &query.filter else { return None };
    let mut answer = Answer::new(query);
    if let [id] = ids.as_slice() {
        if let Some(found) = table.get(id) {
            answer.take(found);
        }
        return Some(answer.end());
    }
    let mut slots: Vec<u32> = ids.iter().filter_map(|id| table.slot_of(id)).collect();
    slots.sort_unstable();
    slots.dedup();
    for found in slots.into_iter().filter_map(|slot| table.at(slot)) {
        answer.take(found);
    }
    Some(answer.end())
}

/// Begins to answer a query.
pub(crate) fn begin(table: &Table, query: &EntityQuery) -> Step {
    let mut plan = Plan::new(table, &query.filter);
    let residue = plan.residue.take();
    let slots = plan.slots(table);
    if residue.is_none() && query.limit <= SLICE {
        return Step::Done(page(table, &slots, query));
    }
    let answer = Answer::new(query);
    let mut rest =
        if count(&slots) > SLICE { slots.clone().into_owned() } else { RoaringBitmap::new() };
    let first = match query.start {
        Start::After(position) if !query.count => table.slot_after(position),
        Start::After(_) | Start::Offset(_) => 0,
    };
    let (slice, next) = slice(table, &slots, first);
    if let Some(last) = next.checked_sub(1) {
        rest.remove_range(..=last);
    }
    Step::Look(Box::new(Scan {
        residue: residue.unwrap_or(Filter::All(Vec::new())),
        filter: query.filter.clone(),
        rest,
        last: slice.last().map_or(Position(0), |found| found.position),
        slice: slice.into_iter(),
        version: table.version(),
        answer,
    }))
}

/// A page of slots that all match.
fn page(table: &Table, slots: &RoaringBitmap, query: &EntityQuery) -> Page {
    let total = query.count.then(|| slots.len());
    let first = match query.start {
        Start::Offset(offset) => u32::try_from(offset).ok().and_then(|nth| slots.select(nth)),
        Start::After(position) => Some(table.slot_after(position)),
    };
    let Some(first) = first else { return Page { total, ..Page::default() } };
    let mut matching = slots.iter();
    matching.advance_to(first);
    let mut items = Vec::with_capacity(query.limit.min(SLICE));
    items.extend(matching.by_ref().take(query.limit).filter_map(|slot| table.at(slot).cloned()));
    Page { items, total, more: matching.next().is_some() }
}

fn count(slots: &RoaringBitmap) -> usize {
    usize::try_from(slots.len()).unwrap_or(usize::MAX)
}

/// The entities in the first slots from `first` on, and the slot after them.
fn slice(table: &Table, slots: &RoaringBitmap, first: u32) -> (Vec<Found>, u32) {
    let mut candidates = slots.iter();
    candidates.advance_to(first);
    let mut slice = Vec::with_capacity(SLICE.min(count(slots)));
    let mut next = first;
    for slot in candidates.take(SLICE) {
        next = slot.saturating_add(1);
        slice.extend(table.at(slot).cloned());
    }
    (slice, next)
}

impl Scan {
    /// Looks at the entities on the caller's thread, if that is short work. Gives itself back if it
    /// is not.
    pub(crate) fn run_inline(self: Box<Self>, table: &RwLock<Table>) -> Result<Page, Box<Self>> {
        if self.slice.len() + count(&self.rest) > INLINE {
            return Err(self);
        }
        self.run_until(table, Instant::now() + INLINE_TIME)
    }

    /// Looks at the entities, for so long at most.
    pub(crate) fn run(
        self: Box<Self>,
        table: &RwLock<Table>,
        limit: Duration,
    ) -> Result<Page, StoreError> {
        self.run_until(table, Instant::now() + limit).map_err(|_| {
            StoreError::TooComplex(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
        })
    }

    /// Looks at the entities, slice by slice. Gives itself back when the time is up.
    fn run_until(
        mut self: Box<Self>,
        table: &RwLock<Table>,
        deadline: Instant,
    ) -> Result<Page, Box<Self>> {
        loop {
            while !self.slice.as_slice().is_empty() {
                for found in self.slice.by_ref().take(TICK) {
                    if self.residue.matches(&found.entity) && !self.answer.take(&found) {
                        return Ok(self.answer.end());
                    }
                }
                if Instant::now() >= deadline {
                    return Err(self);
                }
            }
            if self.rest.is_empty() {
                return Ok(self.answer.end());
            }
            self.advance(&table.read());
        }
    }

    /// Takes the next slice. If the table has changed since the indexes were asked, what they said
    /// may not hold any more for what is there now, so the whole question is asked.
    fn advance(&mut self, table: &Table) {
        if table.version() != self.version {
            self.residue = self.filter.clone();
            if table.version().epoch != self.version.epoch {
                self.rest = Plan::new(table, &self.filter).slots(table).into_owned();
                self.rest.remove_range(..table.slot_after(self.last));
            }
            self.version = table.version();
        }
        let (slice, next) = slice(table, &self.rest, 0);
        self.rest.remove_range(..next);
        self.last = slice.last().map_or(self.last, |found| found.position);
        self.slice = slice.into_iter();
    }
}

impl Answer {
    fn new(query: &EntityQuery) -> Self {
        let EntityQuery { start, limit, count, .. } = *query;
        Self { start, limit, count, matching: 0, page: Page::default() }
    }

    /// Takes an entity that matches. False if no further one is needed.
    fn take(&mut self, found: &Found) -> bool {
        self.matching += 1;
        let is_before = match self.start {
            Start::Offset(offset) => self.matching <= offset,
            Start::After(position) => found.position <= position,
        };
        if is_before {
            return true;
        }
        if self.page.items.len() < self.limit {
            self.page.items.push(found.clone());
            return true;
        }
        self.page.more = true;
        self.count
    }

    fn end(mut self) -> Page {
        if self.count {
            self.page.total = Some(u64::try_from(self.matching).unwrap_or(u64::MAX));
        }
        self.page
    }
}

/// The threads for what takes long: few at a time, beside those of the runtime.
#[derive(Clone, Debug)]
pub(crate) struct ScanPool {
    permits: Arc<Semaphore>,
}

impl ScanPool {
    pub(crate) fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Runs something there. A caller that goes away does not end it, but its own limit does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |source| StoreError::Failed { doing, source };
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|error| failed(error.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|error| failed(error.into()))?
    }
}
