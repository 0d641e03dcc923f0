//! The table that a load run ends with.

use std::io::{self, Write as _};

use crate::Failure;

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    what: String,
    reach: String,
    measured: String,
    mark: &'static str,
}

/// Whether a figure is what was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is.
    Reached,
    /// It is not.
    Short,
}

impl Mark {
    /// The mark of a comparison.
    pub(crate) fn of(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::Short }
    }
}

impl Line {
    /// A line: what was measured, how far it has to reach, and how far it did.
    pub(crate) fn new(
        what: impl Into<String>,
        reach: impl Into<String>,
        measured: impl Into<String>,
        mark: Mark,
    ) -> Self {
        let mark = match mark {
            Mark::Reached => "ok",
            Mark::Short => "short",
        };
        Self { what: what.into(), reach: reach.into(), measured: measured.into(), mark }
    }

    /// The line of something that could not be measured.
    pub(crate) fn failed(what: &str, failure: &Failure) -> Self {
        Self {
            what: what.to_lowercase(),
            reach: String::new(),
            measured: format!("failed: {failure}"),
            mark: "short",
        }
    }
}

/// Prints the table, as Markdown.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn print(out: &mut impl io::Write, lines: &[Line]) -> io::Result<()> {
    writeln!(out, "\n| what | reach | measured | |\n|---|---|---|---|")?;
    for Line { what, reach, measured, mark } in lines {
        writeln!(out, "| {what} | {reach} | {measured} | {mark} |")?;
    }
    out.flush()
}

/// Says something about the figure that is being taken.
pub(crate) fn say(text: &str) {
    // A reader that has gone misses nothing: the table is what counts.
    let _ = writeln!(io::stdout(), "  {text}");
}

/// The machine, in a line.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!("{cores} cores");
    let of = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = of("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    if let Some(model) = model {
        text.push_str(", ");
        text.push_str(model.trim_start_matches([' ', '\t', ':']));
    }
    let kernel = of("/proc/sys/kernel/osrelease");
    if !kernel.is_empty() {
        text.push_str(", Linux ");
        text.push_str(kernel.trim());
    }
    text
}
