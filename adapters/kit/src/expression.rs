//! The expressions of mapping files: paths and CEL. The only module that names the `cel` crate.
//!
//! A **path** is `m`, `topic`, `device` or `arrival` and members behind dots (`m.object.laeq`),
//! or a JSON Pointer into the message (`/object/laeq`). It is resolved on the JSON itself.
//! Everything else is **CEL**, with the same four variables and the functions `round(x, digits)`,
//! `clamp(x, low, high)` and `parse_time(text, format, timezone)`.
//!
//! Numbers: JSON does not tell 20 from 20.0, and CEL refuses to compute with an integer and a
//! float. So an expression that holds a float literal or divides computes with floats: every
//! number of the JSON is one, and so is every integer literal that stands beside an arithmetic
//! operator. Any other expression keeps integers, and is computed with floats if that fails.
//! For the division of integers write `int(m.a / m.b)`.

mod functions;
mod template;
mod tree;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError};
use musubi_model::Timestamp;
use serde_json::Value;

pub(crate) use template::Template;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 2048;
/// The deepest brackets, and the most operators: the interpreter is recursive, and its stack is
/// that of a worker thread.
const MAX_DEPTH: usize = 8;
const MAX_OPERATORS: usize = 32;

/// The stack of the thread that parses: the parser takes a dozen calls for each bracket.
const PARSER_STACK: usize = 64 * 1024 * 1024;

const VARIABLES: [&str; 4] = ["m", "topic", "device", "arrival"];

/// The environment and the functions, which all expressions share.
static ROOT: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut context = Context::with_env(Arc::new(Env::stdlib()));
    functions::add(&mut context);
    context
});

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Expression {
    /// A member of a variable.
    Path(Path),
    /// The message at a JSON Pointer.
    Pointer(String),
    /// Anything else.
    Cel(Box<Program>),
}

/// A variable and the members to go through.
#[derive(Debug)]
pub(crate) struct Path {
    variable: Variable,
    members: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Message,
    Topic,
    Device,
    Arrival,
}

/// A CEL expression, as it was written and computing with floats.
#[derive(Debug)]
pub(crate) struct Program {
    exact: cel::parser::Expression,
    float: cel::parser::Expression,
    is_float: bool,
}

/// Why an expression gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something that it names is not there, or null.
    Missing(String),
    /// It could not be computed.
    Failed(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "{what} is not there"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

/// What an expression can see. Made once per message: conversions for CEL are kept.
pub(crate) struct Scope<'a> {
    topic: &'a BTreeMap<String, String>,
    message: &'a Value,
    device: &'a Value,
    arrival: Timestamp,
    exact: OnceCell<Context<'static, 'static>>,
    float: OnceCell<Context<'static, 'static>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        topic: &'a BTreeMap<String, String>,
        message: &'a Value,
        device: &'a Value,
        arrival: Timestamp,
    ) -> Self {
        let (exact, float) = (OnceCell::new(), OnceCell::new());
        Self { topic, message, device, arrival, exact, float }
    }

    /// When the message came in.
    pub(crate) fn arrival(&self) -> Timestamp {
        self.arrival
    }

    fn context(&self, float: bool) -> &Context<'static, 'static> {
        let cell = if float { &self.float } else { &self.exact };
        cell.get_or_init(|| {
            let mut context = ROOT.new_inner_scope();
            let topic = self
                .topic
                .iter()
                .map(|(name, value)| (Key::from(name.clone()), cel::Value::from(value.clone())));
            let topic = Map { map: Arc::new(topic.collect::<HashMap<_, _>>()) };
            context.add_variable_from_value("topic", cel::Value::Map(topic));
            context.add_variable_from_value("m", to_cel(self.message, float));
            context.add_variable_from_value("device", to_cel(self.device, float));
            context.add_variable_from_value("arrival", self.arrival.to_string());
            context
        })
    }
}

impl Expression {
    /// Compiles a path or a CEL expression.
    ///
    /// The error is a sentence.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("an expression has at most {MAX_BYTES} bytes"));
        }
        if text.starts_with('/') {
            return Ok(Self::Pointer(text.to_owned()));
        }
        if let Some(path) = Path::parse(text) {
            return Ok(Self::Path(path));
        }
        check_nesting(text)?;
        Program::compile(text).map(|program| Self::Cel(Box::new(program)))
    }

    /// The value; never null.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        match self {
            Self::Path(path) => path.resolve(scope),
            Self::Pointer(pointer) => present(scope.message.pointer(pointer), || pointer.clone()),
            Self::Cel(program) => program.evaluate(scope),
        }
    }
}

fn check_nesting(text: &str) -> Result<(), String> {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '{' => depth += 1,
            '[' => {
                depth += 1;
                operators += 1;
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            // The second half of "==", "&&" and the like, and the point of a number.
            '=' | '&' | '|' if "=&|!<>".contains(before) => {}
            '.' if before.is_ascii_digit() => {}
            '+' | '-' | '*' | '/' | '%' | '!' | '<' | '>' | '=' | '&' | '|' | '?' | '.' => {
                operators += 1;
            }
            _ => {}
        }
        deepest = deepest.max(depth);
        before = c;
    }
    if deepest > MAX_DEPTH || operators > MAX_OPERATORS {
        return Err(format!(
            "an expression has at most {MAX_DEPTH} brackets in each other and {MAX_OPERATORS} \
             operators, dots included"
        ));
    }
    Ok(())
}

fn present(value: Option<&Value>, name: impl FnOnce() -> String) -> Result<Value, Failure> {
    match value {
        None | Some(Value::Null) => Err(Failure::Missing(name())),
        Some(value) => Ok(value.clone()),
    }
}

impl Path {
    /// A path, if that is all that the text is.
    fn parse(text: &str) -> Option<Self> {
        let mut segments = text.trim().split('.');
        let variable = match segments.next()? {
            "m" => Variable::Message,
            "topic" => Variable::Topic,
            "device" => Variable::Device,
            "arrival" => Variable::Arrival,
            _ => return None,
        };
        let is_name = |segment: &str| {
            segment.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let members: Vec<String> = segments
            .map(|segment| is_name(segment).then(|| segment.to_owned()))
            .collect::<Option<_>>()?;
        let fits = match variable {
            Variable::Message | Variable::Device => true,
            Variable::Topic => members.len() == 1,
            Variable::Arrival => members.is_empty(),
        };
        fits.then_some(Self { variable, members })
    }

    fn resolve(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        let start = match self.variable {
            Variable::Message => scope.message,
            Variable::Device => scope.device,
            Variable::Arrival => return Ok(Value::from(scope.arrival.to_string())),
            Variable::Topic => {
                let value = self.members.first().and_then(|name| scope.topic.get(name));
                return value
                    .map(|text| Value::from(text.as_str()))
                    .ok_or_else(|| Failure::Missing(self.name()));
            }
        };
        let found = self.members.iter().try_fold(start, |value, member| value.get(member));
        present(found, || self.name())
    }

    fn name(&self) -> String {
        let variable = match self.variable {
            Variable::Message => "m",
            Variable::Topic => "topic",
            Variable::Device => "device",
            Variable::Arrival => "arrival",
        };
        std::iter::once(variable)
            .chain(self.members.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl Program {
    fn compile(text: &str) -> Result<Self, String> {
        let exact = parse(text)?;
        let mut float = exact.clone();
        let own = tree::own_variables(&mut float);
        let references = exact.references();
        let known = |name: &str| known_variable(name) || own.iter().any(|own| own == name);
        if let Some(unknown) = references.variables().iter().find(|name| !known(name)) {
            return Err(format!(
                "{unknown:?} is not known in {text:?}; an expression sees m, topic, device and \
                 arrival"
            ));
        }
        let functions = references.functions();
        if let Some(unknown) = functions.iter().find(|name| !functions::is_known(name)) {
            return Err(format!("there is no function {unknown:?} (in {text:?})"));
        }
        let is_float = tree::computes_with_floats(&mut float);
        tree::make_float(&mut float);
        Ok(Self { exact, float, is_float })
    }

    fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        if self.is_float {
            return finish(cel::Value::resolve(&self.float, scope.context(true)));
        }
        match cel::Value::resolve(&self.exact, scope.context(false)) {
            Err(error) if is_mixed(&error) => {
                finish(cel::Value::resolve(&self.float, scope.context(true)))
            }
            result => finish(result),
        }
    }
}

/// Parses on a stack that is large enough for every expression within the limits.
fn parse(text: &str) -> Result<cel::parser::Expression, String> {
    let owned = text.to_owned();
    let parser = std::thread::Builder::new().stack_size(PARSER_STACK).spawn(move || {
        cel::parser::Parser::new().parse(&owned).map_err(|errors| {
            errors.errors.first().map(|error| error.msg.clone()).unwrap_or_default()
        })
    });
    let parsed = parser
        .map_err(|error| error.to_string())
        .and_then(|thread| thread.join().unwrap_or_else(|_| Err("the parser gave up".to_owned())));
    parsed.map_err(|reason| format!("{text:?} is not an expression: {reason}"))
}

fn known_variable(name: &str) -> bool {
    // The parser's own accumulator in comprehensions begins so.
    VARIABLES.contains(&name) || name.starts_with('@') || functions::is_type(name)
}

/// Whether an error may come from computing with an integer and a float.
fn is_mixed(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnexpectedType { .. }
    )
}

fn finish(result: Result<cel::Value, ExecutionError>) -> Result<Value, Failure> {
    match result {
        Ok(cel::Value::Null) => Err(Failure::Missing("the value".to_owned())),
        Ok(value) => to_json(&value).map_err(Failure::Failed),
        Err(ExecutionError::NoSuchKey(key)) => Err(Failure::Missing(key.to_string())),
        Err(error) => Err(Failure::Failed(short(&error.to_string()))),
    }
}

/// An error's text may show a whole message; the beginning is enough.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

fn to_cel(value: &Value, float: bool) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(flag) => cel::Value::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) if !float => cel::Value::Int(integer),
            (None, Some(integer)) if !float => cel::Value::UInt(integer),
            _ => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::from(text.clone()),
        Value::Array(items) => {
            cel::Value::List(Arc::new(items.iter().map(|item| to_cel(item, float)).collect()))
        }
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| (Key::from(name.clone()), to_cel(value, float)));
            cel::Value::Map(Map { map: Arc::new(members.collect()) })
        }
    }
}

fn to_json(value: &cel::Value) -> Result<Value, String> {
    match value {
        cel::Value::Null => Ok(Value::Null),
        cel::Value::Bool(flag) => Ok(Value::Bool(*flag)),
        cel::Value::Int(integer) => Ok(Value::from(*integer)),
        cel::Value::UInt(integer) => Ok(Value::from(*integer)),
        cel::Value::Float(float) => tree::to_json(*float),
        cel::Value::String(text) => Ok(Value::from(text.as_str())),
        cel::Value::List(items) => items.iter().map(to_json).collect(),
        cel::Value::Map(map) => {
            let mut members: Vec<(String, Value)> = Vec::with_capacity(map.map.len());
            for (key, value) in map.map.iter() {
                members.push((key.to_string(), to_json(value)?));
            }
            // The map has no order of its own, and the same value has to be the same text.
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Ok(Value::Object(members.into_iter().collect()))
        }
        cel::Value::Bytes(_)
        | cel::Value::Function(..)
        | cel::Value::Opaque(_)
        | cel::Value::Struct(_) => Err("the value of an expression has to be JSON".to_owned()),
    }
}

#[cfg(test)]
mod tests;
