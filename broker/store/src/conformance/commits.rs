//! Commits, compared: what is answered, what the log says, what is there afterwards.

use std::collections::BTreeSet;

use musubi_model::Tenant;
use musubi_query::{EntityQuery, Filter, Start};

use super::draft::Draft;
use super::ledger::{Key, Pair};
use super::trial::{Trial, answered};
use super::violation::{Breach, Rule, differing, shown};
use crate::{Found, Outcome, Record, RecordQuery, Store};

const DOING: &str = "a commit";

/// Groups of more writes than this are not compared write by write.
const LARGE: usize = 50;

impl Trial {
    /// Has both carry out the groups, in one call, and compares everything that they say of it.
    pub(super) async fn commit(&mut self, drafts: Vec<Draft>) -> Result<(), Breach> {
        let groups: Vec<_> = drafts.iter().map(|draft| draft.groups(&self.ledger)).collect();
        let (ours, theirs) = groups.into_iter().map(|pair| (pair.reference, pair.store)).unzip();
        let before = self.newest();
        let mut newest = self.store.newest();
        newest.mark_unchanged();
        let expected = answered(DOING, self.reference.commit(ours).await)?;
        let given = answered(DOING, self.store.commit(theirs).await)?;
        let announced = newest.has_changed().unwrap_or(false);
        let refused = expected.iter().any(|outcome| matches!(outcome, Outcome::Refused(_)));
        async {
            self.compare_outcomes(&drafts, &expected, &given)?;
            self.compare_new_changes(before, refused).await?;
            self.compare_newest()?;
            if self.newest() > before && !announced {
                return Err(Breach::new(Rule::Newest, DOING, "nobody who waits was woken"));
            }
            self.compare_said_newest(&expected, &given)?;
            self.compare_touched(&drafts, &expected).await
        }
        .await
        .map_err(|breach: Breach| Breach {
            doing: format!("a commit of {}", shown(&drafts)),
            ..breach
        })
    }

    fn compare_outcomes(
        &mut self,
        drafts: &[Draft],
        expected: &[Outcome],
        given: &[Outcome],
    ) -> Result<(), Breach> {
        let wrong = || Breach::new(Rule::Outcome, DOING, differing(&expected, &given));
        if expected.len() != given.len() {
            return Err(wrong());
        }
        for (draft, outcomes) in drafts.iter().zip(expected.iter().zip(given)) {
            match outcomes {
                (Outcome::Refused(expected), Outcome::Refused(given)) if expected == given => {}
                (
                    Outcome::Committed { revisions: expected, .. },
                    Outcome::Committed { revisions: given, .. },
                ) if expected.len() == given.len() => {
                    let pairs = expected.iter().zip(given);
                    for ((key, is_there), (&reference, &store)) in draft.effects().zip(pairs) {
                        self.ledger.written(&key, is_there, Pair { reference, store })?;
                    }
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    /// A group may be told of the newest change of the whole call, not of an older one than its own
    /// and not of one that is not there.
    fn compare_said_newest(&self, expected: &[Outcome], given: &[Outcome]) -> Result<(), Breach> {
        for outcomes in expected.iter().zip(given) {
            let (
                Outcome::Committed { newest: expected, .. },
                Outcome::Committed { newest: given, .. },
            ) = outcomes
            else {
                continue;
            };
            if given < expected || *given > self.newest() {
                let difference = format!(
                    "the newest change was said to be {given:?}, and is {expected:?} to {:?}",
                    self.newest()
                );
                return Err(Breach::new(Rule::Newest, DOING, difference));
            }
        }
        Ok(())
    }

    /// Compares what was written to, and what was to be written to but was refused. Who writes
    /// large groups compares everything instead.
    async fn compare_touched(&self, drafts: &[Draft], expected: &[Outcome]) -> Result<(), Breach> {
        for (draft, outcome) in drafts.iter().zip(expected) {
            if draft.effects().count() > LARGE {
                continue;
            }
            let mut right = 0_usize;
            let mut wrong = Vec::new();
            for (key, _) in draft.effects() {
                match self.compare_one(&key).await? {
                    None => right += 1,
                    Some(breach) => wrong.push(breach),
                }
            }
            let Some(first) = wrong.into_iter().next() else { continue };
            let by_half = match outcome {
                Outcome::Refused(_) => true,
                Outcome::Committed { .. } => right > 0 && first.rule == Rule::State,
            };
            return Err(if by_half { Breach { rule: Rule::Whole, ..first } } else { first });
        }
        Ok(())
    }

    /// Compares what is under this key; what is wrong with it, if anything.
    async fn compare_one(&self, key: &Key) -> Result<Option<Breach>, Breach> {
        Ok(match key {
            Key::Entity(tenant, id) => {
                let filter = Filter::Ids(vec![id.clone()]);
                let asked = EntityQuery { filter, ..EntityQuery::default() };
                let (expected, given) = self.whole_pages(tenant, &asked).await?;
                let expected = expected.items.first();
                let expected = expected.map(|found| self.translated(tenant, found)).transpose()?;
                difference(key, expected.as_ref(), given.items.first(), misfound)
            }
            Key::Record(record) => {
                let query = RecordQuery {
                    kind: record.kind,
                    tenant: Some(record.tenant.clone()),
                    prefix: String::new(),
                    after: None,
                    limit: usize::MAX,
                };
                let is_it = |found: &Record| found.key == *record;
                let expected =
                    answered("a query for records", self.reference.records(&query).await)?;
                let given = answered("a query for records", self.store.records(&query).await)?;
                let expected = expected.into_iter().find(is_it);
                let expected = expected.map(|found| self.translated_record(&found)).transpose()?;
                let given = given.into_iter().find(is_it);
                difference(key, expected.as_ref(), given.as_ref(), |expected, given| {
                    if expected.value == given.value { Rule::Revision } else { Rule::State }
                })
            }
        })
    }

    /// The answers of both to a question, as one page.
    pub(super) async fn whole_pages(
        &self,
        tenant: &Tenant,
        asked: &EntityQuery,
    ) -> Result<(crate::Page, crate::Page), Breach> {
        let (start, limit, count) = (Start::Offset(0), usize::MAX, true);
        let query = EntityQuery { start, limit, count, ..asked.clone() };
        let expected = answered("a query", self.reference.select(tenant, &query).await)?;
        let given = answered("a query", self.store.select(tenant, &query).await)?;
        Ok((expected, given))
    }

    /// Compares what is announced as the newest change.
    pub(super) fn compare_newest(&self) -> Result<(), Breach> {
        let given = *self.store.newest().borrow();
        if given == self.newest() {
            return Ok(());
        }
        let difference = differing(&self.newest(), &given);
        Err(Breach::new(Rule::Newest, "reading the newest sequence", difference))
    }
}

/// The sentence of the contract that two different findings of the same entity break.
pub(super) fn misfound(expected: &Found, given: &Found) -> Rule {
    if expected.entity != given.entity {
        Rule::State
    } else if expected.revision != given.revision {
        Rule::Revision
    } else {
        Rule::Position
    }
}

fn difference<T: PartialEq + std::fmt::Debug>(
    key: &Key,
    expected: Option<&T>,
    given: Option<&T>,
    rule: impl Fn(&T, &T) -> Rule,
) -> Option<Breach> {
    if expected == given {
        return None;
    }
    let rule = match (expected, given) {
        (Some(expected), Some(given)) => rule(expected, given),
        _ => Rule::State,
    };
    Some(Breach::new(rule, DOING, format!("{key:?}\n{}", differing(&expected, &given))))
}

/// The ids that appear more than once.
pub(super) fn doubled(found: &[Found]) -> Vec<&Found> {
    let mut seen = BTreeSet::new();
    found.iter().filter(|found| !seen.insert(&found.entity.id)).collect()
}
