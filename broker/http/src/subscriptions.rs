//! `/ngsi-ld/v1/subscriptions` and what is below it (CIM 009, clauses 6.10 and 6.11).

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use musubi_broker::Listed;
use musubi_context::Context;
use musubi_model::Timestamp;
use musubi_notify::{SubscriptionId, SubscriptionView};
use musubi_view::Version;
use musubi_view::separate;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::link;
use crate::request::paging::{self, List, Paging};
use crate::request::parameters::Parameters;
use crate::request::path::{NamePath, location};
use crate::request::payload::Payload;
use crate::request::prefer::{self, Preferences};
use crate::session::Session;
use crate::view::respond;

/// `/subscriptions/{id}`.
#[derive(Debug)]
pub(crate) struct SubscriptionPath(pub(crate) SubscriptionId);

impl FromRequestParts<App> for SubscriptionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let NamePath(name) = NamePath::from_request_parts(parts, app).await?;
        let id = name.parse::<SubscriptionId>();
        Ok(Self(id.map_err(|error| Error::BadRequestData(error.to_string()))?))
    }
}

/// The body of a request, without query parameters.
#[derive(Debug)]
pub(crate) struct SubscriptionBody(Payload);

impl FromRequest<App> for SubscriptionBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Parameters::parse(request.uri().query(), &["local"])?.flag("local")?;
        Ok(Self(Payload::from_request(request, app).await?))
    }
}

/// Creates the subscription in the body and answers with where it is now.
pub(crate) async fn create(
    session: Session,
    State(app): State<App>,
    SubscriptionBody(payload): SubscriptionBody,
) -> Result<impl IntoResponse, Problem> {
    let (body, context) = payload.object(&app).await?;
    let id = session.create_subscription(&body, &context).await?;
    let location = location("/ngsi-ld/v1/subscriptions", id.as_str());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
}

/// Changes the subscription as the body says.
pub(crate) async fn update(
    session: Session,
    State(app): State<App>,
    SubscriptionPath(id): SubscriptionPath,
    SubscriptionBody(payload): SubscriptionBody,
) -> Result<StatusCode, Problem> {
    let (body, context) = payload.object(&app).await?;
    session.update_subscription(&id, &body, &context).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How to show subscriptions.
#[derive(Debug)]
pub(crate) struct Showing {
    media: Media,
    context: Context,
    system_attributes: bool,
    counted: bool,
    /// The version of the specification that is asked for. All know subscriptions as they are.
    version: Option<Version>,
}

impl Showing {
    async fn read(parts: &Parts, parameters: &Parameters, app: &App) -> Result<Self, Error> {
        let options = parameters.options(&["sysAttrs", "count"])?;
        parameters.flag("local")?;
        Ok(Self {
            media: accept::negotiate(&parts.headers, accept::LINKED)?,
            context: link::context(app, &parts.headers).await?,
            system_attributes: parameters.flag("sysAttrs")? || options.contains(&"sysAttrs"),
            counted: options.contains(&"count"),
            version: Preferences::of(&parts.headers).version,
        })
    }

    fn write(&self, out: &mut Vec<u8>, listed: &Listed, now: Timestamp) {
        let view = SubscriptionView {
            system_attributes: self.system_attributes,
            context_member: self.media == Media::LdJson,
        };
        listed.subscription.render(out, &self.context, &listed.delivery, now, view);
    }

    fn respond(&self, body: Vec<u8>, mut headers: HeaderMap) -> Response {
        if let Some(applied) = self.version.and_then(prefer::applied) {
            headers.insert(prefer::APPLIED, applied);
        }
        let link = (self.media == Media::Json).then_some(&self.context);
        respond(body, self.media, link, headers)
    }
}

impl FromRequestParts<App> for Showing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let known = &["options", "sysAttrs", "local"];
        let parameters = Parameters::parse(parts.uri.query(), known)?;
        Ok(Self::read(parts, &parameters, app).await?)
    }
}

/// Answers with the subscription.
pub(crate) async fn retrieve(
    session: Session,
    SubscriptionPath(id): SubscriptionPath,
    showing: Showing,
) -> Result<Response, Problem> {
    let listed = session.retrieve_subscription(&id).await?;
    let mut body = Vec::new();
    showing.write(&mut body, &listed, session.now());
    Ok(showing.respond(body, HeaderMap::new()))
}

/// Which subscriptions to show, and how.
#[derive(Debug)]
pub(crate) struct SubscriptionListing {
    showing: Showing,
    paging: Paging,
    parameters: Parameters,
}

impl FromRequestParts<App> for SubscriptionListing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let known = [&["options", "sysAttrs", "local"], paging::PARAMETERS].concat();
        let parameters = Parameters::parse(parts.uri.query(), &known)?;
        let showing = Showing::read(parts, &parameters, app).await?;
        let paging = Paging::read(&parameters, &app.limits, showing.counted)?;
        Ok(Self { showing, paging, parameters })
    }
}

/// Answers with a page of the subscriptions.
pub(crate) async fn list(
    session: Session,
    uri: Uri,
    listing: SubscriptionListing,
) -> Result<Response, Problem> {
    let SubscriptionListing { showing, paging, parameters } = listing;
    let page = session.subscriptions(paging.offset, paging.limit, paging.count).await?;
    let mut body = vec![b'['];
    for (index, listed) in page.items.iter().enumerate() {
        separate(&mut body, index);
        showing.write(&mut body, listed, session.now());
    }
    body.push(b']');
    let mut headers = HeaderMap::new();
    let list = List {
        path: uri.path(),
        parameters: &parameters,
        media: showing.media,
        total: page.total,
        more: page.more,
        last: None,
        next: None,
    };
    paging.add_headers(&mut headers, &list);
    Ok(showing.respond(body, headers))
}

/// Refuses every query parameter but `local`.
#[derive(Debug)]
pub(crate) struct NoParameters;

impl FromRequestParts<App> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Parameters::parse(parts.uri.query(), &["local"])?.flag("local")?;
        Ok(Self)
    }
}

/// Deletes the subscription.
pub(crate) async fn delete(
    session: Session,
    SubscriptionPath(id): SubscriptionPath,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    session.delete_subscription(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
