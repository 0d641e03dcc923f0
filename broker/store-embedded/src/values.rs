//! The values at paths, in order: made when queries ask for them, kept up by every write.
//!
//! A query that has looked at many entities without an end has the values at one of its paths
//! indexed ([`form`]), beside the lock. From then on such queries look at the entities whose values
//! may fit. What the index says is a superset: the entities are still asked.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use musubi_model::Entity;
use musubi_query::{AttributePath, Comparison};
use roaring::RoaringBitmap;

mod form;
mod intervals;
mod marks;

pub(crate) use form::form;
use intervals::{Interval, Intervals, common, intervals, line_of};
use marks::{Entry, Marks, keys};

/// The most paths of one table whose values are indexed. Another one takes the place of the one
/// that was not asked for longest.
const MAX_PATHS: usize = 8;

/// An index stays while it was asked for among so many last questions. So a query about more paths
/// than can be indexed does not push out what it needs itself.
const RECENT: u64 = 64;

/// The most entries that are gathered for one condition. Beyond, it does not say enough to be
/// worth the time under the lock.
const WIDEST: usize = 8_192;

/// The most entries that are gathered for one plan, all that it costs counted as entries.
const ROOM: usize = 4 * WIDEST;

/// What it costs at least to look something up, in entries.
const LOOK_UP: usize = 16;

/// Slots of several values that are copied in the time in which an entry is gathered.
const COPIED: u64 = 64;

/// The most edits that wait for an index that is being made. With more of them it is given up.
const MAX_EDITS: usize = 1 << 20;

/// The indexes of one table.
#[derive(Debug, Default)]
pub(crate) struct Values {
    indexes: Vec<PathValues>,
    /// Counts the questions, to know which index was not asked for longest.
    questions: AtomicU64,
    /// The number of the index that was begun last.
    begun: u64,
}

/// The values at one path.
#[derive(Debug)]
struct PathValues {
    path: AttributePath,
    number: u64,
    asked: AtomicU64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Somebody reads the entities. What is written meanwhile waits here, in its order.
    Forming(Vec<Edit>),
    Formed(Box<Marks>),
}

/// What a write does to an index.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Insert(Entry),
    Remove(Entry),
}

/// What may still be gathered for one plan, under the lock.
#[derive(Debug)]
pub(crate) struct Room(Cell<usize>);

impl Default for Room {
    fn default() -> Self {
        Self(Cell::new(ROOM))
    }
}

/// How a part of a filter stands to the indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage<'q> {
    /// An index answers it.
    Indexed,
    /// An index of the values at this path would.
    Missing(&'q AttributePath),
    /// No index will.
    Never,
}

impl Values {
    /// Puts in the entity of a new slot.
    pub(crate) fn insert(&mut self, slot: u32, entity: &Entity) {
        for index in &mut self.indexes {
            for entry in keys(&index.path, entity).entries(slot) {
                index.edit(Edit::Insert(entry));
            }
        }
    }

    /// Takes out the entity of a slot.
    pub(crate) fn remove(&mut self, slot: u32, entity: &Entity) {
        for index in &mut self.indexes {
            for entry in keys(&index.path, entity).entries(slot) {
                index.edit(Edit::Remove(entry));
            }
        }
    }

    /// Follows the change of a slot's entity.
    pub(crate) fn update(&mut self, slot: u32, old: &Entity, new: &Entity) {
        for index in &mut self.indexes {
            let Some(name) = index.path.names.first() else { continue };
            if old.attribute(name) == new.attribute(name) {
                continue;
            }
            let (before, after) = (keys(&index.path, old), keys(&index.path, new));
            if before == after {
                continue;
            }
            for entry in before.entries(slot) {
                index.edit(Edit::Remove(entry));
            }
            for entry in after.entries(slot) {
                index.edit(Edit::Insert(entry));
            }
        }
    }

    /// Whether there is an index of the values at the path, or it is being made.
    pub(crate) fn has(&self, path: &AttributePath) -> bool {
        self.indexes.iter().any(|index| index.path == *path)
    }

    /// The slots where all of these comparisons may hold for values at the path; none if nothing is
    /// known, too many may be, or there is no room left.
    pub(crate) fn slots(
        &self,
        path: &AttributePath,
        comparisons: &[&Comparison],
        room: &Room,
    ) -> Option<RoaringBitmap> {
        let Room(room) = room;
        if room.get() == 0 {
            return None;
        }
        let index = self.indexes.iter().find(|index| index.path == *path)?;
        let State::Formed(marks) = &index.state else { return None };
        let (wanted, is_one) = together(comparisons)?;
        let question = self.questions.fetch_add(1, Ordering::Relaxed) + 1;
        index.asked.store(question, Ordering::Relaxed);
        let most = room.get().min(WIDEST);
        let mut left = most;
        let slots = marks.slots(&wanted, &mut left, is_one);
        let copied = usize::try_from(marks.unsure() / COPIED).unwrap_or(usize::MAX);
        let cost = LOOK_UP.saturating_add(wanted.len()).saturating_add(copied);
        room.set(room.get().saturating_sub(cost.saturating_add(most - left)));
        slots
    }

    /// Whether an index answers this comparison, or would.
    pub(crate) fn coverage<'q>(
        &self,
        path: &'q AttributePath,
        comparison: &Comparison,
    ) -> Coverage<'q> {
        if !path.has_marks() || intervals(comparison).is_none() {
            Coverage::Never
        } else if self.has(path) {
            Coverage::Indexed
        } else {
            Coverage::Missing(path)
        }
    }

    /// Begins an index. From now on every write is noted for it. Gives its number; none if there is
    /// one, or no room: if all others were asked for of late, or one is being made.
    fn begin(&mut self, path: &AttributePath) -> Option<u64> {
        if self.has(path) {
            return None;
        }
        let question = self.questions.get_mut();
        *question += 1;
        let question = *question;
        if self.indexes.len() >= MAX_PATHS {
            let are_formed = self.indexes.iter().all(PathValues::is_formed);
            let asked = self.indexes.iter().map(|index| index.asked.load(Ordering::Relaxed)).min();
            if !are_formed || asked.is_some_and(|asked| question.saturating_sub(asked) <= RECENT) {
                return None;
            }
        }
        self.begun += 1;
        self.indexes.push(PathValues {
            path: path.clone(),
            number: self.begun,
            asked: AtomicU64::new(question),
            state: State::Forming(Vec::new()),
        });
        Some(self.begun)
    }

    /// Puts in what was made of an index that was begun. Gives the one that had to go for it.
    fn end(&mut self, number: u64, marks: Marks) -> Option<PathValues> {
        self.forming(number)?.state = State::Formed(Box::new(marks));
        if self.indexes.len() <= MAX_PATHS {
            return None;
        }
        let others = self.indexes.iter().enumerate();
        let others = others.filter(|(_, index)| index.is_formed() && index.number != number);
        let (place, _) = others.min_by_key(|(_, index)| index.asked.load(Ordering::Relaxed))?;
        Some(self.indexes.swap_remove(place))
    }

    /// The index of this number, if it is still being made.
    fn forming(&mut self, number: u64) -> Option<&mut PathValues> {
        let index = self.indexes.iter_mut().find(|index| index.number == number)?;
        match &index.state {
            State::Forming(edits) if edits.len() <= MAX_EDITS => Some(index),
            State::Forming(_) | State::Formed(_) => None,
        }
    }

    /// The marks at a path, if they are indexed.
    #[cfg(test)]
    fn formed(&self, path: &AttributePath) -> Option<&Marks> {
        match &self.indexes.iter().find(|index| index.path == *path)?.state {
            State::Formed(marks) => Some(marks),
            State::Forming(_) => None,
        }
    }

    /// Gives up an index that was begun, unless it was made.
    fn abandon(&mut self, number: u64) {
        self.indexes.retain(|index| index.number != number || index.is_formed());
    }
}

/// Where an entity has a mark if it satisfies all of these comparisons, and whether that is what one
/// of them says; none if marks do not tell.
///
/// Of several values one may satisfy this comparison, and another one that: of a text that is a
/// time, its text this, and its moment that. Only on a line where an entity has one place, that has
/// to satisfy all that is asked on this line. So what is asked elsewhere as well is left out.
fn together(comparisons: &[&Comparison]) -> Option<(Intervals, bool)> {
    let known: Vec<_> = comparisons.iter().filter_map(|comparison| intervals(comparison)).collect();
    let Some(line) = known.iter().find_map(line_of) else {
        return known.into_iter().next().map(|wanted| (wanted, true));
    };
    let mut alike = known.into_iter().filter(|intervals| line_of(intervals) == Some(line));
    let first = alike.next()?;
    let mut is_one = true;
    let wanted = alike.fold(first, |wanted, further| {
        is_one = false;
        common(&wanted, &further)
    });
    Some((wanted, is_one))
}

impl PathValues {
    fn is_formed(&self) -> bool {
        matches!(self.state, State::Formed(_))
    }

    fn edit(&mut self, edit: Edit) {
        match &mut self.state {
            State::Formed(marks) => marks.edit(edit),
            // One more than that tells the maker that it was too many.
            State::Forming(edits) if edits.len() <= MAX_EDITS => edits.push(edit),
            State::Forming(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
