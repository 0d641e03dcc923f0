//! What few readers ask for: some members only, one language, some data sets, linked entities,
//! an earlier version of the specification, GeoJSON. Whoever asks for none of it never comes
//! here.

use std::cell::Cell;
use std::sync::Arc;

use http::StatusCode;
use musubi_context::{Context, Representation};
use musubi_model::{AttrName, Entity};

use crate::error::Error;
use crate::request::accept::Media;
use crate::request::parameters::Parameters;
use crate::request::prefer::{Preferences, Version};
use crate::session::Session;
use crate::view::datasets::Datasets;
use crate::view::earlier::Earlier;
use crate::view::geojson::write_feature;
use crate::view::join::{Join, JoinForm, Linked};
use crate::view::languages::Languages;
use crate::view::projection::Projection;
use crate::view::shape::{Members, Shape, separate, write_members};
use crate::view::too_long;

/// What few readers ask for.
#[derive(Debug)]
pub(crate) struct Special {
    pub(crate) projection: Projection,
    languages: Option<Languages>,
    datasets: Option<Datasets>,
    join: Option<Join>,
    /// The version of the specification that the answer is to conform to.
    pub(crate) version: Option<Version>,
    /// The property that becomes the geometry of a feature.
    geometry: AttrName,
    /// Whether GeoJSON carries its context itself.
    pub(crate) context_member: bool,
    /// The most linked entities.
    linked: usize,
}

/// Entities with all that is needed to write them.
#[derive(Debug)]
pub(crate) struct Gathered {
    entities: Vec<Arc<Entity>>,
    linked: Linked,
    flat: bool,
}

/// How all entities of an answer are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) media: Media,
    pub(crate) context: &'a Context,
    pub(crate) representation: &'a Representation,
    /// The context that each feature carries; none if the collection does.
    pub(crate) feature_context: Option<&'a str>,
    /// The most bytes.
    pub(crate) longest: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many entities.
    pub(crate) count: usize,
    /// Whether an earlier version made one of them other than it is.
    altered: bool,
}

impl Special {
    /// What few readers ask for, if this one does. `linked` is the most linked entities.
    pub(crate) fn read(
        parameters: &Parameters,
        preferences: Preferences,
        (media, context): (Media, &Context),
        linked: usize,
    ) -> Result<Option<Box<Self>>, Error> {
        let (pick, omit) = (parameters.get("pick"), parameters.get("omit"));
        let projection = Projection::parse(pick, omit, context)?;
        let join = Join::read(parameters)?;
        if projection.depth() > join.as_ref().map_or(0, |join| join.level) {
            let reason = "pick and omit may go into linked entities only as deep as join and \
                          joinLevel do";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let languages = parameters.get("lang").map(Languages::parse).transpose()?;
        let datasets = parameters.get("datasetId").map(Datasets::parse).transpose()?;
        let geometry = parameters.get("geometryProperty");
        if geometry.is_some() && media != Media::GeoJson {
            let reason = "geometryProperty is for answers in application/geo+json";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        // Clauses 5.7.1.4 and 5.7.2.4 know no earlier version of GeoJSON.
        let version = preferences.version.filter(|_| media != Media::GeoJson);
        let common = projection.is_whole()
            && languages.is_none()
            && datasets.is_none()
            && join.is_none()
            && version.is_none();
        if common && media != Media::GeoJson {
            return Ok(None);
        }
        let geometry = context
            .attribute(geometry.unwrap_or("location"))
            .map_err(|error| Error::BadRequestData(format!("geometryProperty: {error}")))?;
        let context_member = media == Media::GeoJson && !preferences.context_in_header;
        Ok(Some(Box::new(Self {
            projection,
            languages,
            datasets,
            join,
            version,
            geometry,
            context_member,
            linked,
        })))
    }

    /// How many links deep linked entities are answered.
    pub(crate) fn join_level(&self) -> usize {
        self.join.as_ref().map_or(0, |join| join.level)
    }

    /// Gathers what is needed to write these entities.
    pub(crate) async fn gather(
        &self,
        session: &Session,
        entities: &[Arc<Entity>],
    ) -> Result<Gathered, Error> {
        let entities: Vec<Arc<Entity>> = match &self.datasets {
            None => entities.to_vec(),
            Some(datasets) => entities.iter().map(|entity| datasets.of(entity)).collect(),
        };
        let linked = match &self.join {
            None => Linked::default(),
            Some(join) => {
                let bounds = (join, self.linked);
                Linked::follow(session, &entities, &self.projection, bounds).await?
            }
        };
        let flat = self.join.as_ref().is_some_and(|join| join.form == JoinForm::Flat);
        Ok(Gathered { entities, linked, flat })
    }

    /// Writes entities in their special shape, those without anything to show left out.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        gathered: &Gathered,
        manner: &Manner<'_>,
    ) -> Result<Written, Error> {
        let inline = self.join.as_ref().filter(|join| join.form == JoinForm::Inline);
        let room = Cell::new(manner.longest);
        let altered = Cell::new(false);
        let shape = Shape {
            context: manner.context,
            representation: manner.representation,
            languages: self.languages.as_ref(),
            inline: inline.map(|_| &gathered.linked),
            level: inline.map_or(0, |join| join.level),
            earlier: self.earlier(manner.context),
            altered: &altered,
            room: &room,
        };
        let start = out.len();
        let mut count = 0;
        let mut write = |entity: &Entity, members: Members| {
            if members.is_empty() {
                return Ok(());
            }
            separate(out, count);
            count += 1;
            self.write_item(out, manner, (entity, members));
            if out.len() - start > manner.longest {
                return Err(too_long());
            }
            Ok(())
        };
        for entity in &gathered.entities {
            write(entity, shape.members(entity, &self.projection)?)?;
        }
        if gathered.flat {
            for (entity, projection) in &gathered.linked.met {
                write(entity, shape.linked_members(entity, projection)?)?;
            }
        }
        Ok(Written { count, altered: altered.get() })
    }

    fn earlier<'c>(&self, context: &'c Context) -> Option<Earlier<'c>> {
        let version = self.version.filter(|version| *version < Version::NATIVE)?;
        Some(Earlier { version, context, one_language: self.languages.is_some() })
    }

    fn write_item(
        &self,
        out: &mut Vec<u8>,
        manner: &Manner<'_>,
        (entity, mut members): (&Entity, Members),
    ) {
        match manner.media {
            Media::Json => write_members(out, &members),
            Media::LdJson => {
                let context = manner.context.member().as_bytes().to_vec();
                members.push(("@context".to_owned(), context));
                write_members(out, &members);
            }
            Media::GeoJson => {
                write_feature(out, (entity, members), &self.geometry, manner.feature_context);
            }
        }
    }
}

impl Written {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        if self.altered { StatusCode::NON_AUTHORITATIVE_INFORMATION } else { StatusCode::OK }
    }
}

impl Gathered {
    /// Whether there is more to be shown than the entities that were asked for.
    pub(crate) fn has_more(&self) -> bool {
        self.flat && !self.linked.met.is_empty()
    }
}
