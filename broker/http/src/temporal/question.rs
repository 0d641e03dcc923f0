//! What is asked of evolutions, as far as one and many are asked alike.

use http::HeaderMap;
use musubi_context::Context;
use musubi_model::SCOPE;
use musubi_query::{EvolutionStart, Filter, Shown, TemporalQuery};
use musubi_view::{Datasets, Languages, Projection, Special};

use super::page::View;
use super::parameters::{self, Form, Times};
use crate::app::App;
use crate::error::Error;
use crate::request::accept;
use crate::request::entity_map::MapRequest;
use crate::request::names;
use crate::request::parameters::Parameters;

/// The parameters that say how evolutions are to look.
pub(crate) const SHOWN: &[&str] = &[
    "attrs",
    "pick",
    "omit",
    "options",
    "format",
    "sysAttrs",
    "lang",
    "datasetId",
    "entityMap",
    "entityMapLifetime",
];

/// A question for evolutions, and how to show them.
#[derive(Debug)]
pub(crate) struct Question {
    /// The question; of which entities is not said yet, nor of which part of them.
    pub(crate) query: TemporalQuery,
    pub(crate) view: View,
    pub(crate) map: MapRequest,
    /// Whether `options` asks for the count.
    pub(crate) counted: bool,
}

impl Question {
    /// Reads what a request says, whose names are to be read in `context`.
    pub(crate) fn read(
        headers: &HeaderMap,
        parameters: &Parameters,
        context: Context,
        app: &App,
    ) -> Result<Self, Error> {
        let options = parameters.options(parameters::OPTIONS)?;
        let form = Form::read(parameters, &options)?;
        let system = parameters.flag("sysAttrs")? || options.contains(&"sysAttrs");
        parameters.flag("local")?;
        let map = MapRequest::read(headers, parameters, &context)?;
        let media = accept::negotiate(headers, accept::LINKED)?;
        let attributes = parameters
            .get("attrs")
            .map(|list| names::attributes("attrs", list, &context))
            .transpose()?;
        let (pick, omit) = (parameters.get("pick"), parameters.get("omit"));
        let projection = Projection::parse(pick, omit, &context)?;
        // No linked entities are shown with an evolution.
        Special::check_depth(&projection, None)?;
        if attributes.is_some() && !projection.is_whole() {
            let reason = "attrs cannot be used together with pick or omit";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        let datasets = parameters.get("datasetId").map(Datasets::parse).transpose()?;
        let languages = parameters.get("lang").map(Languages::parse).transpose()?;
        let times = Times::read(parameters)?;
        let query = TemporalQuery {
            filter: Filter::default(),
            property: times.property,
            range: times.relation,
            attributes,
            keep_empty: false,
            shown: shown(&projection),
            datasets: datasets.map(|datasets| datasets.sets()),
            values: None,
            geo: None,
            scope: None,
            last: times.last,
            start: EvolutionStart::Offset(0),
            limit: 1,
            count: false,
            instances: app.limits.history_instances.max(1),
            // The other half is for the times and names that stand beside the text.
            bytes: app.limits.answer / 2,
            aggregation: parameters::aggregation(parameters, form)?,
        };
        let counted = options.contains(&"count");
        let longest = app.limits.answer;
        let view = View { media, context, form, system, projection, languages, times, longest };
        Ok(Self { query, view, map, counted })
    }
}

/// The attributes that are shown, the scopes among them.
fn shown(projection: &Projection) -> Shown {
    let scope = SCOPE.parse().ok();
    let mut omitted = projection.omitted();
    if let Some(mut picked) = projection.picked() {
        picked.extend(scope.filter(|_| projection.shows_member("scope")));
        picked.retain(|name| !omitted.contains(name));
        return Shown::Only(picked);
    }
    omitted.extend(scope.filter(|_| !projection.shows_member("scope")));
    if omitted.is_empty() { Shown::All } else { Shown::Without(omitted) }
}
