//! How the reader wants to see entities: media type, context, form, and which parts.

use std::cell::Cell;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use musubi_broker::Found;
use musubi_context::{Context, Form, Renderer, Representation, render_entity};
use musubi_model::{AttrName, Entity};

use crate::accept::{self, Media};
use crate::app::App;
use crate::error::Error;
use crate::geojson::write_feature;
use crate::join::{Join, JoinForm, Linked};
use crate::languages::Languages;
use crate::link;
use crate::names;
use crate::parameters::Parameters;
use crate::projection::Projection;
use crate::session::Session;
use crate::shape::{Members, Shape, separate, write_members};

/// The parameters that say how entities are to look.
pub(crate) const PARAMETERS: &[&str] = &[
    "attrs",
    "pick",
    "omit",
    "options",
    "format",
    "sysAttrs",
    "lang",
    "join",
    "joinLevel",
    "geometryProperty",
];

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
    /// The longest page, in bytes.
    longest: usize,
}

/// What few readers ask for.
#[derive(Debug)]
struct Special {
    projection: Projection,
    languages: Option<Languages>,
    join: Option<Join>,
    /// The property that becomes the geometry of a feature.
    geometry: AttrName,
    /// Whether GeoJSON carries its context itself.
    context_member: bool,
    /// The most linked entities.
    linked: usize,
}

/// Entities to be written in a special shape.
struct Items<'a> {
    special: &'a Special,
    entities: &'a [Arc<Entity>],
    linked: &'a Linked,
    /// The context that each feature carries; none if the collection does.
    feature_context: Option<&'a str>,
}

impl View {
    /// Reads what a request says.
    pub(crate) async fn read(
        parts: &Parts,
        parameters: &Parameters,
        app: &App,
    ) -> Result<Self, Error> {
        let options = parameters.options(OPTIONS)?;
        let form = form(parameters.get("format"), &options)?;
        let system = parameters.flag("sysAttrs")? || options.contains(&"sysAttrs");
        parameters.flag("local")?;
        let media = accept::negotiate(&parts.headers, accept::ENTITIES)?;
        let context = link::context(app, &parts.headers).await?;
        let attributes =
            parameters.get("attrs").map(|list| names::attributes(list, &context)).transpose()?;
        let special = Special::read(parts, parameters, (media, &context), app)?;
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
        Ok(Self { media, context, counted, attributes, representation, special, longest })
    }

    /// The answer that shows one entity.
    pub(crate) async fn one(
        &self,
        session: &Session,
        entity: &Arc<Entity>,
    ) -> Result<Response, Error> {
        let mut out = Vec::with_capacity(1024);
        match &self.special {
            None => render_entity(&mut out, entity, &self.context, &self.representation),
            Some(special) => {
                let entities = std::slice::from_ref(entity);
                let linked = special.follow(session, entities).await?;
                let feature_context = special.context_member.then(|| self.context.member());
                let items = Items { special, entities, linked: &linked, feature_context };
                let flat = special.is_flat() && !linked.met.is_empty();
                if flat && self.media != Media::GeoJson {
                    out.push(b'[');
                    self.special_items(&mut out, &items)?;
                    out.push(b']');
                } else if self.special_items(&mut out, &items)? == 0 {
                    let what = format!("entity {} with any of the members asked for", entity.id);
                    return Err(Error::NotFound(what));
                }
            }
        }
        Ok(self.respond(out, HeaderMap::new()))
    }

    /// The answer that shows a page of entities.
    pub(crate) async fn page(
        &self,
        session: &Session,
        items: &[Found],
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let mut out = Vec::with_capacity(64 + items.len() * 1024);
        let collection = self.media == Media::GeoJson;
        if collection {
            out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":");
        }
        out.push(b'[');
        if let Some(special) = &self.special {
            let entities: Vec<Arc<Entity>> =
                items.iter().map(|found| found.entity.clone()).collect();
            let linked = special.follow(session, &entities).await?;
            let items =
                Items { special, entities: &entities, linked: &linked, feature_context: None };
            self.special_items(&mut out, &items)?;
        } else {
            let mut renderer = Renderer::new(&mut out, &self.context, &self.representation);
            for (index, found) in items.iter().enumerate() {
                if index > 0 {
                    renderer.comma();
                }
                renderer.entity(&found.entity);
                if renderer.written() > self.longest {
                    return Err(too_long());
                }
            }
        }
        out.push(b']');
        if collection {
            if self.special.as_ref().is_some_and(|special| special.context_member) {
                out.extend_from_slice(b",\"@context\":");
                out.extend_from_slice(self.context.member().as_bytes());
            }
            out.push(b'}');
        }
        Ok(self.respond(out, headers))
    }

    /// Writes entities in their special shape, those without anything to show left out, and says
    /// how many it wrote.
    fn special_items(&self, out: &mut Vec<u8>, items: &Items<'_>) -> Result<usize, Error> {
        let Items { special, entities, linked, .. } = items;
        let inline = special.join.filter(|join| join.form == JoinForm::Inline);
        let room = Cell::new(self.longest);
        let shape = Shape {
            context: &self.context,
            representation: &self.representation,
            languages: special.languages.as_ref(),
            inline: inline.map(|_| *linked),
            level: inline.map_or(0, |join| join.level),
            room: &room,
        };
        let start = out.len();
        let mut written = 0;
        let mut write = |entity: &Entity, members: Members| {
            if members.is_empty() {
                return Ok(());
            }
            separate(out, written);
            written += 1;
            self.write_item(out, items, (entity, members));
            if out.len() - start > self.longest {
                return Err(too_long());
            }
            Ok(())
        };
        for entity in *entities {
            write(entity, shape.members(entity, &special.projection)?)?;
        }
        if special.is_flat() {
            for (entity, projection) in &linked.met {
                write(entity, shape.linked_members(entity, projection)?)?;
            }
        }
        Ok(written)
    }

    fn write_item(
        &self,
        out: &mut Vec<u8>,
        items: &Items<'_>,
        (entity, mut members): (&Entity, Members),
    ) {
        match self.media {
            Media::Json => write_members(out, &members),
            Media::LdJson => {
                let context = self.context.member().as_bytes().to_vec();
                members.push(("@context".to_owned(), context));
                write_members(out, &members);
            }
            Media::GeoJson => {
                let geometry = &items.special.geometry;
                write_feature(out, (entity, members), geometry, items.feature_context);
            }
        }
    }

    fn respond(&self, body: Vec<u8>, headers: HeaderMap) -> Response {
        let links = match (self.media, &self.special) {
            (Media::Json, _) => true,
            (Media::GeoJson, Some(special)) => !special.context_member,
            (Media::LdJson | Media::GeoJson, _) => false,
        };
        respond(body, self.media, links.then_some(&self.context), headers)
    }
}

impl Special {
    /// What few readers ask for, if this one does.
    fn read(
        parts: &Parts,
        parameters: &Parameters,
        (media, context): (Media, &Context),
        app: &App,
    ) -> Result<Option<Box<Self>>, Error> {
        let (pick, omit) = (parameters.get("pick"), parameters.get("omit"));
        let projection = Projection::parse(pick, omit, context)?;
        let join = Join::read(parameters)?;
        if projection.depth() > join.map_or(0, |join| join.level) {
            let reason = "pick and omit may go into linked entities only as deep as join and \
                          joinLevel do";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let languages = parameters.get("lang").map(Languages::parse).transpose()?;
        let geometry = parameters.get("geometryProperty");
        if geometry.is_some() && media != Media::GeoJson {
            let reason = "geometryProperty is for answers in application/geo+json";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let common = projection.is_whole() && languages.is_none() && join.is_none();
        if common && media != Media::GeoJson {
            return Ok(None);
        }
        let geometry = context.attribute(geometry.unwrap_or("location"))?;
        let context_member = media == Media::GeoJson && !prefers_json(&parts.headers);
        let linked = app.limits.linked;
        let special = Self { projection, languages, join, geometry, context_member, linked };
        Ok(Some(Box::new(special)))
    }

    async fn follow(&self, session: &Session, entities: &[Arc<Entity>]) -> Result<Linked, Error> {
        match self.join {
            None => Ok(Linked::default()),
            Some(join) => {
                let bounds = (join.level, self.linked);
                Linked::follow(session, entities, &self.projection, bounds).await
            }
        }
    }

    fn is_flat(&self) -> bool {
        self.join.is_some_and(|join| join.form == JoinForm::Flat)
    }
}

pub(crate) fn too_long() -> Error {
    let reason = "the answer would be too long; a smaller limit, or pick or omit, make it shorter";
    Error::TooComplex(reason.to_owned())
}

/// An answer with a body; with a `Link` to the context, unless that is in the body.
pub(crate) fn respond(
    body: Vec<u8>,
    media: Media,
    link: Option<&Context>,
    mut headers: HeaderMap,
) -> Response {
    headers.insert(header::CONTENT_TYPE, media.header());
    if let Some(link) = link.and_then(link::context_header) {
        headers.append(header::LINK, link);
    }
    let mut response = Response::new(Body::from(body));
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

/// Whether a reader of GeoJSON wants the context in a `Link` header (CIM 009, clause 6.3.6).
fn prefers_json(headers: &HeaderMap) -> bool {
    const PREFER: HeaderName = HeaderName::from_static("prefer");
    let words = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(',').any(|word| word.trim() == "body=json"))
    };
    headers.get_all(PREFER).iter().any(words)
}
