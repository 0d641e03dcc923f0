//! A history and the reference, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use musubi_model::{Entity, EntityId, Evolution, SCOPE, Sequence, Tenant, Timestamp};
use musubi_query::{EvolutionPage, TemporalQuery};

use super::{HistoryOverStore, HistoryPlace, HistorySubject};
use crate::conformance::generate::Generator;
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule, Violation, differing, shown};
use crate::{Group, History, HistoryError, ReferenceHistory, ReferenceStore, Store};

/// Lives one case of so many steps.
pub(super) async fn live(
    subject: &dyn HistorySubject,
    seed: u64,
    steps: u32,
) -> Result<(), Violation> {
    let mut generator = Generator::new(seed, 1);
    let ids = *generator.random.pick(&[2, 5, 9]);
    let generator = Generator::new(seed, ids);
    let mut trial = Trial::begin(subject, generator).await.map_err(|breach| breach.at(seed, 0))?;
    for step in 0..steps {
        trial = trial.step().await.map_err(|breach| breach.at(seed, step))?;
    }
    trial.audit().await.map_err(|breach| breach.at(seed, steps))
}

struct Trial {
    place: Box<dyn HistoryPlace>,
    store: Arc<dyn Store>,
    history: Arc<dyn History>,
    /// Holds the whole log, while the store under test drops what its history needs no more.
    reference_store: Arc<ReferenceStore>,
    reference: ReferenceHistory,
    states: BTreeMap<(Tenant, EntityId), Arc<Entity>>,
    generator: Generator,
    now: Timestamp,
}

impl Trial {
    async fn begin(subject: &dyn HistorySubject, generator: Generator) -> Result<Self, Breach> {
        let mut place = subject.place();
        let (store, history) = open(&mut *place).await?;
        let reference_store = Arc::new(ReferenceStore::new());
        Ok(Self {
            place,
            store,
            history,
            reference: ReferenceHistory::new(reference_store.clone()),
            reference_store,
            states: BTreeMap::new(),
            generator,
            now: Timestamp::from_seconds(1_700_000_000),
        })
    }

    async fn step(mut self) -> Result<Self, Breach> {
        match self.generator.random.below(100) {
            0..45 => {
                for _ in 0..=self.generator.random.below(4) {
                    self.commit().await?;
                }
            }
            45..82 => {
                for _ in 0..8 {
                    let query = self.generator.temporal_query(self.now);
                    let tenant = self.tenant();
                    self.compare_evolutions(&tenant, &query).await?;
                }
            }
            82..86 => self.compare_parts().await?,
            86..92 => {
                let tidied = self.place.tidy().await;
                tidied.map_err(|error| Breach::error("tidying the history", &*error))?;
            }
            92..96 => {
                let upto = Sequence(self.history.needed_from().0.saturating_sub(1));
                answered("truncating the log", self.store.truncate(upto).await)?;
            }
            _ => return self.restart().await,
        }
        Ok(self)
    }

    /// Ends store and history and opens them again.
    async fn restart(self) -> Result<Self, Breach> {
        let Self { mut place, store, history, .. } = self;
        let closed = place.close(store, history).await;
        closed.map_err(|error| Breach::error("ending the history", &*error))?;
        let (store, history) = open(&mut *place).await?;
        let trial = Self { place, store, history, ..self };
        trial.audit().await.map_err(Breach::after_reopening)?;
        Ok(trial)
    }

    /// Two tenants, so that something gathers in them.
    fn tenant(&mut self) -> Tenant {
        let tenants: Vec<Tenant> =
            self.generator.vocabulary.tenants.iter().take(2).cloned().collect();
        self.generator.random.pick(&tenants).clone()
    }

    async fn commit(&mut self) -> Result<(), Breach> {
        let micros = [0, 1, 1_000_000, 3_600_000_000, 40_000_000_000];
        self.now = self.now.plus_micros(*self.generator.random.pick(&micros));
        let mut group = Group { time: self.now, ..Group::default() };
        for _ in 0..=self.generator.random.below(3) {
            self.draft(&mut group).await?;
        }
        for write in &group.writes {
            let key = (write.tenant.clone(), write.id.clone());
            match &write.state {
                Some(state) => self.states.insert(key, state.clone()),
                None => self.states.remove(&key),
            };
        }
        answered("a commit", self.reference_store.commit(vec![group.clone()]).await)?;
        answered("a commit", self.store.commit(vec![group]).await)?;
        let newest = (*self.reference_store.newest().borrow(), *self.store.newest().borrow());
        if newest.0 == newest.1 {
            Ok(())
        } else {
            Err(Breach::new(Rule::Newest, "a commit", differing(&newest.0, &newest.1)))
        }
    }

    /// Puts one more write into a group.
    async fn draft(&mut self, group: &mut Group) -> Result<(), Breach> {
        let tenant = self.tenant();
        let id = self.generator.random.pick(&self.generator.vocabulary.ids).clone();
        if self.generator.random.chance(50) {
            if group.writes.iter().any(|write| write.id == id && write.tenant == tenant) {
                return Ok(());
            }
            let current = self.states.get(&(tenant.clone(), id.clone()));
            let write = self.generator.state_write(&tenant, &id, current.map(|it| &**it), self.now);
            group.writes.push(write);
            return Ok(());
        }
        let all = self.evolutions(&tenant).await?;
        let current = all.iter().find(|evolution| evolution.id == id);
        let write = self.generator.evolution_write(&tenant, &id, current, self.now);
        group.evolutions.push(write);
        Ok(())
    }

    async fn evolutions(&self, tenant: &Tenant) -> Result<Vec<Evolution>, Breach> {
        answered("reading the reference", self.reference.all(tenant).await)
    }

    async fn compare_evolutions(
        &self,
        tenant: &Tenant,
        query: &TemporalQuery,
    ) -> Result<(), Breach> {
        let expected = self.reference.evolutions(tenant, query).await;
        let given = self.history.evolutions(tenant, query).await;
        let doing = || format!("asking {tenant:?} for {}", shown(query));
        match (expected, given) {
            (Ok(expected), Ok(given)) => {
                let (expected, given) = (fixed(expected, query), fixed(given, query));
                // Their text too: of equal times it tells how they are written.
                if expected == given && format!("{expected:?}") == format!("{given:?}") {
                    return Ok(());
                }
                Err(Breach::new(Rule::Past, doing(), difference(&expected, &given)))
            }
            (Err(HistoryError::Refused(_)), Err(HistoryError::Refused(_))) => Ok(()),
            (expected, given) => {
                Err(Breach::new(Rule::Past, doing(), differing(&expected, &given)))
            }
        }
    }

    /// Compares outlines and single instances of everything.
    async fn compare_parts(&self) -> Result<(), Breach> {
        for tenant in self.generator.vocabulary.tenants.iter().take(2) {
            let all = self.evolutions(tenant).await?;
            for id in &self.generator.vocabulary.ids {
                let expected = answered("an outline", self.reference.outline(tenant, id).await)?;
                let given = answered("an outline", self.history.outline(tenant, id).await)?;
                if expected != given {
                    let doing = format!("asking {tenant:?} for the outline of {id}");
                    return Err(Breach::new(Rule::Past, doing, differing(&expected, &given)));
                }
            }
            for evolution in &all {
                self.compare_instances(tenant, evolution).await?;
            }
        }
        Ok(())
    }

    async fn compare_instances(
        &self,
        tenant: &Tenant,
        evolution: &Evolution,
    ) -> Result<(), Breach> {
        let scopes = SCOPE.parse().ok().map(|name| (name, &evolution.scopes));
        let attributes = evolution.attributes.iter();
        let attributes = attributes.map(|attribute| (attribute.name.clone(), &attribute.instances));
        for (name, recorded) in scopes.into_iter().chain(attributes) {
            for expected in recorded {
                let (id, number) = (&evolution.id, expected.number);
                let found = self.history.instance(tenant, id, &name, number).await;
                let found = answered("an instance", found)?;
                if found.as_ref() != Some(expected) {
                    let doing = format!("asking {tenant:?} for {number:?} of {name} of {id}");
                    return Err(Breach::new(Rule::Past, doing, differing(expected, &found)));
                }
            }
        }
        Ok(())
    }

    /// Compares everything that is recorded.
    async fn audit(&self) -> Result<(), Breach> {
        for tenant in self.generator.vocabulary.tenants.iter().take(3) {
            self.compare_evolutions(tenant, &TemporalQuery::default()).await?;
        }
        self.compare_parts().await
    }
}

async fn open(place: &mut dyn HistoryPlace) -> Result<HistoryOverStore, Breach> {
    place.open().await.map_err(|error| Breach::error("opening the history", &*error))
}

/// The answer without what the contract leaves open.
fn fixed(page: EvolutionPage, query: &TemporalQuery) -> EvolutionPage {
    EvolutionPage {
        more: page.more && query.limit > 0,
        total: page.total.filter(|_| query.count),
        ..page
    }
}

/// The first entity that differs, or else the whole.
fn difference(expected: &EvolutionPage, given: &EvolutionPage) -> String {
    let mut pairs = expected.items.iter().zip(&given.items);
    let differs = pairs.find(|(expected, given)| format!("{expected:?}") != format!("{given:?}"));
    match differs {
        Some((expected, given)) => differing(expected, given),
        None => differing(expected, given),
    }
}
