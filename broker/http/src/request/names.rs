//! A context as the query languages see it.

use musubi_context::Context;
use musubi_model::{AttrName, InvalidName, TypeName};
use musubi_query::Terms;
use musubi_view::{MAX_NAMES, too_many_names};

use crate::error::Error;

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

/// The attributes of a comma-separated list of terms, the value of a parameter such as `attrs`.
pub(crate) fn attributes(
    parameter: &str,
    list: &str,
    context: &Context,
) -> Result<Vec<AttrName>, Error> {
    if list.split(',').count() > MAX_NAMES {
        return Err(too_many_names(parameter).into());
    }
    let name = |term: &str| match term.trim() {
        // Clause 6.5.3.1: what every entity may have is not listed.
        member @ ("id" | "type" | "scope") => {
            let reason = format!("{parameter}: {member:?} is not the name of an attribute");
            Err(Error::BadRequestData(reason))
        }
        term => context
            .attribute(term)
            .map_err(|error| Error::BadRequestData(format!("{parameter}: {error}"))),
    };
    list.split(',').map(name).collect()
}
