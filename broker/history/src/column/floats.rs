//! Columns of floating-point numbers, which come back bit by bit.

use super::bytes::{Damaged, Input};
use super::decimals::{POWERS, as_float};
use super::integers::Integers;

const RAW: u8 = 255;

const DAMAGED: Damaged = Damaged("a column of numbers");

/// The column of floating-point numbers.
#[derive(Debug)]
pub(crate) struct Floats;

impl Floats {
    /// Appends the column of these numbers: as whole multiples of a power of ten, if they are, else
    /// eight bytes each.
    pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
        for digits in 0..=6_u8 {
            let mantissas: Option<Vec<i64>> =
                values.iter().map(|value| mantissa(*value, digits)).collect();
            if let Some(mantissas) = mantissas {
                out.push(digits);
                Integers::encode(&mantissas, out);
                return;
            }
        }
        out.push(RAW);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Reads a column of so many numbers.
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
        match input.byte()? {
            RAW => {
                let bytes = input.take(count.checked_mul(8).ok_or(DAMAGED)?)?;
                let (words, _) = bytes.as_chunks::<8>();
                Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
            }
            digits => {
                let power = *POWERS.get(usize::from(digits)).ok_or(DAMAGED)?;
                let mantissas = Integers::decode(input, count)?;
                let power = as_float(power);
                Ok(mantissas.into_iter().map(|mantissa| as_float(mantissa) / power).collect())
            }
        }
    }
}

/// The whole number that, divided by the power of ten, gives exactly this one.
fn mantissa(value: f64, digits: u8) -> Option<i64> {
    let power = as_float(*POWERS.get(usize::from(digits))?);
    let scaled = (value * power).round();
    let zero_with_sign = value == 0.0 && value.is_sign_negative();
    let large = scaled.is_nan() || scaled.abs() >= 9e15;
    if large || zero_with_sign || (scaled / power).to_bits() != value.to_bits() {
        return None;
    }
    // Exact: a whole number of less than 2^53.
    format!("{scaled:.0}").parse().ok()
}
