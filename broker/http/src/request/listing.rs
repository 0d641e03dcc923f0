//! A query for entities, and how to show them (CIM 009, clauses 5.7.2 and 6.4.3.2).

use std::sync::LazyLock;
use std::thread::LocalKey;

use http::HeaderMap;
use musubi_context::Context;
use musubi_query::{EntityQuery, Order, OrderOptions};

use crate::app::App;
use crate::error::Error;
use crate::request::criteria::{self, Criteria, Selectors};
use crate::request::entity_map::MapRequest;
use crate::request::known::{Reading, Readings};
use crate::request::names::Names;
use crate::request::paging::{self, NextLink, Paging};
use crate::request::parameters::{Parameter, Parameters};
use crate::view::{self, View};

/// A query for entities, and how to show them.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) query: EntityQuery,
    pub(crate) view: View,
    pub(crate) map: MapRequest,
    pub(crate) paging: Paging,
    pub(crate) next: NextLink,
    pub(crate) parameters: Parameters,
}

/// What a query is read from.
#[derive(Debug)]
pub(crate) struct Source<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) parameters: Parameters,
    pub(crate) context: Context,
    /// What only a body has.
    pub(crate) selectors: Option<Selectors>,
}

pub(crate) static PARAMETERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own: &[&str] = &["orderBy", "orderFrom", "orderGeometry", "collation", "after"];
    [criteria::PARAMETERS, view::PARAMETERS, paging::PARAMETERS, own].concat()
});

thread_local! {
    static KEPT: Readings<Listing> = const { Readings::new() };
}

impl Reading for Listing {
    fn read(
        query: Option<&str>,
        headers: &HeaderMap,
        context: Context,
        app: &App,
    ) -> Result<Self, Error> {
        let parameters = Parameters::parse(query, &PARAMETERS)?;
        Self::of(Source { headers, parameters, context, selectors: None }, app)
    }

    fn is_small(&self) -> bool {
        // A short pattern may be a large machine.
        let has_pattern = |one: &Parameter| one.name == "idPattern" || one.value.contains('~');
        !self.parameters.iter().any(has_pattern)
    }

    fn kept() -> &'static LocalKey<Readings<Self>> {
        &KEPT
    }
}

impl Listing {
    /// Reads a query.
    pub(crate) fn of(source: Source<'_>, app: &App) -> Result<Self, Error> {
        let Source { headers, parameters, context, selectors } = source;
        let view = View::read(headers, &parameters, context, app)?;
        let map = MapRequest::read(headers, &parameters, &view.context)?;
        let paging = Paging::read(&parameters, &app.limits, view.counted)?;
        let attributes = view.attributes.as_deref();
        let criteria = Criteria::read(&parameters, &view.context, attributes, selectors)?;
        if criteria.link_depth > view.join_level() {
            let reason = format!(
                "q looks into linked entities {} deep, and join and joinLevel follow them {}",
                criteria.link_depth,
                view.join_level()
            );
            return Err(Error::BadRequestData(reason));
        }
        let order = order(&parameters, &view.context)?;
        if !order.is_creation() && parameters.get("after").is_some() {
            let reason = "a page after a cursor is in the order of creation, so orderBy goes with \
                          offset only";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let query = EntityQuery {
            filter: criteria.filter,
            order,
            limit: paging.limit,
            count: paging.count,
            ..EntityQuery::default()
        };
        Ok(Self { query, view, map, paging, next: NextLink::default(), parameters })
    }
}

/// The order of texts if no collation is named. Clause 4.23.1 would have the root order of ICU,
/// which is `collation=und`; the conformance suite (`4233_01`) expects the code points.
pub(crate) const CODE_POINTS: &str = "und-x-binary";

/// The order that `orderBy` and what belongs to it ask for (CIM 009, clause 4.23).
fn order(parameters: &Parameters, context: &Context) -> Result<Order, Error> {
    let Some(order_by) = parameters.get("orderBy") else {
        let alone = ["collation", "orderFrom", "orderGeometry"];
        return match alone.into_iter().find(|name| parameters.get(name).is_some()) {
            None => Ok(Order::default()),
            Some(name) => {
                let reason = format!("{name} is a part of the order, so orderBy has to be there");
                Err(Error::BadRequestData(reason))
            }
        };
    };
    let options = OrderOptions {
        collation: Some(parameters.get("collation").unwrap_or(CODE_POINTS)),
        from: parameters.get("orderFrom"),
        geometry: parameters.get("orderGeometry"),
    };
    Ok(Order::parse_with(order_by, &options, &Names(context))?)
}
