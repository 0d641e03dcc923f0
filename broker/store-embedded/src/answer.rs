//! The answer to a query in the making.

use std::cmp::Ordering;

use musubi_query::{EntityQuery, Order, OrderKey, Start};
use musubi_store::{Found, Page};

/// Entities that are kept beyond those that are wanted before the worst are dropped.
const SPARE: usize = 1_024;

/// The most that the keys of an order may take up, in bytes.
const MAX_KEYS: usize = 128 << 20;

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Answer {
    start: Start,
    limit: usize,
    count: bool,
    /// How many match, and how many of those the page may begin with or come to.
    matching: usize,
    eligible: usize,
    page: Page,
    /// Where the order is another than that of creation.
    ranking: Option<Ranking>,
}

/// The first of what was found, in an order that is known only when everything was.
#[derive(Debug)]
struct Ranking {
    /// So many are needed.
    needed: usize,
    best: Vec<(OrderKey, Found)>,
    /// What the keys of these take up, in bytes.
    size: usize,
}

impl Answer {
    pub(crate) fn new(query: &EntityQuery) -> Self {
        let EntityQuery { start, limit, count, .. } = *query;
        let needed = match start {
            Start::Offset(offset) => offset.saturating_add(limit),
            Start::After(_) => limit,
        };
        let ranking = Ranking { needed, best: Vec::new(), size: 0 };
        let ranking = (!query.order.is_creation()).then_some(ranking);
        let (matching, eligible, page) = (0, 0, Page::default());
        Self { start, limit, count, matching, eligible, page, ranking }
    }

    /// Takes an entity that matches; they come in the order of their creation. False if no
    /// further one is needed.
    pub(crate) fn take(&mut self, found: Found, order: &Order) -> bool {
        self.matching += 1;
        let is_before = match self.start {
            Start::Offset(offset) => self.ranking.is_none() && self.matching <= offset,
            Start::After(position) => found.position <= position,
        };
        if is_before {
            return true;
        }
        self.eligible += 1;
        if let Some(ranking) = &mut self.ranking {
            ranking.take(found, order);
            return true;
        }
        if self.page.items.len() < self.limit {
            self.page.items.push(found);
            return true;
        }
        self.page.more = true;
        self.count
    }

    /// Whether so many entities are needed, or so large keys of them, that there is no room to put
    /// them in order.
    pub(crate) fn is_too_large(&self) -> bool {
        self.ranking.as_ref().is_some_and(|ranking| ranking.size > MAX_KEYS)
    }

    /// The page.
    pub(crate) fn end(mut self, order: &Order) -> Page {
        if self.count {
            self.page.total = Some(u64::try_from(self.matching).unwrap_or(u64::MAX));
        }
        if let Some(ranking) = self.ranking {
            self.page.more = self.eligible > ranking.needed;
            let offset = match self.start {
                Start::Offset(offset) => offset,
                Start::After(_) => 0,
            };
            self.page.items = ranking.end(offset, order);
        }
        self.page
    }
}

impl Ranking {
    fn take(&mut self, found: Found, order: &Order) {
        if self.needed == 0 {
            return;
        }
        let key = order.key(&found.entity);
        self.size += key.size();
        self.best.push((key, found));
        let are_many = self.best.len() >= self.needed.saturating_mul(2).max(SPARE);
        if are_many || self.size > MAX_KEYS {
            self.cut(order);
        }
    }

    /// Drops what will not be among the first.
    fn cut(&mut self, order: &Order) {
        if self.best.len() > self.needed
            && let Some(last) = self.needed.checked_sub(1)
        {
            self.best.select_nth_unstable_by(last, |one, other| compare(order, one, other));
            self.best.truncate(self.needed);
            self.size = self.best.iter().map(|(key, _)| key.size()).sum();
        }
    }

    /// The first ones without so many of them. Only those are sorted.
    fn end(mut self, offset: usize, order: &Order) -> Vec<Found> {
        self.cut(order);
        if offset >= self.best.len() {
            return Vec::new();
        }
        if offset > 0 {
            self.best.select_nth_unstable_by(offset, |one, other| compare(order, one, other));
            self.best.drain(..offset);
        }
        self.best.sort_unstable_by(|one, other| compare(order, one, other));
        self.best.into_iter().map(|(_, found)| found).collect()
    }
}

fn compare(order: &Order, one: &(OrderKey, Found), other: &(OrderKey, Found)) -> Ordering {
    order.compare(&one.0, &other.0).then(one.1.position.cmp(&other.1.position))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use musubi_model::{Entity, Position, Revision, Timestamp};
    use musubi_query::{Collation, OrderBy, OrderTerm};

    use super::*;

    fn found(number: u64) -> Found {
        let entity = Entity {
            id: format!("urn:x:{number}{}", "愛".repeat(670)).parse().unwrap(),
            types: vec!["urn:x:Type".parse().unwrap()],
            scopes: Vec::new(),
            created_at: Timestamp::default(),
            modified_at: Timestamp::default(),
            expires_at: None,
            attributes: Vec::new(),
        };
        Found { position: Position(number), revision: Revision(number), entity: Arc::new(entity) }
    }

    /// Whether the first of so many entities, with keys of 32 kB, are too much to order.
    fn is_too_large(needed: usize, entities: u64) -> bool {
        let by_id = || OrderTerm { by: OrderBy::Id, descending: false };
        let order = Order {
            terms: std::iter::repeat_with(by_id).take(Order::MAX_TERMS).collect(),
            collation: Collation::parse("und-x-binary").unwrap(),
            from: None,
        };
        let query = EntityQuery { order, limit: needed, ..EntityQuery::default() };
        let mut answer = Answer::new(&query);
        (0..entities).any(|number| {
            answer.take(found(number), &query.order);
            answer.is_too_large()
        })
    }

    #[test]
    fn the_keys_of_an_order_take_up_only_so_much() {
        assert!(!is_too_large(20, 4_600), "what is not needed is dropped");
        assert!(is_too_large(4_600, 4_600));
    }
}
