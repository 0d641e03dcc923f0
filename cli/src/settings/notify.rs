//! How notifications are delivered, and how long is kept what could not be.

use std::time::Duration;

use musubi_notify::NotifierOptions;

use super::values::{count, duration, pause, unusable};
use super::{InvalidSettings, file};

/// The most deliveries at a time that can be asked for: each takes a connection.
const MOST_DELIVERIES: u64 = 65_536;

/// How long dead letters are kept when nobody says.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// What the table `[notify]` says, over what is usual.
pub(super) fn options(table: file::Notify) -> Result<NotifierOptions, InvalidSettings> {
    let usual = NotifierOptions::default();
    let (deliveries, each) = (usual.deliveries, usual.deliveries_per_endpoint);
    let range = (1, MOST_DELIVERIES);
    let deliveries = count("notify.deliveries", table.deliveries, deliveries, range)?;
    let key = "notify.deliveries_per_endpoint";
    let deliveries_per_endpoint = count(key, table.deliveries_per_endpoint, each, range)?;
    let timeout = pause("notify.timeout", table.timeout.as_deref(), usual.timeout)?;
    let range = (1, u64::from(u32::MAX));
    let attempts = count("notify.attempts", table.attempts, usual.attempts, range)?;
    let max_age = pause("notify.max_age", table.max_age.as_deref(), usual.max_age)?;
    let first_retry = pause("notify.first_retry", table.first_retry.as_deref(), usual.first_retry)?;
    let longest_retry =
        pause("notify.longest_retry", table.longest_retry.as_deref(), usual.longest_retry)?;
    if first_retry > longest_retry {
        return Err(InvalidSettings(format!(
            "notify.first_retry = {first_retry:?} is longer than notify.longest_retry = \
             {longest_retry:?}"
        )));
    }
    Ok(NotifierOptions {
        deliveries,
        deliveries_per_endpoint,
        timeout,
        attempts,
        max_age,
        first_retry,
        longest_retry,
        ..usual
    })
}

/// How long dead letters are kept; none means for ever.
pub(super) fn letters_kept(table: &file::DeadLetters) -> Result<Option<Duration>, InvalidSettings> {
    let key = "dead_letters.keep";
    match table.keep.as_deref() {
        None => Ok(Some(KEEP)),
        Some("forever") => Ok(None),
        Some(text) => match duration(key, text)? {
            Duration::ZERO => Err(unusable(key, text, "a time that is more than 0, or forever")),
            kept => Ok(Some(kept)),
        },
    }
}
