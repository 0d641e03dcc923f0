//! What of a query does not hold, and why.

use musubi_model::{Entity, Json, TypeName};
use musubi_query::{AttributePath, Comparison, LinkedEntities, Literal, Query};

use super::{MAX_LISTED, Names, listed, shortened};

/// A sentence about the first part of a conjunction that does not hold.
pub(super) fn hindrance(
    query: &Query,
    entity: &Entity,
    linked: &dyn LinkedEntities,
    names: Names<'_>,
) -> String {
    let fails = |part: &&Query| !part.matches_among(entity, linked);
    if let Query::And(parts) = query
        && let Some(first) = parts.iter().find(fails)
    {
        return hindrance(first, entity, linked, names);
    }
    let mut paths = Vec::new();
    gather(query, &mut paths);
    let found = paths.into_iter().map(|path| {
        let name = path_text(path, names);
        match listed(path.texts(entity, linked, MAX_LISTED + 1), ", ", "") {
            nothing if nothing.is_empty() => format!("there is no {name}"),
            values => format!("{name} is {values}"),
        }
    });
    format!(
        "{} does not hold: {}",
        shortened(text(query, names)),
        listed(found, ", ", "it is empty")
    )
}

/// The paths in a query, each once.
fn gather<'q>(query: &'q Query, paths: &mut Vec<&'q AttributePath>) {
    match query {
        Query::And(parts) | Query::Or(parts) => {
            for part in parts {
                gather(part, paths);
            }
        }
        Query::Exists { path, .. } | Query::Compare { path, .. } => {
            if paths.len() <= MAX_LISTED && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
}

/// The query as it is written.
fn text(query: &Query, names: Names<'_>) -> String {
    let inner = |part: &Query| match part {
        Query::And(_) | Query::Or(_) => format!("({})", text(part, names)),
        Query::Exists { .. } | Query::Compare { .. } => text(part, names),
    };
    let joined = |parts: &[Query], sign| parts.iter().map(inner).collect::<Vec<_>>().join(sign);
    match query {
        Query::And(parts) => joined(parts, ";"),
        Query::Or(parts) => joined(parts, "|"),
        Query::Exists { path, expected } => {
            format!("{}{}", if *expected { "" } else { "!" }, path_text(path, names))
        }
        Query::Compare { path, comparison } => {
            format!("{}{}", path_text(path, names), comparison_text(comparison))
        }
    }
}

fn path_text(path: &AttributePath, names: Names<'_>) -> String {
    let mut text = String::new();
    for link in &path.links {
        text.push_str(&names.of(link.relationship.as_str()));
        text.push('{');
        if !link.types.is_empty() {
            let types = link.types.iter().map(TypeName::as_str).map(|name| names.of(name));
            text.push_str(&types.collect::<Vec<_>>().join(","));
            text.push(':');
        }
    }
    let attributes = path.names.iter().map(|name| names.of(name.as_str()));
    text.push_str(&attributes.collect::<Vec<_>>().join("."));
    if !path.members.is_empty() {
        text.push('[');
        text.push_str(&path.members.join("."));
        text.push(']');
    }
    text.push_str(&"}".repeat(path.links.len()));
    text
}

fn comparison_text(comparison: &Comparison) -> String {
    let list = |literals: &[Literal]| listed(literals.iter().map(literal_text), ",", "");
    match comparison {
        Comparison::Equal(literals) => format!("=={}", list(literals)),
        Comparison::NotEqual(literals) => format!("!={}", list(literals)),
        Comparison::Greater(literal) => format!(">{}", literal_text(literal)),
        Comparison::GreaterOrEqual(literal) => format!(">={}", literal_text(literal)),
        Comparison::Less(literal) => format!("<{}", literal_text(literal)),
        Comparison::LessOrEqual(literal) => format!("<={}", literal_text(literal)),
        Comparison::Like(pattern) => format!("~={}", pattern.as_str()),
        Comparison::NotLike(pattern) => format!("!~={}", pattern.as_str()),
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Number(number) => number.to_string(),
        Literal::Text(text) => Json::from(text.as_str()).as_str().to_owned(),
        Literal::Boolean(boolean) => boolean.to_string(),
        Literal::Time(text) => text.clone(),
        Literal::Range(from, to) => format!("{}..{}", literal_text(from), literal_text(to)),
    }
}
