//! The marks of the values at one path, in order.

use musubi_model::Entity;
use musubi_query::{AttributePath, Axis, Mark};
use roaring::RoaringBitmap;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::{Edit, Interval};
use crate::sorted::{Placed, Sorted};

/// The most marks of one entity that are put in order. With more of them, long arrays, the entity
/// may satisfy any comparison.
const MAX_MARKS: usize = 4;

/// Where an interval can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    Number,
    DateTime,
    Date,
    TimeOfDay,
    /// Texts and truth values, by their hash: each is a place of its own, without an order.
    Exact,
}

impl From<Axis> for Line {
    fn from(axis: Axis) -> Self {
        match axis {
            Axis::Number => Self::Number,
            Axis::DateTime => Self::DateTime,
            Axis::Date => Self::Date,
            Axis::TimeOfDay => Self::TimeOfDay,
        }
    }
}

/// A place on a line.
pub(super) type Key = (Line, u64);

/// A value in a slot, or that there are several in it that can be compared alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    At(Key, u32),
    /// More than one place on a line: what holds for one may not hold for another.
    Several(u32),
    /// More values than are put in order.
    Many(u32),
}

/// The marks of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Each once, in order.
    places: SmallVec<[Key; 2]>,
    are_many: bool,
}

/// Slots by the marks of their values.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Marks {
    entries: Lines<Sorted<Placed>>,
    /// Slots with more than one place on a line.
    several: RoaringBitmap,
    /// Slots with so many marks that none of them is among the entries.
    many: RoaringBitmap,
}

/// One for each line.
#[derive(Debug, Default, PartialEq)]
struct Lines<T> {
    number: T,
    date_time: T,
    date: T,
    time_of_day: T,
    exact: T,
}

impl<T> Lines<T> {
    fn of(&self, line: Line) -> &T {
        match line {
            Line::Number => &self.number,
            Line::DateTime => &self.date_time,
            Line::Date => &self.date,
            Line::TimeOfDay => &self.time_of_day,
            Line::Exact => &self.exact,
        }
    }

    fn of_mut(&mut self, line: Line) -> &mut T {
        match line {
            Line::Number => &mut self.number,
            Line::DateTime => &mut self.date_time,
            Line::Date => &mut self.date,
            Line::TimeOfDay => &mut self.time_of_day,
            Line::Exact => &mut self.exact,
        }
    }

    fn map<U>(self, mut each: impl FnMut(T) -> U) -> Lines<U> {
        Lines {
            number: each(self.number),
            date_time: each(self.date_time),
            date: each(self.date),
            time_of_day: each(self.time_of_day),
            exact: each(self.exact),
        }
    }
}

/// The place of a mark.
pub(super) fn key(mark: &Mark<'_>) -> Key {
    match mark {
        Mark::Text(text) => (Line::Exact, xxh3_64(text.as_bytes())),
        Mark::Boolean(boolean) => (Line::Exact, u64::from(*boolean)),
        Mark::Number(_) | Mark::Time(..) => {
            mark.place().map_or((Line::Exact, 0), |(axis, place)| (axis.into(), ordered(place)))
        }
    }
}

/// A number whose order among unsigned ones is that of this one.
pub(super) fn ordered(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if number < 0.0 { !bits } else { bits | 1 << 63 }
}

/// The marks of the values at a path of this entity.
pub(super) fn keys(path: &AttributePath, entity: &Entity) -> Keys {
    let mut places = SmallVec::new();
    let mut are_many = false;
    path.marks(entity, &mut |mark| {
        if places.len() < MAX_MARKS {
            let key = key(&mark);
            if !places.contains(&key) {
                places.push(key);
            }
        } else {
            are_many = true;
        }
    });
    places.sort_unstable();
    Keys { places, are_many }
}

impl Keys {
    /// What stands in the index for these in a slot.
    pub(super) fn entries(&self, slot: u32) -> impl Iterator<Item = Entry> {
        let lines = self.places.iter().map(|(line, _)| line);
        let are_several = lines.clone().zip(lines.skip(1)).any(|(line, next)| line == next);
        let several = are_several.then_some(Entry::Several(slot));
        let many = self.are_many.then_some(Entry::Many(slot));
        let places = if self.are_many { &[] } else { self.places.as_slice() };
        let places = places.iter().map(move |key| Entry::At(*key, slot));
        places.chain(several).chain(many)
    }
}

impl Marks {
    /// An index of these entries.
    pub(super) fn of(entries: impl Iterator<Item = Entry>, room: usize) -> Self {
        let mut marks = Self::default();
        let mut places: Lines<Vec<Placed>> = Lines::default();
        for entry in entries {
            match entry {
                Entry::At((line, place), slot) => {
                    let places = places.of_mut(line);
                    if places.is_empty() {
                        places.reserve(room);
                    }
                    places.push(Placed::new(place, slot));
                }
                Entry::Several(slot) => {
                    marks.several.insert(slot);
                }
                Entry::Many(slot) => {
                    marks.many.insert(slot);
                }
            }
        }
        marks.entries = places.map(|mut places| {
            places.sort_unstable();
            Sorted::of(&places)
        });
        marks
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Insert(Entry::At((line, place), slot)) => {
                self.entries.of_mut(line).insert(Placed::new(place, slot));
            }
            Edit::Remove(Entry::At((line, place), slot)) => {
                self.entries.of_mut(line).remove(&Placed::new(place, slot));
            }
            Edit::Insert(Entry::Several(slot)) => {
                self.several.insert(slot);
            }
            Edit::Remove(Entry::Several(slot)) => {
                self.several.remove(slot);
            }
            Edit::Insert(Entry::Many(slot)) => {
                self.many.insert(slot);
            }
            Edit::Remove(Entry::Many(slot)) => {
                self.many.remove(slot);
            }
        }
    }

    /// The slots with a mark in one of the intervals, and those of which that is not known; those
    /// with several places on a line among the latter, unless that was one question. None if
    /// there is no room for so many entries. What is gathered takes room, in either case.
    pub(super) fn slots(
        &self,
        intervals: &[Interval],
        room: &mut usize,
        is_one: bool,
    ) -> Option<RoaringBitmap> {
        let mut slots = self.many.clone();
        if !is_one {
            slots |= &self.several;
        }
        for (line, from, to) in intervals {
            let (from, to) = (Placed::new(*from, 0), Placed::new(*to, u32::MAX));
            for entry in self.entries.of(*line).between(&from, &to, *room)? {
                *room = room.checked_sub(1)?;
                slots.insert(entry.slot());
            }
        }
        Some(slots)
    }

    /// How many slots have more than one place on a line.
    pub(super) fn unsure(&self) -> u64 {
        self.several.len() + self.many.len()
    }
}
