//! Lists that are kept in columns: of what was superseded, and of roll-ups.

use musubi_model::{InstanceNumber, Sequence};
use musubi_query::TemporalProperty;

use super::rollup::{Figures, Level, RollUp, property_code};
use crate::column::{Damaged, Floats, Input, Integers, put_unsigned};
use crate::series::Superseded;

/// The most elements of one block.
pub(super) const BLOCK: usize = 1024;

const DAMAGED: Damaged = Damaged("a list");

pub(super) fn write_superseded(list: &[Superseded]) -> Vec<u8> {
    let mut out = begin(list.len());
    integers(list, |one| one.number.sequence.0.cast_signed(), &mut out);
    integers(list, |one| i64::from(one.number.ordinal), &mut out);
    integers(list, |one| one.version.0.wrapping_sub(one.number.sequence.0).cast_signed(), &mut out);
    out
}

pub(super) fn read_superseded(bytes: &[u8]) -> Result<Vec<Superseded>, Damaged> {
    let mut input = Input::new(bytes);
    let count = count(&mut input)?;
    let sequences = Integers::decode(&mut input, count)?;
    let ordinals = Integers::decode(&mut input, count)?;
    let later = Integers::decode(&mut input, count)?;
    let mut list = Vec::with_capacity(count);
    for ((sequence, ordinal), later) in sequences.into_iter().zip(ordinals).zip(later) {
        let ordinal = u32::try_from(ordinal).map_err(|_| DAMAGED)?;
        list.push(Superseded {
            number: InstanceNumber { sequence: Sequence(sequence.cast_unsigned()), ordinal },
            version: Sequence(sequence.wrapping_add(later).cast_unsigned()),
        });
    }
    Ok(list)
}

pub(super) fn write_rollups(rollups: &[RollUp]) -> Vec<u8> {
    let mut out = begin(rollups.len());
    integers(rollups, |one| level_code(one.level), &mut out);
    integers(rollups, |one| i64::from(property_code(one.property)), &mut out);
    integers(rollups, |one| one.start, &mut out);
    integers(rollups, |one| one.count.cast_signed(), &mut out);
    integers(rollups, |one| one.numbers.count.cast_signed(), &mut out);
    // Without numbers there is nothing to be said of them.
    let figures: Vec<&Figures> =
        rollups.iter().map(|one| &one.numbers).filter(|numbers| numbers.count > 0).collect();
    let of: [fn(&Figures) -> f64; 4] =
        [|one| one.min, |one| one.max, |one| one.sum, |one| one.sum_of_squares];
    for of in of {
        let column: Vec<f64> = figures.iter().map(|one| of(one)).collect();
        Floats::encode(&column, &mut out);
    }
    out
}

pub(super) fn read_rollups(bytes: &[u8]) -> Result<Vec<RollUp>, Damaged> {
    let mut input = Input::new(bytes);
    let count = count(&mut input)?;
    let levels = Integers::decode(&mut input, count)?;
    let properties = Integers::decode(&mut input, count)?;
    let starts = Integers::decode(&mut input, count)?;
    let counts = Integers::decode(&mut input, count)?;
    let numeric = Integers::decode(&mut input, count)?;
    let filled = numeric.iter().filter(|number| **number != 0).count();
    let mut min = Floats::decode(&mut input, filled)?.into_iter();
    let mut max = Floats::decode(&mut input, filled)?.into_iter();
    let mut sum = Floats::decode(&mut input, filled)?.into_iter();
    let mut squares = Floats::decode(&mut input, filled)?.into_iter();
    let mut numeric = numeric.into_iter();
    let mut rollups = Vec::with_capacity(count);
    let columns = levels.into_iter().zip(properties).zip(starts).zip(counts);
    for (((level, property), start), count) in columns {
        let number = numeric.next().ok_or(DAMAGED)?;
        let mut numbers = Figures::default();
        if number != 0 {
            numbers = Figures {
                count: number.cast_unsigned(),
                sum: sum.next().ok_or(DAMAGED)?,
                sum_of_squares: squares.next().ok_or(DAMAGED)?,
                min: min.next().ok_or(DAMAGED)?,
                max: max.next().ok_or(DAMAGED)?,
            };
        }
        let (level, property) = (level_of(level)?, property_of(property)?);
        rollups.push(RollUp { level, start, property, count: count.cast_unsigned(), numbers });
    }
    Ok(rollups)
}

fn level_code(level: Level) -> i64 {
    match level {
        Level::Hour => 0,
        Level::Day => 1,
    }
}

fn level_of(code: i64) -> Result<Level, Damaged> {
    [Level::Hour, Level::Day].into_iter().find(|one| level_code(*one) == code).ok_or(DAMAGED)
}

fn property_of(code: i64) -> Result<TemporalProperty, Damaged> {
    use TemporalProperty::{CreatedAt, DeletedAt, ModifiedAt, ObservedAt};
    let mut all = [ObservedAt, CreatedAt, ModifiedAt, DeletedAt].into_iter();
    all.find(|one| i64::from(property_code(*one)) == code).ok_or(DAMAGED)
}

fn begin(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_unsigned(&mut out, u64::try_from(length).unwrap_or(u64::MAX));
    out
}

fn count(input: &mut Input<'_>) -> Result<usize, Damaged> {
    let count = input.size()?;
    if count > BLOCK { Err(DAMAGED) } else { Ok(count) }
}

fn integers<T>(list: &[T], of: impl Fn(&T) -> i64, out: &mut Vec<u8>) {
    Integers::encode(&list.iter().map(of).collect::<Vec<_>>(), out);
}
