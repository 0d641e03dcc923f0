//! From text to order.
//!
//! ```text
//! order     = term *( "," term )
//! term      = path [ ";" direction ]
//! path      = "id" / "type" / "scope" / name *( "." name ) [ "[" member *( "." member ) "]" ]
//! direction = "asc" / "desc" / "dist-asc" / "dist-desc"
//! ```

use super::{Collation, Order, OrderBy, OrderOptions, OrderTerm};
use crate::cursor::Cursor;
use crate::geo_query::reference;
use crate::{AttributePath, InvalidQuery, Terms};

pub(super) fn order(
    order_by: &str,
    options: &OrderOptions<'_>,
    names: &dyn Terms,
) -> Result<Order, InvalidQuery> {
    let terms = terms(order_by, names)?;
    let collation = options.collation.map_or_else(|| Ok(Collation::default()), Collation::parse)?;
    let kind = options.geometry.unwrap_or("Point");
    let from = options
        .from
        .map(|coordinates| reference(("orderGeometry", kind), ("orderFrom", coordinates)))
        .transpose()?;
    let needs_place = terms.iter().any(|term| matches!(term.by, OrderBy::Distance(_)));
    if needs_place && from.is_none() {
        return Err(Cursor::unlimited("orderFrom", "")
            .error("an order by distance needs the coordinates that it is measured from"));
    }
    if options.geometry.is_some() && from.is_none() {
        return Err(Cursor::unlimited("orderFrom", "")
            .error("orderGeometry needs the coordinates of the geometry"));
    }
    Ok(Order { terms, collation, from })
}

fn terms(text: &str, names: &dyn Terms) -> Result<Vec<OrderTerm>, InvalidQuery> {
    let mut cursor = Cursor::new("orderBy", text)?;
    let mut terms = Vec::new();
    loop {
        cursor.skip_spaces();
        if terms.len() >= Order::MAX_TERMS {
            return Err(cursor.error(format!("there are more than {} terms", Order::MAX_TERMS)));
        }
        terms.push(term(&mut cursor, names)?);
        cursor.skip_spaces();
        if cursor.at_end() {
            return Ok(terms);
        }
        if !cursor.eat(",") {
            return Err(match cursor.peek() {
                Some('{') => cursor.error("an order does not look into linked entities"),
                _ => cursor.error("';', ',' or the end was expected"),
            });
        }
    }
}

fn term(cursor: &mut Cursor<'_>, names: &dyn Terms) -> Result<OrderTerm, InvalidQuery> {
    let start = *cursor;
    let by = member(cursor, names)?;
    cursor.skip_spaces();
    if !cursor.eat(";") {
        return Ok(OrderTerm { by, descending: false });
    }
    cursor.skip_spaces();
    let place = *cursor;
    let direction = cursor.take_while(|character| character.is_alphabetic() || character == '-');
    let by_distance = |by| match by {
        OrderBy::Value(path) if path.members.is_empty() => Ok(OrderBy::Distance(path)),
        OrderBy::Value(_) | OrderBy::Id | OrderBy::Type | OrderBy::Scope | OrderBy::Distance(_) => {
            Err(start.error("only a GeoProperty as a whole has a distance"))
        }
    };
    match direction {
        "asc" => Ok(OrderTerm { by, descending: false }),
        "desc" => Ok(OrderTerm { by, descending: true }),
        "dist-asc" => Ok(OrderTerm { by: by_distance(by)?, descending: false }),
        "dist-desc" => Ok(OrderTerm { by: by_distance(by)?, descending: true }),
        _ => Err(place.error("asc, desc, dist-asc or dist-desc was expected")),
    }
}

/// What stands before the direction. `id`, `type` and `scope` are keywords of the core context
/// and no attributes.
fn member(cursor: &mut Cursor<'_>, names: &dyn Terms) -> Result<OrderBy, InvalidQuery> {
    let keywords = [("id", OrderBy::Id), ("type", OrderBy::Type), ("scope", OrderBy::Scope)];
    for (keyword, by) in keywords {
        let mut behind = *cursor;
        if behind.eat(keyword) && matches!(behind.peek(), None | Some(';' | ',' | ' ')) {
            *cursor = behind;
            return Ok(by);
        }
    }
    AttributePath::read_own(cursor, names).map(OrderBy::Value)
}
