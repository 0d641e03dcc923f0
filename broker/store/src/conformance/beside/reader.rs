//! Tasks that read while others write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use musubi_model::EntityId;
use musubi_query::{EntityQuery, Filter, Order, OrderBy, OrderTerm, Start, TypeSelection};
use tokio::task::yield_now;

use super::town::Town;
use crate::conformance::commits::doubled;
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule, differing, shown};
use crate::{Found, Page, Store};

const DOING: &str = "reading beside writers";

/// Reads until the writers are done, and once more.
pub(super) async fn read(
    town: Arc<Town>,
    store: Arc<dyn Store>,
    done: Arc<AtomicBool>,
) -> Result<(), Breach> {
    loop {
        let last = done.load(Ordering::Acquire);
        town.read_pairs(&*store).await?;
        yield_now().await;
        town.read_large(&*store).await?;
        yield_now().await;
        town.read_ordered(&*store).await?;
        yield_now().await;
        town.walk(&*store).await?;
        yield_now().await;
        if last {
            return Ok(());
        }
    }
}

impl Town {
    /// A page of few candidates is of one moment: both of a pair are as one group left them.
    async fn read_pairs(&self, store: &dyn Store) -> Result<(), Breach> {
        let page = self.page(store, &self.small, Filter::All(Vec::new())).await?;
        self.check_page(&page)?;
        for (left, right) in &self.pairs {
            let of_left = self.numbered.number_on(&page.items, left)?;
            let of_right = self.numbered.number_on(&page.items, right)?;
            if of_left != of_right {
                let difference = format!("{left} has {of_left:?} and {right} has {of_right:?}");
                return Err(Breach::new(Rule::Moment, DOING, difference));
            }
        }
        let expected = u64::try_from(page.items.len()).ok();
        if page.total != expected {
            return Err(Breach::new(Rule::Moment, DOING, differing(&expected, &page.total)));
        }
        Ok(())
    }

    /// A page of many candidates leaves out none that stands still.
    async fn read_large(&self, store: &dyn Store) -> Result<(), Breach> {
        let types = TypeSelection { any_of: vec![vec![self.numbered.type_name.clone()]] };
        let page = self.page(store, &self.large, Filter::Type(types)).await?;
        self.check_page(&page)?;
        self.check_still(&page.items)
    }

    /// Nor does one in another order, which has to look at all of them.
    async fn read_ordered(&self, store: &dyn Store) -> Result<(), Breach> {
        let terms = vec![OrderTerm { by: OrderBy::Id, descending: true }];
        let order = Order { terms, ..Order::default() };
        let query = EntityQuery { order, limit: usize::MAX, ..EntityQuery::default() };
        let mut page = answered(DOING, store.select(&self.large, &query).await)?;
        page.items.sort_by_key(|found| found.position);
        self.check_page(&page)?;
        self.check_still(&page.items)
    }

    /// Nor does a walk from page to page.
    async fn walk(&self, store: &dyn Store) -> Result<(), Breach> {
        let filter = Filter::All(Vec::new());
        let mut query = EntityQuery {
            filter,
            start: Start::Offset(0),
            limit: 333,
            count: false,
            ..EntityQuery::default()
        };
        let mut walked = Vec::new();
        loop {
            let page = answered(DOING, store.select(&self.large, &query).await)?;
            self.check_page(&page)?;
            walked.extend(page.items);
            match walked.last() {
                Some(last) if page.more => query.start = Start::After(last.position),
                _ => return self.check_still(&walked),
            }
            if walked.len() > 100 * self.still.len() {
                return Err(Breach::new(Rule::Moment, DOING, "there was always more"));
            }
        }
    }

    /// Nothing is on a page twice, by half, or out of order.
    fn check_page(&self, page: &Page) -> Result<(), Breach> {
        let twice = doubled(&page.items);
        if !twice.is_empty() {
            return Err(Breach::new(Rule::Moment, DOING, format!("twice: {}", shown(&twice))));
        }
        for found in &page.items {
            self.numbered.number(&found.entity)?;
        }
        let positions = || page.items.iter().map(|found| found.position);
        if positions().zip(positions().skip(1)).all(|(first, second)| first < second) {
            return Ok(());
        }
        let difference = shown(&positions().collect::<Vec<_>>());
        Err(Breach::new(Rule::Order, DOING, difference))
    }

    fn check_still(&self, found: &[Found]) -> Result<(), Breach> {
        let still: BTreeSet<_> = self.still.iter().collect();
        let is_still = |id: &&EntityId| still.contains(id);
        let given = found.iter().map(|found| &found.entity.id).filter(is_still);
        if given.clone().eq(&self.still) {
            return Ok(());
        }
        let given: BTreeSet<_> = given.collect();
        let missing: Vec<_> = still.difference(&given).collect();
        let difference = format!("what nobody wrote to was left out or moved: {}", shown(&missing));
        Err(Breach::new(Rule::Moment, DOING, difference))
    }
}
