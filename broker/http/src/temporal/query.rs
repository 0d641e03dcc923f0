//! `GET /ngsi-ld/v1/temporal/entities` and `POST /ngsi-ld/v1/temporal/entityOperations/query` (CIM
//! 009, clauses 5.7.4, 6.18.3.2 and 6.24.3.1).

use std::sync::LazyLock;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Uri};
use musubi_broker::IdOrder;
use musubi_context::Context;
use musubi_model::{EntityId, Node};
use musubi_query::{
    Collation, EvolutionStart, Filter, Order, OrderBy, OrderOptions, OrderTerm, TemporalQuery,
};

use super::parameters::INSTANCES;
use super::question::{self, Question};
use crate::app::App;
use crate::entity_query::{self, Kind};
use crate::error::Error;
use crate::problem::Problem;
use crate::request::criteria::{self, Conditions};
use crate::request::entity_map::{self, MapRequest};
use crate::request::link;
use crate::request::listing::{CODE_POINTS, Source};
use crate::request::names::Names;
use crate::request::paging::{self, List, Paging};
use crate::request::parameters::Parameters;
use crate::request::payload::Payload;
use crate::session::Session;

pub(crate) static PARAMETERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own: &[&str] = &["orderBy", "collation", "after"];
    [criteria::PARAMETERS, INSTANCES, question::SHOWN, paging::PARAMETERS, own].concat()
});

/// What stands in the URL of a query in a body.
pub(crate) static POSTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own: &[&str] =
        &["options", "format", "sysAttrs", "timezone", "local", "splitEntities", "after"];
    [own, paging::PARAMETERS].concat()
});

/// What a body may say of other queries, but not of these.
const OF_OTHERS: &[&str] =
    &["join", "joinLevel", "containedBy", "geometryProperty", "orderFrom", "orderGeometry"];

/// A question for many evolutions, and how to show them.
#[derive(Debug)]
pub(crate) struct Listing {
    question: Question,
    order: IdOrder,
    paging: Paging,
    parameters: Parameters,
}

impl FromRequestParts<App> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &PARAMETERS)?;
        let context = link::context(app, &parts.headers).await?;
        let source = Source { headers: &parts.headers, parameters, context, selectors: None };
        Ok(Self::read(source, app)?)
    }
}

/// A query in a body.
#[derive(Debug)]
pub(crate) struct Posted(pub(crate) Listing);

impl FromRequest<App> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(request.uri().query(), &POSTED)?;
        let headers = request.headers().clone();
        let payload = Payload::from_request(request, app).await?;
        let (body, context) = payload.object(app).await?;
        let selectors = entity_query::members(&body, &mut parameters, (&context, temporal))?;
        if let Some(name) = OF_OTHERS.iter().find(|name| parameters.get(name).is_some()) {
            let reason = format!("{name} says nothing of temporal evolutions");
            return Err(Error::BadRequestData(reason).into());
        }
        let source = Source { headers: &headers, parameters, context, selectors };
        Ok(Self(Listing::read(source, app)?))
    }
}

/// Answers with a page of the evolutions that the query asks for.
pub(crate) async fn query(
    session: Session,
    uri: Uri,
    listing: Listing,
) -> Result<Response, Problem> {
    Ok(page(&session, &uri, listing).await?)
}

/// Answers with a page of the evolutions that the query in the body asks for.
pub(crate) async fn posted(
    session: Session,
    uri: Uri,
    Posted(listing): Posted,
) -> Result<Response, Problem> {
    Ok(page(&session, &uri, listing).await?)
}

async fn page(session: &Session, uri: &Uri, listing: Listing) -> Result<Response, Error> {
    let Listing { question, order, paging, parameters } = listing;
    let terms = question.map.beside()?;
    let (page, map) = session.evolutions_of_map(question.query, order, &terms).await?;
    let end = page.items.last().filter(|_| page.more);
    let mut headers = HeaderMap::new();
    let list = List {
        path: uri.path(),
        parameters: &parameters,
        media: question.view.media,
        total: page.total,
        more: page.more,
        last: end.map(|item| item.evolution.id.as_str().to_owned()),
        next: None,
    };
    paging.add_headers(&mut headers, &list);
    let seal = session.seal().await;
    Ok(entity_map::of_many(question.view.page(&page, &seal, headers)?, map))
}

impl Listing {
    /// What a map is to be made of, and how.
    pub(crate) fn for_map(self) -> (TemporalQuery, MapRequest) {
        (self.question.query, self.question.map)
    }

    /// Reads a query.
    fn read(source: Source<'_>, app: &App) -> Result<Self, Error> {
        let Source { headers, parameters, context, selectors } = source;
        let question = Question::read(headers, &parameters, context, app)?;
        let Question { mut query, view, map, counted } = question;
        if view.times.relation.is_none() {
            let reason = "a query for temporal evolutions says when: timerel and timeAt have to be \
                          there";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let attributes = query.attributes.as_deref();
        let conditions = Conditions::read(&parameters, &view.context, attributes, selectors)?;
        if conditions.query.as_ref().is_some_and(|query| query.link_depth() > 0) {
            let reason = "q: temporal evolutions are not asked through links to other entities";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let paging = Paging::read(&parameters, &app.limits, counted)?;
        let order = order(&parameters, &view.context)?;
        query.filter = Filter::and(conditions.identity);
        query.values = conditions.query;
        query.geo = conditions.geo;
        query.scope = conditions.scope;
        query.start = start(&paging, order)?;
        query.limit = paging.limit;
        query.count = paging.count;
        let question = Question { query, view, map, counted };
        Ok(Self { question, order, paging, parameters })
    }
}

/// Where the page begins; a cursor is the id of the last entity before it.
fn start(paging: &Paging, order: IdOrder) -> Result<EvolutionStart, Error> {
    let Some(cursor) = paging.cursor() else { return Ok(EvolutionStart::Offset(paging.offset)) };
    if order == IdOrder::Descending {
        let reason = "a page after a cursor is in ascending order, so orderBy=id;desc goes with \
                      offset only";
        return Err(Error::BadRequestData(reason.to_owned()));
    }
    if cursor.is_empty() {
        return Ok(EvolutionStart::Offset(0));
    }
    let id: Result<EntityId, _> = cursor.parse();
    id.map(EvolutionStart::After)
        .map_err(|_| Error::BadRequestData(format!("after: {cursor:?} is no cursor of this list")))
}

/// The order that `orderBy` asks for, which can be that of the ids alone (clause 5.7.4.4).
fn order(parameters: &Parameters, context: &Context) -> Result<IdOrder, Error> {
    let collation = parameters.get("collation");
    let Some(order_by) = parameters.get("orderBy") else {
        if collation.is_none() {
            return Ok(IdOrder::Ascending);
        }
        let reason = "collation is a part of the order, so orderBy has to be there";
        return Err(Error::BadRequestData(reason.to_owned()));
    };
    let read = |collation| {
        let options = OrderOptions { collation: Some(collation), ..OrderOptions::default() };
        Order::parse_with(order_by, &options, &Names(context))
    };
    let order = read(collation.unwrap_or(CODE_POINTS))?;
    let code_points: Collation = read(CODE_POINTS)?.collation;
    match order.terms.as_slice() {
        [OrderTerm { by: OrderBy::Id, .. }] if order.collation != code_points => {
            let reason = "collation: temporal evolutions come in the order of the code points of \
                          their ids, which is collation=und-x-binary";
            Err(musubi_broker::Error::NotSupported(reason.to_owned()).into())
        }
        [OrderTerm { by: OrderBy::Id, descending: false }] => Ok(IdOrder::Ascending),
        [OrderTerm { by: OrderBy::Id, descending: true }] => Ok(IdOrder::Descending),
        _ => Err(Error::BadRequestData(
            "orderBy: temporal evolutions can be ordered by id alone".to_owned(),
        )),
    }
}

/// Reads `temporalQ` and `aggrParams` (clauses 5.2.21 and 5.2.44).
fn temporal(name: &str, node: &Node<'_>, parameters: &mut Parameters) -> Result<(), Error> {
    const TEMPORAL: &[(&str, Kind)] = &[
        ("timerel", Kind::Text),
        ("timeAt", Kind::Text),
        ("endTimeAt", Kind::Text),
        ("timeproperty", Kind::Text),
        ("lastN", Kind::Number),
    ];
    const AGGREGATION: &[(&str, Kind)] = &[
        ("aggrMethods", Kind::Texts),
        ("aggrPeriodDuration", Kind::Text),
        ("timezone", Kind::Text),
    ];
    let of_time = if name == "temporalQ" { TEMPORAL } else { &[] };
    for (member, node) in entity_query::object(name, node)? {
        let path = format!("{name}/{member}");
        let known = of_time.iter().chain(AGGREGATION).find(|(known, _)| *known == member);
        let Some((known, kind)) = known else {
            return Err(entity_query::wrong(&path, &format!("is no member of {name}")));
        };
        // A list of methods is written in either way.
        let kind = if node.as_str().is_some() && *kind == Kind::Texts { Kind::Text } else { *kind };
        parameters.add_member(known, entity_query::value(&path, kind, node)?)?;
    }
    Ok(())
}
