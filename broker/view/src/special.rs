//! What few readers ask for: some members only, one language, some data sets, linked entities,
//! an earlier version of the specification, GeoJSON. Whoever asks for none of it never comes
//! here.

use std::cell::Cell;
use std::sync::Arc;

use musubi_context::{Context, Representation};
use musubi_model::{AttrName, Entity};

use crate::geojson::write_feature;
use crate::join::Linked;
use crate::shape::{Members, Shape, separate, write_members};
use crate::{
    Datasets, Earlier, FindEntities, Join, JoinForm, Languages, Marks, Media, Projection, Version,
    ViewError,
};

/// What few readers ask for.
#[derive(Clone, Debug)]
pub struct Special {
    /// The members that are shown.
    pub projection: Projection,
    /// The languages of texts.
    pub languages: Option<Languages>,
    /// The instances of attributes that are shown.
    pub datasets: Option<Datasets>,
    /// Whether linked entities are shown.
    pub join: Option<Join>,
    /// The version of the specification that the answer is to conform to.
    pub version: Option<Version>,
    /// The property that becomes the geometry of a feature.
    pub geometry: AttrName,
    /// The most linked entities.
    pub linked: usize,
}

/// Entities with all that is needed to write them.
#[derive(Debug)]
pub struct Gathered {
    entities: Vec<(Arc<Entity>, Option<Marks>)>,
    linked: Linked,
    flat: bool,
}

/// How all entities of an answer are written.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// What is written.
    pub media: Media,
    /// The reader's names.
    pub context: &'a Context,
    /// The form.
    pub representation: &'a Representation,
    /// The context that each feature carries; none if the collection does.
    pub feature_context: Option<&'a str>,
    /// The most bytes.
    pub longest: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many entities.
    pub count: usize,
    /// Whether an earlier version made one of them other than it is.
    pub altered: bool,
}

impl Special {
    /// How many links deep linked entities are answered.
    pub fn join_level(&self) -> usize {
        self.join.as_ref().map_or(0, |join| join.level)
    }

    /// Passes if `pick` and `omit` go only as deep into linked entities as those are shown.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if they go deeper.
    pub fn check_depth(projection: &Projection, join: Option<&Join>) -> Result<(), ViewError> {
        if projection.depth() > join.map_or(0, |join| join.level) {
            let reason = "pick and omit may go into linked entities only as deep as join and \
                          joinLevel do";
            return Err(ViewError::BadRequest(reason.to_owned()));
        }
        Ok(())
    }

    /// Gathers what is needed to write these entities.
    ///
    /// # Errors
    ///
    /// What `finder` says, and [`ViewError::TooComplex`] if there are more linked entities than
    /// are allowed.
    pub async fn gather<F: FindEntities>(
        &self,
        finder: &F,
        entities: &[Arc<Entity>],
    ) -> Result<Gathered, F::Error> {
        let entities = entities.iter().map(|entity| (entity.clone(), None)).collect();
        self.gather_marked(finder, entities).await
    }

    /// As [`gather`](Self::gather), of entities of which more is told than their state.
    ///
    /// # Errors
    ///
    /// As [`gather`](Self::gather).
    pub async fn gather_marked<F: FindEntities>(
        &self,
        finder: &F,
        mut entities: Vec<(Arc<Entity>, Option<Marks>)>,
    ) -> Result<Gathered, F::Error> {
        if let Some(datasets) = &self.datasets {
            for (entity, _) in &mut entities {
                *entity = datasets.of(entity);
            }
        }
        let linked = match &self.join {
            None => Linked::default(),
            Some(join) => {
                let bounds = (join, self.linked);
                let roots: Vec<&Arc<Entity>> = entities.iter().map(|(entity, _)| entity).collect();
                Linked::follow(finder, &roots, &self.projection, bounds).await?
            }
        };
        let flat = self.join.as_ref().is_some_and(|join| join.form == JoinForm::Flat);
        Ok(Gathered { entities, linked, flat })
    }

    /// Writes entities in their special shape, those without anything to show left out.
    ///
    /// # Errors
    ///
    /// [`ViewError::TooComplex`] if that takes more bytes than are allowed.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        gathered: &Gathered,
        manner: &Manner<'_>,
    ) -> Result<Written, ViewError> {
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
                return Err(ViewError::too_long());
            }
            Ok(())
        };
        for (entity, marks) in &gathered.entities {
            write(entity, shape.members((entity, marks.as_ref()), &self.projection)?)?;
        }
        if gathered.flat {
            for (entity, projection) in &gathered.linked.met {
                write(entity, shape.linked_members(entity, projection)?)?;
            }
        }
        Ok(Written { count, altered: altered.get() })
    }

    /// The earlier version that entities are brought into, if it is one.
    pub fn earlier<'c>(&self, context: &'c Context) -> Option<Earlier<'c>> {
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

impl Gathered {
    /// Entities that need no others to be written.
    pub fn alone(entities: Vec<(Arc<Entity>, Option<Marks>)>) -> Self {
        Self { entities, linked: Linked::default(), flat: false }
    }

    /// The entities that were asked for.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter().map(|(entity, _)| entity.as_ref())
    }

    /// Whether nothing is told but the state of the entities that were asked for.
    pub fn is_plain(&self) -> bool {
        self.linked.met.is_empty() && self.entities.iter().all(|(_, marks)| marks.is_none())
    }

    /// Whether there is more to be shown than the entities that were asked for.
    pub fn has_more(&self) -> bool {
        self.flat && !self.linked.met.is_empty()
    }
}
