//! Requests that were read before.
//!
//! Clients ask the same again and again: the same page every few seconds, one entity after another
//! with the same parameters. To read these parameters takes about as long as to find what they ask
//! for, so each thread keeps what it made of the last few.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use musubi_context::Context;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::entity_map::ENTITY_MAP;
use crate::request::link;
use crate::request::prefer::Preferences;

/// How many readings a thread keeps. A power of two.
const PLACES: usize = 32;

/// The longest query string of which the reading is kept, in bytes.
const MAX_QUERY: usize = 512;

/// The most names, or other parts, that a query string may have if they are to be read in a linked
/// context, where a short one may stand for one of two kilobytes.
const MAX_NAMES: usize = 24;

/// The largest context that is kept with a reading, in bytes.
const MAX_CONTEXT: usize = 64 << 10;

/// What is made of the parameters and the headers of a request.
pub(crate) trait Reading: Sized + Send + Sync + 'static {
    /// Reads a request whose names are to be read in `context`.
    fn read(
        query: Option<&str>,
        headers: &HeaderMap,
        context: Context,
        app: &App,
    ) -> Result<Self, Error>;

    /// Whether this takes up little memory, seen from the query that it was made of.
    fn is_small(&self) -> bool;

    /// Where a thread keeps these.
    fn kept() -> &'static LocalKey<Readings<Self>>;
}

/// What a request asks: read now, or of one like it before.
#[derive(Debug)]
pub(crate) struct Read<T>(pub(crate) Arc<T>);

impl<T: Reading> FromRequestParts<App> for Read<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let linked = if parts.headers.contains_key(header::LINK) {
            Some(link::context(app, &parts.headers).await?)
        } else {
            None
        };
        let asked = Asked::of(parts, linked.as_ref(), app);
        let query = parts.uri.query();
        let known = asked.and_then(|asked| T::kept().with(|kept| kept.find(asked, query)));
        if let Some(reading) = known {
            return Ok(Self(reading));
        }
        let context = linked.unwrap_or_else(Context::core);
        let is_light = context.weight() <= MAX_CONTEXT
            && (asked.is_some_and(|asked| asked.context == Context::core_number())
                || names(query) <= MAX_NAMES);
        let reading = Arc::new(T::read(query, &parts.headers, context, app)?);
        if let Some(asked) = asked.filter(|_| is_light && reading.is_small()) {
            T::kept().with(|kept| kept.keep(asked, query, &reading));
        }
        Ok(Self(reading))
    }
}

/// At most how many names a query string holds.
fn names(query: Option<&str>) -> usize {
    let is_part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | ':');
    query.unwrap_or_default().split(|one: char| !is_part(one)).count()
}

/// What a reading depends on beside the query string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    app: u64,
    context: u64,
    media: Media,
    preferences: Preferences,
}

impl Asked {
    /// None for a request that few are like, or that is wrong.
    fn of(parts: &Parts, linked: Option<&Context>, app: &App) -> Option<Self> {
        if parts.headers.contains_key(ENTITY_MAP) {
            return None;
        }
        Some(Self {
            app: app.number,
            context: linked.map_or_else(Context::core_number, Context::number),
            media: accept::negotiate(&parts.headers, accept::ENTITIES).ok()?,
            preferences: Preferences::of(&parts.headers),
        })
    }
}

/// Readings, each in the place that its query string names; the last one stays.
#[derive(Debug)]
pub(crate) struct Readings<T>(RefCell<Vec<Option<Kept<T>>>>);

#[derive(Debug)]
struct Kept<T> {
    asked: Asked,
    query: Box<str>,
    reading: Arc<T>,
}

impl<T> Readings<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn find(&self, asked: Asked, query: Option<&str>) -> Option<Arc<T>> {
        let query = query.unwrap_or_default();
        let readings = self.0.try_borrow().ok()?;
        let kept = readings.get(place(query))?.as_ref()?;
        (*kept.query == *query && kept.asked == asked).then(|| Arc::clone(&kept.reading))
    }

    fn keep(&self, asked: Asked, query: Option<&str>, reading: &Arc<T>) {
        let query = query.unwrap_or_default();
        if query.len() > MAX_QUERY {
            return;
        }
        let Ok(mut readings) = self.0.try_borrow_mut() else { return };
        if readings.is_empty() {
            readings.resize_with(PLACES, || None);
        }
        if let Some(kept) = readings.get_mut(place(query)) {
            *kept = Some(Kept { asked, query: query.into(), reading: Arc::clone(reading) });
        }
    }
}

/// The place of a query string. Whoever sends others with the same place only has them read anew.
fn place(query: &str) -> usize {
    let mixed = query
        .bytes()
        .fold(0_usize, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(usize::from(byte)));
    mixed % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(context: u64, media: Media) -> Asked {
        Asked { app: 1, context, media, preferences: Preferences::default() }
    }

    #[test]
    fn a_reading_is_found_by_all_that_it_depends_on() {
        let readings = Readings::new();
        let (json, query) = (asked(1, Media::Json), Some("type=A"));
        assert_eq!(readings.find(json, query), None);
        readings.keep(json, query, &Arc::new(1));
        assert_eq!(readings.find(json, query), Some(Arc::new(1)));
        assert_eq!(readings.find(json, Some("type=B")), None);
        assert_eq!(readings.find(json, None), None);
        assert_eq!(readings.find(asked(2, Media::Json), query), None);
        assert_eq!(readings.find(asked(1, Media::LdJson), query), None);
        let body = Preferences { context_in_header: true, ..Preferences::default() };
        assert_eq!(readings.find(Asked { preferences: body, ..json }, query), None);
        assert_eq!(readings.find(Asked { app: 2, ..json }, query), None);
    }

    #[test]
    fn only_so_many_readings_are_kept() {
        let readings = Readings::new();
        let queries: Vec<String> = (0..1_000).map(|number| format!("type=A{number}")).collect();
        for query in &queries {
            readings.keep(asked(1, Media::Json), Some(query), &Arc::new(query.clone()));
        }
        let found = |query: &String| readings.find(asked(1, Media::Json), Some(query)).is_some();
        let known = queries.iter().filter(|query| found(query)).count();
        assert!((1..=PLACES).contains(&known), "{known}");
        let long = "x".repeat(MAX_QUERY + 1);
        readings.keep(asked(1, Media::Json), Some(&long), &Arc::new(String::new()));
        assert!(!found(&long));
    }
}
