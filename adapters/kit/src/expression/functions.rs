//! The functions that expressions have beside those of CEL itself.

use cel::extractors::Arguments;
use cel::{Context, ExecutionError, Value};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What CEL itself names, without the time functions, which this build has not.
const STANDARD: [&str; 15] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "type",
    "dyn",
    "min",
    "max",
];

const OWN: [&str; 3] = ["round", "clamp", "parse_time"];

const TYPES: [&str; 10] =
    ["int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type", "type"];

/// Whether an expression may call this. Operators are functions, too, and are not words.
pub(super) fn is_known(name: &str) -> bool {
    let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_operator || STANDARD.contains(&name) || OWN.contains(&name)
}

/// Whether this is the name of a type.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Adds our functions.
pub(super) fn add(context: &mut Context<'_, '_>) {
    let added = context
        .add_function("round", round)
        .and_then(|()| context.add_function("clamp", clamp))
        .and_then(|()| context.add_function("parse_time", parse_time));
    // Only a name that CEL has already is refused, and then expressions say so.
    if let Err(error) = added {
        tracing::error!("a function of expressions could not be added: {error}");
    }
}

fn wrong(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

fn number(function: &str, value: &Value) -> Result<f64, ExecutionError> {
    if let Value::Float(float) = value {
        return Ok(*float);
    }
    let mut text = None;
    if let Value::Int(integer) = value {
        text = Some(integer.to_string());
    }
    if let Value::UInt(integer) = value {
        text = Some(integer.to_string());
    }
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong(function, &format!("{} is not a number", value.type_of())))
}

fn text<'a>(function: &str, value: &'a Value) -> Result<&'a str, ExecutionError> {
    if let Value::String(text) = value {
        return Ok(text.as_str());
    }
    Err(wrong(function, &format!("{} is not a text", value.type_of())))
}

/// `round(x)`, `round(x, digits)`: half away from zero, with up to 12 digits after the point.
fn round(Arguments(arguments): Arguments) -> Result<Value, ExecutionError> {
    let (value, digits) = match arguments.as_slice() {
        [value] => (number("round", value)?, 0.0),
        [value, digits] => (number("round", value)?, number("round", digits)?),
        _ => return Err(wrong("round", "takes a number and the digits after the point")),
    };
    if !(0.0..=12.0).contains(&digits) {
        return Err(wrong("round", "rounds to 0 to 12 digits after the point"));
    }
    let factor = 10.0_f64.powf(digits.trunc());
    Ok(Value::Float((value * factor).round() / factor))
}

/// `clamp(x, low, high)`.
fn clamp(Arguments(arguments): Arguments) -> Result<Value, ExecutionError> {
    let [value, low, high] = arguments.as_slice() else {
        return Err(wrong("clamp", "takes a number, the smallest and the largest"));
    };
    let (value, low, high) =
        (number("clamp", value)?, number("clamp", low)?, number("clamp", high)?);
    if low.is_nan() || high.is_nan() || low > high {
        return Err(wrong("clamp", "the smallest is larger than the largest"));
    }
    Ok(Value::Float(value.clamp(low, high)))
}

/// `parse_time(text, format, timezone)`: a time in a form of its own, such as
/// `parse_time(m.t, "%Y/%m/%d %H:%M", "Asia/Tokyo")`, as RFC 3339.
fn parse_time(Arguments(arguments): Arguments) -> Result<Value, ExecutionError> {
    let [given, format, zone] = arguments.as_slice() else {
        return Err(wrong("parse_time", "takes a text, a format and a time zone"));
    };
    let zone = TimeZone::get(text("parse_time", zone)?)
        .map_err(|_| wrong("parse_time", "there is no such time zone"))?;
    let time = DateTime::strptime(text("parse_time", format)?, text("parse_time", given)?)
        .map_err(|error| wrong("parse_time", &error.to_string()))?
        .to_zoned(zone)
        .map_err(|error| wrong("parse_time", &error.to_string()))?;
    Ok(Value::from(time.timestamp().to_string()))
}
