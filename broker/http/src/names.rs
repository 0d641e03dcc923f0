//! A context as the query languages see it.

use musubi_context::Context;
use musubi_model::{AttrName, InvalidName, TypeName};
use musubi_query::Terms;

/// Expands the names in a query with a context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a>(pub(crate) &'a Context);

impl Terms for Names<'_> {
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

/// The attributes of a comma-separated list of terms, as in `attrs`.
pub(crate) fn attributes(
    list: &str,
    context: &Context,
) -> Result<Vec<AttrName>, crate::error::Error> {
    list.split(',').map(|term| Ok(context.attribute(term.trim())?)).collect()
}
