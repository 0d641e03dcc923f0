//! Columns of integers.
//!
//! Times and sequence numbers go up by about the same from one to the next, so what is kept is what
//! deviates from that: the numbers, their differences or the differences of those, whatever is
//! smallest, after division by what all of them are multiples of. They are packed to as many bits
//! as the largest of a block needs.

use super::bytes::{Damaged, Input, count, put_signed, put_unsigned, signed_length};
use super::{MAX_COUNT, Short};

/// How many numbers are packed with one width. An outlier costs its block only.
const BLOCK: usize = 128;

const CONSTANT: u8 = 0;
const RUNS: u8 = 1;
const PLAIN: u8 = 2;
const DIFFERENCES: u8 = 3;
const SECOND_DIFFERENCES: u8 = 4;

const DAMAGED: Damaged = Damaged("a column of integers");

/// The column of integers.
#[derive(Debug)]
pub(crate) struct Integers;

impl Integers {
    /// Appends the column of these numbers.
    pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
        let Some((first, rest)) = values.split_first() else {
            return;
        };
        if rest.iter().all(|value| value == first) {
            out.push(CONSTANT);
            put_signed(out, *first);
            return;
        }
        let packed = Packed::smallest(values);
        match runs(values) {
            Some(runs) if runs.len() <= packed.size() => {
                out.push(RUNS);
                out.extend_from_slice(&runs);
            }
            _ => packed.write(out),
        }
    }

    /// Reads a column of so many numbers.
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
        if count > MAX_COUNT {
            return Err(DAMAGED);
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        match input.byte()? {
            CONSTANT => Ok(vec![input.signed()?; count]),
            RUNS => read_runs(input, count),
            kind @ (PLAIN | DIFFERENCES | SECOND_DIFFERENCES) => read_packed(kind, input, count),
            _ => Err(DAMAGED),
        }
    }

    /// As [`decode`](Self::decode), of numbers from 0.
    pub(crate) fn decode_sizes(input: &mut Input<'_>, count: usize) -> Result<Vec<usize>, Damaged> {
        let numbers = Self::decode(input, count)?;
        numbers.into_iter().map(|number| usize::try_from(number).map_err(|_| DAMAGED)).collect()
    }

    /// Appends the column of numbers from 0.
    pub(crate) fn encode_sizes(values: &[usize], out: &mut Vec<u8>) {
        let values: Short<i64> = values.iter().map(|value| count(*value).cast_signed()).collect();
        Self::encode(&values, out);
    }
}

/// Each number with how often it comes one after the other; none if that is not worth it.
fn runs(values: &[i64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut previous = 0_i64;
    let mut number = 0;
    for run in values.chunk_by(|left, right| left == right) {
        let value = run.first().copied().unwrap_or_default();
        put_signed(&mut bytes, value.wrapping_sub(previous));
        put_unsigned(&mut bytes, count(run.len()));
        previous = value;
        number += 1;
        if number > values.len() / 4 + 2 {
            return None;
        }
    }
    Some(bytes)
}

fn read_runs(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
    let mut values = Vec::with_capacity(count);
    let mut value = 0_i64;
    while values.len() < count {
        value = value.wrapping_add(input.signed()?);
        let length = input.size()?;
        if length == 0 || length > count - values.len() {
            return Err(DAMAGED);
        }
        values.resize(values.len() + length, value);
    }
    Ok(values)
}

/// Numbers on their way into the packed form.
struct Packed {
    kind: u8,
    first: i64,
    /// What all differences are multiples of.
    unit: i64,
    /// The first difference, of second differences.
    step: i64,
    rest: Vec<i64>,
    size: usize,
}

impl Packed {
    fn smallest(values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or_default();
        let unit = common_unit(first, values);
        let plain: Vec<i64> =
            values.iter().skip(1).map(|value| value.wrapping_sub(first) / unit).collect();
        let differences = differences(0, &plain);
        let step = differences.first().copied().unwrap_or_default();
        let second = self::differences(step, differences.get(1..).unwrap_or_default());
        let mut best = Self { kind: PLAIN, first, unit, step: 0, size: 0, rest: plain };
        best.size = blocks_size(&best.rest);
        for (kind, step, rest) in
            [(DIFFERENCES, 0, differences), (SECOND_DIFFERENCES, step, second)]
        {
            let size = blocks_size(&rest) + if step == 0 { 0 } else { signed_length(step) };
            if size < best.size {
                best = Self { kind, first, unit, step, rest, size };
            }
        }
        best
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        self.size + 2 + signed_length(self.first)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        put_signed(out, self.first);
        put_unsigned(out, self.unit.unsigned_abs());
        if self.kind == SECOND_DIFFERENCES {
            put_signed(out, self.step);
        }
        for block in self.rest.chunks(BLOCK) {
            let (least, width) = frame(block);
            put_signed(out, least);
            out.push(width);
            pack(block, least, width, out);
        }
    }
}

/// The largest number of which every difference from the first is a multiple.
fn common_unit(first: i64, values: &[i64]) -> i64 {
    let mut unit = 0_u64;
    for value in values {
        let Some(difference) = value.checked_sub(first) else {
            return 1;
        };
        let (mut left, mut right) = (difference.unsigned_abs(), unit);
        while right != 0 {
            (left, right) = (right, left % right);
        }
        unit = left;
        if unit == 1 {
            break;
        }
    }
    i64::try_from(unit).unwrap_or(1).max(1)
}

fn differences(before: i64, values: &[i64]) -> Vec<i64> {
    let mut previous = before;
    let difference = |value: &i64| value.wrapping_sub(std::mem::replace(&mut previous, *value));
    values.iter().map(difference).collect()
}

/// The least number of a block, and the bits that the distance of each from it needs.
fn frame(block: &[i64]) -> (i64, u8) {
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for value in block {
        least = least.min(*value);
        greatest = greatest.max(*value);
    }
    let range = greatest.wrapping_sub(least).cast_unsigned();
    (least, u8::try_from(64 - range.leading_zeros()).unwrap_or(64))
}

fn packed_length(number: usize, width: u8) -> usize {
    (number * usize::from(width)).div_ceil(8)
}

fn blocks_size(values: &[i64]) -> usize {
    let size = |block: &[i64]| {
        let (least, width) = frame(block);
        signed_length(least) + 1 + packed_length(block.len(), width)
    };
    values.chunks(BLOCK).map(size).sum()
}

fn pack(block: &[i64], least: i64, width: u8, out: &mut Vec<u8>) {
    let mut pending = 0_u128;
    let mut bits = 0_u32;
    for value in block {
        pending |= u128::from(value.wrapping_sub(least).cast_unsigned()) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            let [low, ..] = pending.to_le_bytes();
            out.push(low);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        let [low, ..] = pending.to_le_bytes();
        out.push(low);
    }
}

fn read_packed(kind: u8, input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
    let first = input.signed()?;
    let unit = input.unsigned()?.cast_signed();
    let mut values = Vec::with_capacity(count);
    values.push(first);
    let scaled = |number: i64| number.wrapping_mul(unit);
    match kind {
        PLAIN => {
            unpack_all(input, count - 1, |number| values.push(first.wrapping_add(scaled(number))))?;
        }
        DIFFERENCES => {
            let mut value = first;
            unpack_all(input, count - 1, |number| {
                value = value.wrapping_add(scaled(number));
                values.push(value);
            })?;
        }
        _ => {
            let step = input.signed()?;
            let mut difference = scaled(step);
            let mut value = first.wrapping_add(difference);
            if count > 1 {
                values.push(value);
            }
            unpack_all(input, count.saturating_sub(2), |number| {
                difference = difference.wrapping_add(scaled(number));
                value = value.wrapping_add(difference);
                values.push(value);
            })?;
        }
    }
    Ok(values)
}

fn unpack_all(
    input: &mut Input<'_>,
    count: usize,
    mut each: impl FnMut(i64),
) -> Result<(), Damaged> {
    let mut left = count;
    while left > 0 {
        let number = left.min(BLOCK);
        let least = input.signed()?;
        let width = input.byte()?;
        if width > 64 {
            return Err(DAMAGED);
        }
        let packed = input.take(packed_length(number, width))?;
        unpack(packed, width, number, |bits| each(least.wrapping_add(bits.cast_signed())))?;
        left -= number;
    }
    Ok(())
}

/// Takes the numbers of a block apart. It is copied so that a whole word can be read at any place.
fn unpack(
    packed: &[u8],
    width: u8,
    number: usize,
    mut each: impl FnMut(u64),
) -> Result<(), Damaged> {
    let mut padded = [0_u8; BLOCK * 8 + 16];
    padded.get_mut(..packed.len()).ok_or(DAMAGED)?.copy_from_slice(packed);
    let width = u32::from(width);
    let mut bit = 0_usize;
    let step = usize::try_from(width).unwrap_or_default();
    if width <= 56 {
        let mask = (1_u64 << width) - 1;
        for _ in 0..number {
            let word = padded.get(bit / 8..).and_then(<[u8]>::first_chunk).ok_or(DAMAGED)?;
            each((u64::from_le_bytes(*word) >> (bit % 8)) & mask);
            bit += step;
        }
    } else {
        let mask = u128::from(u64::MAX >> (64 - width));
        for _ in 0..number {
            let word = padded.get(bit / 8..).and_then(<[u8]>::first_chunk).ok_or(DAMAGED)?;
            let value = (u128::from_le_bytes(*word) >> (bit % 8)) & mask;
            each(u64::try_from(value).map_err(|_| DAMAGED)?);
            bit += step;
        }
    }
    Ok(())
}
