//! Making a chunk of instances.

use std::borrow::Borrow;

use musubi_model::{AttributeType, Qualifiers, Timestamp};

use super::Chunk;
use crate::column::{Integers, Short, Texts, Times, Values, put_measured, put_unsigned};
use crate::series::Entry;

/// Bytes that a chunk takes at first: enough for a single instance.
const SMALL: usize = 256;

impl Chunk {
    /// The bytes of a chunk of these instances, of which there is at least one.
    pub(crate) fn encode<E: Borrow<Entry>>(entries: &[E]) -> Vec<u8> {
        let mut out = Vec::with_capacity(SMALL);
        put_unsigned(&mut out, u64::try_from(entries.len()).unwrap_or(u64::MAX));
        put_integers(&mut out, entries, |entry| entry.recorded.number.sequence.0.cast_signed());
        put_integers(&mut out, entries, |entry| i64::from(entry.recorded.number.ordinal));
        put_integers(&mut out, entries, |entry| {
            entry.version.0.wrapping_sub(entry.recorded.number.sequence.0).cast_signed()
        });
        put_times(&mut out, entries);
        put_integers(&mut out, entries, |entry| {
            i64::from(kind_code(entry.recorded.instance.value.kind))
        });
        let values: Short<&[u8]> = entries
            .iter()
            .map(|entry| entry.borrow().recorded.instance.value.json.as_str().as_bytes())
            .collect();
        put_measured(&mut out, |out| Values::encode(&values, out));
        put_measured(&mut out, |out| put_qualifiers(out, entries));
        out
    }

    /// About how much an instance adds to the bytes of values and qualifiers of a chunk.
    pub(crate) fn bytes_of(entry: &Entry) -> usize {
        let instance = &entry.recorded.instance;
        let qualifiers = match plain(entry) {
            Some(qualifiers) => {
                let texts = [&qualifiers.unit_code, &qualifiers.value_type].into_iter().flatten();
                let types = qualifiers.object_type.iter().map(|name| name.as_str().len());
                let dataset = qualifiers.dataset_id.as_ref().map_or(0, |name| name.as_str().len());
                texts.map(|text| text.len()).chain(types).sum::<usize>() + dataset + 8
            }
            None => qualifier_bytes(entry).len(),
        };
        instance.value.json.as_str().len() + qualifiers
    }
}

fn put_integers<E: Borrow<Entry>>(out: &mut Vec<u8>, entries: &[E], of: impl Fn(&Entry) -> i64) {
    let values: Short<i64> = entries.iter().map(|entry| of(entry.borrow())).collect();
    put_measured(out, |out| Integers::encode(&values, out));
}

/// The columns of the four times, in their order.
fn put_times<E: Borrow<Entry>>(out: &mut Vec<u8>, entries: &[E]) {
    let mut column = |of: &dyn Fn(&Entry) -> Option<Timestamp>, beside: Option<&[i64]>| {
        let times: Short<Option<Timestamp>> =
            entries.iter().map(|entry| of(entry.borrow())).collect();
        put_measured(out, |out| Times::encode(&times, beside, out));
        times.into_iter().map(|time| time.map(Timestamp::as_micros)).collect()
    };
    let observed: Option<Short<i64>> = column(&|entry| entry.recorded.instance.observed_at, None);
    let modified = column(&|entry| Some(entry.recorded.instance.modified_at), observed.as_deref());
    column(&|entry| Some(entry.recorded.instance.created_at), modified.as_deref());
    column(&|entry| entry.recorded.deleted_at, None);
}

/// The number under which a kind is kept.
pub(crate) fn kind_code(kind: AttributeType) -> u8 {
    match kind {
        AttributeType::Property => 0,
        AttributeType::GeoProperty => 1,
        AttributeType::Relationship => 2,
        AttributeType::LanguageProperty => 3,
        AttributeType::VocabProperty => 4,
        AttributeType::JsonProperty => 5,
        AttributeType::ListProperty => 6,
        AttributeType::ListRelationship => 7,
    }
}

/// The qualifiers, if they are nothing but texts: then they are written alike if they are equal,
/// which is not so for times.
fn plain(entry: &Entry) -> Option<&Qualifiers> {
    let qualifiers = entry.recorded.instance.qualifiers.as_deref()?;
    let plain = qualifiers.expires_at.is_none() && qualifiers.attributes.is_empty();
    plain.then_some(qualifiers)
}

/// Without qualifiers there are no bytes, and with them there are always some.
fn qualifier_bytes(entry: &Entry) -> Vec<u8> {
    let Some(qualifiers) = &entry.recorded.instance.qualifiers else {
        return Vec::new();
    };
    // Only what cannot be written at all fails, such as a map of unknown length; there is none.
    postcard::to_stdvec(qualifiers).unwrap_or_default()
}

fn put_qualifiers<E: Borrow<Entry>>(out: &mut Vec<u8>, entries: &[E]) {
    // Most are like those before: they are written once.
    let mut written: Short<Vec<u8>> = Short::new();
    let mut places: Short<usize> = Short::new();
    let mut before: Option<&Qualifiers> = None;
    for entry in entries {
        let entry = entry.borrow();
        let here = plain(entry);
        if here.is_none() || here != before {
            written.push(qualifier_bytes(entry));
        }
        before = here;
        places.push(written.len() - 1);
    }
    let texts: Short<&[u8]> =
        places.iter().map(|place| written.get(*place).map_or(&[][..], Vec::as_slice)).collect();
    Texts::encode(&texts, out);
}
