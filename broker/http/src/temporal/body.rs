//! Requests that change evolutions: their parameters and bodies, parsed, expanded and checked.

use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use musubi_context::{
    Context, InvalidBody, expand_record, expand_temporal, expand_temporal_fragment,
};
use musubi_model::{AttrName, Document, EntityId, EvolutionFragment, Node, RecordFragment, SCOPE};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::expanded::{self, Operation};
use crate::request::parameters::Parameters;
use crate::request::path::InstancePath;
use crate::request::payload::Payload;

/// A whole evolution in the body: id and type are there.
#[derive(Debug)]
pub(crate) struct Whole<O> {
    pub(crate) fragment: EvolutionFragment,
    operation: PhantomData<O>,
}

/// A part of an evolution in the body.
#[derive(Debug)]
pub(crate) struct Part<O> {
    pub(crate) fragment: EvolutionFragment,
    operation: PhantomData<O>,
}

/// One attribute instance of one evolution, in path and body.
#[derive(Debug)]
pub(crate) struct OneRecord<O> {
    pub(crate) id: EntityId,
    pub(crate) name: AttrName,
    pub(crate) instance: String,
    pub(crate) fragment: RecordFragment,
    operation: PhantomData<O>,
}

type Expand = fn(&Node<'_>, &Context) -> Result<EvolutionFragment, InvalidBody>;

impl<O: Operation> FromRequest<App> for Whole<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let fragment = evolution::<O>(request, app, expand_temporal).await?;
        Ok(Self { fragment, operation: PhantomData })
    }
}

impl<O: Operation> FromRequest<App> for Part<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let fragment = evolution::<O>(request, app, expand_temporal_fragment).await?;
        Ok(Self { fragment, operation: PhantomData })
    }
}

impl<O: Operation> FromRequest<App> for OneRecord<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = InstancePath::from_request_parts(&mut parts, app).await?;
        Parameters::parse(parts.uri.query(), O::PARAMETERS)?.flag("local")?;
        let payload = Payload::from_request(Request::from_parts(parts, body), app).await?;
        let mut node = payload.parse()?;
        if !matches!(node.document, Document::Object(_) | Document::Array(_)) {
            let reason = "the body is neither a JSON object nor an array".to_owned();
            return Err(Error::InvalidRequest(reason).into());
        }
        let context = payload.context_of(&node, app).await?;
        // The context belongs to the body, and not to the instance that the body is.
        if let Document::Object(members) = &mut node.document {
            members.retain(|(key, _)| key != "@context");
        }
        let name = attribute(&path.term, &context)?;
        let fragment = expand_record(&name, &node, &context)?;
        let (id, instance) = (path.id, path.instance);
        Ok(Self { id, name, instance, fragment, operation: PhantomData })
    }
}

async fn evolution<O: Operation>(
    request: Request,
    app: &App,
    expand: Expand,
) -> Result<EvolutionFragment, Problem> {
    Parameters::parse(request.uri().query(), O::PARAMETERS)?.flag("local")?;
    let payload = Payload::from_request(request, app).await?;
    let (node, context) = payload.object(app).await?;
    Ok(expand(&node, &context)?)
}

/// The attribute that a path names; of the past, the scope is one.
pub(crate) fn attribute(term: &str, context: &Context) -> Result<AttrName, Error> {
    if term == "scope" { Ok(SCOPE.parse()?) } else { expanded::attribute(term, context) }
}
