//! The roll-ups of series, as instances and other roll-ups come into them.

use std::collections::BTreeMap;

use musubi_model::Recorded;
use musubi_query::{TemporalProperty, number_of};

use crate::retention::{Limits, primary_time};
use crate::segment::{Level, RollUp};

/// Of no instances: it says that there were some of which no roll-up tells.
fn mark() -> RollUp {
    RollUp::empty(Level::Day, TemporalProperty::DeletedAt, 0)
}

/// The roll-ups of one series, or of several at once.
#[derive(Debug, Default)]
pub(crate) struct RolledUp {
    rows: BTreeMap<(Level, u8, i64), RollUp>,
}

impl RolledUp {
    /// Takes in an instance that is not there any more. A record of a deletion is no value.
    pub(crate) fn fold(&mut self, recorded: &Recorded, limits: &Limits) {
        let time = primary_time(recorded);
        let property = match recorded.instance.observed_at {
            Some(_) => TemporalProperty::ObservedAt,
            None => TemporalProperty::ModifiedAt,
        };
        let mut is_kept = false;
        for level in [Level::Hour, Level::Day] {
            let start = level.start_of(time);
            if recorded.deleted_at.is_none() && start >= limits.from(level) {
                self.row(RollUp::empty(level, property, start)).add(number_of(&recorded.instance));
                is_kept = true;
            }
        }
        if !is_kept {
            self.row(mark());
        }
    }

    /// Takes in a roll-up, if it is still there.
    pub(crate) fn merge(&mut self, roll_up: &RollUp, limits: &Limits) {
        if roll_up.count > 0 && roll_up.start < limits.from(roll_up.level) {
            self.row(mark());
        } else {
            let empty = RollUp::empty(roll_up.level, roll_up.property, roll_up.start);
            self.row(empty).merge(roll_up);
        }
    }

    fn row(&mut self, empty: RollUp) -> &mut RollUp {
        self.rows.entry(empty.key()).or_insert(empty)
    }

    /// All, in the order of [`RollUp::key`].
    pub(crate) fn rows(&self) -> impl Iterator<Item = &RollUp> {
        self.rows.values()
    }

    /// Those that tell of every instance once: of a day its hours, unless they do not tell of all.
    pub(crate) fn chosen(&self) -> Vec<RollUp> {
        let mut days: BTreeMap<(u8, i64), (Option<RollUp>, Vec<RollUp>)> = BTreeMap::new();
        for row in self.rows.values().filter(|row| row.count > 0) {
            let (_, property, start) = row.key();
            let of_day = days.entry((property, Level::Day.start_of(start))).or_default();
            match row.level {
                Level::Hour => of_day.1.push(*row),
                Level::Day => of_day.0 = Some(*row),
            }
        }
        let chosen = days.into_values().flat_map(|(day, hours)| {
            let counted: u64 = hours.iter().map(|hour| hour.count).sum();
            match day {
                Some(day) if day.count > counted => vec![day],
                Some(_) | None => hours,
            }
        });
        chosen.collect()
    }
}

/// Whether what was rolled up by one time counts in a question for another.
pub(crate) fn counts(roll_up: &RollUp, query: &musubi_query::TemporalQuery) -> bool {
    use TemporalProperty::{CreatedAt, DeletedAt, ModifiedAt, ObservedAt};
    let fits = match (query.property, roll_up.property) {
        (ObservedAt, ObservedAt) | (ModifiedAt, ModifiedAt) => true,
        // Without a range those that were never observed have their place as well.
        (ObservedAt, ModifiedAt) => query.range.is_none(),
        (ObservedAt | ModifiedAt | CreatedAt | DeletedAt, _) => false,
    };
    let start = musubi_model::Timestamp::from_micros(roll_up.start);
    fits && roll_up.count > 0 && query.range.is_none_or(|range| range.contains(start))
}
