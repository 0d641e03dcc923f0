//! What an entity was before a change, said by what it does not share with what it is after it.

use musubi_model::{AttrName, Attribute, Entity, EntityId, Instance, Scope, Timestamp, TypeName};
use serde::Deserialize;
use smallvec::SmallVec;

use crate::codec::RowError;
use crate::codec::writer::Writer;

/// The entity before. What is none is as it is after.
#[derive(Deserialize)]
pub(super) struct Before {
    /// None if it is that of the change.
    id: Option<EntityId>,
    types: Option<Vec<TypeName>>,
    scopes: Option<Vec<Scope>>,
    created_at: Option<Timestamp>,
    /// Hardly ever as it is after.
    modified_at: Timestamp,
    expires_at: Expiry,
    attributes: Vec<(Name, SmallVec<[Instance; 1]>)>,
}

/// When the entity was to cease to exist.
#[derive(Deserialize)]
enum Expiry {
    /// As it is after.
    Shared,
    /// At this time, or never.
    Own(Option<Timestamp>),
}

/// The name of an attribute.
#[derive(Deserialize)]
pub(super) enum Name {
    /// That of the attribute at this place among those that are known.
    Known(usize),
    /// One that is not known.
    Written(AttrName),
}

/// Attributes whose names are known to whoever reads a row: those after the change, and behind them
/// those before it.
pub(super) struct Names<'a> {
    after: &'a [Attribute],
    before: &'a [Attribute],
    /// Where the next name is expected, as names come in about the order of the attributes.
    next: usize,
}

/// Writes an entity as it was before a change of the entity of that id.
pub(super) fn write(
    before: &Entity,
    (id, after): (&EntityId, Option<&Entity>),
    writer: &mut Writer<'_>,
) {
    let own_id = (before.id != *id).then_some(&before.id);
    writer.option(own_id, |writer, id| writer.text(id.as_str()));
    let is_shared =
        |is_same: fn(&Entity, &Entity) -> bool| after.is_some_and(|after| is_same(before, after));
    let types = (!is_shared(|before, after| before.types == after.types)).then_some(&before.types);
    writer.option(types, |writer, types| {
        writer.list(types, |writer, name| writer.text(name.as_str()));
    });
    let scopes =
        (!is_shared(|before, after| before.scopes == after.scopes)).then_some(&before.scopes);
    writer.option(scopes, |writer, scopes| {
        writer.list(scopes, |writer, scope| writer.text(scope.as_str()));
    });
    // Times that are equal may be written with other digits.
    let created = is_shared(|before, after| before.created_at.is_written_like(after.created_at));
    writer.option((!created).then_some(before.created_at), Writer::time);
    writer.time(before.modified_at);
    let expires = is_shared(|before, after| match (before.expires_at, after.expires_at) {
        (Some(before), Some(after)) => before.is_written_like(after),
        (before, after) => before == after,
    });
    writer.option((!expires).then_some(before.expires_at), |writer, expires_at| {
        writer.option(expires_at, Writer::time);
    });
    let mut names = Names::of(after, None);
    writer.list(&before.attributes, |writer, attribute| {
        names.write(&attribute.name, writer);
        writer.list(&attribute.instances, Writer::instance);
    });
}

impl Before {
    /// The entity, when the change was of the entity of that id.
    pub(super) fn entity(self, id: &EntityId, after: Option<&Entity>) -> Result<Entity, RowError> {
        let names = Names::of(after, None);
        let attribute = |(name, instances)| Ok(Attribute { name: names.read(name)?, instances });
        let attributes: Result<_, RowError> = self.attributes.into_iter().map(attribute).collect();
        Ok(Entity {
            id: self.id.unwrap_or_else(|| id.clone()),
            types: own(self.types, after.map(|after| &after.types))?,
            scopes: own(self.scopes, after.map(|after| &after.scopes))?,
            created_at: own(self.created_at, after.map(|after| &after.created_at))?,
            modified_at: self.modified_at,
            expires_at: match self.expires_at {
                Expiry::Own(expires_at) => expires_at,
                Expiry::Shared => after.ok_or(RowError::Malformed)?.expires_at,
            },
            attributes: attributes?,
        })
    }
}

/// What is its own, or else what it shares.
fn own<T: Clone>(own: Option<T>, shared: Option<&T>) -> Result<T, RowError> {
    own.or_else(|| shared.cloned()).ok_or(RowError::Malformed)
}

impl<'a> Names<'a> {
    pub(super) fn of(after: Option<&'a Entity>, before: Option<&'a Entity>) -> Self {
        let attributes = |entity: Option<&'a Entity>| -> &'a [Attribute] {
            entity.map_or(&[], |entity| &entity.attributes)
        };
        Self { after: attributes(after), before: attributes(before), next: 0 }
    }

    /// Writes a name, as shortly as it can be said.
    pub(super) fn write(&mut self, name: &AttrName, writer: &mut Writer<'_>) {
        if let Some(place) = self.place_of(name) {
            writer.byte(0);
            writer.length(place);
        } else {
            writer.byte(1);
            writer.text(name.as_str());
        }
    }

    fn place_of(&mut self, name: &AttrName) -> Option<usize> {
        let is_next = self.at(self.next).is_some_and(|attribute| attribute.name == *name);
        let place = if is_next { self.next } else { self.search(name)? };
        self.next = place + 1;
        Some(place)
    }

    fn search(&self, name: &AttrName) -> Option<usize> {
        let all = || self.after.iter().chain(self.before).enumerate();
        let mut around = all().skip(self.next).chain(all().take(self.next));
        around.find(|(_, attribute)| attribute.name == *name).map(|(place, _)| place)
    }

    fn at(&self, place: usize) -> Option<&'a Attribute> {
        let before = || self.before.get(place.checked_sub(self.after.len())?);
        self.after.get(place).or_else(before)
    }

    /// What a name says that was read.
    pub(super) fn read(&self, name: Name) -> Result<AttrName, RowError> {
        let place = match name {
            Name::Known(place) => place,
            Name::Written(name) => return Ok(name),
        };
        self.at(place).map(|attribute| attribute.name.clone()).ok_or(RowError::Malformed)
    }
}
