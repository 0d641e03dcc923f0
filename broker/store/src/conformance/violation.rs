//! What a store did wrong.

use std::fmt;

/// A sentence of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A commit is carried out or refused as its expectations say, and says which failed first.
    Outcome,
    /// A group is there entirely or not at all.
    Whole,
    /// A revision grows with every write to its entity or record, and never repeats.
    Revision,
    /// A position is that of the entity's creation: it stays with updates and is new after a
    /// deletion.
    Position,
    /// What is found is what was written, without what has expired at the moment of the query.
    State,
    /// A query finds the entities that its filter matches, those and no others, each once.
    Selection,
    /// Entities come in the order that was asked for, and where that says nothing in that of their
    /// creation.
    Order,
    /// A page by offset is that part of the whole answer.
    Offset,
    /// A page after a position begins with the next entity.
    Cursor,
    /// A page says whether there is more.
    More,
    /// A page says how many there are in all, if it was asked.
    Count,
    /// The list of types is that of the entities that are there.
    Types,
    /// The list of attributes is that of the entities that are there.
    Attributes,
    /// A query for records finds those that it describes, in the order of their keys.
    Records,
    /// Every change is in the log.
    ChangeMissing,
    /// No change is in the log twice.
    ChangeTwice,
    /// The log says of a change what happened, in the order in which it happened.
    Change,
    /// The numbers of the log are consecutive from 1, and it is read from where one asks.
    Sequence,
    /// The newest change is announced when the commit is answered.
    Newest,
    /// What was dropped from the log was allowed to be.
    Truncation,
    /// What was answered is there after a reopening.
    Durable,
    /// No acknowledged write is overwritten by a writer that did not know it.
    LostUpdate,
    /// A page read beside writers is of one moment.
    Moment,
    /// What is said of the past is what the reference makes of the log.
    Past,
    /// A store that is well answers.
    Answer,
}

/// What a store did wrong, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The sentence of the contract that does not hold.
    pub rule: Rule,
    /// The case: a [`Plan`](super::Plan) of this seed with one case and one round shows it again.
    pub seed: u64,
    /// The step of the case, from 0.
    pub step: u32,
    /// What was being done.
    pub doing: String,
    /// What was expected and what came.
    pub difference: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} does not hold (seed {}, step {}), while {}:\n{}",
            self.rule, self.seed, self.step, self.doing, self.difference
        )
    }
}

impl std::error::Error for Violation {}

/// A violation, as it is noticed: where in the run that was is added by the run.
#[derive(Debug)]
pub(super) struct Breach {
    pub(super) rule: Rule,
    pub(super) doing: String,
    pub(super) difference: String,
}

impl Breach {
    pub(super) fn new(rule: Rule, doing: impl Into<String>, difference: impl Into<String>) -> Self {
        Self { rule, doing: doing.into(), difference: difference.into() }
    }

    /// A store that is well has answered with an error.
    pub(super) fn error(doing: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(Rule::Answer, doing, text)
    }

    /// The same, noticed after a reopening: what was answered is not there.
    pub(super) fn after_reopening(self) -> Self {
        let difference = format!("after a reopening, {:?}: {}", self.rule, self.difference);
        Self { rule: Rule::Durable, difference, ..self }
    }

    pub(super) fn at(self, seed: u64, step: u32) -> Violation {
        let Self { rule, doing, difference } = self;
        Violation { rule, seed, step, doing, difference }
    }
}

/// A value as a failure report shows it: not more than a person will read.
pub(super) fn shown(value: &dyn fmt::Debug) -> String {
    const MOST: usize = 1500;
    let text = format!("{value:?}");
    if text.chars().count() <= MOST {
        return text;
    }
    let mut text: String = text.chars().take(MOST).collect();
    text.push('…');
    text
}

/// What was expected and what came, one under the other.
pub(super) fn differing(expected: &dyn fmt::Debug, given: &dyn fmt::Debug) -> String {
    format!("expected: {}\n   given: {}", shown(expected), shown(given))
}
