//! Our expansion beside that of the `json-ld` crate, an implementation of JSON-LD 1.1 by others,
//! on generated contexts and bodies within the NGSI-LD profile.
//!
//! The crate reads the body with `[core, user, core]`: what a user context refers to may be the
//! core's, and the core wins (CIM 009, clauses 4.4 and 5.5.7). Where NGSI-LD and we differ from
//! JSON-LD, that is in the module `deviations`, with the clause; the generators keep away from
//! there.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod contexts;
#[cfg(test)]
mod deviations;
#[cfg(test)]
mod expanded;
#[cfg(test)]
mod fragment;
#[cfg(test)]
mod ours;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
