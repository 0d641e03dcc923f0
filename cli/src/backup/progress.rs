//! How far something has come, on standard error.

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::time::Duration;

use tokio::time::Instant;

/// How often a line is written where nobody looks on.
const SELDOM: Duration = Duration::from_secs(10);
/// How often the line is written anew on a terminal.
const OFTEN: Duration = Duration::from_millis(200);

/// Says how many bytes have been worked through: on a terminal in one line, else now and then.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    is_terminal: bool,
    due: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let wait = if is_terminal { OFTEN } else { SELDOM };
        Self { what, is_terminal, due: Instant::now() + wait, shown: false }
    }

    /// The same file, whose reading is shown.
    pub(crate) fn reading<R: Read>(source: R) -> Reading<R> {
        Reading { source, bytes: 0, progress: Self::new("read") }
    }

    pub(crate) fn show(&mut self, bytes: u64) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        let (start, end, wait) =
            if self.is_terminal { ("\r", "", OFTEN) } else { ("", "\n", SELDOM) };
        let (whole, tenth) = (bytes / 1_000_000, bytes / 100_000 % 10);
        let _ = write!(io::stderr(), "{start}{whole}.{tenth} MB {}{end}", self.what);
        self.due = now + wait;
        self.shown = true;
    }

    pub(crate) fn end(&mut self) {
        if self.is_terminal && self.shown {
            let _ = writeln!(io::stderr());
        }
        self.shown = false;
    }
}

/// A file that is read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Reading<R> {
    source: R,
    bytes: u64,
    progress: Progress,
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.bytes += u64::try_from(read).unwrap_or_default();
        self.progress.show(self.bytes);
        Ok(read)
    }
}

impl<R> Drop for Reading<R> {
    fn drop(&mut self) {
        self.progress.end();
    }
}
