//! Columns of texts, or of bytes of any kind.
//!
//! Texts that come again are kept once, in a dictionary. Of those that do not, what they share with
//! the one before at their beginning and end is left out, if that is smaller.

use rustc_hash::FxHashMap;

use super::bytes::{Damaged, Input};
use super::integers::Integers;
use super::{MAX_COUNT, MAX_REPEATED, Short};

const PLAIN: u8 = 0;
const SHARED: u8 = 1;
const DICTIONARY: u8 = 2;

/// For so many different texts there is room from the beginning.
const RESERVED: usize = 256;

const DAMAGED: Damaged = Damaged("a column of texts");

/// A column of texts that was read.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each different text ends.
    ends: Vec<usize>,
    /// Which of them each one is; none if they stand in order.
    indices: Option<Vec<usize>>,
}

impl Texts {
    /// Appends the column of these texts.
    pub(crate) fn encode(values: &[&[u8]], out: &mut Vec<u8>) {
        Self::encode_below(values, usize::MAX, out);
    }

    /// Appends the column of these texts, unless it is soon clear that it takes so many bytes or more.
    pub(crate) fn encode_below(values: &[&[u8]], limit: usize, out: &mut Vec<u8>) {
        if values.len() <= 1 {
            // There is nothing to share.
            return put_plain(values, out);
        }
        let mut known: FxHashMap<&[u8], usize> = FxHashMap::default();
        known.reserve(values.len().min(RESERVED));
        let mut different = Vec::new();
        let mut indices = Vec::with_capacity(values.len());
        for value in values {
            indices.push(*known.entry(value).or_insert_with(|| {
                different.push(*value);
                different.len() - 1
            }));
        }
        if different.len() == values.len() {
            out.extend_from_slice(&list(values));
            return;
        }
        let mut places = Vec::new();
        Integers::encode_sizes(&indices, &mut places);
        if places.len() >= limit {
            return;
        }
        let mut dictionary = vec![DICTIONARY];
        Integers::encode_sizes(&[different.len()], &mut dictionary);
        dictionary.extend_from_slice(&list(&different));
        dictionary.extend_from_slice(&places);
        if different.len() > values.len() / 8 {
            let all = list(values);
            if all.len() <= dictionary.len() {
                out.extend_from_slice(&all);
                return;
            }
        }
        out.extend_from_slice(&dictionary);
    }

    /// Reads a column of so many texts.
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Self, Damaged> {
        if count > MAX_COUNT {
            return Err(DAMAGED);
        }
        match input.byte()? {
            DICTIONARY => {
                let different = Integers::decode_sizes(input, 1)?;
                let different = different.first().copied().unwrap_or_default();
                if different > count {
                    return Err(DAMAGED);
                }
                let kind = input.byte()?;
                let mut texts = read_list(kind, input, different)?;
                let indices = Integers::decode_sizes(input, count)?;
                texts.check_repeated(&indices)?;
                texts.indices = Some(indices);
                Ok(texts)
            }
            kind => read_list(kind, input, count),
        }
    }

    /// What is repeated must not grow beyond all measure.
    fn check_repeated(&self, indices: &[usize]) -> Result<(), Damaged> {
        let mut total = 0_usize;
        for index in indices {
            let length = self.distinct(*index).ok_or(DAMAGED)?.len();
            total = total.saturating_add(length);
        }
        if total > MAX_REPEATED + self.bytes.len() { Err(DAMAGED) } else { Ok(()) }
    }

    /// How many different texts there are, if there is a dictionary; else how many there are.
    pub(crate) fn distinct_count(&self) -> usize {
        self.ends.len()
    }

    /// One of the different texts.
    pub(crate) fn distinct(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// Which of the different texts each one is; none if each is one of its own, in order.
    pub(crate) fn indices(&self) -> Option<&[usize]> {
        self.indices.as_deref()
    }
}

/// The texts one after the other, in the smaller of the two forms.
fn list(values: &[&[u8]]) -> Vec<u8> {
    let mut plain = Vec::new();
    put_plain(values, &mut plain);
    let shared = shared(values);
    if shared.len() < plain.len() { shared } else { plain }
}

fn put_plain(values: &[&[u8]], out: &mut Vec<u8>) {
    out.push(PLAIN);
    let lengths: Short<usize> = values.iter().map(|value| value.len()).collect();
    Integers::encode_sizes(&lengths, out);
    for value in values {
        out.extend_from_slice(value);
    }
}

fn shared(values: &[&[u8]]) -> Vec<u8> {
    let (mut heads, mut tails, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let mut middles = Vec::new();
    let mut previous: &[u8] = &[];
    for value in values {
        let most = previous.len().min(value.len());
        let same = |(left, right): &(&u8, &u8)| left == right;
        let head = previous.iter().zip(value.iter()).take_while(same).count();
        let back = previous.iter().rev().zip(value.iter().rev());
        let tail = back.take(most - head).take_while(same).count();
        let middle = value.get(head..value.len() - tail).unwrap_or_default();
        heads.push(head);
        tails.push(tail);
        lengths.push(middle.len());
        middles.extend_from_slice(middle);
        previous = value;
    }
    let mut bytes = vec![SHARED];
    for sizes in [heads, tails, lengths] {
        Integers::encode_sizes(&sizes, &mut bytes);
    }
    bytes.extend_from_slice(&middles);
    bytes
}

fn read_list(kind: u8, input: &mut Input<'_>, count: usize) -> Result<Texts, Damaged> {
    match kind {
        PLAIN => {
            let lengths = Integers::decode_sizes(input, count)?;
            let mut ends = Vec::with_capacity(count);
            let mut total = 0_usize;
            for length in lengths {
                total = total.checked_add(length).ok_or(DAMAGED)?;
                ends.push(total);
            }
            Ok(Texts { bytes: input.take(total)?.to_vec(), ends, indices: None })
        }
        SHARED => read_shared(input, count),
        _ => Err(DAMAGED),
    }
}

fn read_shared(input: &mut Input<'_>, count: usize) -> Result<Texts, Damaged> {
    let heads = Integers::decode_sizes(input, count)?;
    let tails = Integers::decode_sizes(input, count)?;
    let lengths = Integers::decode_sizes(input, count)?;
    let limit = MAX_REPEATED + input.len();
    let mut bytes: Vec<u8> = Vec::new();
    let mut ends = Vec::with_capacity(count);
    let (mut start, mut end) = (0, 0);
    for ((head, tail), length) in heads.into_iter().zip(tails).zip(lengths) {
        let middle = input.take(length)?;
        let shared = head.checked_add(tail).ok_or(DAMAGED)?;
        if shared > end - start || bytes.len() + shared + length > limit {
            return Err(DAMAGED);
        }
        let begin = bytes.len();
        bytes.extend_from_within(start..start + head);
        bytes.extend_from_slice(middle);
        bytes.extend_from_within(end - tail..end);
        (start, end) = (begin, bytes.len());
        ends.push(end);
    }
    Ok(Texts { bytes, ends, indices: None })
}
