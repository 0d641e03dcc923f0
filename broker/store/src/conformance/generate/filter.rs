//! Conditions on entities.

use musubi_query::{Filter, ScopeQuery, TypeSelection};

use super::Generator;

impl Generator {
    /// A condition of any shape, nested at most four deep.
    pub fn filter(&mut self) -> Filter {
        self.filter_within(3)
    }

    fn filter_within(&mut self, depth: usize) -> Filter {
        if depth > 0 && self.random.chance(40) {
            let length = self.random.below(4);
            let parts = (0..length).map(|_| self.filter_within(depth - 1)).collect();
            return if self.random.chance(60) { Filter::All(parts) } else { Filter::Any(parts) };
        }
        match self.random.below(17) {
            0 => Filter::Ids(self.random.several(&self.vocabulary.ids, 6)),
            1 => Filter::IdPattern(self.random.pick(&self.vocabulary.patterns).clone()),
            2..=5 => Filter::Type(self.type_selection()),
            6 | 7 => {
                let attributes = self.random.several(&self.vocabulary.attributes, 3);
                Filter::HasAny(attributes.into_iter().map(|(name, _)| name).collect())
            }
            8..=11 => Filter::Query(self.query()),
            12 | 13 => Filter::Geo(self.geo_query()),
            14 => Filter::ExpiresBy(self.moment()),
            _ => Filter::Scope(self.scope_query()),
        }
    }

    /// A selection of types; at times one that nothing satisfies.
    pub fn type_selection(&mut self) -> TypeSelection {
        let length = if self.random.chance(5) { 0 } else { 1 + self.random.below(3) };
        let groups = (0..length).map(|_| self.random.at_least_one(&self.vocabulary.types, 2));
        TypeSelection { any_of: groups.collect() }
    }

    /// A condition on scopes.
    pub fn scope_query(&mut self) -> ScopeQuery {
        let length = 1 + self.random.below(2);
        let groups =
            (0..length).map(|_| self.random.at_least_one(&self.vocabulary.scope_patterns, 2));
        ScopeQuery { any_of: groups.collect() }
    }
}

#[cfg(test)]
mod tests {
    use musubi_model::{Entity, Timestamp};

    use super::*;

    /// A filter that everything or nothing matches tells little.
    #[test]
    fn every_kind_of_filter_matches_some_entities_and_not_others() {
        let mut generator = Generator::new(11, 12);
        let now = Timestamp::from_seconds(1_700_000_000);
        let ids = generator.vocabulary.ids.clone();
        let entities: Vec<Entity> =
            ids.into_iter().cycle().take(60).map(|id| generator.entity(id, now)).collect();
        let mut check = |kind: &str, draw: &mut dyn FnMut(&mut Generator) -> Filter| {
            let filters: Vec<_> = (0..200).map(|_| draw(&mut generator)).collect();
            let telling = filters.iter().filter(|filter| {
                let matching = entities.iter().filter(|entity| filter.matches(entity)).count();
                0 < matching && matching < entities.len()
            });
            let telling = telling.count();
            assert!(telling >= 50, "{telling} of 200 filters by {kind} tell entities apart");
        };
        check("anything", &mut Generator::filter);
        check("type", &mut |generator| Filter::Type(generator.type_selection()));
        check("query", &mut |generator| Filter::Query(generator.query()));
        check("geometry", &mut |generator| Filter::Geo(generator.geo_query()));
        check("scope", &mut |generator| Filter::Scope(generator.scope_query()));
    }
}
