//! Values of settings, out of the texts of a file, a variable or a flag.

use std::time::Duration;

use musubi_broker::TenantSet;
use musubi_model::Tenant;

use super::InvalidSettings;
use super::file::{Flag, Number};

pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn unusable(key: &str, value: &str, wanted: &str) -> InvalidSettings {
    InvalidSettings(format!("{key} = {value:?} cannot be used; it takes {wanted}"))
}

pub(super) fn parse<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, InvalidSettings>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| InvalidSettings(format!("{key} = {text:?} cannot be used: {error}")))
}

pub(super) fn duration(key: &str, text: &str) -> Result<Duration, InvalidSettings> {
    humantime::parse_duration(text)
        .map_err(|error| InvalidSettings(format!("{key} = {text:?} cannot be used: {error}")))
}

pub(super) fn tenants(key: &str, names: &[String]) -> Result<TenantSet, InvalidSettings> {
    if names.iter().any(|name| name == "*") {
        return Ok(TenantSet::All);
    }
    let tenant = |name: &String| match name.as_str() {
        "default" => Ok(Tenant::default()),
        name => parse::<Tenant>(key, name),
    };
    names.iter().map(tenant).collect::<Result<_, _>>().map(TenantSet::These)
}

pub(super) fn number(
    key: &str,
    given: Option<Number>,
    default: u64,
) -> Result<u64, InvalidSettings> {
    match given {
        None => Ok(default),
        Some(Number::Whole(number)) => Ok(number),
        Some(Number::Text(text)) => parse(key, &text),
    }
}

pub(super) fn flag(key: &str, given: Option<Flag>, default: bool) -> Result<bool, InvalidSettings> {
    match given {
        None => Ok(default),
        Some(Flag::Plain(flag)) => Ok(flag),
        Some(Flag::Text(text)) => text.parse().map_err(|_| unusable(key, &text, "true or false")),
    }
}

/// A number of things or bytes that are held in memory.
pub(super) fn size(
    key: &str,
    given: Option<Number>,
    default: usize,
) -> Result<usize, InvalidSettings> {
    let Some(given) = given else { return Ok(default) };
    usize::try_from(number(key, Some(given), 0)?)
        .map_err(|_| unusable(key, "the value", "a smaller number"))
}

/// A number from `least` to `most` of things that are counted.
pub(super) fn count<T: TryFrom<u64> + TryInto<u64> + Copy>(
    key: &str,
    given: Option<Number>,
    default: T,
    (least, most): (u64, u64),
) -> Result<T, InvalidSettings> {
    let Some(given) = given else { return Ok(default) };
    let number = number(key, Some(given), 0)?;
    let wanted = || unusable(key, &number.to_string(), &format!("a number from {least} to {most}"));
    if !(least..=most).contains(&number) {
        return Err(wanted());
    }
    T::try_from(number).map_err(|_| wanted())
}

/// A time that is not nothing.
pub(super) fn pause(
    key: &str,
    given: Option<&str>,
    default: Duration,
) -> Result<Duration, InvalidSettings> {
    let Some(text) = given else { return Ok(default) };
    match duration(key, text)? {
        Duration::ZERO => Err(unusable(key, text, "a time that is more than 0")),
        time => Ok(time),
    }
}
