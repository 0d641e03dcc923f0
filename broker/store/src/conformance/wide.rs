//! More entities than a store is likely to keep in one piece, and large holes among them.

use std::sync::Arc;

use musubi_model::Tenant;
use musubi_query::{EntityQuery, Filter};

use super::draft::{Draft, EntityDraft};
use super::generate::Generator;
use super::ledger::Wish;
use super::subject::Subject;
use super::trial::{Ending, Trial};
use super::violation::{Breach, Violation};

/// Groups in a call, and entities in a group.
const GROUPS: usize = 5;
const GROUP: usize = 100;

/// Lives one case with so many entities in one tenant.
pub(super) async fn live(
    subject: &dyn Subject,
    seed: u64,
    population: usize,
) -> Result<(), Violation> {
    let generator = Generator::new(seed, population);
    let run = async {
        let mut trial = Trial::begin(subject, generator).await?;
        let all: Vec<usize> = (0..population).collect();
        trial.write(&all, State::New).await?;
        trial.ask().await?;
        // All but a few of the first nine in ten go, then every third of those comes back.
        let first = population - population / 10;
        let gone: Vec<_> = (0..first).filter(|number| number % 512 != 5).collect();
        trial.write(&gone, State::Gone).await?;
        trial.ask().await?;
        let back: Vec<_> = gone.iter().copied().filter(|number| number % 3 == 0).collect();
        trial.write(&back, State::New).await?;
        trial.ask().await?;
        trial = trial.restart(Ending::Kill).await?;
        trial.write(&gone, State::New).await?;
        trial.ask().await?;
        trial.compare_with_log().await
    };
    run.await.map_err(|breach| breach.at(seed, 0))
}

#[derive(Clone, Copy)]
enum State {
    New,
    Gone,
}

impl Trial {
    /// Writes the entities of these numbers.
    async fn write(&mut self, numbers: &[usize], state: State) -> Result<(), Breach> {
        for call in numbers.chunks(GROUPS * GROUP) {
            let drafts = call.chunks(GROUP).map(|group| self.wide_draft(group, state)).collect();
            self.commit(drafts).await?;
        }
        Ok(())
    }

    fn wide_draft(&mut self, numbers: &[usize], state: State) -> Draft {
        self.now = self.now.plus_micros(1);
        let mut draft = Draft { time: self.now, ..Draft::default() };
        for &number in numbers {
            let Some(id) = self.generator.vocabulary.ids.get(number).cloned() else { continue };
            let state = match state {
                State::New => Some(Arc::new(self.generator.entity(id.clone(), self.now))),
                State::Gone => None,
            };
            draft.entities.push(EntityDraft {
                tenant: Tenant::default(),
                id,
                wish: Wish::Any,
                state,
            });
        }
        draft
    }

    /// Asks for all, and for a few things.
    async fn ask(&mut self) -> Result<(), Breach> {
        let tenant = Tenant::default();
        self.compare_all_entities(&tenant).await?;
        self.compare_types(&tenant).await?;
        self.compare_attributes(&tenant).await?;
        for _ in 0..3 {
            let filter = Filter::Type(self.generator.type_selection());
            let at = self.generator.random.chance(50).then(|| self.generator.moment());
            let asked = EntityQuery { filter, at, ..EntityQuery::default() };
            self.compare_few_pages(&tenant, &asked).await?;
            let asked = self.generator.entity_query();
            self.compare_few_pages(&tenant, &asked).await?;
        }
        Ok(())
    }
}
