//! How far something is that takes long, on the standard error.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use tokio::time::Instant;

/// A line that says how far it is: rewritten every second on a terminal, else another one every ten
/// seconds.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
    /// How long the line on the terminal is.
    width: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_terminal = stderr().is_terminal();
        Self { began: Instant::now(), shown: None, is_terminal, width: 0 }
    }

    /// Shows the line, if it is time. `line` makes it, given how many of `done` there were in a second.
    pub(super) fn show(&mut self, done: u64, line: impl FnOnce(u64) -> String) {
        let every = Duration::from_secs(if self.is_terminal { 1 } else { 10 });
        if self.shown.unwrap_or(self.began).elapsed() < every {
            return;
        }
        self.shown = Some(Instant::now());
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = line(done.saturating_mul(1_000) / milliseconds.max(1));
        if self.is_terminal {
            let width = self.width;
            let _ = write!(stderr(), "\r{line:<width$}");
            self.width = line.len();
        } else {
            let _ = writeln!(stderr(), "{line}");
        }
    }

    /// Writes a line that stays.
    pub(super) fn note(&mut self, line: &str) {
        self.end();
        let _ = writeln!(stderr(), "{line}");
    }

    /// Ends the line that is rewritten.
    pub(super) fn end(&mut self) {
        if self.width > 0 {
            let _ = writeln!(stderr());
            self.width = 0;
        }
    }
}
