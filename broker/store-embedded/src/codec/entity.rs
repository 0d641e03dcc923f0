//! Reads entities as they stand in rows, which is as postcard writes them.
//!
//! Not by way of `serde`: it would make a copy of every name of every entity, and check it, only to
//! have it replaced by the one that all share. A test holds the two ways together.

use std::sync::Arc;

use musubi_model::{
    Attribute, AttributeType, DatasetId, Entity, EntityId, Instance, Json, Qualifiers, Scope,
    Timestamp, Value,
};
use smallvec::SmallVec;

use super::RowError;
use crate::interner::Vocabulary;

/// Reads an entity. What follows it is not looked at.
pub(super) fn read(bytes: &[u8], names: &mut Vocabulary<'_>) -> Result<Entity, RowError> {
    let mut reader = Reader { rest: bytes, names };
    Ok(Entity {
        id: reader.checked::<EntityId>()?,
        types: reader.list(|reader| {
            let name = reader.text()?;
            reader.names.type_name(name)
        })?,
        scopes: reader.list(Reader::checked::<Scope>)?,
        created_at: reader.time()?,
        modified_at: reader.time()?,
        expires_at: reader.option(Reader::time)?,
        attributes: reader.list(Reader::attribute)?,
    })
}

struct Reader<'r, 'n> {
    rest: &'r [u8],
    names: &'r mut Vocabulary<'n>,
}

type Result<T, E = RowError> = std::result::Result<T, E>;

impl<'r> Reader<'r, '_> {
    fn attribute(&mut self) -> Result<Attribute> {
        let name = self.text()?;
        let name = self.names.attribute_name(name)?;
        let count = self.count()?;
        let mut instances = SmallVec::with_capacity(count);
        for _ in 0..count {
            instances.push(self.instance()?);
        }
        Ok(Attribute { name, instances })
    }

    fn instance(&mut self) -> Result<Instance> {
        let kind = usize::try_from(self.number()?).map_err(|_| RowError::Malformed)?;
        let kind = *AttributeType::ALL.get(kind).ok_or(RowError::Malformed)?;
        let json = Json::from_compact(self.text()?);
        Ok(Instance {
            value: Value { kind, json },
            observed_at: self.option(Self::time)?,
            created_at: self.time()?,
            modified_at: self.time()?,
            qualifiers: self.option(Self::qualifiers)?.map(Box::new),
        })
    }

    fn qualifiers(&mut self) -> Result<Qualifiers> {
        Ok(Qualifiers {
            dataset_id: self.option(Self::checked::<DatasetId>)?,
            unit_code: self.option(Self::shared_text)?,
            expires_at: self.option(Self::time)?,
            value_type: self.option(Self::shared_text)?,
            object_type: self.list(|reader| {
                let name = reader.text()?;
                reader.names.type_name(name)
            })?,
            attributes: self.list(Self::attribute)?,
        })
    }

    fn checked<T: std::str::FromStr>(&mut self) -> Result<T> {
        self.text()?.parse().map_err(|_| RowError::Malformed)
    }

    fn shared_text(&mut self) -> Result<Arc<str>> {
        let text = self.text()?;
        self.names.text(text)
    }

    /// A signed number, whose sign is in the lowest bit.
    fn time(&mut self) -> Result<Timestamp> {
        let number = self.number()?;
        let magnitude = (number >> 1).cast_signed();
        Ok(Timestamp::from_bits(if number & 1 == 0 { magnitude } else { !magnitude }))
    }

    fn text(&mut self) -> Result<&'r str> {
        let length = usize::try_from(self.number()?).map_err(|_| RowError::Malformed)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(RowError::Short)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| RowError::Malformed)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(RowError::Malformed),
        }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.count()?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// How many elements follow. Each takes a byte at least, so room for them may be made.
    fn count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| RowError::Malformed)?;
        if count > self.rest.len() { Err(RowError::Short) } else { Ok(count) }
    }

    /// A number in groups of seven bits, the lowest first; in all but the last the highest bit is set.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RowError::Malformed)
    }

    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(RowError::Short)?;
        self.rest = rest;
        Ok(*byte)
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::AttrName;

    use super::*;
    use crate::interner::Interner;

    fn name(text: &str) -> AttrName {
        format!("https://example.org/{text}").parse().unwrap()
    }

    fn instance(kind: AttributeType, json: &str, qualifiers: Option<Qualifiers>) -> Instance {
        Instance {
            value: Value { kind, json: Json::parse(json).unwrap() },
            observed_at: qualifiers.is_some().then(|| Timestamp::from_seconds(-1)),
            created_at: Timestamp::parse_utc("9999-12-31T23:59:59.999000Z").unwrap(),
            modified_at: Timestamp::parse_utc("0000-01-01T00:00:00.000Z").unwrap(),
            qualifiers: qualifiers.map(Box::new),
        }
    }

    /// An entity in which everything occurs, none once and more than once.
    fn entity() -> Entity {
        let below = Attribute {
            name: name("below"),
            instances: SmallVec::from_iter([instance(AttributeType::Property, "1", None)]),
        };
        let qualifiers = Qualifiers {
            dataset_id: Some("urn:x:dataset".parse().unwrap()),
            unit_code: Some("MTR".into()),
            expires_at: Some(Timestamp::from_bits(i64::MAX)),
            value_type: Some("https://example.org/Time".into()),
            object_type: vec!["urn:x:A".parse().unwrap(), "urn:x:B".parse().unwrap()],
            attributes: vec![below.clone(), Attribute { name: name("other"), ..below }],
        };
        let long = format!("\"{}\"", "長い文字列".repeat(60));
        let attributes = AttributeType::ALL.map(|kind| Attribute {
            name: name(kind.as_str()),
            instances: SmallVec::from_iter([
                instance(kind, "\"ä\"", Some(Qualifiers::default())),
                instance(kind, &long, Some(qualifiers.clone())),
            ]),
        });
        Entity {
            id: "urn:x:1".parse().unwrap(),
            types: vec!["urn:x:Type".parse().unwrap()],
            scopes: vec!["/a/b".parse().unwrap(), "/愛知".parse().unwrap()],
            created_at: Timestamp::from_bits(i64::MIN),
            modified_at: Timestamp::default(),
            expires_at: Some(Timestamp::from_seconds(1)),
            attributes: attributes.to_vec(),
        }
    }

    fn bytes(entity: &Entity) -> Vec<u8> {
        postcard::to_stdvec(entity).unwrap()
    }

    fn read_alone(bytes: &[u8]) -> Result<Entity> {
        read(bytes, &mut Vocabulary::of(&Interner::default()))
    }

    #[test]
    fn an_entity_is_read_as_postcard_reads_it() {
        let whole = entity();
        let bare = Entity { attributes: Vec::new(), scopes: Vec::new(), ..whole.clone() };
        for entity in [whole, bare] {
            let read = read_alone(&bytes(&entity)).unwrap();
            assert_eq!(read, entity);
            assert_eq!(read, postcard::from_bytes(&bytes(&entity)).unwrap());
            assert_eq!(bytes(&read), bytes(&entity), "times are written with the same digits");
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_refused_or_read_but_never_ends_the_program() {
        let bytes = bytes(&entity());
        for length in 0..bytes.len() {
            assert!(read_alone(&bytes[..length]).is_err(), "{length}");
        }
        let reference = |bytes: &[u8]| postcard::from_bytes::<Entity>(bytes).ok();
        for place in 0..400 {
            for wrong in [0, 1, 2, 0x7F, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[place] = wrong;
                assert_eq!(read_alone(&damaged).ok(), reference(&damaged), "{wrong} at {place}");
            }
        }
    }

    #[test]
    fn names_are_shared_among_all_that_read() {
        let (interner, bytes) = (Interner::default(), bytes(&entity()));
        let [one, other] = [(); 2].map(|()| read(&bytes, &mut Vocabulary::of(&interner)).unwrap());
        let is_shared = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other);
        assert!(one.types[0].shares_with(&other.types[0]));
        let [one, other] = [&one, &other].map(|entity| &entity.attributes[0]);
        assert!(one.name.shares_with(&other.name));
        let [one, other] = [one, other].map(|attribute| &attribute.instances[1]);
        let [one, other] = [one, other].map(|instance| instance.qualifiers.as_ref().unwrap());
        assert!(is_shared(one.unit_code.as_ref().unwrap(), other.unit_code.as_ref().unwrap()));
        assert!(is_shared(one.value_type.as_ref().unwrap(), other.value_type.as_ref().unwrap()));
        assert!(one.object_type[1].shares_with(&other.object_type[1]));
        let [one, other] = [one, other].map(|qualifiers| &qualifiers.attributes[0].name);
        assert!(one.shares_with(other));
    }
}
