//! Queries on attributes, as trees.

use musubi_query::{AttributePath, Comparison, Query};

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
        AttributePath { names, members }
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
