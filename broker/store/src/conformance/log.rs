//! The log, compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use musubi_model::{Position, Revision, Sequence, Tenant};
use musubi_query::EntityQuery;

use super::ledger::{Key, Pair};
use super::trial::{Trial, answered};
use super::violation::{Breach, Rule, differing, shown};
use crate::{Change, Found, RecordKey, Store, Subject};

const READING: &str = "reading the log";

impl Trial {
    /// Compares the changes that a commit has made, which stand after `before`, and takes them
    /// down.
    pub(super) async fn compare_new_changes(
        &mut self,
        before: Sequence,
        refused: bool,
    ) -> Result<(), Breach> {
        let expected = answered(READING, self.reference.changes(before, usize::MAX).await)?;
        let given = answered(READING, self.store.changes(before, expected.len() + 100).await)?;
        compare_contents(&expected, &given, refused)?;
        for (expected, given) in expected.iter().zip(&given) {
            if expected.sequence != given.sequence {
                let difference = differing(&expected.sequence, &given.sequence);
                return Err(Breach::new(Rule::Sequence, READING, difference));
            }
            self.compare_numbers(expected, given)?;
            self.log.push(given.clone());
        }
        Ok(())
    }

    fn compare_numbers(&mut self, expected: &Change, given: &Change) -> Result<(), Breach> {
        let tenant = &given.tenant;
        let (key, reference, revision) = match (&expected.subject, &given.subject) {
            (Subject::Entity(expected), Subject::Entity(given)) => {
                let positions = Pair { reference: expected.position, store: given.position };
                if given.before.is_none() {
                    self.ledger.created(tenant, positions)?;
                } else if self.ledger.position(tenant, expected.position) != Some(given.position) {
                    let difference = format!("{:?} has moved to {:?}", given.id, given.position);
                    return Err(Breach::new(Rule::Position, READING, difference));
                }
                let key = Key::Entity(tenant.clone(), given.id.clone());
                (key, expected.revision, given.revision)
            }
            (Subject::Record(expected), Subject::Record(given)) => {
                let (kind, tenant, key) = (given.kind, tenant.clone(), given.key.clone());
                (Key::Record(RecordKey { kind, tenant, key }), expected.revision, given.revision)
            }
            _ => return Ok(()),
        };
        let answered = self.ledger.revision(&key, reference);
        if answered == Some(revision) {
            return Ok(());
        }
        let difference =
            format!("{key:?}: the commit answered {answered:?}, the log says {revision:?}");
        Err(Breach::new(Rule::Revision, READING, difference))
    }

    /// Compares a part of the log. What the store was allowed to drop may be missing at its
    /// beginning.
    pub(super) async fn compare_log(&self, after: Sequence, limit: usize) -> Result<(), Breach> {
        let doing = format!("reading the log after {}, at most {limit}", after.0);
        let given = answered(&doing, self.store.changes(after, limit).await)?;
        let first = given.first().map_or(Sequence(self.newest().0 + 1), |change| change.sequence);
        let dropped = first.0 > after.0 + 1 && limit > 0;
        if given.is_empty() && limit == 0 {
            return Ok(());
        }
        let allowed = self.truncated.unwrap_or_default();
        if dropped && first.0 > allowed.0 + 1 && self.newest() > after {
            let difference = format!(
                "the first change is {}, and changes to {} were allowed to be dropped",
                first.0, allowed.0
            );
            let rule =
                if self.truncated.is_some() { Rule::Truncation } else { Rule::ChangeMissing };
            return Err(Breach::new(rule, doing, difference));
        }
        let begin = usize::try_from(first.0.saturating_sub(1)).unwrap_or(usize::MAX);
        let expected: Vec<_> = self.log.iter().skip(begin).take(limit).cloned().collect();
        if expected == given {
            return Ok(());
        }
        compare_contents(&expected, &given, false)
            .map_err(|breach| Breach { doing: doing.clone(), ..breach })?;
        Err(Breach::new(Rule::Sequence, doing, differing(&expected, &given)))
    }

    /// Allows changes to be dropped.
    pub(super) async fn truncate(&mut self, upto: Sequence) -> Result<(), Breach> {
        answered("truncating the log", self.store.truncate(upto).await)?;
        self.truncated = self.truncated.max(Some(upto));
        self.compare_log(Sequence(0), usize::MAX).await?;
        self.compare_log(upto, usize::MAX).await
    }

    /// Compares the entities that there are with those that the log makes.
    pub(super) async fn compare_with_log(&self) -> Result<(), Breach> {
        let mut made: BTreeMap<Tenant, BTreeMap<Position, Found>> = BTreeMap::new();
        for change in &self.log {
            let Subject::Entity(entity) = &change.subject else { continue };
            let of_tenant = made.entry(change.tenant.clone()).or_default();
            let (position, revision) = (entity.position, entity.revision);
            match entity.after.clone() {
                Some(entity) => of_tenant.insert(position, Found { position, revision, entity }),
                None => of_tenant.remove(&position),
            };
        }
        for tenant in &self.generator.vocabulary.tenants {
            let (_, given) = self.whole_pages(tenant, &EntityQuery::default()).await?;
            let expected: Vec<_> =
                made.get(tenant).into_iter().flat_map(BTreeMap::values).cloned().collect();
            if expected != given.items {
                let doing = format!("comparing the entities of {tenant:?} with the log");
                return Err(Breach::new(Rule::Change, doing, differing(&expected, &given.items)));
            }
        }
        Ok(())
    }
}

/// What a change says, apart from the numbers that a store is free to choose.
fn contents(change: &Change) -> Change {
    let mut change = change.clone();
    change.sequence = Sequence(0);
    match &mut change.subject {
        Subject::Entity(entity) => {
            entity.revision = Revision(0);
            entity.position = Position(0);
        }
        Subject::Record(record) => record.revision = Revision(0),
        Subject::Evolution(_) => {}
    }
    change
}

/// Whether two changes tell, well or badly, of the same write.
fn is_of_same(one: &Change, other: &Change) -> bool {
    one.tenant == other.tenant
        && match (&one.subject, &other.subject) {
            (Subject::Entity(one), Subject::Entity(other)) => {
                one.id == other.id && one.after == other.after
            }
            (Subject::Record(one), Subject::Record(other)) => one == other,
            (Subject::Evolution(one), Subject::Evolution(other)) => one == other,
            (Subject::Entity(_) | Subject::Record(_) | Subject::Evolution(_), _) => false,
        }
}

/// Compares what two stretches of the log say, and finds out how they differ. `refused` says
/// whether there is a group that may have left no trace.
fn compare_contents(
    expected: &[Arc<Change>],
    given: &[Arc<Change>],
    refused: bool,
) -> Result<(), Breach> {
    let expected: Vec<_> = expected.iter().map(|change| contents(change)).collect();
    let given: Vec<_> = given.iter().map(|change| contents(change)).collect();
    let Some(at) =
        (0..expected.len().max(given.len())).find(|&at| expected.get(at) != given.get(at))
    else {
        return Ok(());
    };
    let (wanted, found) = (expected.get(at), given.get(at));
    let rule = match (wanted, found) {
        (Some(_), None) => Rule::ChangeMissing,
        (Some(_), Some(found)) if expected.get(at + 1) == Some(found) => Rule::ChangeMissing,
        (_, Some(found)) if given.iter().take(at).any(|earlier| earlier == found) => {
            Rule::ChangeTwice
        }
        (_, Some(found)) if refused && !expected.iter().any(|wanted| is_of_same(wanted, found)) => {
            Rule::Whole
        }
        _ => Rule::Change,
    };
    let difference =
        format!("change {at} of these\n{}", differing(&shown(&wanted), &shown(&found)));
    Err(Breach::new(rule, READING, difference))
}
