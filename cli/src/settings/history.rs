//! What is kept of the past, for how long, and how much of it is answered at once.

use std::time::Duration;

use musubi_context::Context;
use musubi_history::{Kept, RetentionRule};
use musubi_model::Tenant;

use super::values::{count, duration, flag, parse, unusable};
use super::{InvalidSettings, file};

/// What the server does with the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistorySettings {
    /// Whether anything is recorded.
    pub(crate) enabled: bool,
    /// The most instances in an answer.
    pub(crate) instances: usize,
    /// Bytes that what is recorded may take before it becomes a file.
    pub(crate) memory: usize,
    /// How long what is kept; the first rule that fits holds.
    pub(crate) retention: Vec<RetentionRule>,
}

/// The most instances that an answer may be allowed to have: it is put together in memory.
const MOST_INSTANCES: u64 = 1_000_000;

/// The most memory that can be asked for, in bytes.
const MOST_MEMORY: u64 = 16 << 30;

/// What the table `[history]` says, over what is usual.
pub(super) fn settings(table: file::History) -> Result<HistorySettings, InvalidSettings> {
    let range = (1, MOST_INSTANCES);
    let instances = count("history.instances", table.instances, 10_000, range)?;
    let memory = count("history.memory", table.memory, 32 << 20, (64 << 10, MOST_MEMORY))?;
    let named = table.retention.iter().map(|table| rule("history.retention", table));
    let mut retention = named.collect::<Result<Vec<_>, _>>()?;
    let rest = file::Retention {
        keep: table.keep,
        hourly: table.hourly,
        daily: table.daily,
        ..file::Retention::default()
    };
    retention.push(rule("history", &rest)?);
    Ok(HistorySettings {
        enabled: flag("history.enabled", table.enabled, true)?,
        instances,
        memory,
        retention,
    })
}

/// One rule; its names are those of the core context, or IRIs.
fn rule(table: &str, given: &file::Retention) -> Result<RetentionRule, InvalidSettings> {
    let key = |name: &str| format!("{table}.{name}");
    let core = Context::core();
    let tenant = given.tenant.as_deref().map(|name| match name {
        "default" => Ok(Tenant::default()),
        name => parse(&key("tenant"), name),
    });
    let wanted = "a name of the core context, or an IRI";
    let entity_type = given
        .entity_type
        .as_deref()
        .map(|name| core.entity_type(name).map_err(|_| unusable(&key("type"), name, wanted)));
    let attribute = given
        .attribute
        .as_deref()
        .map(|name| core.attribute(name).map_err(|_| unusable(&key("attribute"), name, wanted)));
    let keep = match given.keep.as_deref() {
        None | Some("forever") => None,
        Some(text) => Some(time(&key("keep"), text, "a time that is more than 0, or forever")?),
    };
    Ok(RetentionRule {
        tenant: tenant.transpose()?,
        entity_type: entity_type.transpose()?,
        attribute: attribute.transpose()?,
        keep,
        hourly: kept(&key("hourly"), given.hourly.as_deref(), keep)?,
        daily: kept(&key("daily"), given.daily.as_deref(), keep)?,
    })
}

/// How long roll-ups are kept of instances that are kept for so long themselves.
fn kept(
    key: &str,
    given: Option<&str>,
    keep: Option<Duration>,
) -> Result<Option<Kept>, InvalidSettings> {
    let (text, kept) = match given {
        None | Some("none") => return Ok(None),
        Some("forever") => ("forever", Kept::Forever),
        Some(text) => {
            (text, Kept::For(time(key, text, "a time that is more than 0, forever or none")?))
        }
    };
    let Some(keep) = keep else {
        return Err(unusable(key, text, "a keep beside it that is not forever"));
    };
    match kept {
        Kept::For(time) if time <= keep => {
            Err(unusable(key, text, "a time that is longer than that of keep"))
        }
        Kept::For(_) | Kept::Forever => Ok(Some(kept)),
    }
}

fn time(key: &str, text: &str, wanted: &str) -> Result<Duration, InvalidSettings> {
    match duration(key, text)? {
        Duration::ZERO => Err(unusable(key, text, wanted)),
        time => Ok(time),
    }
}
