//! What a request for evolutions says with its parameters (CIM 009, clauses 4.11, 6.3.12, 6.18.3.2
//! and 6.19.3.1).

use std::str::FromStr;

use musubi_model::Timestamp;
use musubi_query::{
    Aggregation, AggregationMethod, PeriodDuration, TemporalProperty, TimeRelation, Zone,
};

use crate::error::Error;
use crate::request::parameters::Parameters;

/// The parameters that say which instances are meant, and what to make of them.
pub(crate) const INSTANCES: &[&str] = &[
    "timerel",
    "timeAt",
    "endTimeAt",
    "timeproperty",
    "lastN",
    "aggrMethods",
    "aggrPeriodDuration",
    "timezone",
];

/// The words by which `options` says how evolutions are to look.
pub(crate) const OPTIONS: &[&str] =
    &["normalized", "temporalValues", "aggregatedValues", "sysAttrs", "count"];

/// How evolutions are to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Arrays of instances (clause 4.5.6).
    #[default]
    Instances,
    /// Values with their times (clause 4.5.9).
    Values,
    /// What the values come to (clause 4.5.19).
    Aggregates,
}

impl Form {
    /// The form that a request names; `format` wins over `options`. A body that names methods of
    /// aggregation asks for aggregates.
    pub(crate) fn read(parameters: &Parameters, options: &[&str]) -> Result<Self, Error> {
        let named: Vec<Self> = options.iter().filter_map(|word| Self::named(word)).collect();
        if let [first, rest @ ..] = named.as_slice()
            && rest.iter().any(|other| other != first)
        {
            let reason = "options: only one of normalized, temporalValues and aggregatedValues \
                          can be asked for";
            return Err(Error::InvalidRequest(reason.to_owned()));
        }
        if let Some(format) = parameters.get("format") {
            return Self::named(format).ok_or_else(|| {
                let known = "normalized, temporalValues and aggregatedValues";
                Error::InvalidRequest(format!(
                    "there is no format {format:?} here; known are {known}"
                ))
            });
        }
        let in_body = parameters.iter().any(|one| one.name == "aggrMethods" && !one.in_url);
        let otherwise = if in_body { Self::Aggregates } else { Self::Instances };
        Ok(named.first().copied().unwrap_or(otherwise))
    }

    fn named(word: &str) -> Option<Self> {
        match word {
            "normalized" => Some(Self::Instances),
            "temporalValues" => Some(Self::Values),
            "aggregatedValues" => Some(Self::Aggregates),
            _ => None,
        }
    }
}

/// Which instances are meant, by their times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    /// Which time of an instance counts.
    pub(crate) property: TemporalProperty,
    /// When; at any time, if there is none.
    pub(crate) relation: Option<TimeRelation>,
    /// The most instances of each attribute, the last ones.
    pub(crate) last: Option<usize>,
}

impl Times {
    /// Reads the parameters of a temporal query.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Error> {
        let property = match parameters.get("timeproperty") {
            None => TemporalProperty::default(),
            Some(text) => text.parse().map_err(|()| {
                let known = "observedAt, createdAt, modifiedAt or deletedAt";
                wrong("timeproperty", &format!("{known}, and not {text:?}"))
            })?,
        };
        let last = parameters.number("lastN")?;
        if last == Some(0) {
            return Err(wrong("lastN", "a whole number, 1 or more"));
        }
        Ok(Self { property, relation: relation(parameters)?, last })
    }
}

fn relation(parameters: &Parameters) -> Result<Option<TimeRelation>, Error> {
    let start = time(parameters, "timeAt")?;
    let end = time(parameters, "endTimeAt")?;
    let missing = |name: &str, relation: &str| {
        Error::BadRequestData(format!("{name} has to be there with timerel={relation}"))
    };
    let Some(relation) = parameters.get("timerel") else {
        let alone = start.map(|_| "timeAt").or(end.map(|_| "endTimeAt"));
        return match alone {
            None => Ok(None),
            Some(name) => Err(Error::BadRequestData(format!(
                "{name} says nothing without timerel, which has to be there"
            ))),
        };
    };
    if !matches!(relation, "before" | "after" | "between") {
        return Err(wrong("timerel", &format!("before, after or between, and not {relation:?}")));
    }
    let start = start.ok_or_else(|| missing("timeAt", relation))?;
    match (relation, end) {
        ("between", Some(end)) => Ok(Some(TimeRelation::Between(start, end))),
        ("between", None) => Err(missing("endTimeAt", relation)),
        (_, Some(_)) => {
            let reason = "endTimeAt is the end of timerel=between, and of nothing else";
            Err(Error::BadRequestData(reason.to_owned()))
        }
        ("before", None) => Ok(Some(TimeRelation::Before(start))),
        (_, None) => Ok(Some(TimeRelation::After(start))),
    }
}

fn time(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, Error> {
    read(parameters, name, |text| text.parse().map_err(|error| format!("{error}")))
}

/// What to make of the values, if that is asked for. What it says of it is read in any case.
pub(crate) fn aggregation(
    parameters: &Parameters,
    form: Form,
) -> Result<Option<Aggregation>, Error> {
    let methods = read(parameters, "aggrMethods", methods)?;
    let period = read(parameters, "aggrPeriodDuration", |text| {
        PeriodDuration::from_str(text).map_err(|error| error.to_string())
    })?;
    let zone = read(parameters, "timezone", |text| {
        Zone::from_str(text).map_err(|error| error.to_string())
    })?;
    match (form, methods) {
        (Form::Instances | Form::Values, _) => Ok(None),
        (Form::Aggregates, None) => {
            let reason = "aggrMethods has to be there, because aggregatedValues are asked for";
            Err(Error::BadRequestData(reason.to_owned()))
        }
        (Form::Aggregates, Some(methods)) => Ok(Some(Aggregation {
            methods,
            period: period.unwrap_or_default(),
            zone: zone.unwrap_or(Zone::UTC),
        })),
    }
}

/// The methods of a list, each once.
fn methods(text: &str) -> Result<Vec<AggregationMethod>, String> {
    let mut methods = Vec::new();
    for name in text.split(',').map(str::trim) {
        let method = name.parse().map_err(|()| {
            let known = AggregationMethod::ALL.map(AggregationMethod::as_str).join(", ");
            let name: String = name.chars().take(80).collect();
            format!("there is no method {name:?}; known are {known}")
        })?;
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(methods)
}

fn read<T>(
    parameters: &Parameters,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let parsed = parameters.get(name).map(parse).transpose();
    parsed.map_err(|reason| Error::BadRequestData(format!("{name}: {reason}")))
}

fn wrong(name: &str, expected: &str) -> Error {
    Error::BadRequestData(format!("{name}: expected is {expected}"))
}
