//! Who calls, and what they may do. The one place where an operation is allowed or refused.

use musubi_query::Filter;

use crate::Error;

/// Somebody who uses the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever reaches a broker that has no authentication configured, and this process itself.
    /// May do everything.
    Local,
    /// Somebody who may do everything, with entities of this type alone.
    #[cfg(test)]
    OfType(musubi_model::TypeName),
}

/// What an operation needs its caller to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// To see entities.
    ReadEntities,
    /// To create entities.
    CreateEntities,
    /// To change entities that are there.
    ChangeEntities,
    /// To delete entities.
    DeleteEntities,
    /// To record what was, with the times that the system sets.
    ImportHistory,
    /// To see what types there are.
    ReadTypes,
    /// To see subscriptions and what became of their notifications.
    ReadSubscriptions,
    /// To create, change and delete subscriptions.
    WriteSubscriptions,
    /// To see the contexts that there are.
    ReadContexts,
    /// To add, reload and delete contexts.
    WriteContexts,
    /// To see dead letters.
    ReadDeadLetters,
    /// To replay and delete dead letters.
    WriteDeadLetters,
    /// To see the schemas of entity types.
    ReadSchemas,
    /// To register and delete schemas of entity types.
    WriteSchemas,
    /// To copy everything, of all tenants: the strongest of all.
    BackUp,
    /// To write on behalf of an adapter.
    Ingest,
}

impl Caller {
    /// Passes if the caller has this right.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if not.
    pub fn require(&self, right: Right) -> Result<(), Error> {
        match (self, right) {
            (Self::Local, _) => Ok(()),
            #[cfg(test)]
            (Self::OfType(_), _) => Ok(()),
        }
    }

    /// The entities that this caller may see, as a condition that is added to every query and to
    /// every read before a write; none if that is all of them.
    pub(crate) fn visible(&self) -> Option<Filter> {
        match self {
            Self::Local => None,
            #[cfg(test)]
            Self::OfType(name) => {
                let any_of = vec![vec![name.clone()]];
                Some(Filter::Type(musubi_query::TypeSelection { any_of }))
            }
        }
    }

    /// `filter`, narrowed to what this caller may see. The filter of a temporal query sees the id of
    /// an entity and the types that it has or had, and nothing else; so whatever else is a condition
    /// of who may see it hides its past.
    pub(crate) fn narrow(&self, filter: Filter) -> Filter {
        match self.visible() {
            None => filter,
            Some(visible) => Filter::All(vec![visible, filter]),
        }
    }
}
