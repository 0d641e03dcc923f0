//! Entities, filters and record values out of a seed, for the suite and for any other test that
//! compares two ways to the same answer.
//!
//! Everything is drawn from small vocabularies, so that things meet: filters match, writes hit
//! what is there, names are prefixes of names. The same seed makes the same sequence.

mod entity;
mod filter;
mod geometry;
mod query;
mod question;
mod random;
mod value;
mod vocabulary;

pub use random::Random;
pub use vocabulary::Vocabulary;
pub(super) use vocabulary::name;

/// Draws from a vocabulary.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Where chance comes from.
    pub random: Random,
    /// What is drawn from.
    pub vocabulary: Vocabulary,
}

impl Generator {
    /// A generator over the usual vocabulary with so many entity ids, at least 1.
    pub fn new(seed: u64, ids: usize) -> Self {
        Self { random: Random::new(seed), vocabulary: Vocabulary::new(ids) }
    }
}
