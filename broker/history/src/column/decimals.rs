//! Columns of numbers in decimal notation, whose text comes back as it was: `21.30` is not `21.3`.
//!
//! A number is a whole one and the digits after its point. All numbers of a column are brought to
//! the same number of digits, and how many of them were written is kept if it does not follow from
//! the rest. Numbers that do not fit, such as `1e3`, `-0` or very long ones, stand beside it as text.

use super::Short;
use super::bytes::{Damaged, Input, put_unsigned};
use super::integers::Integers;
use super::texts::Texts;

/// The powers of ten that fit.
#[expect(clippy::indexing_slicing, reason = "an index out of bounds would not compile here")]
pub(crate) const POWERS: [i64; 19] = {
    let mut powers = [1_i64; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The most digits of a whole number that always fits.
const MAX_DIGITS: usize = 18;

/// Up to here a floating-point number holds every whole one.
const EXACT: u64 = 1 << 53;

const DAMAGED: Damaged = Damaged("a column of decimal numbers");

/// How many of the digits after the point were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// As many as are needed.
    Needed,
    /// As many as are needed, but at least one.
    NeededAndOne,
    /// All.
    All,
    /// As a column says.
    Varying,
}

/// A number in decimal notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    /// Without the point.
    mantissa: i64,
    /// How many digits stand after the point.
    digits: u8,
}

impl Decimal {
    /// Reads a number that is written again in the same way.
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, unsigned) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let point = unsigned.iter().position(|byte| *byte == b'.');
        let whole = point.unwrap_or(unsigned.len());
        let digits = unsigned.len() - whole - usize::from(point.is_some());
        let leading_zero = whole > 1 && unsigned.first() == Some(&b'0');
        if whole == 0 || whole + digits > MAX_DIGITS || leading_zero {
            return None;
        }
        if point.is_some() && digits == 0 {
            return None;
        }
        let mut mantissa = 0_i64;
        for (at, byte) in unsigned.iter().enumerate() {
            if Some(at) != point {
                if !byte.is_ascii_digit() {
                    return None;
                }
                mantissa = mantissa * 10 + i64::from(byte - b'0');
            }
        }
        if negative && mantissa == 0 {
            return None;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Some(Self { mantissa, digits: u8::try_from(digits).ok()? })
    }

    /// The mantissa with more digits after the point.
    fn scaled(self, scale: u8) -> Option<i64> {
        let missing = scale.checked_sub(self.digits)?;
        self.mantissa.checked_mul(power(missing))
    }

    /// Writes it; the longest takes 20 digits, a point and a sign.
    fn write(self) -> String {
        let mut text = [b'0'; 24];
        let mut rest = self.mantissa.unsigned_abs();
        let digits = usize::from(self.digits);
        let mut number = 0;
        let mut places = text.iter_mut().rev();
        while rest > 0 || number <= digits {
            if number == digits
                && digits > 0
                && let Some(place) = places.next()
            {
                *place = b'.';
            }
            if let Some(place) = places.next() {
                *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            }
            rest /= 10;
            number += 1;
        }
        if self.mantissa < 0
            && let Some(place) = places.next()
        {
            *place = b'-';
        }
        let start = places.len();
        let written = text.get(start..).unwrap_or_default();
        String::from_utf8_lossy(written).into_owned()
    }
}

/// A column of numbers that was read.
#[derive(Clone, Debug)]
pub(crate) struct Decimals {
    scale: u8,
    written: Written,
    mantissas: Vec<i64>,
    digits: Vec<i64>,
    /// The places of what is kept as text, ascending, and the texts.
    exceptions: Vec<usize>,
    texts: Texts,
}

impl Decimals {
    /// The column of these texts; none if too few are numbers that fit.
    pub(crate) fn encode(values: &[&[u8]]) -> Option<Vec<u8>> {
        let decimals: Short<Option<Decimal>> =
            values.iter().map(|value| Decimal::parse(value)).collect();
        let mut digits: Short<u8> =
            decimals.iter().flatten().map(|decimal| decimal.digits).collect();
        if digits.len() * 2 < values.len() || digits.is_empty() {
            return None;
        }
        digits.sort_unstable();
        let most = digits.last().copied()?;
        // A few numbers with many digits would make all others long.
        let nearly_most = digits.get(digits.len() - 1 - digits.len() / 32).copied()?;
        let all = encode_at(values, &decimals, most);
        if nearly_most == most {
            return Some(all);
        }
        let some = encode_at(values, &decimals, nearly_most);
        Some(if some.len() < all.len() { some } else { all })
    }

    /// Reads a column of so many numbers.
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Self, Damaged> {
        let scale = input.byte()?;
        let written = match input.byte()? {
            0 => Written::Needed,
            1 => Written::NeededAndOne,
            2 => Written::All,
            3 => Written::Varying,
            _ => return Err(DAMAGED),
        };
        if usize::from(scale) > MAX_DIGITS {
            return Err(DAMAGED);
        }
        let mantissas = Integers::decode(input, count)?;
        let digits = match written {
            Written::Varying => Integers::decode(input, count)?,
            Written::Needed | Written::NeededAndOne | Written::All => Vec::new(),
        };
        if digits.iter().any(|number| !(0..=i64::from(scale)).contains(number)) {
            return Err(DAMAGED);
        }
        let number = input.size()?;
        if number > count {
            return Err(DAMAGED);
        }
        let exceptions = Integers::decode_sizes(input, number)?;
        let ascend = exceptions.iter().zip(exceptions.iter().skip(1)).all(|(one, two)| one < two);
        if !ascend || exceptions.last().is_some_and(|last| *last >= count) {
            return Err(DAMAGED);
        }
        let texts = Texts::decode(input, number)?;
        Ok(Self { scale, written, mantissas, digits, exceptions, texts })
    }

    /// The numbers; none if one of the texts is none.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        let exact = self.mantissas.iter().all(|mantissa| mantissa.unsigned_abs() <= EXACT);
        let mut numbers: Vec<f64> = if exact {
            // The quotient of two numbers that are exact is the one nearest to the true one, and
            // so the same as the text read by itself.
            let power = as_float(power(self.scale));
            self.mantissas.iter().map(|mantissa| as_float(*mantissa) / power).collect()
        } else {
            let texts = (0..self.mantissas.len()).map(|at| self.text(at).parse().ok());
            texts.collect::<Option<_>>()?
        };
        for (order, at) in self.exceptions.iter().enumerate() {
            let text = text_at(&self.texts, order)?;
            *numbers.get_mut(*at)? = number_of(text)?;
        }
        Some(numbers)
    }

    /// The texts.
    pub(crate) fn into_texts(self) -> Result<Vec<String>, Damaged> {
        let mut texts: Vec<String> = (0..self.mantissas.len()).map(|at| self.text(at)).collect();
        for (order, at) in self.exceptions.iter().enumerate() {
            let text = text_at(&self.texts, order).ok_or(DAMAGED)?;
            let text = std::str::from_utf8(text).map_err(|_| DAMAGED)?;
            text.clone_into(texts.get_mut(*at).ok_or(DAMAGED)?);
        }
        Ok(texts)
    }

    /// What the columns say of a number.
    fn text(&self, at: usize) -> String {
        let mantissa = self.mantissas.get(at).copied().unwrap_or_default();
        let digits = match self.written {
            Written::Needed => needed(mantissa, self.scale),
            Written::NeededAndOne => needed(mantissa, self.scale).max(1.min(self.scale)),
            Written::All => self.scale,
            Written::Varying => {
                let digits = self.digits.get(at).copied().unwrap_or_default();
                u8::try_from(digits).unwrap_or_default()
            }
        };
        let surplus = power(self.scale.saturating_sub(digits));
        Decimal { mantissa: mantissa / surplus, digits }.write()
    }
}

/// A text of a column, as a number, if it is one.
pub(crate) fn number_of(text: &[u8]) -> Option<f64> {
    match text.first() {
        Some(b'-' | b'0'..=b'9') => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// A text of a column.
pub(crate) fn text_at(texts: &Texts, at: usize) -> Option<&[u8]> {
    match texts.indices() {
        Some(indices) => texts.distinct(*indices.get(at)?),
        None => texts.distinct(at),
    }
}

fn encode_at(values: &[&[u8]], decimals: &[Option<Decimal>], scale: u8) -> Vec<u8> {
    let (mut mantissas, mut digits) = (Short::new(), Short::new());
    let (mut exceptions, mut texts) = (Short::new(), Short::new());
    let (mut mantissa, mut number) = (0, 0);
    let mut fitting = Short::new();
    for (at, decimal) in decimals.iter().enumerate() {
        let scaled = decimal.and_then(|decimal| Some((decimal.scaled(scale)?, decimal.digits)));
        if let Some(found) = scaled {
            (mantissa, number) = found;
            fitting.push(found);
        } else {
            // The number before stands here again: that costs least.
            exceptions.push(at);
            texts.push(values.get(at).copied().unwrap_or_default());
        }
        mantissas.push(mantissa);
        digits.push(i64::from(number));
    }
    let holds = |rule: &dyn Fn(i64) -> u8| {
        fitting.iter().all(|(mantissa, digits)| rule(*mantissa) == *digits)
    };
    let (written, code) = if holds(&|mantissa| needed(mantissa, scale)) {
        (Written::Needed, 0)
    } else if holds(&|mantissa| needed(mantissa, scale).max(1.min(scale))) {
        (Written::NeededAndOne, 1)
    } else if holds(&|_| scale) {
        (Written::All, 2)
    } else {
        (Written::Varying, 3)
    };
    let mut out = vec![scale, code];
    Integers::encode(&mantissas, &mut out);
    if written == Written::Varying {
        Integers::encode(&digits, &mut out);
    }
    put_unsigned(&mut out, super::bytes::count(exceptions.len()));
    Integers::encode_sizes(&exceptions, &mut out);
    Texts::encode(&texts, &mut out);
    out
}

/// How many of so many digits after the point are needed.
fn needed(mantissa: i64, scale: u8) -> u8 {
    let (mut rest, mut digits) = (mantissa, scale);
    while digits > 0 && rest % 10 == 0 {
        rest /= 10;
        digits -= 1;
    }
    digits
}

fn power(exponent: u8) -> i64 {
    POWERS.get(usize::from(exponent)).copied().unwrap_or(i64::MAX)
}

/// A whole number as a floating-point one.
#[expect(clippy::cast_precision_loss, reason = "the callers ask it of exact numbers only")]
pub(crate) fn as_float(number: i64) -> f64 {
    number as f64
}
