//! Questions for entities and types, compared.

use std::collections::BTreeSet;

use musubi_model::{EntityId, Position, Tenant};
use musubi_query::{EntityQuery, Start};

use super::commits::{doubled, misfound};
use super::trial::{Trial, answered};
use super::violation::{Breach, Rule, differing, shown};
use crate::{Found, Page, Store};

impl Trial {
    /// Compares all entities of a tenant.
    pub(super) async fn compare_all_entities(&self, tenant: &Tenant) -> Result<(), Breach> {
        self.compare_answer(tenant, &EntityQuery::default()).await.map(drop)
    }

    /// Compares the whole answer to a question, and gives it.
    pub(super) async fn compare_answer(
        &self,
        tenant: &Tenant,
        asked: &EntityQuery,
    ) -> Result<Vec<Found>, Breach> {
        let (expected, given) = self.whole_pages(tenant, asked).await?;
        let doing = || format!("a query of tenant {tenant:?} for {}", shown(asked));
        let translated: Result<Vec<_>, _> =
            expected.items.iter().map(|found| self.translated(tenant, found)).collect();
        let whole = translated?;
        compare_items(&whole, &given.items)
            .map_err(|(rule, difference)| Breach::new(rule, doing(), difference))?;
        if given.total != expected.total {
            let difference = differing(&expected.total, &given.total);
            return Err(Breach::new(Rule::Count, doing(), difference));
        }
        if given.more {
            return Err(Breach::new(Rule::More, doing(), "there was said to be more than all"));
        }
        Ok(whole)
    }

    /// Compares the whole answer to a question, some pages of it, and a walk over all pages.
    pub(super) async fn compare_pages(
        &mut self,
        tenant: &Tenant,
        asked: &EntityQuery,
    ) -> Result<(), Breach> {
        let whole = self.compare_answer(tenant, asked).await?;
        let question = Question { tenant, asked, whole: &whole };
        self.compare_some(&question).await?;
        self.compare_walk(&question).await
    }

    /// Compares the whole answer to a question and some pages of it.
    pub(super) async fn compare_few_pages(
        &mut self,
        tenant: &Tenant,
        asked: &EntityQuery,
    ) -> Result<(), Breach> {
        let whole = self.compare_answer(tenant, asked).await?;
        self.compare_some(&Question { tenant, asked, whole: &whole }).await
    }

    async fn compare_some(&mut self, question: &Question<'_>) -> Result<(), Breach> {
        for _ in 0..3 {
            let start = self.offset(question.whole.len());
            self.compare_page(question, start).await?;
            let start = self.cursor(question.tenant);
            self.compare_page(question, start).await?;
        }
        Ok(())
    }

    fn offset(&mut self, length: usize) -> Start {
        let offset = if self.generator.random.chance(5) {
            usize::MAX
        } else {
            self.generator.random.below(length + 2)
        };
        Start::Offset(offset)
    }

    /// A position that some entity has or had, matching or not, or one beyond all.
    fn cursor(&mut self, tenant: &Tenant) -> Start {
        let mut positions = self.ledger.positions(tenant);
        positions.push(Position(u64::MAX));
        positions.push(Position(0));
        Start::After(*self.generator.random.pick(&positions))
    }

    /// Compares a page of any length.
    async fn compare_page(
        &mut self,
        question: &Question<'_>,
        start: Start,
    ) -> Result<Page, Breach> {
        let limit = match self.generator.random.below(10) {
            0 => 0,
            1 => usize::MAX,
            _ => 1 + self.generator.random.below(question.whole.len() + 2),
        };
        let count = self.generator.random.chance(40);
        self.compare_slice(question, start, (limit, count)).await
    }

    async fn compare_slice(
        &self,
        question: &Question<'_>,
        start: Start,
        (limit, count): (usize, bool),
    ) -> Result<Page, Breach> {
        let query = EntityQuery { start, limit, count, ..question.asked.clone() };
        let page = answered("a query", self.store.select(question.tenant, &query).await)?;
        self.compare_shown(question.tenant, &query, &page).await?;
        match question.misanswered(&query, &page) {
            None => Ok(page),
            Some((rule, difference)) => {
                let doing =
                    format!("a query of tenant {:?} for {}", question.tenant, shown(&query));
                Err(Breach::new(rule, doing, difference))
            }
        }
    }

    /// Holds a page that is shown against the one that was given.
    async fn compare_shown(
        &self,
        tenant: &Tenant,
        query: &EntityQuery,
        page: &Page,
    ) -> Result<(), Breach> {
        let doing = || format!("showing a query of tenant {tenant:?} for {}", shown(query));
        let mut seen: Vec<Vec<Found>> = Vec::new();
        let mut look = |items: &[&Found]| {
            seen.push(items.iter().copied().cloned().collect());
        };
        let said = answered("showing a query", self.store.show(tenant, query, &mut look).await)?;
        if seen != std::slice::from_ref(&page.items) {
            let difference = differing(&std::slice::from_ref(&page.items), &seen);
            return Err(Breach::new(Rule::Selection, doing(), difference));
        }
        let expected = page.show(&mut |_| {});
        if said != expected {
            return Err(Breach::new(Rule::More, doing(), differing(&expected, &said)));
        }
        Ok(())
    }

    /// Reads page after page, each after the last entity of the one before: in the order of
    /// creation after its position, else after so many.
    async fn compare_walk(&mut self, question: &Question<'_>) -> Result<(), Breach> {
        let limit = 1 + self.generator.random.below(5);
        let mut start = Start::Offset(0);
        for _ in 0..=question.whole.len() / limit {
            let page = self.compare_slice(question, start, (limit, false)).await?;
            match page.items.last() {
                Some(last) if page.more && question.asked.order.is_creation() => {
                    start = Start::After(last.position);
                }
                Some(_) if page.more => {
                    let offset = if let Start::Offset(offset) = start { offset } else { 0 };
                    start = Start::Offset(offset + page.items.len());
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Compares the list of types.
    pub(super) async fn compare_types(&self, tenant: &Tenant) -> Result<(), Breach> {
        let doing = "listing the types";
        let expected = answered(doing, self.reference.types(tenant).await)?;
        let given = answered(doing, self.store.types(tenant).await)?;
        if expected == given {
            return Ok(());
        }
        let doing = format!("listing the types of tenant {tenant:?}");
        Err(Breach::new(Rule::Types, doing, differing(&expected, &given)))
    }

    /// Compares the lists of attributes: that of all entities, and that of each type.
    pub(super) async fn compare_attributes(&self, tenant: &Tenant) -> Result<(), Breach> {
        let types = self.generator.vocabulary.types.iter().map(Some);
        for of_type in types.chain([None]) {
            let doing = "listing the attributes";
            let expected = answered(doing, self.reference.attributes(tenant, of_type).await)?;
            let given = answered(doing, self.store.attributes(tenant, of_type).await)?;
            if expected != given {
                let doing =
                    format!("listing the attributes of type {of_type:?} of tenant {tenant:?}");
                return Err(Breach::new(Rule::Attributes, doing, differing(&expected, &given)));
            }
        }
        Ok(())
    }
}

/// A question and the whole answer to it.
struct Question<'a> {
    tenant: &'a Tenant,
    /// What, in which order, as of when.
    asked: &'a EntityQuery,
    whole: &'a [Found],
}

impl Question<'_> {
    /// What is wrong with a page, if anything. A page of none need not say whether there is more.
    fn misanswered(&self, query: &EntityQuery, page: &Page) -> Option<(Rule, String)> {
        let (rule, rest): (_, Vec<_>) = match query.start {
            Start::Offset(offset) => (Rule::Offset, self.whole.iter().skip(offset).collect()),
            Start::After(position) => {
                let later = self.whole.iter().filter(|found| found.position > position);
                (Rule::Cursor, later.collect())
            }
        };
        let expected: Vec<_> = rest.iter().copied().take(query.limit).collect();
        if !expected.iter().copied().eq(&page.items) {
            let brief = |found: &Found| (found.position, found.entity.id.clone());
            let expected: Vec<_> = expected.into_iter().map(brief).collect();
            let given: Vec<_> = page.items.iter().map(brief).collect();
            return Some((rule, differing(&expected, &given)));
        }
        let more = rest.len() > query.limit;
        if query.limit > 0 && page.more != more {
            return Some((Rule::More, differing(&more, &page.more)));
        }
        let total = u64::try_from(self.whole.len()).unwrap_or(u64::MAX);
        match page.total {
            None if !query.count => None,
            Some(given) if given == total => None,
            given => Some((Rule::Count, differing(&total, &given))),
        }
    }
}

/// What is wrong with a list of entities: which they are, then their order, then what they are.
fn compare_items(expected: &[Found], given: &[Found]) -> Result<(), (Rule, String)> {
    let ids = |found: &[Found]| -> BTreeSet<EntityId> {
        found.iter().map(|found| found.entity.id.clone()).collect()
    };
    let (wanted, found) = (ids(expected), ids(given));
    if wanted != found {
        let missing: Vec<_> = wanted.difference(&found).collect();
        let wrong: Vec<_> = found.difference(&wanted).collect();
        let difference = format!("missing: {}\n  wrong: {}", shown(&missing), shown(&wrong));
        return Err((Rule::Selection, difference));
    }
    let twice = doubled(given);
    if !twice.is_empty() {
        return Err((Rule::Selection, format!("twice: {}", shown(&twice))));
    }
    for (expected, given) in expected.iter().zip(given) {
        if expected.entity.id != given.entity.id {
            let difference = differing(&expected.entity.id, &given.entity.id);
            return Err((Rule::Order, difference));
        }
    }
    for (expected, given) in expected.iter().zip(given) {
        if expected != given {
            return Err((misfound(expected, given), differing(expected, given)));
        }
    }
    Ok(())
}
