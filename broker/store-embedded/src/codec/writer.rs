//! Writes entities and what else rows are made of as postcard would, byte for byte.
//!
//! Not by way of `serde`, which hands texts on byte by byte: this runs for every write, where all
//! writers wait for each other. A test holds the two ways together.

use musubi_model::{Attribute, Cause, DatasetId, Entity, Instance, Qualifiers, Timestamp};

/// Appends to the bytes of a row.
pub(super) struct Writer<'b>(pub(super) &'b mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn entity(&mut self, entity: &Entity) {
        self.text(entity.id.as_str());
        self.list(&entity.types, |writer, name| writer.text(name.as_str()));
        self.list(&entity.scopes, |writer, scope| writer.text(scope.as_str()));
        self.time(entity.created_at);
        self.time(entity.modified_at);
        self.option(entity.expires_at, Self::time);
        self.list(&entity.attributes, Self::attribute);
    }

    fn attribute(&mut self, attribute: &Attribute) {
        self.text(attribute.name.as_str());
        self.list(&attribute.instances, Self::instance);
    }

    pub(super) fn instance(&mut self, instance: &Instance) {
        self.number(instance.value.kind as u64);
        self.text(instance.value.json.as_str());
        self.option(instance.observed_at, Self::time);
        self.time(instance.created_at);
        self.time(instance.modified_at);
        self.option(instance.qualifiers.as_deref(), Self::qualifiers);
    }

    fn qualifiers(&mut self, qualifiers: &Qualifiers) {
        let text = |writer: &mut Self, text: &str| writer.text(text);
        let dataset = qualifiers.dataset_id.as_ref();
        self.option(dataset.map(DatasetId::as_str), text);
        self.option(qualifiers.unit_code.as_deref(), text);
        self.option(qualifiers.expires_at, Self::time);
        self.option(qualifiers.value_type.as_deref(), text);
        self.list(&qualifiers.object_type, |writer, name| writer.text(name.as_str()));
        self.list(&qualifiers.attributes, Self::attribute);
    }

    pub(super) fn cause(&mut self, cause: &Cause) {
        match cause {
            Cause::Request => self.byte(0),
            Cause::Adapter(name) => {
                self.byte(1);
                self.text(name);
            }
            Cause::Expiry => self.byte(2),
        }
    }

    /// A signed number, whose sign goes into the lowest bit.
    pub(super) fn time(&mut self, time: Timestamp) {
        let bits = time.to_bits();
        self.number(((bits << 1) ^ (bits >> 63)).cast_unsigned());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    /// How many bytes or elements follow. No platform counts further than such a number.
    pub(super) fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// A number in groups of seven bits, the lowest first; in all but the last the highest bit is set.
    pub(super) fn number(&mut self, mut number: u64) {
        if let Ok(byte @ ..0x80) = u8::try_from(number) {
            return self.byte(byte);
        }
        let mut bytes = [0; 10];
        let mut length = 0;
        for byte in &mut bytes {
            length += 1;
            let [lowest, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                *byte = lowest;
                break;
            }
            *byte = lowest | 0x80;
        }
        self.0.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{entity, entity_bytes, samples};
    use crate::interner::{Interner, Vocabulary};

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut Writer(&mut bytes));
        bytes
    }

    #[test]
    fn numbers_and_times_are_written_as_postcard_writes_them() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]);
        for number in edges.chain([u64::MAX]) {
            let bytes = postcard::to_stdvec(&number).unwrap();
            assert_eq!(written(|writer| writer.number(number)), bytes, "{number}");
            let time = Timestamp::from_bits(number.cast_signed());
            let bytes = postcard::to_stdvec(&time).unwrap();
            assert_eq!(written(|writer| writer.time(time)), bytes, "{number}");
        }
    }

    #[test]
    fn causes_are_written_as_postcard_writes_them() {
        for cause in [Cause::Request, Cause::Adapter("gbfs".into()), Cause::Expiry] {
            let bytes = postcard::to_stdvec(&cause).unwrap();
            assert_eq!(written(|writer| writer.cause(&cause)), bytes, "{cause:?}");
        }
    }

    proptest! {
        #[test]
        fn an_entity_is_written_as_postcard_writes_it_and_read_again(one in samples::entity()) {
            let mut bytes = vec![1, 2, 3];
            entity_bytes(&one, &mut bytes);
            prop_assert_eq!(&bytes, &postcard::to_stdvec(&one).unwrap());
            let read = entity::read(&bytes, &mut Vocabulary::of(&Interner::default())).unwrap();
            prop_assert_eq!(&read, &one);
            prop_assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        }
    }
}
