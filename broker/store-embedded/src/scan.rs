//! Answering a query from a table: at once where the indexes suffice, in slices where entities have
//! to be looked at.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{EntityId, Position, Timestamp};
use musubi_query::{EntityQuery, Filter, Start};
use musubi_store::{Found, Look, Page, Shown, StoreError};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::cost::{Cost, Meter, is_little};
use crate::fetch::{TOGETHER, fetch, reach};
use crate::lent;
use crate::neighbors::Neighbors;
use crate::plan::{Plan, Residue, unindexed};
use crate::table::{Table, Version};
use crate::values;

/// The most entities whose pointers are taken under one lock.
const SLICE: usize = 1_024;

/// The most candidates that are looked at on the caller's thread.
const INLINE: usize = 2_048;

/// The longest that the caller's thread looks at them.
const INLINE_TIME: Duration = Duration::from_millis(1);

/// An index is made after a look at one of so many entities.
const INDEX_PART: usize = 64;

/// The most indexes that are made for one query. The next one may have more made.
const INDEXES: usize = 4;

/// The most entities with something expired that are looked at under the lock, so that the indexes
/// may answer for all others.
const EXPIRED: usize = 256;

/// The most moments at which these expired.
const MOMENTS: usize = 2_048;

/// The first step towards an answer.
#[derive(Debug)]
pub(crate) enum Step<'q> {
    /// This is it.
    Done(Page),
    /// These entities have to be looked at.
    Look(Box<Scan<'q>>),
}

/// Entities to be looked at.
#[derive(Debug)]
pub(crate) struct Scan<'q> {
    query: Cow<'q, EntityQuery>,
    /// What is to be asked of entities of which nothing has expired.
    residue: Residue,
    /// What is to be asked of the others.
    residue_of_changed: Residue,
    /// The moment of the query, if anything in the table has expired by then.
    expired_by: Option<Timestamp>,
    cost: Cost,
    /// The slots after the slice.
    rest: RoaringBitmap,
    slice: std::vec::IntoIter<Found>,
    /// Where the last slice ended.
    last: Position,
    version: Version,
    answer: Answer,
    /// How many entities may still be looked at before their values are to be indexed.
    left: usize,
}

/// How a query is answered.
#[derive(Debug)]
enum Way<'t, 'q> {
    /// This is the answer.
    Done(Page),
    /// All of these match, as of the moment if something has expired by then.
    All(Cow<'t, RoaringBitmap>, Option<Timestamp>),
    /// These entities have to be looked at.
    Look(Box<Scan<'q>>),
}

/// Begins to answer a query, which looks at so many entities before their values are indexed.
pub(crate) fn begin<'q>(table: &Table, query: &'q EntityQuery, index_after: usize) -> Step<'q> {
    match find_way(table, query, index_after) {
        Way::Done(page) => Step::Done(page),
        Way::All(slots, expired_by) => Step::Done(page(table, &slots, query, expired_by)),
        Way::Look(scan) => Step::Look(scan),
    }
}

/// As [`begin`], but lends the entities to `look` if the indexes suffice and the page is small,
/// because the table cannot change meanwhile.
pub(crate) fn lend<'q>(
    table: &Table,
    query: &'q EntityQuery,
    index_after: usize,
    look: &mut Look<'_>,
) -> Result<Shown, Step<'q>> {
    match find_way(table, query, index_after) {
        Way::Done(page) => Err(Step::Done(page)),
        Way::All(slots, expired_by) => {
            if expired_by.is_none()
                && let Some(shown) = lent::show(table, &slots, query, look)
            {
                return Ok(shown);
            }
            Err(Step::Done(page(table, &slots, query, expired_by)))
        }
        Way::Look(scan) => Err(Step::Look(scan)),
    }
}

fn find_way<'t, 'q>(table: &'t Table, query: &'q EntityQuery, index_after: usize) -> Way<'t, 'q> {
    let expired_by = query.at.filter(|at| table.indexes.expiries.any_by(*at));
    if let Some(page) = look_up(table, query, expired_by) {
        return Way::Done(page);
    }
    let mut plan = Plan::new(table, &query.filter);
    let residue = std::mem::replace(&mut plan.residue, Residue::Nothing);
    let mut slots = plan.slots(table);
    if residue == Residue::Nothing
        && query.limit <= SLICE
        && (query.limit == 0 || query.order.is_creation())
        && expired_by.is_none_or(|at| leave_out_expired(table, query, at, &mut slots))
    {
        return Way::All(slots, expired_by);
    }
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
    Way::Look(Box::new(Scan {
        query: Cow::Borrowed(query),
        residue,
        residue_of_changed: Residue::of_changed(&query.filter),
        expired_by,
        cost: Cost::of(query),
        rest,
        last: slice.last().map_or(Position(0), |found| found.position),
        slice: slice.into_iter(),
        version: table.version(),
        answer: Answer::new(query),
        left: looks(table, query, index_after),
    }))
}

/// How many entities are looked at before an index is made: no small part of all, because that takes
/// as long as looking at all of them.
fn looks(table: &Table, query: &EntityQuery, index_after: usize) -> usize {
    match unindexed(table, &query.filter) {
        Some(_) => index_after.max(table.len() / INDEX_PART),
        None => usize::MAX,
    }
}

/// The entities of some ids, found without any index but that of the ids.
fn look_up(table: &Table, query: &EntityQuery, expired_by: Option<Timestamp>) -> Option<Page> {
    let (ids, others) = ids_of(&query.filter)?;
    let alive = |slot| {
        let found = as_of(table.at(slot)?, expired_by)?;
        others.iter().all(|filter| filter.matches(&found.entity)).then_some(found)
    };
    let mut answer = Answer::new(query);
    if let [id] = ids {
        if let Some(found) = table.slot_of(id).and_then(alive) {
            answer.take(found, &query.order);
        }
        return Some(answer.end(&query.order));
    }
    if ids.len() > SLICE || !query.order.is_creation() {
        return None;
    }
    let mut slots: Vec<u32> = ids.iter().filter_map(|id| table.slot_of(id)).collect();
    slots.sort_unstable();
    slots.dedup();
    for found in slots.into_iter().filter_map(alive) {
        answer.take(found, &query.order);
    }
    Some(answer.end(&query.order))
}

/// The ids that a filter asks for, and what else it asks, if that is little.
fn ids_of(filter: &Filter) -> Option<(&[EntityId], &[Filter])> {
    match filter {
        Filter::Ids(ids) => Some((ids, &[])),
        Filter::All(filters) => match filters.split_first() {
            Some((Filter::Ids(ids), others)) if is_little(others, ids.len()) => Some((ids, others)),
            _ => None,
        },
        Filter::IdPattern(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Query(_)
        | Filter::Geo(_)
        | Filter::Scope(_)
        | Filter::ExpiresBy(_)
        | Filter::Any(_) => None,
    }
}

/// An entity as of a moment, if it is still there.
fn as_of(found: &Found, expired_by: Option<Timestamp>) -> Option<Found> {
    match expired_by {
        None => Some(found.clone()),
        Some(at) => Some(Found { entity: found.entity.alive_at(at)?, ..*found }),
    }
}

/// Takes out of the slots those that satisfy the filter only by what has expired. Gives up if these
/// are too many to look at, and changes nothing.
fn leave_out_expired(
    table: &Table,
    query: &EntityQuery,
    at: Timestamp,
    slots: &mut Cow<'_, RoaringBitmap>,
) -> bool {
    let Some(mut expired) = table.indexes.expiries.by(at, MOMENTS) else { return false };
    expired &= &**slots;
    if expired.is_empty() {
        return true;
    }
    if count(&expired) > EXPIRED || !is_little(std::slice::from_ref(&query.filter), count(&expired))
    {
        return false;
    }
    let is_there = |slot| {
        let found = table.at(slot).and_then(|found| found.entity.alive_at(at));
        found.is_some_and(|entity| query.filter.matches(&entity))
    };
    let gone: RoaringBitmap = expired.iter().filter(|slot| !is_there(*slot)).collect();
    if !gone.is_empty() {
        *slots.to_mut() -= gone;
    }
    true
}

/// A page of slots that all match.
fn page(
    table: &Table,
    slots: &RoaringBitmap,
    query: &EntityQuery,
    expired_by: Option<Timestamp>,
) -> Page {
    let total = query.count.then(|| slots.len());
    let Some(mut matching) = from_start(table, slots, query) else {
        return Page { total, ..Page::default() };
    };
    let mut items = Vec::with_capacity(query.limit.min(count(slots)));
    let found = matching.by_ref().take(query.limit).filter_map(|slot| table.at(slot));
    let found: Vec<&Found> = found.collect();
    // They are about to be shared, and then rendered, which waits for each piece of memory.
    for together in found.chunks(TOGETHER) {
        fetch(together.iter().map(|found| &*found.entity), None);
        items.extend(together.iter().filter_map(|found| as_of(found, expired_by)));
    }
    Page { items, total, more: matching.next().is_some() }
}

/// The slots from where the page begins; none if it begins behind them.
pub(crate) fn from_start<'s>(
    table: &Table,
    slots: &'s RoaringBitmap,
    query: &EntityQuery,
) -> Option<roaring::bitmap::Iter<'s>> {
    let first = match query.start {
        Start::Offset(offset) => slots.select(u32::try_from(offset).ok()?)?,
        Start::After(position) => table.slot_after(position),
    };
    let mut matching = slots.iter();
    matching.advance_to(first);
    Some(matching)
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
    let mut room = [0; TOGETHER];
    for _ in 0..SLICE / TOGETHER {
        let slots = candidates.next_many(&mut room);
        let Some(last) = slots.last() else { break };
        next = last.saturating_add(1);
        let found = || slots.iter().filter_map(|slot| table.at(*slot));
        reach(found().map(|found| &*found.entity));
        slice.extend(found().cloned());
    }
    (slice, next)
}

impl Scan<'_> {
    /// The same, with a query of its own.
    pub(crate) fn into_owned(self: Box<Self>) -> Box<Scan<'static>> {
        let query = Cow::Owned(self.query.into_owned());
        Box::new(Scan { query, ..*self })
    }

    /// Looks at the entities on the caller's thread, if that is short work. Gives itself back if it
    /// is not.
    pub(crate) fn run_inline(self: Box<Self>, table: &RwLock<Table>) -> Result<Page, Box<Self>> {
        if self.slice.len() + count(&self.rest) > INLINE {
            return Err(self);
        }
        self.run_until(table, Meter::inline(Instant::now() + INLINE_TIME))
    }

    /// Looks at the entities, for so long at most. If there are many and an index of their values
    /// would leave fewer, that is made, and the query begun again.
    pub(crate) fn run(
        self: Box<Self>,
        table: &RwLock<Table>,
        limit: Duration,
        index_after: usize,
    ) -> Result<Page, StoreError> {
        let deadline = Instant::now() + limit;
        let too_complex =
            || StoreError::TooComplex(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let mut scan = self.into_owned();
        let mut indexes = 0;
        loop {
            scan = match scan.run_until(table, Meter::pooled(deadline)) {
                Ok(page) => return Ok(page),
                Err(scan) if scan.left == 0 => scan,
                Err(_) => return Err(too_complex()),
            };
            let path = match indexes {
                INDEXES.. => None,
                _ => unindexed(&table.read(), &scan.query.filter).cloned(),
            };
            if !path.is_some_and(|path| values::form(table, &path, deadline)) {
                scan.left = usize::MAX;
                continue;
            }
            indexes += 1;
            let query = scan.query.into_owned();
            scan = match begin(&table.read(), &query, index_after) {
                Step::Done(page) => return Ok(page),
                Step::Look(scan) => scan.into_owned(),
            };
        }
    }

    /// Looks at the entities, slice by slice. Gives itself back when the time is up, or the room, or
    /// when so many were looked at that their values are to be indexed.
    fn run_until(
        mut self: Box<Self>,
        table: &RwLock<Table>,
        mut meter: Meter,
    ) -> Result<Page, Box<Self>> {
        let neighbors = Neighbors { table, at: self.query.at };
        loop {
            let mut fetched = 0_usize;
            while let Some(next) = self.slice.as_slice().first() {
                if fetched == 0 {
                    let ahead = self.slice.as_slice().iter().take(TOGETHER);
                    fetch(ahead.map(|found| &*found.entity), None);
                    fetched = TOGETHER;
                }
                fetched -= 1;
                if self.left == 0 {
                    return Err(self);
                }
                self.left -= 1;
                if !meter.allows(self.cost.for_entity(&next.entity)) {
                    return Err(self);
                }
                let Some(found) = self.slice.next() else { break };
                if let Some(found) = self.examined(found, neighbors)
                    && !self.answer.take(found, &self.query.order)
                {
                    return Ok(self.answer.end(&self.query.order));
                }
                if self.answer.is_too_large() {
                    return Err(self);
                }
            }
            if self.rest.is_empty() {
                return Ok(self.answer.end(&self.query.order));
            }
            self.advance(&table.read());
        }
    }

    /// The entity as the query sees it, if it matches.
    fn examined(&self, found: Found, neighbors: Neighbors<'_>) -> Option<Found> {
        let filter = &self.query.filter;
        let Some(at) = self.expired_by else {
            return self.residue.matches(filter, &found.entity, &neighbors).then_some(found);
        };
        let alive = found.entity.alive_at(at)?;
        let is_whole = Arc::ptr_eq(&alive, &found.entity);
        let residue = if is_whole { &self.residue } else { &self.residue_of_changed };
        residue.matches(filter, &alive, &neighbors).then_some(Found { entity: alive, ..found })
    }

    /// Takes the next slice. If the table has changed since the indexes were asked, what they said
    /// may not hold any more for what is there now, but for ids, so all else is asked.
    fn advance(&mut self, table: &Table) {
        if table.version() != self.version {
            self.residue = self.residue_of_changed.clone();
            self.expired_by = self.query.at.filter(|at| table.indexes.expiries.any_by(*at));
            if table.version().epoch != self.version.epoch {
                self.rest = Plan::new(table, &self.query.filter).slots(table).into_owned();
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
