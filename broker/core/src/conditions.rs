//! What has to hold for a write beside what its operation asks: the version of the entity that the
//! client knows, and that what it observed is news. Both are extensions of ours; they are checked
//! where the entity is read for the write, and again whenever it has to be read again.

use std::borrow::Cow;

use musubi_model::{Entity, EntityFragment, Older};
use musubi_store::Found;

use crate::{Error, Seal, Version};

/// The versions that a client names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Whichever there is.
    Any,
    /// One of these; with none, no version is meant.
    OneOf(Vec<Version>),
}

impl Versions {
    fn include(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// What is done with an attribute instance that was observed no later than the one that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfOrder {
    /// It is written as any other.
    #[default]
    Apply,
    /// It is left alone, and reported as not updated.
    LeaveAlone,
}

/// What has to hold for a write of one entity to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The entity is at one of these versions.
    pub matches: Option<Versions>,
    /// The entity is at none of these versions.
    pub matches_none: Option<Versions>,
    /// What becomes of instances that arrive late. Holds for appending, updating, merging,
    /// upserting and for adapters, but not for the replacement of a whole entity by its id.
    pub out_of_order: OutOfOrder,
}

impl Conditions {
    /// Whether the client names versions at all.
    pub(crate) fn name_versions(&self) -> bool {
        self.matches.is_some() || self.matches_none.is_some()
    }

    /// Passes if the entity is at a version that the client allows.
    pub(crate) fn check(&self, found: &Found, seal: &Seal) -> Result<(), Error> {
        let version = seal.version(found);
        let wanted = self.matches.as_ref().is_none_or(|versions| versions.include(version));
        let unwanted = self.matches_none.as_ref().is_some_and(|versions| versions.include(version));
        if wanted && !unwanted { Ok(()) } else { Err(self.failed(&found.entity)) }
    }

    /// Whether the client said that the entity it creates must not be there, or must be.
    pub(crate) fn concern_creation(&self) -> bool {
        self.matches.is_some() || self.matches_none == Some(Versions::Any)
    }

    fn failed(&self, entity: &Entity) -> Error {
        let id = &entity.id;
        Error::PreconditionFailed(if self.matches.is_some() {
            format!("entity {id} is not at a version that If-Match names")
        } else {
            format!("entity {id} is at a version that If-None-Match names")
        })
    }

    /// The fragment without what is no news to `entity`, if that is asked for, and what was taken out
    /// of it.
    pub(crate) fn newer<'f>(
        &self,
        fragment: &'f EntityFragment,
        entity: &Entity,
    ) -> (Cow<'f, EntityFragment>, Vec<Older>) {
        let mut fragment = Cow::Borrowed(fragment);
        let older = match self.out_of_order {
            OutOfOrder::Apply => Vec::new(),
            OutOfOrder::LeaveAlone => fragment.to_mut().take_older(entity),
        };
        (fragment, older)
    }

    /// Takes what is no news to `entity` out of the fragment, if that is asked for.
    pub(crate) fn take_older(&self, fragment: &mut EntityFragment, entity: &Entity) -> Vec<Older> {
        match self.out_of_order {
            OutOfOrder::Apply => Vec::new(),
            OutOfOrder::LeaveAlone => fragment.take_older(entity),
        }
    }
}
