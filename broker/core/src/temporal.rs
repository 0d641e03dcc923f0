//! What entities were: the operations on temporal evolutions (CIM 009, clauses 5.6.11 to 5.6.16,
//! 5.7.3 and 5.7.4).

mod correct;
mod deletion;
mod import;
mod known;
mod places;
mod read;
mod repeated;
#[cfg(test)]
mod tests;
mod write;

pub use import::{Imported, KeptEvolution};
pub use read::IdOrder;
pub use write::Upserted;
