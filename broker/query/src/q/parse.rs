//! From text to syntax tree.

use musubi_model::{Document, Limits, Node, Uri};

use super::{Comparison, Literal, Query, QueryOptions};
use crate::cursor::Cursor;
use crate::moment::Moment;
use crate::{AttributePath, InvalidQuery, Pattern, Terms};

/// Reads a query.
pub(super) fn query(
    text: &str,
    terms: &dyn Terms,
    options: &QueryOptions<'_>,
) -> Result<Query, InvalidQuery> {
    let cursor = Cursor::new("q", text)?;
    let mut parser = Parser {
        cursor,
        terms,
        options,
        depth: Query::MAX_DEPTH,
        patterns: Query::MAX_PATTERNS,
        values: Query::MAX_VALUES,
        linked_conditions: Query::MAX_LINKED_CONDITIONS,
    };
    let query = parser.or()?;
    if parser.cursor.at_end() {
        Ok(query)
    } else {
        Err(parser.cursor.error("an operator, ';', '|' or the end was expected"))
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    terms: &'a dyn Terms,
    options: &'a QueryOptions<'a>,
    depth: usize,
    patterns: usize,
    values: usize,
    linked_conditions: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Query, InvalidQuery> {
        let mut alternatives = vec![self.and()?];
        while self.cursor.eat("|") {
            alternatives.push(self.and()?);
        }
        Ok(one_or(alternatives, Query::Or))
    }

    fn and(&mut self) -> Result<Query, InvalidQuery> {
        let mut conditions = vec![self.atom()?];
        while self.cursor.eat(";") {
            conditions.push(self.atom()?);
        }
        Ok(one_or(conditions, Query::And))
    }

    fn atom(&mut self) -> Result<Query, InvalidQuery> {
        self.cursor.skip_spaces();
        let atom = if self.cursor.peek() == Some('(') {
            self.parentheses()?
        } else if self.cursor.eat("!") {
            Query::Exists { path: self.path()?, expected: false }
        } else {
            self.term()?
        };
        self.cursor.skip_spaces();
        Ok(atom)
    }

    fn parentheses(&mut self) -> Result<Query, InvalidQuery> {
        let Some(depth) = self.depth.checked_sub(1) else {
            let reason = format!("parentheses nest deeper than {} levels", Query::MAX_DEPTH);
            return Err(self.cursor.error(reason));
        };
        self.depth = depth;
        self.cursor.eat("(");
        let query = self.or()?;
        if !self.cursor.eat(")") {
            return Err(self.cursor.error("an operator, ';', '|' or ')' was expected"));
        }
        self.depth += 1;
        Ok(query)
    }

    fn term(&mut self) -> Result<Query, InvalidQuery> {
        let path = self.path()?;
        self.cursor.skip_spaces();
        // Longer operators first, where one begins with another.
        let operators = ["!~=", "~=", "==", "!=", ">=", "<=", ">", "<"];
        let Some(operator) = operators.into_iter().find(|operator| self.cursor.eat(operator))
        else {
            return Ok(Query::Exists { path, expected: true });
        };
        self.cursor.skip_spaces();
        let expand = path.names.last().is_some_and(|name| self.options.expands(name));
        let comparison = match operator {
            "!~=" => Comparison::NotLike(self.pattern()?),
            "~=" => Comparison::Like(self.pattern()?),
            "==" => Comparison::Equal(self.values(expand)?),
            "!=" => Comparison::NotEqual(self.values(expand)?),
            ">=" => Comparison::GreaterOrEqual(self.ordered(expand)?),
            "<=" => Comparison::LessOrEqual(self.ordered(expand)?),
            ">" => Comparison::Greater(self.ordered(expand)?),
            _ => Comparison::Less(self.ordered(expand)?),
        };
        Ok(Query::Compare { path, comparison })
    }

    fn path(&mut self) -> Result<AttributePath, InvalidQuery> {
        let start = self.cursor;
        let path = AttributePath::read(&mut self.cursor, self.terms)?;
        if !path.links.is_empty() {
            let Some(left) = self.linked_conditions.checked_sub(1) else {
                let most = Query::MAX_LINKED_CONDITIONS;
                let reason = format!("more than {most} conditions look into linked entities");
                return Err(start.error(reason));
            };
            self.linked_conditions = left;
        }
        Ok(path)
    }

    /// What stands after `==` and `!=`.
    fn values(&mut self, expand: bool) -> Result<Vec<Literal>, InvalidQuery> {
        let mut values = Vec::new();
        loop {
            self.cursor.skip_spaces();
            let start = self.cursor;
            let Some(left) = self.values.checked_sub(1) else {
                let reason = format!("there are more than {} values", Query::MAX_VALUES);
                return Err(start.error(reason));
            };
            self.values = left;
            let value = self.value(expand)?;
            let value = if self.cursor.eat("..") {
                self.cursor.skip_spaces();
                let end = self.value(expand)?;
                range(value, end).ok_or_else(|| {
                    start.error("a range goes between two numbers, two texts or two times")
                })?
            } else {
                value
            };
            values.push(value);
            self.cursor.skip_spaces();
            if !self.cursor.eat(",") {
                return Ok(values);
            }
        }
    }

    /// What stands after `>`, `>=`, `<` and `<=`.
    fn ordered(&mut self, expand: bool) -> Result<Literal, InvalidQuery> {
        let start = self.cursor;
        let value = self.value(expand)?;
        if self.cursor.rest().starts_with("..") || self.cursor.peek() == Some(',') {
            return Err(self.cursor.error("ranges and lists are for '==' and '!=' alone"));
        }
        if matches!(value, Literal::Boolean(_)) {
            return Err(start.error("true and false have no order"));
        }
        Ok(value)
    }

    fn value(&mut self, expand: bool) -> Result<Literal, InvalidQuery> {
        let literal =
            if self.cursor.peek() == Some('"') { self.quoted()? } else { self.unquoted()? };
        if let (Literal::Text(text), true) = (&literal, expand) {
            return Ok(Literal::Text(self.terms.vocabulary(text)));
        }
        Ok(literal)
    }

    /// A JSON string.
    fn quoted(&mut self) -> Result<Literal, InvalidQuery> {
        let start = self.cursor;
        let Some(length) = quoted_length(self.cursor.rest()) else {
            return Err(start.error("the closing quote of a text is missing"));
        };
        let text = self.cursor.take(length);
        match Node::parse(text, Limits::default()).map(|node| node.document) {
            Ok(Document::String(text)) => Ok(Literal::Text(text.into_owned())),
            Ok(_) => Err(start.error("a text was expected")),
            Err(error) => Err(start.error(format!("not a JSON string: {}", error.reason))),
        }
    }

    fn unquoted(&mut self) -> Result<Literal, InvalidQuery> {
        let start = self.cursor;
        let rest = start.rest();
        let token = rest
            .get(..rest.find(|character| ";|,() \"".contains(character)).unwrap_or(rest.len()))
            .unwrap_or_default();
        if token.is_empty() {
            return Err(start.error("a value was expected"));
        }
        // Dots may belong to a URI, so they are those of a range only behind a number or a time.
        if let Some((first, _)) = token.split_once("..")
            && let Some(literal) = number_or_time(first)
        {
            self.cursor.take(first.len());
            return Ok(literal);
        }
        self.cursor.take(token.len());
        match token {
            "true" => return Ok(Literal::Boolean(true)),
            "false" => return Ok(Literal::Boolean(false)),
            _ => {}
        }
        if let Some(literal) = number_or_time(token) {
            return Ok(literal);
        }
        let is_word = token.starts_with(char::is_alphabetic)
            && token.chars().all(|character| character.is_alphanumeric() || character == '_');
        if is_word || token.parse::<Uri>().is_ok() {
            return Ok(Literal::Text(token.to_owned()));
        }
        Err(start.error(
            "a value is a number, a text in quotes, true, false, a time as in \
             2024-01-11T09:00:00Z, a date, or a URI",
        ))
    }

    /// A regular expression: in quotes, in which `\"` is a quote and everything else stands for
    /// itself, or up to the next `;`, `|` or `)` that is not inside parentheses or brackets.
    fn pattern(&mut self) -> Result<Pattern, InvalidQuery> {
        let start = self.cursor;
        let Some(patterns) = self.patterns.checked_sub(1) else {
            let reason = format!("there are more than {} patterns", Query::MAX_PATTERNS);
            return Err(start.error(reason));
        };
        self.patterns = patterns;
        let text = if self.cursor.peek() == Some('"') {
            let Some(length) = quoted_length(self.cursor.rest()) else {
                return Err(start.error("the closing quote of a pattern is missing"));
            };
            let quoted = self.cursor.take(length);
            quoted.get(1..length.saturating_sub(1)).unwrap_or_default().replace("\\\"", "\"")
        } else {
            let length = unquoted_pattern_length(self.cursor.rest());
            self.cursor.take(length).to_owned()
        };
        if text.is_empty() {
            return Err(start.error("a pattern was expected"));
        }
        Pattern::new(&text).map_err(|error| start.error(error.to_string()))
    }
}

fn one_or(mut queries: Vec<Query>, several: fn(Vec<Query>) -> Query) -> Query {
    match queries.pop() {
        Some(only) if queries.is_empty() => only,
        Some(last) => {
            queries.push(last);
            several(queries)
        }
        None => several(queries),
    }
}

/// The range between two values that have an order.
fn range(from: Literal, to: Literal) -> Option<Literal> {
    let same_kind = matches!(
        (&from, &to),
        (Literal::Number(_), Literal::Number(_))
            | (Literal::Text(_), Literal::Text(_))
            | (Literal::Time(_), Literal::Time(_))
    );
    same_kind.then(|| Literal::Range(Box::new(from), Box::new(to)))
}

fn number_or_time(token: &str) -> Option<Literal> {
    if let Ok(Node { document: Document::Number(number), .. }) =
        Node::parse(token, Limits::default())
    {
        return Some(Literal::Number(number));
    }
    Moment::parse(token).map(|_: Moment| Literal::Time(token.to_owned()))
}

/// How many bytes the quoted text takes that stands at the beginning, both quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return Some(at + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn unquoted_pattern_length(text: &str) -> usize {
    let mut escaped = false;
    let mut in_brackets = false;
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => in_brackets = false,
            _ if in_brackets => {}
            '[' => in_brackets = true,
            '(' => depth += 1,
            ')' | ';' | '|' if depth == 0 => return at,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
