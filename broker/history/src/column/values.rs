//! Columns of JSON values: numbers where they are numbers, else texts.

use musubi_model::Json;

use super::bytes::{Damaged, Input};
use super::decimals::{Decimals, number_of, text_at};
use super::texts::Texts;

const NUMBERS: u8 = 0;
const TEXTS: u8 = 1;

const DAMAGED: Damaged = Damaged("a column of values");

/// A column of JSON values that was read.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Nearly all are numbers.
    Numbers(Decimals),
    /// Anything.
    Texts(Texts, usize),
}

impl Values {
    /// Appends the column of these values.
    pub(crate) fn encode(values: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.push(TEXTS);
        let Some(numbers) = Decimals::encode(values) else {
            return Texts::encode(values, out);
        };
        let few = numbers.len() <= values.len() / 4;
        if !few {
            Texts::encode_below(values, numbers.len(), out);
        }
        let texts = out.len() - start - 1;
        if few || texts == 0 || numbers.len() <= texts {
            out.truncate(start);
            out.push(NUMBERS);
            out.extend_from_slice(&numbers);
        }
    }

    /// Reads a column of so many values.
    pub(crate) fn decode(input: &mut Input<'_>, count: usize) -> Result<Self, Damaged> {
        match input.byte()? {
            NUMBERS => Decimals::decode(input, count).map(Self::Numbers),
            TEXTS => Ok(Self::Texts(Texts::decode(input, count)?, count)),
            _ => Err(DAMAGED),
        }
    }

    /// The numbers, if all are numbers: the same as [`Json::as_f64`] gives of each.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        match self {
            Self::Numbers(decimals) => decimals.numbers(),
            Self::Texts(texts, count) => {
                let different = 0..texts.distinct_count();
                let numbers = different.map(|at| number_of(texts.distinct(at)?));
                let numbers: Vec<f64> = numbers.collect::<Option<_>>()?;
                match texts.indices() {
                    Some(indices) => {
                        indices.iter().map(|index| numbers.get(*index).copied()).collect()
                    }
                    None => (numbers.len() == *count).then_some(numbers),
                }
            }
        }
    }

    /// The values.
    pub(crate) fn into_json(self) -> Result<Vec<Json>, Damaged> {
        match self {
            Self::Numbers(decimals) => {
                let texts = decimals.into_texts()?;
                Ok(texts.into_iter().map(Json::from_compact).collect())
            }
            Self::Texts(texts, count) => {
                let json = |at| {
                    let text = text_at(&texts, at).ok_or(DAMAGED)?;
                    let text = std::str::from_utf8(text).map_err(|_| DAMAGED)?;
                    Ok(Json::from_compact(text))
                };
                (0..count).map(json).collect()
            }
        }
    }
}
