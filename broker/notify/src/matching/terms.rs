//! A context as the query languages need it.

use musubi_context::Context;
use musubi_model::{AttrName, InvalidName, TypeName};
use musubi_query::Terms;

/// Expands the names of a query in a context.
pub(crate) struct ContextTerms<'a>(pub(crate) &'a Context);

impl Terms for ContextTerms<'_> {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.0.attribute(term)
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.0.entity_type(term)
    }

    fn vocabulary(&self, value: &str) -> String {
        self.0.expand(value).into_owned()
    }
}
