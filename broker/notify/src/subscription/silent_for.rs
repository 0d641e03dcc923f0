//! How long an entity has to be silent: `silentFor`, an extension of this broker.

use std::time::Duration;

use jiff::Span;
use jiff::fmt::temporal::SpanParser;
use serde::{Deserialize, Serialize};

/// A time as ISO 8601 writes a duration, such as `PT15M` or `P1DT12H`: a second at least, 366 days
/// at most, without months and years, which are not always as long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SilentFor {
    written: String,
    length: Duration,
}

static PARSER: SpanParser = SpanParser::new();

/// Seconds.
const LONGEST: u64 = 366 * 24 * 3600;

impl SilentFor {
    /// How long.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// As the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.written
    }
}

impl From<SilentFor> for String {
    fn from(silent_for: SilentFor) -> Self {
        silent_for.written
    }
}

impl TryFrom<String> for SilentFor {
    type Error = &'static str;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        const FORM: &str = "a duration such as PT15M or P1DT12H is needed";
        // `P` first, as ISO 8601 has it: the parser would take a sign as well.
        if !written.starts_with(['P', 'p']) || written.len() > 64 {
            return Err(FORM);
        }
        let span = PARSER.parse_span(&written).map_err(|_| FORM)?;
        let length = length(&span)?;
        if length < Duration::from_secs(1) || length > Duration::from_secs(LONGEST) {
            return Err("a duration from one second (PT1S) to 366 days (P366D) is needed");
        }
        Ok(Self { written, length })
    }
}

fn length(span: &Span) -> Result<Duration, &'static str> {
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err("months and years are not always as long: give days");
    }
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let hours = days * 24 + i64::from(span.get_hours());
    let minutes = hours.saturating_mul(60).saturating_add(span.get_minutes());
    let seconds = minutes.saturating_mul(60).saturating_add(span.get_seconds());
    let micros = seconds
        .saturating_mul(1_000_000)
        .saturating_add(span.get_milliseconds().saturating_mul(1000))
        .saturating_add(span.get_microseconds());
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
}
