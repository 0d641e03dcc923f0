//! How the reader wants to see entities: media type, context, form, and which parts.

mod special;

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use musubi_broker::Found;
use musubi_context::{Context, Form, Renderer, Representation, render_entity};
use musubi_model::{AttrName, Entity};
use musubi_view::{Manner, Special, ViewError};

use crate::app::App;
use crate::error::Error;
use crate::request::accept::{self, Media};
use crate::request::link;
use crate::request::names;
use crate::request::parameters::Parameters;
use crate::request::prefer::{self, Preferences};
use crate::session::Session;

/// The parameters that say how entities are to look.
pub(crate) const PARAMETERS: &[&str] = &[
    "attrs",
    "pick",
    "omit",
    "options",
    "format",
    "sysAttrs",
    "lang",
    "datasetId",
    "join",
    "joinLevel",
    "containedBy",
    "geometryProperty",
    "entityMap",
    "entityMapLifetime",
];

/// The body of an answer, and the status that goes with it.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    status: StatusCode,
}

/// The longest context that is written into entities while others wait, in bytes.
const BRIEF: usize = 512;

const OPTIONS: &[&str] = &["normalized", "concise", "keyValues", "simplified", "sysAttrs", "count"];

/// How the reader wants to see entities.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) media: Media,
    pub(crate) context: Context,
    /// Whether `options` asks for the count.
    pub(crate) counted: bool,
    /// The attributes of `attrs`.
    pub(crate) attributes: Option<Vec<AttrName>>,
    representation: Representation,
    special: Option<Box<Special>>,
    /// Whether GeoJSON carries its context itself.
    context_in_body: bool,
    /// The longest page, in bytes.
    longest: usize,
}

impl View {
    /// Reads what a request says, whose names are to be read in `context`.
    pub(crate) fn read(
        headers: &HeaderMap,
        parameters: &Parameters,
        context: Context,
        app: &App,
    ) -> Result<Self, Error> {
        let options = parameters.options(OPTIONS)?;
        let form = form(parameters.get("format"), &options)?;
        let system = parameters.flag("sysAttrs")? || options.contains(&"sysAttrs");
        parameters.flag("local")?;
        let media = accept::negotiate(headers, accept::ENTITIES)?;
        let attributes = parameters
            .get("attrs")
            .map(|list| names::attributes("attrs", list, &context))
            .transpose()?;
        let preferences = Preferences::of(headers);
        let reader = (media, &context);
        let special = special::read(parameters, preferences, reader, app.limits.linked)?;
        let context_in_body = media == Media::GeoJson && !preferences.context_in_header;
        if attributes.is_some() && special.as_ref().is_some_and(|one| !one.projection.is_whole()) {
            let reason = "attrs cannot be used together with pick or omit";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let representation = Representation {
            form,
            system_attributes: system,
            attributes: attributes.clone(),
            context_member: media == Media::LdJson,
        };
        let counted = options.contains(&"count");
        let longest = app.limits.answer;
        Ok(Self {
            media,
            context,
            counted,
            attributes,
            representation,
            special,
            context_in_body,
            longest,
        })
    }

    /// How many links deep linked entities are answered.
    pub(crate) fn join_level(&self) -> usize {
        self.special.as_ref().map_or(0, |special| special.join_level())
    }

    /// The answer that shows one entity.
    pub(crate) async fn one(
        &self,
        session: &Session,
        entity: &Arc<Entity>,
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let mut out = Vec::with_capacity(1024);
        let Some(special) = &self.special else {
            render_entity(&mut out, entity, &self.context, &self.representation);
            return Ok(self.respond(out, headers, StatusCode::OK));
        };
        let gathered = special.gather(session, std::slice::from_ref(entity)).await?;
        let several = gathered.has_more();
        let alone = self.context_in_body && !several;
        let manner = self.manner(alone.then(|| self.context.member()));
        if several {
            self.begin(&mut out);
        }
        let written = special.write(&mut out, &gathered, &manner)?;
        if several {
            self.end(&mut out);
        } else if written.count == 0 {
            let what = format!("entity {} with any of the members asked for", entity.id);
            return Err(Error::NotFound(what));
        }
        Ok(self.respond(out, headers, special::status(written)))
    }

    /// What is needed of linked entities, or of entities as a whole, to write the answer.
    pub(crate) fn special(&self) -> Option<&Special> {
        self.special.as_deref()
    }

    /// Whether a page is soon written: a context that stands in every entity may be long.
    pub(crate) fn is_brief(&self) -> bool {
        !self.representation.context_member || self.context.member().len() <= BRIEF
    }

    /// A page of entities as they are, which is written without asking for anything else.
    pub(crate) fn plain_page(&self, items: &[&Found]) -> Result<Body, Error> {
        let mut out = Vec::with_capacity(64 + items.len() * 1024);
        self.begin(&mut out);
        let mut renderer = Renderer::new(&mut out, &self.context, &self.representation);
        for (index, found) in items.iter().enumerate() {
            if index > 0 {
                renderer.comma();
            }
            renderer.entity(&found.entity);
            if renderer.written() > self.longest {
                return Err(ViewError::too_long().into());
            }
        }
        self.end(&mut out);
        Ok(Body { bytes: out, status: StatusCode::OK })
    }

    /// A page of entities for a reader who asks for more.
    pub(crate) async fn special_page(
        &self,
        session: &Session,
        special: &Special,
        items: &[Found],
    ) -> Result<Body, Error> {
        let mut out = Vec::with_capacity(64 + items.len() * 1024);
        self.begin(&mut out);
        let entities: Vec<Arc<Entity>> = items.iter().map(|found| found.entity.clone()).collect();
        let gathered = special.gather(session, &entities).await?;
        let written = special.write(&mut out, &gathered, &self.manner(None))?;
        self.end(&mut out);
        Ok(Body { bytes: out, status: special::status(written) })
    }

    fn manner<'a>(&'a self, feature_context: Option<&'a str>) -> Manner<'a> {
        Manner {
            media: self.media,
            context: &self.context,
            representation: &self.representation,
            feature_context,
            longest: self.longest,
        }
    }

    /// Writes what stands before several entities.
    fn begin(&self, out: &mut Vec<u8>) {
        if self.media == Media::GeoJson {
            out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":");
        }
        out.push(b'[');
    }

    /// Writes what stands after them.
    fn end(&self, out: &mut Vec<u8>) {
        out.push(b']');
        if self.media == Media::GeoJson {
            if self.context_in_body {
                out.extend_from_slice(b",\"@context\":");
                out.extend_from_slice(self.context.member().as_bytes());
            }
            out.push(b'}');
        }
    }

    /// The answer with a body.
    pub(crate) fn answer(&self, body: Body, headers: HeaderMap) -> Response {
        self.respond(body.bytes, headers, body.status)
    }

    fn respond(&self, body: Vec<u8>, mut headers: HeaderMap, status: StatusCode) -> Response {
        let link = match self.media {
            Media::Json => true,
            Media::GeoJson => !self.context_in_body,
            Media::LdJson => false,
        };
        let version = self.special.as_ref().and_then(|special| special.version);
        if let Some(applied) = version.and_then(prefer::applied) {
            headers.insert(prefer::APPLIED, applied);
        }
        let mut response = respond(body, self.media, link.then_some(&self.context), headers);
        *response.status_mut() = status;
        response
    }
}

/// An answer with a body; with a `Link` to the context, unless that is in the body.
pub(crate) fn respond(
    body: Vec<u8>,
    media: Media,
    link: Option<&Context>,
    mut headers: HeaderMap,
) -> Response {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media.name()));
    if let Some(link) = link.and_then(link::context_header) {
        headers.append(header::LINK, link);
    }
    let mut response = Response::new(axum::body::Body::from(body));
    *response.headers_mut() = headers;
    response
}

/// The form that a request names; `format` wins over `options`.
pub(crate) fn form(format: Option<&str>, options: &[&str]) -> Result<Form, Error> {
    if let Some(format) = format {
        return form_named(format).ok_or_else(|| {
            let known = "normalized, concise, simplified and keyValues";
            Error::InvalidRequest(format!("there is no format {format:?}; known are {known}"))
        });
    }
    Ok(options.iter().find_map(|option| form_named(option)).unwrap_or_default())
}

fn form_named(name: &str) -> Option<Form> {
    match name {
        "normalized" => Some(Form::Normalized),
        "concise" => Some(Form::Concise),
        "simplified" | "keyValues" => Some(Form::Simplified),
        _ => None,
    }
}
