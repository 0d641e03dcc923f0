//! Scopes: the hierarchies in which entities stand (CIM 009, clause 4.18).

use crate::newtype::checked_string;

checked_string! {
    /// A scope such as `/Aichi/Nagoya/Parks`: levels separated by `/`, with a leading `/` and none
    /// at the end, at most 1,024 bytes. A level begins with a letter and goes on with letters,
    /// digits and `_`, of any script.
    Scope, InvalidScope, check
}

impl Scope {
    /// Reads a scope as clients write it, with or without the leading slash.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if a level is empty or has a character that scopes do not allow.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.starts_with('/') { text.parse() } else { format!("/{text}").parse() }
    }

    /// The levels, from the outermost.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('/').skip(1)
    }
}

/// Why a string is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope has levels separated by '/', each a letter and then letters, digits and '_', and \
     {0:?} has not"
)]
pub struct InvalidScope(String);

const MAX_BYTES: usize = 1024;

fn check(text: &str) -> Result<(), InvalidScope> {
    let refuse = || Err(InvalidScope(text.chars().take(80).collect()));
    let Some(levels) = text.strip_prefix('/') else { return refuse() };
    let fits = text.len() <= MAX_BYTES
        && levels.split('/').all(|level| {
            level.starts_with(char::is_alphabetic)
                && level.chars().all(|c| c.is_alphanumeric() || c == '_')
        });
    if fits { Ok(()) } else { refuse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_with_or_without_the_leading_slash() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Scope::parse(text).unwrap().as_str(), expected);
        };
        check("/Madrid/Gardens/ParqueNorte", "/Madrid/Gardens/ParqueNorte");
        check("Madrid", "/Madrid");
        check("/愛知/名古屋_1", "/愛知/名古屋_1");
        let levels = Scope::parse("/a/b").unwrap();
        assert_eq!(levels.levels().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in ["", "/", "9bad", "/a//b", "a-b", "/a/", "urn:ngsi-ld:null", "/a/+", "/_a"] {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
        assert!(Scope::parse(&"a".repeat(2_000)).is_err());
    }
}
