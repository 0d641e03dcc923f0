//! Bytes as they are written and read: numbers of variable length, and what is as long as it says.

/// Bytes that are not what they should be; says what was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is damaged")]
pub(crate) struct Damaged(pub(crate) &'static str);

/// Bytes that are being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.rest.split_first().ok_or(Damaged("the end of a column"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(Damaged("the end of a column"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number from 0.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged("a number"))
    }

    /// Any number.
    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        self.unsigned().map(unfold)
    }

    /// A number that counts or measures something.
    pub(crate) fn size(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.unsigned()?).map_err(|_| Damaged("a size"))
    }

    pub(crate) fn short(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.unsigned()?).map_err(|_| Damaged("a number"))
    }

    /// Bytes that were written by [`put_sized`].
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.size()?;
        self.take(length)
    }
}

/// Writes a number from 0: seven bits to a byte, the lowest first.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Writes any number; small ones take little, below zero as well.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_unsigned(out, fold(number));
}

/// Writes bytes and, before them, how many they are.
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_unsigned(out, count(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Writes what `write` appends and, before it, how many bytes that is.
pub(crate) fn put_measured(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        // Nearly always: then there is room for it.
        Ok(short) if short < 0x80 => {
            if let Some(place) = out.get_mut(start) {
                *place = short;
            }
        }
        _ => {
            let mut prefix = Vec::new();
            put_unsigned(&mut prefix, count(length));
            out.splice(start..=start, prefix);
        }
    }
}

/// A number of things as it is written.
pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How many bytes [`put_signed`] takes.
pub(crate) fn signed_length(number: i64) -> usize {
    let bits = 64 - fold(number).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(10).max(1)
}

fn fold(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

fn unfold(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg()
}
