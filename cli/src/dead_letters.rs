//! `musubi dead-letters`: what could not be delivered or mapped.

use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::api::Api;
use crate::args::{DeadLetters, Target};

const PATH: &str = "/musubi/v1/dead-letters";
const PAGE: usize = 200;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: DeadLetters, out: &mut dyn Write) -> Result<(), String> {
    match command {
        DeadLetters::List(target) => list(&api(&target)?, out).await,
        DeadLetters::Show { id, target } => {
            let letter = api(&target)?.call(Method::GET, &path(&id), None).await?;
            let text = serde_json::to_string_pretty(&letter).unwrap_or_default();
            write(out, &text)
        }
        DeadLetters::Replay { id, target } => {
            let api = api(&target)?;
            let ids = if id == "all" { ids(&api).await? } else { vec![id] };
            let mut refused = 0;
            for id in ids {
                match api.call(Method::POST, &format!("{}/replay", path(&id)), None).await {
                    Ok(_) => write(out, &format!("{id}  accepted"))?,
                    Err(reason) => {
                        refused += 1;
                        write(out, &format!("{id}  {reason}"))?;
                    }
                }
            }
            if refused > 0 { Err(format!("{refused} were refused again")) } else { Ok(()) }
        }
        DeadLetters::Purge { id, target } => {
            let path = if id == "all" { PATH.to_owned() } else { path(&id) };
            api(&target)?.call(Method::DELETE, &path, None).await?;
            write(out, "gone")
        }
    }
}

fn api(target: &Target) -> Result<Api, String> {
    Api::new(&target.broker, target.tenant.as_deref())
}

fn path(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{PATH}/{encoded}")
}

async fn page(api: &Api, after: &str) -> Result<Vec<Value>, String> {
    let after: String = url::form_urlencoded::byte_serialize(after.as_bytes()).collect();
    let answer = api.call(Method::GET, &format!("{PATH}?limit={PAGE}&after={after}"), None).await?;
    let letters = answer.get("deadLetters").and_then(Value::as_array).cloned();
    letters.ok_or_else(|| "the broker's answer is no list".to_owned())
}

fn text<'a>(letter: &'a Value, name: &str) -> &'a str {
    letter.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn list(api: &Api, out: &mut dyn Write) -> Result<(), String> {
    let mut after = String::new();
    let mut count = 0_usize;
    loop {
        let letters = page(api, &after).await?;
        let Some(last) = letters.last() else { break };
        text(last, "id").clone_into(&mut after);
        for letter in &letters {
            count += 1;
            let of = match text(letter, "adapter") {
                "" => text(letter, "subscription"),
                adapter => adapter,
            };
            let line = format!(
                "{}  {}  {of}  {}: {}",
                text(letter, "id"),
                text(letter, "at"),
                text(letter, "origin"),
                text(letter, "reason")
            );
            write(out, &line)?;
        }
    }
    if count == 0 { write(out, "there are no dead letters") } else { Ok(()) }
}

async fn ids(api: &Api) -> Result<Vec<String>, String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let letters = page(api, ids.last().map_or("", String::as_str)).await?;
        if letters.is_empty() {
            return Ok(ids);
        }
        ids.extend(letters.iter().map(|letter| text(letter, "id").to_owned()));
    }
}

fn write(out: &mut dyn Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}
