//! The temporal API: what entities were (CIM 009, clauses 6.18 to 6.24).

pub(crate) mod attributes;
pub(crate) mod body;
pub(crate) mod create;
pub(crate) mod import;
pub(crate) mod instance;
pub(crate) mod page;
pub(crate) mod parameters;
pub(crate) mod query;
pub(crate) mod question;
pub(crate) mod retrieve;
