//! The type selection language (CIM 009, clause 4.17).

use musubi_model::TypeName;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::{InvalidQuery, Terms};

/// A condition on an entity's types: a disjunction of conjunctions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeSelection {
    /// One of these groups has to hold; in a group, the entity has to have every type.
    pub any_of: Vec<Vec<TypeName>>,
}

impl TypeSelection {
    /// Reads a type selection: types or groups `(Home;Vehicle)`, separated by `,` or `|`. A type
    /// is a term of the context or an absolute URI. Alternatives may stand in parentheses of their
    /// own, as in `(Building|House)`, which the grammar does not have and clients write.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if the text is not of the language, or longer than 16 KiB.
    pub fn parse(text: &str, terms: &dyn Terms) -> Result<Self, InvalidQuery> {
        let mut cursor = Cursor::new("type", text)?;
        let mut any_of = Vec::new();
        loop {
            cursor.skip_spaces();
            any_of.extend(group(&mut cursor, terms)?);
            cursor.skip_spaces();
            if cursor.at_end() {
                return Ok(Self { any_of });
            }
            if !cursor.eat(",") && !cursor.eat("|") {
                return Err(match cursor.peek() {
                    Some(';') => cursor.error("types joined by ';' stand in parentheses"),
                    _ => cursor.error("',' or '|' was expected"),
                });
            }
        }
    }

    /// Whether an entity of these types satisfies this condition.
    pub fn matches(&self, types: &[TypeName]) -> bool {
        self.any_of.iter().any(|group| group.iter().all(|wanted| types.contains(wanted)))
    }
}

fn group(cursor: &mut Cursor<'_>, terms: &dyn Terms) -> Result<Vec<Vec<TypeName>>, InvalidQuery> {
    if !cursor.eat("(") {
        return Ok(vec![vec![name(cursor, terms)?]]);
    }
    let mut names = Vec::new();
    let mut are_alternatives = None;
    loop {
        cursor.skip_spaces();
        names.push(name(cursor, terms)?);
        cursor.skip_spaces();
        if cursor.eat(")") {
            return Ok(if are_alternatives == Some(true) {
                names.into_iter().map(|name| vec![name]).collect()
            } else {
                vec![names]
            });
        }
        let before = *cursor;
        let is_alternative = cursor.eat(",") || cursor.eat("|");
        if !is_alternative && !cursor.eat(";") {
            return Err(cursor.error("';' or ')' was expected"));
        }
        if *are_alternatives.get_or_insert(is_alternative) != is_alternative {
            return Err(before.error("';' and '|' do not stand in the same parentheses"));
        }
    }
}

fn name(cursor: &mut Cursor<'_>, terms: &dyn Terms) -> Result<TypeName, InvalidQuery> {
    let start = *cursor;
    let term =
        cursor.take_while(|character| !matches!(character, ',' | ';' | '|' | '(' | ')' | ' '));
    if term.is_empty() {
        return Err(cursor.error("a type was expected"));
    }
    terms.entity_type(term).map_err(|error| start.error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_terms::ExampleTerms;

    #[test]
    fn a_selection_selects() {
        let check = |selection: &str, types: &[&str], expected: bool| {
            let types: Vec<TypeName> =
                types.iter().map(|term| ExampleTerms.entity_type(term).unwrap()).collect();
            let parsed = TypeSelection::parse(selection, &ExampleTerms).unwrap();
            assert_eq!(parsed.matches(&types), expected, "{selection} {types:?}");
        };
        check("Building", &["Building"], true);
        check("Building", &["House", "Building"], true);
        check("Building", &["House"], false);
        check("Building|House", &["House"], true);
        check("Building,House", &["House"], true);
        check("Building, House", &["House"], true);
        check("(Home;Vehicle)", &["Home"], false);
        check("(Home;Vehicle)", &["Vehicle", "Home"], true);
        check("(Home;Vehicle)|Motorhome", &["Motorhome"], true);
        check("Motorhome,(Home;Vehicle)", &["Motorhome"], true);
        check("https://example.org/Home", &["Home"], true);
        check("(Home)", &["Home"], true);
        check("(Building|House)", &["House"], true);
        check("(Building,House),(A;B)", &["A"], false);
        check("A|B,(C;D)", &["D", "C"], true);
        check("A|B,(C;D)", &["D"], false);
        check("( A ; B ) | C", &["B", "A"], true);
        check("ex:A", &["ex:A"], true);
        check("避難所,病院", &["病院"], true);
        check("building", &["Building"], false);
    }

    proptest! {
        #[test]
        fn a_selection_means_what_its_groups_say(
            groups in prop::collection::vec(prop::collection::vec("[A-D]", 1..4), 1..4),
            separators in prop::collection::vec(prop::sample::select(vec!["|", ","]), 3),
            types in prop::collection::btree_set("[A-D]", 0..4),
        ) {
            let shown = |(number, group): (usize, &Vec<String>)| {
                let separator = if number > 0 { separators[number - 1] } else { "" };
                match group.as_slice() {
                    [only] => format!("{separator}{only}"),
                    several => format!("{separator}({})", several.join(";")),
                }
            };
            let text = groups.iter().enumerate().map(shown).collect::<Vec<_>>().concat();
            let expected = groups.iter().any(|group| group.iter().all(|name| types.contains(name)));
            let types: Vec<TypeName> =
                types.iter().map(|term| ExampleTerms.entity_type(term).unwrap()).collect();
            let selection = TypeSelection::parse(&text, &ExampleTerms).unwrap();
            prop_assert_eq!(selection.matches(&types), expected, "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[AB;,|() ]{0,20}|.{0,20}") {
            let _ = TypeSelection::parse(&text, &ExampleTerms);
        }
    }

    #[test]
    fn what_is_no_selection_is_refused() {
        let check = |selection: &str, expected: &str| {
            let refusal = TypeSelection::parse(selection, &ExampleTerms).unwrap_err();
            assert_eq!(format!("{} {}", refusal.at, refusal.reason), expected, "{selection}");
        };
        check("", "1 a type was expected");
        check("A,", "3 a type was expected");
        check("A;B", "2 types joined by ';' stand in parentheses");
        check("(A;B", "5 ';' or ')' was expected");
        check("(A|B;C)", "5 ';' and '|' do not stand in the same parentheses");
        check("A)", "2 ',' or '|' was expected");
        check("()", "2 a type was expected");
        assert!(TypeSelection::parse(&"A,".repeat(20_000), &ExampleTerms).is_err());
    }
}
