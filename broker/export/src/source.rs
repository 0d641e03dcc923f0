//! Where an export comes from.

use futures_util::future::BoxFuture;
use musubi_model::Timestamp;

/// A question for instances of history by their `modifiedAt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Of which entities.
    pub entities: Entities,
    /// Of which attribute alone, if it is one that the export is about; none for all of those.
    pub attribute: Option<String>,
    /// The first moment of the stretch.
    pub from: Timestamp,
    /// The first moment behind the stretch.
    pub until: Timestamp,
}

/// Which entities a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entities {
    /// The next ones, at most so many, in the order of their ids.
    Page {
        /// The cursor behind the page before; empty at the beginning.
        after: String,
        /// How many, from 1.
        limit: usize,
    },
    /// The next one, and nothing of it but its id and types.
    NextId {
        /// As of a page.
        after: String,
    },
    /// These.
    These(Vec<String>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A JSON array of the entities that have anything in the stretch, in the normalized temporal
    /// representation with system attributes.
    pub body: Vec<u8>,
    /// If instances are missing: the time of the last one that is there. All instances up to that
    /// time are in the answer, unless all that are in it are of that one time: then some of them may
    /// be missing.
    pub cut: Option<Timestamp>,
    /// The cursor of the next page, if the question was for a page and it is not the last one.
    pub next: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is longer than whoever asked wants to hold in memory. Less may be asked for.
    TooLong,
    /// For another reason, as a sentence.
    Because(String),
}

/// The history of one tenant, as it may be asked for.
pub trait Source: Send + Sync {
    /// Answers a question.
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, NoAnswer>>;
}
