//! What a write did to an entity.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{AttrName, Attribute, Entity, EntityId, Position, Revision};

/// One write's effect on one entity, complete in itself: whoever reads it needs nothing else to
/// decide who is to be told, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityChange {
    /// The entity.
    pub id: EntityId,
    /// The revision that the write made.
    pub revision: Revision,
    /// Where the entity stands in its tenant's order.
    pub position: Position,
    /// The entity before the write, with only those attributes that the write touched; none if
    /// there was no entity.
    pub before: Option<Arc<Entity>>,
    /// The whole entity after the write; none if the write deleted it.
    pub after: Option<Arc<Entity>>,
    /// The names of the attributes that the write created, touched or deleted.
    pub changed: Vec<AttrName>,
}

/// What happened to one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeChange {
    /// It was not there before.
    Created,
    /// It was and is there, and the write touched it, with the same value or another.
    Updated,
    /// It is no longer there.
    Deleted,
}

/// The kinds of change on which a subscription may fire (CIM 009, clause 5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// The entity came into being.
    EntityCreated,
    /// The entity was and is there.
    EntityUpdated,
    /// The entity is gone.
    EntityDeleted,
    /// An attribute came into being, in a new entity too.
    AttributeCreated,
    /// An attribute was and is there, and was written.
    AttributeUpdated,
    /// An attribute is gone.
    AttributeDeleted,
}

/// Who brought a change about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A request to the API.
    #[default]
    Request,
    /// The adapter of this name.
    Adapter(Arc<str>),
    /// The passing of time.
    Expiry,
}

impl EntityChange {
    /// The change from `old` to `new`. An attribute counts as changed when it differs in
    /// anything, the time of its modification included: a write of the same value is a change
    /// (CIM 009, clause 5.8.6).
    pub fn between(
        id: EntityId,
        (revision, position): (Revision, Position),
        old: Option<&Entity>,
        new: Option<Arc<Entity>>,
    ) -> Self {
        let (touched, changed) = compare(old, new.as_deref());
        let before = old.map(|old| Arc::new(old.with_only(&touched)));
        Self { id, revision, position, before, after: new, changed }
    }

    /// As [`between`](Self::between). If all of `old` was touched it is shared, and nothing copied.
    pub fn replacing(
        id: EntityId,
        (revision, position): (Revision, Position),
        old: Option<&Arc<Entity>>,
        new: Option<Arc<Entity>>,
    ) -> Self {
        let (touched, changed) = compare(old.map(|old| &**old), new.as_deref());
        let before = old.map(|old| {
            let all = old.attributes.iter();
            let is_whole = touched.len() == old.attributes.len()
                && all.zip(&touched).all(|(one, other)| std::ptr::eq(one, *other));
            if is_whole { Arc::clone(old) } else { Arc::new(old.with_only(&touched)) }
        });
        Self { id, revision, position, before, after: new, changed }
    }

    /// What happened to the attribute of this name; none if the write did not touch it.
    pub fn attribute(&self, name: &AttrName) -> Option<AttributeChange> {
        if !self.changed.contains(name) {
            return None;
        }
        let had = self.before.as_ref().is_some_and(|entity| entity.attribute(name).is_some());
        let has = self.after.as_ref().is_some_and(|entity| entity.attribute(name).is_some());
        match (had, has) {
            (false, _) => Some(AttributeChange::Created),
            (true, true) => Some(AttributeChange::Updated),
            (true, false) => Some(AttributeChange::Deleted),
        }
    }

    /// What happened to the entity as a whole.
    pub fn entity_trigger(&self) -> Trigger {
        match (&self.before, &self.after) {
            (None, _) => Trigger::EntityCreated,
            (Some(_), Some(_)) => Trigger::EntityUpdated,
            (Some(_), None) => Trigger::EntityDeleted,
        }
    }
}

/// The attributes of `old` that a write touched or deleted, and the names of all that it created,
/// touched or deleted.
fn compare<'o>(
    old: Option<&'o Entity>,
    new: Option<&Entity>,
) -> (SmallVec<[&'o Attribute; 8]>, Vec<AttrName>) {
    if old.is_none() {
        let created = new.map_or(&[][..], |new| &new.attributes);
        return (SmallVec::new(), created.iter().map(|one| one.name.clone()).collect());
    }
    let (mut touched, mut changed) = (SmallVec::new(), Vec::new());
    let mut there = InOrder::of(old);
    for attribute in new.iter().flat_map(|new| &new.attributes) {
        let previous = there.find(&attribute.name);
        if previous == Some(attribute) {
            continue;
        }
        changed.push(attribute.name.clone());
        touched.extend(previous);
    }
    let mut here = InOrder::of(new);
    for previous in old.iter().flat_map(|old| &old.attributes) {
        if here.find(&previous.name).is_none() {
            changed.push(previous.name.clone());
            touched.push(previous);
        }
    }
    (touched, changed)
}

/// Finds attributes by names that come in about the order in which the attributes stand, so that
/// to find all of many takes about as many steps. This runs for every write, where all writers
/// wait for each other.
struct InOrder<'a> {
    attributes: &'a [Attribute],
    /// Where the next name is expected.
    next: usize,
}

impl<'a> InOrder<'a> {
    fn of(entity: Option<&'a Entity>) -> Self {
        Self { attributes: entity.map_or(&[], |entity| &entity.attributes), next: 0 }
    }

    fn find(&mut self, name: &AttrName) -> Option<&'a Attribute> {
        let (earlier, later) = self.attributes.split_at_checked(self.next)?;
        let mut around = later.iter().chain(earlier);
        let steps = around.position(|attribute| attribute.name == *name)?;
        let at = (self.next + steps) % self.attributes.len();
        self.next = at + 1;
        self.attributes.get(at)
    }
}

impl Entity {
    /// A copy with only these of the attributes.
    fn with_only(&self, attributes: &[&Attribute]) -> Self {
        Self {
            id: self.id.clone(),
            types: self.types.clone(),
            scopes: self.scopes.clone(),
            created_at: self.created_at,
            modified_at: self.modified_at,
            expires_at: self.expires_at,
            attributes: attributes.iter().copied().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttributeType, Instance, Json, Timestamp, Value};

    fn attribute(name: &str, value: &str, modified: i64) -> Attribute {
        let value = Value { kind: AttributeType::Property, json: Json::parse(value).unwrap() };
        let instance = Instance {
            value,
            observed_at: None,
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::from_seconds(modified),
            qualifiers: None,
        };
        Attribute { name: name.parse().unwrap(), instances: smallvec::smallvec![instance] }
    }

    fn entity(attributes: Vec<Attribute>) -> Entity {
        Entity {
            id: "urn:a:b".parse().unwrap(),
            types: vec!["urn:t".parse().unwrap()],
            scopes: Vec::new(),
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
            expires_at: None,
            attributes,
        }
    }

    fn between(old: Option<&Entity>, new: Option<Entity>) -> EntityChange {
        let id = "urn:a:b".parse().unwrap();
        EntityChange::between(id, (Revision(2), Position(1)), old, new.map(Arc::new))
    }

    fn name(text: &str) -> AttrName {
        text.parse().unwrap()
    }

    #[test]
    fn a_creation_creates_the_entity_and_each_attribute() {
        let change = between(None, Some(entity(vec![attribute("urn:x", "1", 0)])));
        assert_eq!(change.entity_trigger(), Trigger::EntityCreated);
        assert_eq!(change.before, None);
        assert_eq!(change.changed, [name("urn:x")]);
        assert_eq!(change.attribute(&name("urn:x")), Some(AttributeChange::Created));
    }

    #[test]
    fn an_update_tells_what_was_touched_and_keeps_how_that_was_before() {
        let old = entity(vec![
            attribute("urn:same", "1", 0),
            attribute("urn:touched", "1", 0),
            attribute("urn:gone", "1", 0),
        ]);
        let new = entity(vec![
            attribute("urn:same", "1", 0),
            attribute("urn:touched", "1", 5),
            attribute("urn:new", "1", 5),
        ]);
        let change = between(Some(&old), Some(new));
        assert_eq!(change.entity_trigger(), Trigger::EntityUpdated);
        assert_eq!(change.changed, [name("urn:touched"), name("urn:new"), name("urn:gone")]);
        let what = |text: &str| change.attribute(&name(text));
        assert_eq!(what("urn:same"), None);
        assert_eq!(what("urn:touched"), Some(AttributeChange::Updated));
        assert_eq!(what("urn:new"), Some(AttributeChange::Created));
        assert_eq!(what("urn:gone"), Some(AttributeChange::Deleted));
        let before = change.before.unwrap();
        let names: Vec<_> =
            before.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["urn:touched", "urn:gone"]);
    }

    #[test]
    fn attributes_in_another_order_are_the_same_attributes() {
        let old = entity(vec![
            attribute("urn:a", "1", 0),
            attribute("urn:b", "1", 0),
            attribute("urn:c", "1", 0),
        ]);
        let new = entity(vec![
            attribute("urn:c", "1", 0),
            attribute("urn:d", "1", 5),
            attribute("urn:a", "1", 0),
            attribute("urn:b", "2", 5),
        ]);
        let change = between(Some(&old), Some(new));
        assert_eq!(change.changed, [name("urn:d"), name("urn:b")]);
    }

    #[test]
    fn what_was_before_is_shared_if_all_of_it_was_touched() {
        let old = Arc::new(entity(vec![attribute("urn:a", "1", 0), attribute("urn:b", "1", 0)]));
        let check = |new: Option<Entity>, is_shared: bool| {
            let (id, numbers) = ("urn:a:b".parse().unwrap(), (Revision(2), Position(1)));
            let new = new.map(Arc::new);
            let change = EntityChange::replacing(id, numbers, Some(&old), new.clone());
            assert_eq!(change, between(Some(&old), new.map(|new| Entity::clone(&new))));
            assert_eq!(Arc::ptr_eq(change.before.as_ref().unwrap(), &old), is_shared);
        };
        let (a, b) = (attribute("urn:a", "2", 5), attribute("urn:b", "2", 5));
        check(Some(entity(vec![a.clone(), b.clone()])), true);
        check(Some(entity(vec![a.clone()])), true);
        check(None, true);
        check(Some(entity(vec![b.clone(), a.clone()])), false);
        check(Some(entity(vec![a, old.attributes[1].clone()])), false);
    }

    #[test]
    fn a_deletion_deletes_every_attribute() {
        let old = entity(vec![attribute("urn:x", "1", 0)]);
        let change = between(Some(&old), None);
        assert_eq!(change.entity_trigger(), Trigger::EntityDeleted);
        assert_eq!(change.attribute(&name("urn:x")), Some(AttributeChange::Deleted));
        assert_eq!(change.before.as_deref(), Some(&old));
    }

    #[test]
    fn a_change_survives_its_binary_form() {
        let old = entity(vec![attribute("urn:x", "{\"a\":[1,\"é\"]}", 0)]);
        let change = between(Some(&old), Some(entity(vec![attribute("urn:x", "2.50", 5)])));
        let bytes = postcard::to_stdvec(&change).unwrap();
        assert_eq!(postcard::from_bytes::<EntityChange>(&bytes).unwrap(), change);
    }
}
