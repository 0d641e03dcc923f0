//! Names that many entities have, kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use musubi_model::{AttrName, Attribute, Entity, TypeName};
use parking_lot::Mutex;

use crate::codec::RowError;

/// The fewest names after which those that nobody uses any more are looked for.
const FIRST_SWEEP: usize = 1_024;

/// The names in use, each once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    attributes: HashSet<AttrName, RandomState>,
    types: HashSet<TypeName, RandomState>,
    /// Codes of units, and types of values.
    texts: HashSet<Arc<str>, RandomState>,
    sweep_at: usize,
}

impl Interner {
    /// Lets the names of an entity be the shared ones, and gives back room that it does not need.
    /// An entity that its sender still holds is copied if a name of it is not shared already.
    pub(crate) fn share(&self, entity: &mut Arc<Entity>) {
        let mut names = self.names.lock();
        if let Some(entity) = Arc::get_mut(entity) {
            names.share(entity);
            fit(&mut entity.types);
            fit(&mut entity.scopes);
            fit(&mut entity.attributes);
        } else if !names.has_all(entity) {
            names.share(Arc::make_mut(entity));
        }
        names.sweep();
    }
}

impl Names {
    /// Whether the names of the entity itself and of its attributes are the shared ones. Names
    /// further inside are not looked at: they are rare, and a copy of them costs little.
    fn has_all(&self, entity: &Entity) -> bool {
        entity
            .types
            .iter()
            .all(|name| self.types.get(name).is_some_and(|known| known.shares_with(name)))
            && entity.attributes.iter().all(|attribute| {
                let name = &attribute.name;
                self.attributes.get(name).is_some_and(|known| known.shares_with(name))
            })
    }

    fn share(&mut self, entity: &mut Entity) {
        for name in &mut entity.types {
            share_one(&mut self.types, name);
        }
        self.share_attributes(&mut entity.attributes);
    }

    fn share_attributes(&mut self, attributes: &mut [Attribute]) {
        for attribute in attributes {
            share_one(&mut self.attributes, &mut attribute.name);
            for instance in &mut attribute.instances {
                let Some(qualifiers) = &mut instance.qualifiers else { continue };
                let texts = [&mut qualifiers.unit_code, &mut qualifiers.value_type];
                for text in texts.into_iter().flatten() {
                    share_one(&mut self.texts, text);
                }
                for name in &mut qualifiers.object_type {
                    share_one(&mut self.types, name);
                }
                self.share_attributes(&mut qualifiers.attributes);
                fit(&mut qualifiers.attributes);
            }
        }
    }

    /// Forgets names that nobody else holds, each time that their number has doubled.
    fn sweep(&mut self) {
        let count = |names: &Self| names.attributes.len() + names.types.len() + names.texts.len();
        if count(self) < self.sweep_at.max(FIRST_SWEEP) {
            return;
        }
        self.attributes.retain(|name| name.holders() > 1);
        self.types.retain(|name| name.holders() > 1);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.sweep_at = count(self) * 2;
    }
}

/// The names as one thread knows them that makes entities out of rows. It asks for each only once, so
/// that such threads do not wait for each other.
#[derive(Debug)]
pub(crate) struct Vocabulary<'i> {
    interner: &'i Interner,
    attributes: HashSet<AttrName, RandomState>,
    types: HashSet<TypeName, RandomState>,
    texts: HashSet<Arc<str>, RandomState>,
}

/// The most names of each kind that are in a vocabulary. Where every entity has names of its own, it
/// would not be asked twice for one.
const MOST: usize = 4_096;

impl<'i> Vocabulary<'i> {
    /// One that knows nothing yet.
    pub(crate) fn of(interner: &'i Interner) -> Self {
        let (attributes, types, texts) = Default::default();
        Self { interner, attributes, types, texts }
    }

    /// The name of an attribute.
    pub(crate) fn attribute_name(&mut self, text: &str) -> Result<AttrName, RowError> {
        let parse = || text.parse().map_err(|_| RowError::Malformed);
        let shared = || known(&mut self.interner.names.lock().attributes, text, usize::MAX, parse);
        known(&mut self.attributes, text, MOST, shared)
    }

    /// The name of a type.
    pub(crate) fn type_name(&mut self, text: &str) -> Result<TypeName, RowError> {
        let parse = || text.parse().map_err(|_| RowError::Malformed);
        let shared = || known(&mut self.interner.names.lock().types, text, usize::MAX, parse);
        known(&mut self.types, text, MOST, shared)
    }

    /// The code of a unit, or the type of a value.
    pub(crate) fn text(&mut self, text: &str) -> Result<Arc<str>, RowError> {
        let make = || Ok(text.into());
        let shared = || known(&mut self.interner.names.lock().texts, text, usize::MAX, make);
        known(&mut self.texts, text, MOST, shared)
    }
}

/// The one of these that has this text. If none does it is made, and is one of them from then on, as
/// long as they are not as many as they may be.
fn known<T: Clone + Eq + Hash + Borrow<str>>(
    known: &mut HashSet<T, RandomState>,
    text: &str,
    most: usize,
    make: impl FnOnce() -> Result<T, RowError>,
) -> Result<T, RowError> {
    if let Some(name) = known.get(text) {
        return Ok(name.clone());
    }
    let name = make()?;
    if known.len() < most {
        known.insert(name.clone());
    }
    Ok(name)
}

/// Gives back room that is not needed. Not by `shrink_to_fit`: an allocator may leave what shrinks
/// where it is, with the room still taken behind it.
fn fit<T>(items: &mut Vec<T>) {
    if items.capacity() > items.len() {
        let mut fitting = Vec::with_capacity(items.len());
        fitting.append(items);
        *items = fitting;
    }
}

fn share_one<T: Clone + Eq + Hash>(known: &mut HashSet<T, RandomState>, name: &mut T) {
    match known.get(name) {
        Some(shared) => *name = shared.clone(),
        None => {
            known.insert(name.clone());
        }
    }
}
