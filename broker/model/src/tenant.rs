//! Tenants: the walls between those who share a broker (CIM 009, clause 4.14).

use crate::newtype::checked_string;

checked_string! {
    /// The name of a tenant: up to 64 letters, digits, `_`, `-` and `.`. The empty name is the
    /// default tenant, which every broker has.
    Tenant, InvalidTenant, check
}

impl Default for Tenant {
    fn default() -> Self {
        Self(std::sync::Arc::from(""))
    }
}

impl Tenant {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Whether this is the tenant of requests that name none.
    pub fn is_default(&self) -> bool {
        self.as_str().is_empty()
    }
}

/// Why a string is no tenant name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant is named by up to 64 letters, digits, '_', '-' and '.', and {0:?} is not such a name"
)]
pub struct InvalidTenant(String);

fn check(text: &str) -> Result<(), InvalidTenant> {
    let fits = text.len() <= Tenant::MAX_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if fits { Ok(()) } else { Err(InvalidTenant(text.chars().take(80).collect())) }
}
