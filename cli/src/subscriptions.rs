//! `musubi subscriptions`: how subscriptions stand, those in trouble first.

use std::io::Write;

use http::Method;
use musubi_model::{Clock as _, SystemClock, Timestamp};
use serde_json::Value;

use crate::api::Api;
use crate::args::Subscriptions;
use crate::table::{Column, Table};

const PATH: &str = "/musubi/v1/subscriptions";
const PAGE: usize = 1000;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: Subscriptions, out: &mut dyn Write) -> Result<(), String> {
    let api = Api::new(&command.target.broker, command.target.tenant.as_deref())?;
    let mut all = accounts(&api).await?;
    all.sort_by_cached_key(urgency);
    let text = if command.json {
        serde_json::to_string_pretty(&all).unwrap_or_default()
    } else {
        table(&all, SystemClock.now())
    };
    writeln!(out, "{}", text.trim_end()).map_err(|error| error.to_string())
}

async fn accounts(api: &Api) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let encoded: String = url::form_urlencoded::byte_serialize(after.as_bytes()).collect();
        let path = format!("{PATH}?limit={PAGE}&after={encoded}");
        let answer = api.call(Method::GET, &path, None).await?;
        let page = answer.get("subscriptions").and_then(Value::as_array);
        all.extend_from_slice(page.ok_or("the broker's answer is no list")?);
        match answer.get("next").and_then(Value::as_str) {
            Some(next) if next != after => next.clone_into(&mut after),
            Some(_) | None => return Ok(all),
        }
    }
}

/// How much a subscription is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// Its endpoint is left alone because it keeps failing.
    LeftAlone,
    /// The last attempt failed.
    Failing,
    /// Something waits.
    Waiting,
    /// Something was given up.
    Dead,
    None,
}

impl Trouble {
    fn of(account: &Value) -> Self {
        if text(account, "breaker") == "open" {
            Self::LeftAlone
        } else if number(account, "failuresInARow") > 0 {
            Self::Failing
        } else if number(account, "pending") > 0 {
            Self::Waiting
        } else if number(account, "dead") > 0 {
            Self::Dead
        } else {
            Self::None
        }
    }

    fn word(self) -> Option<&'static str> {
        match self {
            Self::LeftAlone => Some("left alone"),
            Self::Failing => Some("failing"),
            Self::Waiting | Self::Dead | Self::None => None,
        }
    }
}

/// What comes first: the greater trouble, then what has waited longest, then what has lost most.
fn urgency(account: &Value) -> impl Ord + use<> {
    let oldest = time(account, "oldestPending").map_or(i64::MAX, Timestamp::as_micros);
    let dead = std::cmp::Reverse(number(account, "dead"));
    (Trouble::of(account), oldest, dead, text(account, "id").to_owned())
}

fn table(accounts: &[Value], now: Timestamp) -> String {
    let mut table = Table::new([
        Column::Text("SUBSCRIPTION"),
        Column::Text("STATUS"),
        Column::Text("ENDPOINT"),
        Column::Number("DUE"),
        Column::Number("DELIVERED"),
        Column::Number("PENDING"),
        Column::Number("DEAD"),
        Column::Number("SUPPRESSED"),
        Column::Number("LAST SUCCESS"),
        Column::Number("OLDEST PENDING"),
        Column::Text("LAST FAILURE"),
    ]);
    for account in accounts {
        let count = |name| number(account, name).to_string();
        let ago = |name| time(account, name).map_or("-".to_owned(), |then| age(then, now));
        let name = match text(account, "name") {
            "" => text(account, "id"),
            name => name,
        };
        let status = match Trouble::of(account).word() {
            Some(trouble) => format!("{}, {trouble}", text(account, "status")),
            None => text(account, "status").to_owned(),
        };
        table.add([
            name.to_owned(),
            status,
            text(account, "endpoint").to_owned(),
            count("due"),
            count("delivered"),
            count("pending"),
            count("dead"),
            count("suppressed"),
            ago("lastSuccess"),
            ago("oldestPending"),
            text(account, "lastFailureReason").to_owned(),
        ]);
    }
    if table.is_empty() { "there are no subscriptions".to_owned() } else { table.text() }
}

fn number(account: &Value, name: &str) -> u64 {
    account.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(account: &'a Value, name: &str) -> &'a str {
    account.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn time(account: &Value, name: &str) -> Option<Timestamp> {
    text(account, name).parse().ok()
}

/// How long ago something was, in one unit.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_micros().saturating_sub(then.as_micros()).max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400.. => format!("{} d", seconds / 86_400),
        ..0 => "0 s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trouble_comes_first() {
        let mut accounts = [
            json!({ "id": "b", "name": "Fine" }),
            json!({ "id": "a", "dead": 3 }),
            json!({ "id": "c", "pending": 1, "oldestPending": "2026-01-10T09:00:01Z" }),
            json!({ "id": "d", "pending": 1, "oldestPending": "2026-01-10T09:00:00Z" }),
            json!({ "id": "e", "failuresInARow": 1, "pending": 9 }),
            json!({ "id": "f", "failuresInARow": 9, "breaker": "open" }),
            json!({ "id": "g", "dead": 4 }),
        ];
        accounts.sort_by_cached_key(urgency);
        let order: String = accounts.iter().map(|account| text(account, "id")).collect();
        assert_eq!(order, "fedcgab");
    }

    #[test]
    fn a_line_says_how_a_subscription_stands() {
        let now = "2026-01-10T10:00:00Z".parse().unwrap();
        let accounts = [json!({
            "id": "urn:x:1", "name": "避難所", "status": "active", "endpoint": "r:8080",
            "due": 12, "delivered": 9, "pending": 2, "dead": 1, "suppressed": 0,
            "failuresInARow": 4, "breaker": "open", "lastFailureReason": "the endpoint answered 503",
            "lastSuccess": "2026-01-10T09:00:00Z", "oldestPending": "2026-01-10T09:59:15Z",
        })];
        let text = table(&accounts, now);
        let line = text.lines().nth(1).unwrap();
        let words: Vec<&str> =
            line.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
        let expected = [
            "避難所",
            "active, left alone",
            "r:8080",
            "12",
            "9",
            "2",
            "1",
            "0",
            "1 h",
            "45 s",
            "the endpoint answered 503",
        ];
        assert_eq!(words, expected);
        assert_eq!(table(&[], now), "there are no subscriptions");
    }

    #[test]
    fn an_age_has_one_unit() {
        let now = Timestamp::from_seconds(1_000_000);
        for (ago, expected) in
            [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (200_000, "2 d")]
        {
            assert_eq!(age(Timestamp::from_seconds(1_000_000 - ago), now), expected);
        }
    }
}
