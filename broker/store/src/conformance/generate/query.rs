//! Queries on attributes, as trees.

use musubi_model::AttributeType;
use musubi_query::{AttributePath, Comparison, Link, Query};

use super::Generator;
use super::value::MEMBERS;

impl Generator {
    /// A query of any shape, nested at most three deep.
    pub fn query(&mut self) -> Query {
        self.query_within(2)
    }

    fn query_within(&mut self, depth: usize) -> Query {
        if depth > 0 && self.random.chance(30) {
            let length = self.random.below(4);
            let parts = (0..length).map(|_| self.query_within(depth - 1)).collect();
            return if self.random.chance(50) { Query::And(parts) } else { Query::Or(parts) };
        }
        let path = self.path();
        if self.random.chance(25) {
            return Query::Exists { path, expected: self.random.chance(60) };
        }
        Query::Compare { path, comparison: self.comparison() }
    }

    fn path(&mut self) -> AttributePath {
        let mut names = vec![self.random.pick(&self.vocabulary.attributes).0.clone()];
        if self.random.chance(15) {
            names.push(self.random.pick(&self.vocabulary.sub_attributes).clone());
        }
        if self.random.chance(8) {
            names.push(self.random.pick(&self.vocabulary.system_attributes).clone());
            // Of the entity itself, not of one of its attributes.
            if self.random.chance(40) {
                names.drain(..names.len() - 1);
            }
        }
        let mut members = Vec::new();
        while members.len() < 3 && self.random.chance(20) {
            let member = if self.random.chance(20) { "*" } else { self.random.pick(&MEMBERS) };
            members.push(member.to_owned());
        }
        let mut links = Vec::new();
        while links.len() < 3 && self.random.chance(if links.is_empty() { 15 } else { 30 }) {
            links.push(self.link());
        }
        AttributePath { links, names, members }
    }

    /// A query for what is there, or not, in entities one step away.
    pub(super) fn linked_query(&mut self) -> Query {
        let names = vec![self.random.pick(&self.vocabulary.attributes).0.clone()];
        let path = AttributePath { links: vec![self.link()], names, members: Vec::new() };
        Query::Exists { path, expected: self.random.chance(60) }
    }

    /// A step to other entities, most of the time by an attribute that leads to some.
    fn link(&mut self) -> Link {
        let leads = |kind: &AttributeType| {
            matches!(kind, AttributeType::Relationship | AttributeType::ListRelationship)
        };
        let mut names: Vec<_> = self.vocabulary.attributes.clone();
        if self.random.chance(95) {
            names.retain(|(_, kind)| leads(kind));
        }
        let (relationship, _) = self.random.pick(&names).clone();
        let types = match self.random.below(4) {
            0 => self.random.several(&self.vocabulary.types, 2),
            _ => Vec::new(),
        };
        Link { relationship, types }
    }

    fn comparison(&mut self) -> Comparison {
        match self.random.below(12) {
            0..=3 => Comparison::Equal(self.literals()),
            4 | 5 => Comparison::NotEqual(self.literals()),
            6 => Comparison::Greater(self.literal()),
            7 => Comparison::GreaterOrEqual(self.literal()),
            8 => Comparison::Less(self.literal()),
            9 => Comparison::LessOrEqual(self.literal()),
            10 => Comparison::Like(self.random.pick(&self.vocabulary.patterns).clone()),
            _ => Comparison::NotLike(self.random.pick(&self.vocabulary.patterns).clone()),
        }
    }

    fn literals(&mut self) -> Vec<musubi_query::Literal> {
        let length = 1 + self.random.below(3);
        (0..length)
            .map(|_| if self.random.chance(25) { self.range() } else { self.literal() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use musubi_model::{Entity, EntityId, Timestamp};
    use musubi_query::{LinkedEntities, NoLinkedEntities};

    use super::*;

    struct Known(Vec<Arc<Entity>>);

    impl LinkedEntities for Known {
        fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
            self.0.iter().find(|entity| entity.id == *id).cloned()
        }
    }

    #[test]
    fn links_lead_to_entities_that_are_there() {
        let mut generator = Generator::new(9, 12);
        let now = Timestamp::from_seconds(1_700_000_000);
        let ids = generator.vocabulary.ids.clone();
        let town = ids.into_iter().map(|id| Arc::new(generator.entity(id, now))).collect();
        let town = Known(town);
        let (mut without, mut within) = (0, 0);
        for _ in 0..2_000 {
            let mut path = generator.path();
            path.links = vec![generator.link()];
            let query = Query::Exists { path, expected: true };
            without +=
                town.0.iter().filter(|one| query.matches_among(one, &NoLinkedEntities)).count();
            within += town.0.iter().filter(|one| query.matches_among(one, &town)).count();
        }
        assert_eq!(without, 0);
        assert!(within > 500, "{within}");
    }
}
