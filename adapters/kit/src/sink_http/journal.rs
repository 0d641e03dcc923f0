//! What an adapter remembers when the broker cannot keep it: a file of lines.
//!
//! `state.jsonl` has one line per change and is written anew once most of its lines are out of
//! date; `dead-letters.jsonl` has one line per dead letter. Every append is synced before it is
//! answered. A last line that a crash cut off is dropped when the file is opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use musubi_model::Tenant;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{DeadLetter, SinkError, StateWrite};

const STATE: &str = "state.jsonl";
const DEAD_LETTERS: &str = "dead-letters.jsonl";
/// Lines out of date that are put up with.
const SLACK: usize = 10_000;

#[derive(Debug)]
pub(super) struct Journal(Arc<Mutex<Files>>);

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    /// Held for as long as the folder is in use.
    _lock: File,
    state: File,
    dead_letters: File,
    lines: usize,
    current: Current,
    /// An append failed half-way; the files have to be read again.
    broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    tenant: Tenant,
    adapter: String,
    #[serde(rename = "key")]
    name: String,
}

type Current = BTreeMap<Key, Arc<[u8]>>;

#[derive(Debug, Serialize, Deserialize)]
struct StateLine {
    #[serde(flatten)]
    key: Key,
    /// In hexadecimal digits; none to forget.
    value: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeadLetterLine {
    tenant: Tenant,
    #[serde(flatten)]
    letter: DeadLetter,
}

/// Something to append.
#[derive(Debug)]
pub(super) enum Line {
    State { tenant: Tenant, adapter: String, write: StateWrite },
    DeadLetter { tenant: Tenant, letter: Box<DeadLetter> },
}

/// What a delivery leaves in the journal.
pub(super) fn lines(
    tenant: &Tenant,
    adapter: &str,
    state: Vec<StateWrite>,
    dead_letters: Vec<DeadLetter>,
) -> Vec<Line> {
    let state = state.into_iter().map(|write| Line::State {
        tenant: tenant.clone(),
        adapter: adapter.to_owned(),
        write,
    });
    let dead_letters = dead_letters
        .into_iter()
        .map(|letter| Line::DeadLetter { tenant: tenant.clone(), letter: Box::new(letter) });
    state.chain(dead_letters).collect()
}

impl Journal {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::Error(error) => error,
            std::fs::TryLockError::WouldBlock => io::Error::other("another process is using it"),
        })?;
        let (state, current, lines) = read_state(folder)?;
        let dead_letters = open_lines(&folder.join(DEAD_LETTERS))?;
        sync_folder(folder)?;
        Ok(Self(Arc::new(Mutex::new(Files {
            folder: folder.to_owned(),
            _lock: lock,
            state,
            dead_letters,
            lines,
            current,
            broken: false,
        }))))
    }

    pub(super) fn state(
        &self,
        tenant: &Tenant,
        adapter: &str,
        prefix: &str,
    ) -> Vec<(String, Arc<[u8]>)> {
        let first =
            Key { tenant: tenant.clone(), adapter: adapter.to_owned(), name: prefix.to_owned() };
        let files = self.0.lock();
        files
            .current
            .range(first..)
            .take_while(|(key, _)| {
                key.tenant == *tenant && key.adapter == adapter && key.name.starts_with(prefix)
            })
            .map(|(key, value)| (key.name.clone(), Arc::clone(value)))
            .collect()
    }

    /// Appends lines and answers once they are durable.
    pub(super) async fn append(&self, lines: Vec<Line>) -> Result<(), SinkError> {
        if lines.is_empty() {
            return Ok(());
        }
        let files = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || files.lock().append(lines)).await;
        let reason = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(SinkError { reason: format!("the adapter's own journal cannot be written: {reason}") })
    }
}

impl Files {
    fn append(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if self.broken {
            (self.state, self.current, self.lines) = read_state(&self.folder)?;
            self.dead_letters = open_lines(&self.folder.join(DEAD_LETTERS))?;
        }
        // Until everything is durable, what the files end with is not known.
        self.broken = true;
        let mut state = Vec::new();
        let mut dead_letters = Vec::new();
        let mut changes = Vec::new();
        for line in lines {
            match line {
                Line::State { tenant, adapter, write } => {
                    let key = Key { tenant, adapter, name: write.key };
                    write_line(&mut state, &state_line(&key, write.value.as_deref()))?;
                    changes.push((key, write.value));
                }
                Line::DeadLetter { tenant, letter } => {
                    write_line(&mut dead_letters, &DeadLetterLine { tenant, letter: *letter })?;
                }
            }
        }
        append_durably(&mut self.dead_letters, &dead_letters)?;
        append_durably(&mut self.state, &state)?;
        self.lines += changes.len();
        for (key, value) in changes {
            match value {
                Some(value) => self.current.insert(key, value),
                None => self.current.remove(&key),
            };
        }
        if self.lines > 2 * self.current.len() + SLACK {
            self.compact()?;
        }
        self.broken = false;
        Ok(())
    }

    /// Writes the state anew, beside the old file, and puts it in its place.
    fn compact(&mut self) -> io::Result<()> {
        let new = self.folder.join("state.new");
        let mut text = Vec::new();
        for (key, value) in &self.current {
            write_line(&mut text, &state_line(key, Some(value)))?;
        }
        let mut file = File::create(&new)?;
        append_durably(&mut file, &text)?;
        std::fs::rename(&new, self.folder.join(STATE))?;
        sync_folder(&self.folder)?;
        self.state = open_lines(&self.folder.join(STATE))?;
        self.lines = self.current.len();
        Ok(())
    }
}

fn state_line(key: &Key, value: Option<&[u8]>) -> StateLine {
    StateLine { key: key.clone(), value: value.map(to_hex) }
}

fn write_line<T: Serialize>(text: &mut Vec<u8>, line: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}

fn append_durably(file: &mut File, text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    file.write_all(text)?;
    file.sync_data()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens a file of lines at its end, without a last line that was cut off.
fn open_lines(path: &Path) -> io::Result<File> {
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let mut end = 0_u64;
    let mut length = 0_u64;
    let mut line = Vec::new();
    let mut reader = BufReader::new(&file);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        length += u64::try_from(read).unwrap_or(u64::MAX);
        if line.last() == Some(&b'\n') {
            end = length;
        }
    }
    if end < length {
        file.set_len(end)?;
        file.sync_data()?;
    }
    file.seek(SeekFrom::Start(end))?;
    Ok(file)
}

fn read_state(folder: &Path) -> io::Result<(File, Current, usize)> {
    let path = folder.join(STATE);
    let file = open_lines(&path)?;
    let mut current = Current::new();
    let mut lines = 0;
    for line in BufReader::new(File::open(&path)?).lines() {
        lines += 1;
        let damaged = |error: String| io::Error::other(format!("{STATE}, line {lines}: {error}"));
        let line: StateLine =
            serde_json::from_str(&line?).map_err(|error| damaged(error.to_string()))?;
        match line.value.as_deref().map(from_hex) {
            Some(Some(value)) => current.insert(line.key, Arc::from(value)),
            Some(None) => return Err(damaged("the value is not hexadecimal".to_owned())),
            None => current.remove(&line.key),
        };
    }
    Ok((file, current, lines))
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}
