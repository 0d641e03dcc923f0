//! What an operator lays down for all writes.

use musubi_model::{Entity, Tenant};

use crate::Error;

/// What holds for every write, whoever brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRules {
    /// The most text that an entity may have, in bytes; see [`Entity::text_size`]. One that has
    /// more already may still shrink.
    pub entity_limit: usize,
    /// Where an attribute instance that was observed no later than the one that is there is left
    /// alone, as if every request asked for it.
    pub newer_only: TenantSet,
}

/// Some tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSet {
    /// These; none of them is possible.
    These(Vec<Tenant>),
    /// All that there are and will be.
    All,
}

impl WriteRules {
    /// As much text as usual: 1 MiB.
    pub const ENTITY_LIMIT: usize = 1024 * 1024;

    /// Passes if the entity is not too large, or no larger than before.
    pub(crate) fn check_size(&self, new: &Entity, old: Option<&Entity>) -> Result<(), Error> {
        let size = new.text_size();
        if size <= self.entity_limit || old.is_some_and(|old| size <= old.text_size()) {
            return Ok(());
        }
        let (id, most) = (&new.id, self.entity_limit);
        Err(Error::BadRequestData(format!(
            "entity {id} would have {size} bytes of names and values, and at most {most} are kept"
        )))
    }
}

impl Default for WriteRules {
    fn default() -> Self {
        let newer_only = TenantSet::These(Vec::new());
        Self { entity_limit: Self::ENTITY_LIMIT, newer_only }
    }
}

impl TenantSet {
    /// Whether the tenant is one of these.
    pub fn has(&self, tenant: &Tenant) -> bool {
        match self {
            Self::These(tenants) => tenants.contains(tenant),
            Self::All => true,
        }
    }
}
