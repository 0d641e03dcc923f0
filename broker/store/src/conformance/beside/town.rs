//! What the tasks write to and read.

use musubi_model::{EntityId, Tenant};
use musubi_query::{EntityQuery, Filter, Start};

use crate::conformance::generate::name;
use crate::conformance::numbered::Numbered;
use crate::conformance::trial::answered;
use crate::conformance::violation::{Breach, Rule, differing};
use crate::{Found, Group, Outcome, Page, Store};

/// More than a store reads in one slice.
const STILL: usize = 1_500;
const MOVING: usize = 100;
const PAIRS: usize = 6;

/// Increments of the counter: by so many tasks, so often each.
pub(super) const COUNTERS: u64 = 4;
pub(super) const INCREMENTS: u64 = 20;

/// Two tenants: a large one in which most entities stand still, and a small one with pairs that
/// are written together and a counter that all tasks want.
#[derive(Debug)]
pub(super) struct Town {
    pub(super) numbered: Numbered,
    pub(super) large: Tenant,
    pub(super) small: Tenant,
    /// In the order of their creation; those that move stand among them.
    pub(super) still: Vec<EntityId>,
    pub(super) moving: Vec<EntityId>,
    pub(super) pairs: Vec<(EntityId, EntityId)>,
    pub(super) counter: EntityId,
}

impl Town {
    pub(super) fn new() -> Self {
        let ids = |kind: &str, count: usize| -> Vec<EntityId> {
            (0..count).map(|number| name(&format!("urn:ngsi-ld:{kind}:{number}"))).collect()
        };
        Self {
            numbered: Numbered::new(),
            large: name("large"),
            small: name("small"),
            still: ids("Still", STILL),
            moving: ids("Moving", MOVING),
            pairs: ids("Left", PAIRS).into_iter().zip(ids("Right", PAIRS)).collect(),
            counter: name("urn:ngsi-ld:Counter"),
        }
    }

    /// Creates everything, with the number 0.
    pub(super) async fn build(&self, store: &dyn Store) -> Result<(), Breach> {
        let mut moving = self.moving.iter();
        let mut groups = Vec::new();
        for still in self.still.chunks(self.still.len() / self.moving.len()) {
            let ids = still.iter().chain(moving.next());
            let writes = ids.map(|id| self.numbered.write(&self.large, id, Some(0))).collect();
            groups.push(Group { writes, ..Group::default() });
        }
        let pairs = self.pairs.iter().flat_map(|(left, right)| [left, right]);
        let small = pairs.chain([&self.counter]);
        let writes = small.map(|id| self.numbered.write(&self.small, id, Some(0))).collect();
        groups.push(Group { writes, ..Group::default() });
        let outcomes = answered("building a town", store.commit(groups).await)?;
        match outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused(_))) {
            None => Ok(()),
            Some(refused) => {
                let difference = format!("{refused:?}, though nothing was expected");
                Err(Breach::new(Rule::Outcome, "building a town", difference))
            }
        }
    }

    /// Everything of a tenant that the filter matches, as one page.
    pub(super) async fn page(
        &self,
        store: &dyn Store,
        tenant: &Tenant,
        filter: Filter,
    ) -> Result<Page, Breach> {
        let query = EntityQuery {
            filter,
            start: Start::Offset(0),
            limit: usize::MAX,
            count: true,
            ..EntityQuery::default()
        };
        answered("a query beside writers", store.select(tenant, &query).await)
    }

    /// The counter as it is now.
    pub(super) async fn counter(&self, store: &dyn Store) -> Result<(Found, u64), Breach> {
        let filter = Filter::Ids(vec![self.counter.clone()]);
        let page = self.page(store, &self.small, filter).await?;
        match page.items.into_iter().next() {
            Some(found) => {
                let number = self.numbered.number(&found.entity)?;
                Ok((found, number))
            }
            None => Err(Breach::new(Rule::Moment, "reading the counter", "it is not there")),
        }
    }

    /// Compares the counter with what has been added to it.
    pub(super) async fn compare_counter(&self, store: &dyn Store) -> Result<(), Breach> {
        let (_, number) = self.counter(store).await?;
        let expected = COUNTERS * INCREMENTS;
        if number == expected {
            return Ok(());
        }
        let difference = differing(&expected, &number);
        Err(Breach::new(Rule::LostUpdate, "counting with several tasks", difference))
    }
}
