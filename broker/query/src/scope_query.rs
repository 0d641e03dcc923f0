//! The scope query language (CIM 009, clause 4.19).

use musubi_model::Scope;
use serde::{Deserialize, Serialize};

use crate::InvalidQuery;
use crate::cursor::Cursor;

/// A condition on an entity's scopes: a disjunction of conjunctions of patterns.
///
/// A pattern is a scope in which a level may be `+`, which stands for any one level, and at whose
/// end `/#` may stand for that scope and everything below. `/#` alone is any scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeQuery {
    /// One of these groups has to hold; in a group, every pattern has to match some scope. Each
    /// pattern begins with `/`.
    pub any_of: Vec<Vec<String>>,
}

impl ScopeQuery {
    /// Reads a scope query: patterns or groups `(/a;/b)`, separated by `,` or `|`. The leading
    /// `/` of a pattern may be left out, and so may the parentheses of a group: `;` binds tighter.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if the text is not of the language, or longer than 16 KiB.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        let mut cursor = Cursor::new("scopeQ", text)?;
        let mut any_of = Vec::new();
        loop {
            cursor.skip_spaces();
            any_of.push(group(&mut cursor)?);
            cursor.skip_spaces();
            if cursor.at_end() {
                return Ok(Self { any_of });
            }
            if !cursor.eat(",") && !cursor.eat("|") {
                return Err(cursor.error("',' or '|' was expected"));
            }
        }
    }

    /// Whether an entity with these scopes satisfies this condition.
    pub fn matches(&self, scopes: &[Scope]) -> bool {
        self.any_of.iter().any(|group| {
            group.iter().all(|pattern| scopes.iter().any(|scope| fits(pattern, scope)))
        })
    }
}

fn fits(pattern: &str, scope: &Scope) -> bool {
    let mut levels = scope.levels();
    for wanted in pattern.split('/').skip(1) {
        if wanted == "#" {
            return true;
        }
        let Some(level) = levels.next() else { return false };
        if wanted != "+" && wanted != level {
            return false;
        }
    }
    levels.next().is_none()
}

fn group(cursor: &mut Cursor<'_>) -> Result<Vec<String>, InvalidQuery> {
    let in_parentheses = cursor.eat("(");
    let mut group = Vec::new();
    loop {
        cursor.skip_spaces();
        group.push(pattern(cursor)?);
        cursor.skip_spaces();
        if cursor.eat(";") {
            continue;
        }
        if in_parentheses && !cursor.eat(")") {
            return Err(cursor.error("';' or ')' was expected"));
        }
        return Ok(group);
    }
}

fn pattern(cursor: &mut Cursor<'_>) -> Result<String, InvalidQuery> {
    let mut pattern = String::from("/");
    cursor.eat("/");
    loop {
        if cursor.eat("#") {
            pattern.push('#');
            return Ok(pattern);
        }
        if cursor.eat("+") {
            pattern.push('+');
        } else {
            let start = *cursor;
            let level =
                cursor.take_while(|character| character.is_alphanumeric() || character == '_');
            if !level.starts_with(char::is_alphabetic) {
                return Err(start.error(
                    "a level of a scope was expected: a letter and then letters, digits and '_', \
                     or '+', or '#' at the end",
                ));
            }
            pattern.push_str(level);
        }
        if !cursor.eat("/") {
            return Ok(pattern);
        }
        pattern.push('/');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn a_query_selects_by_scope() {
        let check = |query: &str, scopes: &[&str], expected: bool| {
            let scopes: Vec<Scope> =
                scopes.iter().map(|text| Scope::parse(text).unwrap()).collect();
            let parsed = ScopeQuery::parse(query).unwrap();
            assert_eq!(parsed.matches(&scopes), expected, "{query} {scopes:?}");
        };
        check("/Madrid", &["/Madrid"], true);
        check("Madrid", &["/Madrid"], true);
        check("/Madrid", &["/Madrid/Gardens"], false);
        check("/Madrid", &[], false);
        check("/Madrid/Gardens/#", &["/Madrid/Gardens"], true);
        check("/Madrid/Gardens/#", &["/Madrid/Gardens/ParqueNorte/Parterre1"], true);
        check("/Madrid/Gardens/#", &["/Madrid"], false);
        check("/Madrid/Gardens/#", &["/Madrid/GardensSouth"], false);
        check("/Madrid/+/ParqueNorte", &["/Madrid/Sights/ParqueNorte"], true);
        check("/Madrid/+/ParqueNorte", &["/Madrid/ParqueNorte"], false);
        check("/+", &["/Madrid"], true);
        check("/+", &["/Madrid/Gardens"], false);
        check("/+/#", &["/Madrid/Gardens"], true);
        check("/#", &["/Madrid"], true);
        check("/#", &[], false);
        check("(/Madrid/Districts;/CompanyA)", &["/CompanyA"], false);
        check("(/Madrid/Districts;/CompanyA)", &["/CompanyA", "/Madrid/Districts"], true);
        check("(/Madrid/Districts;/CompanyA)|CompanyB", &["/CompanyB"], true);
        check("/a,/b", &["/b"], true);
        check("/a|(/b;/c),/d", &["/c", "/b"], true);
        check("/a;/b", &["/a", "/b"], true);
        check("/a;/b", &["/b"], false);
        check("/a;/b|/c", &["/c"], true);
        check("/a|(/b;/c),/d", &["/c"], false);
        check("(/a)", &["/a"], true);
        check("(/a/#;/+)", &["/a/b", "/c"], true);
        check("/a_1/+/+/#", &["/a_1/b/c/d/e"], true);
        check("/a/+", &["/a"], false);
        check(" /a , ( /b ; /c ) ", &["/b", "/c"], true);
        check("/愛知/#", &["/愛知/名古屋"], true);
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_a_regular_expression_does(
            groups in prop::collection::vec(prop::collection::vec("(/[ab+]){1,3}(/#)?|/#", 1..3), 1..3),
            scopes in prop::collection::vec("(/[abc]){1,4}", 0..4),
        ) {
            let shown = |group: &Vec<String>| format!("({})", group.join(";"));
            let text = groups.iter().map(shown).collect::<Vec<_>>().join("|");
            let fits = |pattern: &String| {
                let expression = pattern.replace('+', "[^/]+").replace("/#", "(/.+)?");
                let expression = Regex::new(&format!("^{expression}$")).unwrap();
                scopes.iter().any(|scope| expression.is_match(scope))
            };
            let expected = groups.iter().any(|group| group.iter().all(fits));
            let scopes: Vec<Scope> = scopes.iter().map(|text| Scope::parse(text).unwrap()).collect();
            prop_assert_eq!(ScopeQuery::parse(&text).unwrap().matches(&scopes), expected, "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[ab+#/;,|() ]{0,20}|.{0,20}") {
            let _ = ScopeQuery::parse(&text);
        }
    }

    #[test]
    fn what_is_no_scope_query_is_refused() {
        let check = |query: &str, expected: &str| {
            let refusal = ScopeQuery::parse(query).unwrap_err();
            assert_eq!(format!("{} {}", refusal.at, refusal.reason), expected, "{query}");
        };
        let level = "a level of a scope was expected: a letter and then letters, digits and '_', \
                     or '+', or '#' at the end";
        check("", &format!("1 {level}"));
        check("/", &format!("2 {level}"));
        check("/a//b", &format!("4 {level}"));
        check("/9", &format!("2 {level}"));
        check("/a/#/b", "5 ',' or '|' was expected");
        check("/a#", "3 ',' or '|' was expected");
        check("/a+", "3 ',' or '|' was expected");
        check("/a/", &format!("4 {level}"));
        check("/a-b", "3 ',' or '|' was expected");
        check("()", &format!("2 {level}"));
        check("((/a;/b);/c)", &format!("2 {level}"));
        check("(/a|/b)", "4 ';' or ')' was expected");
        check("/a,", &format!("4 {level}"));
        check("(/a;/b", "7 ';' or ')' was expected");
    }
}
