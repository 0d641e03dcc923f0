//! Columns of times, with the digits with which each is written.

use musubi_model::Timestamp;

use super::Short;
use super::bytes::{Damaged, Input};
use super::integers::Integers;

const NONE: u8 = 0;
const ALL: u8 = 1;
const SOME: u8 = 2;

const OWN: u8 = 0;
const BESIDE: u8 = 1;

const DAMAGED: Damaged = Damaged("a column of times");

/// A column of times that was read.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    count: usize,
    /// Whether each has a time; none if all have one or, if there are no times, none has.
    present: Option<Vec<i64>>,
    /// The times that there are; microseconds since 1970.
    micros: Vec<i64>,
    /// Whether the times are kept as what they are behind those of another column.
    beside: bool,
}

impl Times {
    /// Appends the column of these times; they may be kept as what they are behind those of another
    /// column, in which each has one.
    pub(crate) fn encode(times: &[Option<Timestamp>], beside: Option<&[i64]>, out: &mut Vec<u8>) {
        let there: Short<Timestamp> = times.iter().flatten().copied().collect();
        if there.is_empty() {
            out.push(NONE);
            return;
        }
        let complete = there.len() == times.len();
        if complete {
            out.push(ALL);
        } else {
            out.push(SOME);
            let present: Short<i64> = times.iter().map(|time| i64::from(time.is_some())).collect();
            Integers::encode(&present, out);
        }
        let micros: Short<i64> = there.iter().map(|time| time.as_micros()).collect();
        let start = out.len();
        out.push(OWN);
        Integers::encode(&micros, out);
        if let Some(beside) = beside.filter(|_| complete) {
            let behind = micros.iter().zip(beside).map(|(time, other)| time.wrapping_sub(*other));
            let behind: Short<i64> = behind.collect();
            let end = out.len();
            out.push(BESIDE);
            Integers::encode(&behind, out);
            // The shorter of the two stays.
            if out.len() - end < end - start {
                out.drain(start..end);
            } else {
                out.truncate(end);
            }
        }
        let written = there.iter().map(|time| time.to_bits().wrapping_sub(time.as_micros()));
        Integers::encode(&written.collect::<Short<_>>(), out);
    }

    /// Reads a column of so many times. What follows in the input is how they are written:
    /// [`written`](Self::written).
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Self, Damaged> {
        let present = match input.byte()? {
            NONE => {
                return Ok(Self { count, present: None, micros: Vec::new(), beside: false });
            }
            ALL => None,
            SOME => Some(Integers::decode(input, count)?),
            _ => return Err(DAMAGED),
        };
        let number = match &present {
            Some(present) => present.iter().filter(|present| **present != 0).count(),
            None => count,
        };
        let beside = match input.byte()? {
            OWN => false,
            BESIDE if present.is_none() => true,
            _ => return Err(DAMAGED),
        };
        let micros = Integers::decode(input, number)?;
        Ok(Self { count, present, micros, beside })
    }

    /// Whether there is no time at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }

    /// Whether [`resolve`](Self::resolve) has to be called.
    pub(crate) fn is_beside(&self) -> bool {
        self.beside
    }

    /// Adds the times of the other column.
    pub(crate) fn resolve(&mut self, others: &[i64]) -> Result<(), Damaged> {
        if !self.beside || others.len() != self.micros.len() {
            return Err(DAMAGED);
        }
        for (time, other) in self.micros.iter_mut().zip(others) {
            *time = time.wrapping_add(*other);
        }
        self.beside = false;
        Ok(())
    }

    /// The times, if each has one; microseconds since 1970.
    pub(crate) fn into_all(self) -> Option<Vec<i64>> {
        (self.micros.len() == self.count && self.present.is_none()).then_some(self.micros)
    }

    /// The times; microseconds since 1970.
    pub(super) fn into_options(self) -> Vec<Option<i64>> {
        match self.present {
            Some(present) => {
                let mut micros = self.micros.into_iter();
                let time = |present| if present == 0 { None } else { micros.next() };
                present.into_iter().map(time).collect()
            }
            None if self.micros.is_empty() => vec![None; self.count],
            None => self.micros.into_iter().map(Some).collect(),
        }
    }

    /// The times with the digits with which they are written.
    pub(crate) fn written(
        mut self,
        input: &mut Input<'_>,
    ) -> Result<Vec<Option<Timestamp>>, Damaged> {
        let written = Integers::decode(input, self.micros.len())?;
        for (time, written) in self.micros.iter_mut().zip(written) {
            *time = time.wrapping_add(written);
        }
        let times = self.into_options().into_iter();
        Ok(times.map(|bits| bits.map(Timestamp::from_bits)).collect())
    }
}
