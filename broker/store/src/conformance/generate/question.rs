//! Questions for entities: what, in which order, as of when.

use musubi_model::Timestamp;
use musubi_query::{AttributePath, EntityQuery, Filter, Order, OrderBy, OrderTerm};

use super::Generator;
use super::value::MEMBERS;

impl Generator {
    /// A question for everything that a filter matches, often in an order of its own and as of a
    /// moment.
    pub fn entity_query(&mut self) -> EntityQuery {
        let order = if self.random.chance(30) { self.order() } else { Order::default() };
        let at = self.random.chance(40).then(|| self.moment());
        EntityQuery { filter: self.filter(), order, at, ..EntityQuery::default() }
    }

    /// Questions that a filter drawn from all filters seldom is: for what expires, and into linked
    /// entities of which something has expired.
    pub fn rare_questions(&mut self) -> Vec<EntityQuery> {
        let mut questions = Vec::new();
        for _ in 0..2 {
            let filter = Filter::ExpiresBy(self.moment());
            questions.push(EntityQuery { filter, ..EntityQuery::default() });
        }
        for _ in 0..4 {
            let (filter, at) = (Filter::Query(self.linked_query()), Some(self.moment()));
            questions.push(EntityQuery { filter, at, ..EntityQuery::default() });
        }
        questions
    }

    /// An order by something, in which many entities stand equal.
    pub fn order(&mut self) -> Order {
        let length = 1 + self.random.below(2);
        let terms = (0..length)
            .map(|_| OrderTerm { by: self.order_by(), descending: self.random.chance(50) })
            .collect();
        let collation = self.random.pick(&self.vocabulary.collations).clone();
        let from = self.random.chance(90).then(|| self.geo_query().geometry);
        Order { terms, collation, from }
    }

    /// A moment at which something expires, or just before.
    pub fn moment(&mut self) -> Timestamp {
        let moment = *self.random.pick(&self.vocabulary.moments);
        if self.random.chance(20) { moment.plus_micros(-1) } else { moment }
    }

    fn order_by(&mut self) -> OrderBy {
        match self.random.below(20) {
            0 | 1 => OrderBy::Id,
            2 => OrderBy::Type,
            3 => OrderBy::Scope,
            4 | 5 => {
                let (name, _) = self.random.pick(&self.vocabulary.attributes).clone();
                let (links, names, members) = (Vec::new(), vec![name], Vec::new());
                OrderBy::Distance(AttributePath { links, names, members })
            }
            _ => OrderBy::Value(self.own_path()),
        }
    }

    /// A path that follows no links.
    fn own_path(&mut self) -> AttributePath {
        let mut names = vec![self.random.pick(&self.vocabulary.attributes).0.clone()];
        if self.random.chance(15) {
            names.push(self.random.pick(&self.vocabulary.sub_attributes).clone());
        }
        if self.random.chance(20) {
            names.push(self.random.pick(&self.vocabulary.system_attributes).clone());
            if self.random.chance(60) {
                names.drain(..names.len() - 1);
            }
        }
        let member = self.random.chance(20).then(|| (*self.random.pick(&MEMBERS)).to_owned());
        AttributePath { links: Vec::new(), names, members: member.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::sync::Arc;

    use musubi_model::{Entity, Timestamp};

    use super::*;

    fn entities(generator: &mut Generator) -> Vec<Arc<Entity>> {
        let now = Timestamp::from_seconds(1_700_000_000);
        let ids = generator.vocabulary.ids.clone();
        let ids = ids.into_iter().cycle().take(60);
        ids.map(|id| Arc::new(generator.entity(id, now))).collect()
    }

    #[test]
    fn at_most_moments_some_entities_have_lost_something_and_others_not() {
        let mut generator = Generator::new(3, 12);
        let entities = entities(&mut generator);
        let (mut gone, mut less, mut whole) = (0, 0, 0);
        for _ in 0..20 {
            let at = generator.moment();
            for entity in &entities {
                match entity.alive_at(at) {
                    None => gone += 1,
                    Some(alive) if Arc::ptr_eq(&alive, entity) => whole += 1,
                    Some(_) => less += 1,
                }
            }
        }
        assert!(gone > 20 && less > 50 && whole > 300, "{gone} {less} {whole}");
    }

    #[test]
    fn orders_have_entities_that_stand_equal_and_others_that_do_not() {
        let mut generator = Generator::new(4, 12);
        let entities = entities(&mut generator);
        let (mut equal, mut unequal) = (0, 0);
        for _ in 0..50 {
            let order = generator.order();
            let keys: Vec<_> = entities.iter().map(|entity| order.key(entity)).collect();
            for (one, other) in keys.iter().zip(keys.iter().skip(1)) {
                match order.compare(one, other) {
                    Ordering::Equal => equal += 1,
                    Ordering::Less | Ordering::Greater => unequal += 1,
                }
            }
        }
        assert!(equal > 100 && unequal > 100, "{equal} {unequal}");
    }
}
