//! A generated life of a store: commits, questions, reopenings.

use std::sync::Arc;

use musubi_model::{Cause, EntityId, Sequence, Tenant};

use super::draft::{Draft, EntityDraft, RecordDraft};
use super::generate::Generator;
use super::ledger::Wish;
use super::subject::Subject;
use super::trial::{Ending, Trial};
use super::violation::{Breach, Violation};
use crate::RecordKey;

/// Lives one case of so many steps.
pub(super) async fn live(subject: &dyn Subject, seed: u64, steps: u32) -> Result<(), Violation> {
    let mut generator = Generator::new(seed, 1);
    let ids = *generator.random.pick(&[3, 8, 12, 40]);
    let generator = Generator::new(seed, ids);
    let mut trial = Trial::begin(subject, generator).await.map_err(|breach| breach.at(seed, 0))?;
    for step in 0..steps {
        trial = match trial.generator.random.below(100) {
            97.. => trial.restart(Ending::Close).await,
            94..97 => trial.restart(Ending::Kill).await,
            lot => trial.step(lot).await,
        }
        .map_err(|breach| breach.at(seed, step))?;
    }
    trial.conclude().await.map_err(|breach| breach.at(seed, steps))
}

impl Trial {
    /// One step that leaves the store open.
    async fn step(mut self, lot: usize) -> Result<Self, Breach> {
        match lot {
            0..62 => {
                let length = if self.generator.random.chance(75) { 1 } else { 2 };
                let length = length + self.generator.random.below(length);
                let drafts = (0..length).map(|_| self.draft()).collect();
                self.commit(drafts).await?;
            }
            62..76 => {
                let tenant = self.tenant_of_most();
                for _ in 0..6 {
                    let asked = self.generator.entity_query();
                    self.compare_pages(&tenant, &asked).await?;
                }
                for asked in self.generator.rare_questions() {
                    self.compare_answer(&tenant, &asked).await?;
                }
            }
            76..80 => {
                let tenant = self.tenant_of_most();
                self.compare_types(&tenant).await?;
                self.compare_attributes(&tenant).await?;
            }
            80..87 => {
                for _ in 0..20 {
                    let query = self.record_query();
                    self.compare_records(&query).await?;
                }
            }
            87..92 => {
                let newest = self.log.len();
                let after = self.generator.random.below(newest + 3);
                let limits = [0, 1, 2, 1 + self.generator.random.below(newest + 1), usize::MAX];
                let limit = *self.generator.random.pick(&limits);
                self.compare_log(Sequence(u64::try_from(after).unwrap_or(0)), limit).await?;
            }
            _ => {
                // Often to the very end, after which the log has to go on where it was.
                let newest = self.log.len();
                let upto = self.generator.random.below(2 * newest + 1).min(newest);
                self.truncate(Sequence(u64::try_from(upto).unwrap_or(0))).await?;
            }
        }
        Ok(self)
    }

    /// How every case ends: the log makes what is there, and goes on where it was even when all
    /// of it has been dropped before the store was opened again.
    async fn conclude(mut self) -> Result<(), Breach> {
        self.compare_with_log().await?;
        self.truncate(self.newest()).await?;
        let mut trial = self.restart(Ending::Kill).await?;
        for _ in 0..3 {
            let draft = trial.draft();
            trial.commit(vec![draft]).await?;
        }
        trial.restart(Ending::Close).await.map(drop)
    }

    /// A tenant, the first ones more often, so that something gathers there.
    fn tenant_of_most(&mut self) -> Tenant {
        let most = if self.generator.random.chance(75) { 2 } else { usize::MAX };
        let tenants: Vec<_> = self.generator.vocabulary.tenants.iter().take(most).collect();
        (*self.generator.random.pick(&tenants)).clone()
    }

    fn draft(&mut self) -> Draft {
        self.now = self.now.plus_micros(match self.generator.random.below(4) {
            0 => 0,
            1 => 1,
            _ => 1_000_000,
        });
        let cause = match self.generator.random.below(3) {
            0 => Cause::Adapter(Arc::from("gbfs")),
            1 => Cause::Expiry,
            _ => Cause::Request,
        };
        let mut draft = Draft { time: self.now, cause, ..Draft::default() };
        let (entities, records) = match self.generator.random.below(10) {
            0 => (0, 2),
            1 => (0, 0),
            2 | 3 => (4, 3),
            _ => (2, 2),
        };
        for _ in 0..self.generator.random.below(entities + 1).max(entities / 2) {
            let entity = self.entity_draft();
            if draft.entities.iter().all(|other| other.key() != entity.key()) {
                draft.entities.push(entity);
            }
        }
        for _ in 0..self.generator.random.below(records + 1) {
            let record = self.record_draft();
            if draft.records.iter().all(|other| other.key != record.key) {
                draft.records.push(record);
            }
        }
        draft
    }

    fn entity_draft(&mut self) -> EntityDraft {
        let tenant = self.tenant_of_most();
        let id: EntityId = self.generator.random.pick(&self.generator.vocabulary.ids).clone();
        let current = self.reference.entity(&tenant, &id);
        let state = match &current {
            _ if self.generator.random.chance(15) => None,
            Some(entity) if self.generator.random.chance(85) => {
                Some(self.generator.modified(entity, self.now))
            }
            _ => Some(self.generator.entity(id.clone(), self.now)),
        };
        let wish = self.wish(current.is_some());
        EntityDraft { tenant, id, wish, state: state.map(Arc::new) }
    }

    fn record_draft(&mut self) -> RecordDraft {
        let kind = self.record_kind();
        let tenant = self.tenant_of_most();
        let key = self.generator.random.pick(&self.generator.vocabulary.keys).clone();
        let key = RecordKey { kind, tenant, key };
        let is_there = self.reference.has_record(&key);
        let value = (!self.generator.random.chance(20)).then(|| self.generator.record_value());
        RecordDraft { wish: self.wish(is_there), key, value }
    }

    /// An expectation that holds in about nine of ten cases.
    fn wish(&mut self, is_there: bool) -> Wish {
        let lot = self.generator.random.below(100);
        match (lot, is_there) {
            (0..3, _) => Wish::Never,
            (3..7, _) => Wish::Stale(1 + self.generator.random.below(3)),
            (7..10, true) => Wish::Absent,
            (10..40, _) => Wish::Any,
            (7..10, false) | (_, true) => Wish::Current,
            (_, false) => Wish::Absent,
        }
    }
}
