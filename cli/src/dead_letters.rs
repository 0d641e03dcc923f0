//! `musubi dead-letters`: what could not be delivered or mapped.

use std::io::Write;

use http::Method;
use musubi_model::{Clock as _, SystemClock};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::api::Api;
use crate::args::{DeadLetters, Meant, Target, Which};
use crate::table::{Column, Table, plain};

const PATH: &str = "/musubi/v1/dead-letters";
const PAGE: usize = 200;
/// The most letters that are replayed in one request.
const REPLAYED: usize = 1_000;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: DeadLetters, out: &mut dyn Write) -> Result<(), String> {
    match command {
        DeadLetters::List { meant, limit, after, json, target } => {
            // A table has no room for payloads.
            let payload = if json { "true" } else { "false" };
            let listed = letters(&api(&target)?, &meant, payload, (after, limit)).await?;
            if json {
                return write(out, &pretty(&listed.letters.into()));
            }
            if listed.letters.is_empty() {
                let such = if meant.is_all() { "" } else { "such " };
                write(out, &format!("there are no {such}dead letters"))?;
            }
            list(&listed, out)
        }
        DeadLetters::Show { id, target } => {
            let letter = api(&target)?.call(Method::GET, &path(&id), None).await?;
            write(out, &pretty(&letter))
        }
        DeadLetters::Replay { which: Which { id, meant }, target } => match id {
            Some(id) if id != "all" => {
                let replay = format!("{}/replay", path(&id));
                api(&target)?.call(Method::POST, &replay, None).await?;
                write(out, &format!("{}  accepted", plain(&id)))
            }
            Some(_) | None => replay(&api(&target)?, &meant, out).await,
        },
        DeadLetters::Purge { which: Which { id, meant }, target } => match id {
            Some(id) if id != "all" => {
                api(&target)?.call(Method::DELETE, &path(&id), None).await?;
                write(out, "1 letter thrown away")
            }
            Some(_) | None => purge(&api(&target)?, &meant, out).await,
        },
    }
}

fn api(target: &Target) -> Result<Api, String> {
    Api::new(&target.broker, target.tenant.as_deref())
}

fn path(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // A plus stands for itself in a path.
    format!("{PATH}/{}", encoded.replace('+', "%20"))
}

/// The query of a request for the letters that are meant.
struct Query<'m> {
    meant: &'m Meant,
    /// The moment before which a letter was given up, the same in every request.
    before: Option<String>,
}

impl<'m> Query<'m> {
    fn new(meant: &'m Meant) -> Self {
        let micros = |age: std::time::Duration| i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let now = SystemClock.now();
        let before = meant.older_than.map(|age| now.plus_micros(-micros(age)).to_string());
        Self { meant, before }
    }

    fn text(&self, after: &str, limit: Option<usize>) -> String {
        let mut query = Serializer::new(String::new());
        let texts = [
            ("subscription", self.meant.subscription.as_deref()),
            ("adapter", self.meant.adapter.as_deref()),
            ("before", self.before.as_deref()),
            ("after", Some(after)),
        ];
        for (name, value) in texts {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        query.extend_pairs(limit.map(|limit| ("limit", limit.to_string())));
        query.finish()
    }
}

/// Letters, and the id after which there are more.
struct Listed {
    letters: Vec<Value>,
    next: Option<String>,
}

async fn letters(
    api: &Api,
    meant: &Meant,
    payload: &str,
    (mut after, limit): (String, usize),
) -> Result<Listed, String> {
    let query = Query::new(meant);
    let mut letters: Vec<Value> = Vec::new();
    loop {
        let wanted = limit.saturating_sub(letters.len()).min(PAGE);
        if wanted == 0 {
            return Ok(Listed { letters, next: Some(after) });
        }
        let path = format!("{PATH}?{}&payload={payload}", query.text(&after, Some(wanted)));
        let answer = api.call(Method::GET, &path, None).await?;
        let page = answer.get("deadLetters").and_then(Value::as_array);
        letters.extend_from_slice(page.ok_or("the broker's answer is no list")?);
        match next(&answer) {
            Some(next) => after = next,
            None => return Ok(Listed { letters, next: None }),
        }
    }
}

fn next(answer: &Value) -> Option<String> {
    answer.get("next").and_then(Value::as_str).map(str::to_owned)
}

fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(letter: &'a Value, name: &str) -> &'a str {
    letter.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list(listed: &Listed, out: &mut dyn Write) -> Result<(), String> {
    let columns = ["ID", "GIVEN UP", "OF", "FROM OR TO"].map(Column::Text);
    let [id, at, of, place] = columns;
    let mut table =
        Table::new([id, at, of, place, Column::Number("CHANGES"), Column::Text("REASON")]);
    for letter in &listed.letters {
        let first = |names: [&str; 2]| {
            let texts = names.map(|name| text(letter, name));
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or("-").to_owned()
        };
        let changes = letter.get("changes").and_then(Value::as_u64);
        table.add([
            text(letter, "id").to_owned(),
            text(letter, "at").to_owned(),
            first(["adapter", "subscription"]),
            first(["origin", "endpoint"]),
            changes.map_or_else(|| "-".to_owned(), |changes| changes.to_string()),
            text(letter, "reason").to_owned(),
        ]);
    }
    if !table.is_empty() {
        write(out, table.text().trim_end())?;
    }
    match &listed.next {
        Some(next) => write(out, &format!("there may be more: --after {}", plain(next))),
        None => Ok(()),
    }
}

async fn replay(api: &Api, meant: &Meant, out: &mut dyn Write) -> Result<(), String> {
    let query = Query::new(meant);
    let (mut replayed, mut refused) = (0, 0);
    let mut after = String::new();
    loop {
        let path = format!("{PATH}/replay?{}", query.text(&after, Some(REPLAYED)));
        let answer = api.call_for_long(Method::POST, &path).await?;
        replayed += number(&answer, "replayed");
        let failed = answer.get("failed").and_then(Value::as_array);
        for letter in failed.into_iter().flatten() {
            refused += 1;
            let line = format!("{}  {}", text(letter, "id"), text(letter, "reason"));
            write(out, &plain(&line))?;
        }
        match next(&answer) {
            Some(next) if next != after => {
                write(out, &format!("{replayed} arrived, {} left", number(&answer, "left")))?;
                after = next;
            }
            Some(_) | None => break,
        }
    }
    write(out, &format!("{replayed} arrived, {refused} refused again"))?;
    if refused > 0 { Err(format!("{refused} were refused again, and stay")) } else { Ok(()) }
}

async fn purge(api: &Api, meant: &Meant, out: &mut dyn Write) -> Result<(), String> {
    let query = Query::new(meant);
    let mut purged = 0;
    let mut after = String::new();
    loop {
        let path = format!("{PATH}?{}", query.text(&after, None));
        let answer = api.call_for_long(Method::DELETE, &path).await?;
        purged += number(&answer, "purged");
        match next(&answer) {
            Some(next) if next != after => after = next,
            Some(_) | None => break,
        }
    }
    let letters = if purged == 1 { "letter" } else { "letters" };
    write(out, &format!("{purged} {letters} thrown away"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn write(out: &mut dyn Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}
