//! A context for tests.

use musubi_model::{AttrName, InvalidName, TypeName};

use crate::Terms;

/// Puts every term under `https://example.org/`, and leaves absolute URIs as they are.
#[derive(Debug)]
pub(crate) struct ExampleTerms;

impl Terms for ExampleTerms {
    fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
        self.vocabulary(term).parse()
    }

    fn vocabulary(&self, value: &str) -> String {
        if value.contains(':') { value.to_owned() } else { format!("https://example.org/{value}") }
    }
}
