//! Names that many entities have, kept once.

use std::collections::HashSet;
use std::sync::Arc;

use musubi_model::{AttrName, Attribute, Entity, TypeName};
use parking_lot::Mutex;

/// The fewest names after which those that nobody uses any more are looked for.
const FIRST_SWEEP: usize = 1_024;

/// The names in use, each once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    attributes: HashSet<AttrName>,
    types: HashSet<TypeName>,
    units: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Interner {
    /// Lets the names of an entity be the shared ones, and gives back room that it does not need.
    /// An entity that its sender still holds is copied if a name of it is not shared already.
    pub(crate) fn share(&self, entity: &mut Arc<Entity>) {
        let mut names = self.names.lock();
        if let Some(entity) = Arc::get_mut(entity) {
            names.share(entity);
            entity.types.shrink_to_fit();
            entity.scopes.shrink_to_fit();
            entity.attributes.shrink_to_fit();
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
        entity.types.iter().all(|name| {
            self.types.get(name).is_some_and(|known| Arc::ptr_eq(known.shared(), name.shared()))
        }) && entity.attributes.iter().all(|attribute| {
            let name = &attribute.name;
            self.attributes
                .get(name)
                .is_some_and(|known| Arc::ptr_eq(known.shared(), name.shared()))
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
                if let Some(unit) = &mut qualifiers.unit_code {
                    share_one(&mut self.units, unit);
                }
                for name in &mut qualifiers.object_type {
                    share_one(&mut self.types, name);
                }
                self.share_attributes(&mut qualifiers.attributes);
            }
        }
    }

    /// Forgets names that nobody else holds, each time that their number has doubled.
    fn sweep(&mut self) {
        let count = |names: &Self| names.attributes.len() + names.types.len() + names.units.len();
        if count(self) < self.sweep_at.max(FIRST_SWEEP) {
            return;
        }
        self.attributes.retain(|name| Arc::strong_count(name.shared()) > 1);
        self.types.retain(|name| Arc::strong_count(name.shared()) > 1);
        self.units.retain(|unit| Arc::strong_count(unit) > 1);
        self.sweep_at = count(self) * 2;
    }
}

fn share_one<T: Clone + Eq + std::hash::Hash>(known: &mut HashSet<T>, name: &mut T) {
    match known.get(name) {
        Some(shared) => *name = shared.clone(),
        None => {
            known.insert(name.clone());
        }
    }
}
