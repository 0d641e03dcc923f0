//! Requests that change entities: their parameters and bodies, parsed, expanded and checked.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use musubi_context::{
    Context, ContextError, InvalidBody, expand_attribute, expand_entity, expand_fragment,
    expand_simplified_fragment,
};
use musubi_model::{AttrName, AttributeFragment, Document, EntityFragment, EntityId, Node};
use musubi_query::TypeSelection;
use percent_encoding::percent_decode_str;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::link;
use crate::request::names::Names;
use crate::request::parameters::Parameters;
use crate::request::path::AttributePath;
use crate::request::payload::Payload;

/// Says which query parameters an operation knows.
pub(crate) trait Operation: Send {
    const PARAMETERS: &'static [&'static str];

    /// Whether the parameters say that the body is in the simplified form.
    fn is_simplified(_: &Parameters) -> Result<bool, Error> {
        Ok(false)
    }
}

/// A whole entity in the body: id and type are there.
#[derive(Debug)]
pub(crate) struct Whole<O> {
    pub(crate) fragment: EntityFragment,
    pub(crate) types: Option<TypeSelection>,
    operation: PhantomData<O>,
}

/// A part of an entity in the body.
#[derive(Debug)]
pub(crate) struct Part<O> {
    pub(crate) fragment: EntityFragment,
    pub(crate) types: Option<TypeSelection>,
    pub(crate) parameters: Parameters,
    operation: PhantomData<O>,
}

/// One attribute of one entity, in path and body.
#[derive(Debug)]
pub(crate) struct OneAttribute<O> {
    pub(crate) id: EntityId,
    pub(crate) fragment: AttributeFragment,
    pub(crate) types: Option<TypeSelection>,
    operation: PhantomData<O>,
}

/// No body; names in path and parameters are read in the context of the `Link` header.
#[derive(Debug)]
pub(crate) struct Bare<O> {
    pub(crate) parameters: Parameters,
    pub(crate) context: Context,
    pub(crate) types: Option<TypeSelection>,
    operation: PhantomData<O>,
}

/// An array of entities in the body, of which some may be unusable.
#[derive(Debug)]
pub(crate) struct Batch<O> {
    /// Those that can be used, each with an id.
    pub(crate) fragments: Vec<EntityFragment>,
    /// The ids of the others, as far as they have one, and what is wrong with them.
    pub(crate) errors: Vec<(String, Error)>,
    pub(crate) parameters: Parameters,
    operation: PhantomData<O>,
}

/// Whether the items of a batch are whole entities.
pub(crate) trait BatchOperation: Operation {
    const WHOLE: bool;
}

impl<O: Operation> FromRequest<App> for Whole<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(request.uri().query(), O::PARAMETERS)?;
        let payload = Payload::from_request(request, app).await?;
        let (node, context) = payload.object(app).await?;
        let fragment = expand_entity(&node, &context)?;
        let types = types(&parameters, &context)?;
        Ok(Self { fragment, types, operation: PhantomData })
    }
}

impl<O: Operation> FromRequest<App> for Part<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(request.uri().query(), O::PARAMETERS)?;
        let payload = Payload::from_request(request, app).await?;
        let simplified = O::is_simplified(&parameters)?;
        let (node, context) = payload.object(app).await?;
        let expand = if simplified { expand_simplified_fragment } else { expand_fragment };
        let fragment = expand(&node, &context)?;
        let types = types(&parameters, &context)?;
        Ok(Self { fragment, types, parameters, operation: PhantomData })
    }
}

impl<O: Operation> FromRequest<App> for OneAttribute<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = AttributePath::from_request_parts(&mut parts, app).await?;
        let parameters = Parameters::parse(parts.uri.query(), O::PARAMETERS)?;
        let payload = Payload::from_request(Request::from_parts(parts, body), app).await?;
        let (mut node, context) = payload.object(app).await?;
        // The context belongs to the body, and not to the attribute that the body is.
        if let Document::Object(members) = &mut node.document {
            members.retain(|(key, _)| key != "@context");
        }
        let name = attribute(&path.term, &context)?;
        let fragment = expand_attribute(name, &node, &context)?;
        let types = types(&parameters, &context)?;
        Ok(Self { id: path.id, fragment, types, operation: PhantomData })
    }
}

impl<O: Operation> FromRequestParts<App> for Bare<O> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), O::PARAMETERS)?;
        let context = link::context(app, &parts.headers).await?;
        let types = types(&parameters, &context)?;
        Ok(Self { parameters, context, types, operation: PhantomData })
    }
}

impl<O: BatchOperation> FromRequest<App> for Batch<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(request.uri().query(), O::PARAMETERS)?;
        parameters.flag("local")?;
        let payload = Payload::from_request(request, app).await?;
        let body = payload.parse()?;
        let items = items(&body, app.limits.batch)?;
        let mut fragments = Vec::with_capacity(items.len());
        let mut errors = Vec::new();
        let mut contexts = BatchContexts::new(&payload, app);
        for (index, item) in items.iter().enumerate() {
            let fragment = match contexts.of(item).await {
                Ok(context) => batch_item::<O>((index, item), &context),
                Err(error) => Err(error),
            };
            match fragment {
                Ok(fragment) => fragments.push(fragment),
                Err(error) => errors.push((id_of(item), error)),
            }
        }
        Ok(Self { fragments, errors, parameters, operation: PhantomData })
    }
}

/// The contexts of the items of a batch, each had once, and asked for once if it cannot be had.
pub(crate) struct BatchContexts<'b> {
    payload: &'b Payload,
    app: &'b App,
    /// By the text of the member.
    known: Vec<(Option<&'b str>, Result<Context, ContextError>)>,
}

impl<'b> BatchContexts<'b> {
    /// The most contexts of a batch: each may have to be waited for.
    const MAX: usize = 16;

    pub(crate) fn new(payload: &'b Payload, app: &'b App) -> Self {
        Self { payload, app, known: Vec::new() }
    }

    pub(crate) async fn of(&mut self, item: &'b Node<'_>) -> Result<Context, Error> {
        let member = item.member("@context").map(|member| member.raw);
        if let Some((_, context)) = self.known.iter().find(|(known, _)| *known == member) {
            return Ok(context.clone()?);
        }
        if self.known.len() == Self::MAX {
            let reason = format!("/@context: a batch has at most {} contexts", Self::MAX);
            return Err(Error::BadRequestData(reason));
        }
        let context = match self.payload.context_of(item, self.app).await {
            Ok(context) => Ok(context),
            Err(Error::Context(error)) => Err(error),
            // It was not even asked for.
            Err(error) => return Err(error),
        };
        self.known.push((member, context.clone()));
        Ok(context?)
    }
}

/// The ids in the body of a batch delete, of which some may be unusable.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<EntityId>,
    pub(crate) errors: Vec<(String, Error)>,
}

impl FromRequest<App> for Ids {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(request.uri().query(), &["local"])?;
        parameters.flag("local")?;
        let payload = Payload::from_request(request, app).await?;
        let body = payload.parse()?;
        let mut ids = Vec::new();
        let mut errors = Vec::new();
        for (index, item) in items(&body, app.limits.batch)?.iter().enumerate() {
            let Document::String(text) = &item.document else {
                let reason = format!("/{index}: an entity id is a string");
                return Err(Error::BadRequestData(reason).into());
            };
            match text.parse::<EntityId>() {
                Ok(id) => ids.push(id),
                Err(error) => errors.push((text.clone().into_owned(), error.into())),
            }
        }
        Ok(Self { ids, errors })
    }
}

/// The items of a batch: at least one, not too many, and none of them null.
pub(crate) fn items<'a, 'b>(body: &'a Node<'b>, most: usize) -> Result<&'a [Node<'b>], Error> {
    let Document::Array(items) = &body.document else {
        return Err(Error::InvalidRequest("the body of a batch is a JSON array".to_owned()));
    };
    if items.is_empty() {
        return Err(Error::BadRequestData("a batch has at least one item".to_owned()));
    }
    if items.len() > most {
        return Err(Error::BadRequestData(format!("a batch has at most {most} items")));
    }
    match items.iter().position(|item| item.document == Document::Null) {
        Some(at) => Err(Error::BadRequestData(format!("/{at}: an item of a batch is not null"))),
        None => Ok(items),
    }
}

/// What is wrong with an item of a batch; says where that is in the whole body.
pub(crate) fn in_batch(index: usize, InvalidBody { at, reason }: InvalidBody) -> Error {
    let at = if at == "/" { "" } else { &at };
    Error::BadRequestData(format!("/{index}{at}: {reason}"))
}

/// One item of a batch; errors say where they are in the whole body.
fn batch_item<O: BatchOperation>(
    (index, item): (usize, &Node<'_>),
    context: &Context,
) -> Result<EntityFragment, Error> {
    let in_body = |error| in_batch(index, error);
    if O::WHOLE {
        return expand_entity(item, context).map_err(in_body);
    }
    let fragment = expand_fragment(item, context).map_err(in_body)?;
    if fragment.id.is_none() {
        let reason = format!("/{index}/id: an entity in a batch has an id");
        return Err(Error::BadRequestData(reason));
    }
    Ok(fragment)
}

/// What an item calls itself, usable or not.
fn id_of(item: &Node<'_>) -> String {
    let member = item.member("id").or_else(|| item.member("@id"));
    match member.map(|node| &node.document) {
        Some(Document::String(text)) => text.clone().into_owned(),
        Some(_) | None => String::new(),
    }
}

fn types(parameters: &Parameters, context: &Context) -> Result<Option<TypeSelection>, Error> {
    parameters.flag("local")?;
    let Some(text) = parameters.get("type") else { return Ok(None) };
    Ok(Some(TypeSelection::parse(text, &Names(context))?))
}

/// The attribute that a path names; `scope` and its like are members, and no attributes.
pub(crate) fn attribute(term: &str, context: &Context) -> Result<AttrName, Error> {
    const MEMBERS: &[&str] = &["id", "type", "scope", "@id", "@type", "@context"];
    const FORBIDDEN: &[char] = &['<', '>', '"', '\'', '=', ';', '(', ')', '{', '}', ' '];
    let is_wrong = MEMBERS.contains(&term) || term.starts_with('@') || term.contains(FORBIDDEN);
    if is_wrong || is_dots(term) {
        return Err(Error::BadRequestData(format!("{term:?} is not the name of an attribute")));
    }
    Ok(context.attribute(term)?)
}

/// Whether this is, or becomes when others decode it again, a segment that leads elsewhere (RFC
/// 3986, section 5.2.4).
fn is_dots(term: &str) -> bool {
    const DECODED: usize = 8;
    let mut decoded = Cow::Borrowed(term);
    for _ in 0..DECODED {
        if !decoded.contains('%') {
            break;
        }
        decoded = Cow::Owned(percent_decode_str(&decoded).decode_utf8_lossy().into_owned());
    }
    matches!(&*decoded, "." | "..")
}
