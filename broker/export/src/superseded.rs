//! Rows that a later row corrects.
//!
//! An instance that was corrected between two runs of an export stands in the files twice, by the
//! same name. The one that was modified last counts.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::path::PathBuf;

use foldhash::quality::FixedState;

use crate::files::listed;
use crate::{Error, Row, RowReader};

/// The name of an instance, in little room.
type Name = (u64, u64);

/// Which rows are not to be taken.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    /// Names, and a `modifiedAt` that is not the last one, in microseconds.
    older: HashSet<(Name, i64)>,
}

/// How many names are held at once while they are compared.
const AT_ONCE: usize = 2_000_000;

impl Superseded {
    /// Looks through files. Those of the first run of an export correct nothing.
    pub(crate) fn find(files: &[PathBuf]) -> Result<Self, Error> {
        Self::find_with(files, AT_ONCE)
    }

    /// The same, with so many names at once.
    fn find_with(files: &[PathBuf], at_once: usize) -> Result<Self, Error> {
        let mut later = Vec::new();
        for file in files {
            if listed(file)?.is_none_or(|listed| listed.run > 0) {
                later.push(file.clone());
            }
        }
        if files.len() < 2 || later.is_empty() {
            return Ok(Self::default());
        }
        // If there are too many names, one share of them after the other is looked at.
        let mut shares = 1;
        loop {
            let mut found = Self::default();
            let mut done = 0;
            while done < shares {
                let Some(last) = last_modified(&later, (done, shares), at_once)? else { break };
                found.compare(files, &last)?;
                done += 1;
            }
            if done == shares {
                return Ok(found);
            }
            shares *= 2;
        }
    }

    fn compare(&mut self, files: &[PathBuf], last: &HashMap<Name, i64>) -> Result<(), Error> {
        each(files, |name, modified_at| {
            if last.get(&name).is_some_and(|last| modified_at < *last) {
                self.older.insert((name, modified_at));
            }
        })
    }

    /// Whether a later row tells of the same instance.
    pub(crate) fn has(&self, row: &Row) -> bool {
        let Some(id) = &row.instance_id else { return false };
        !self.older.is_empty() && self.older.contains(&(name(id), row.modified_at.as_micros()))
    }
}

/// When each instance of a share was modified last; none if there are too many.
fn last_modified(
    files: &[PathBuf],
    (share, shares): (u64, u64),
    at_once: usize,
) -> Result<Option<HashMap<Name, i64>>, Error> {
    let mut last: HashMap<Name, i64> = HashMap::new();
    each(files, |name, modified_at| {
        if name.0 % shares == share && last.len() <= at_once {
            let known = last.entry(name).or_insert(modified_at);
            *known = modified_at.max(*known);
        }
    })?;
    Ok((last.len() <= at_once).then_some(last))
}

fn each(files: &[PathBuf], mut visit: impl FnMut(Name, i64)) -> Result<(), Error> {
    for file in files {
        let mut reader = RowReader::open(file)?;
        while let Some(row) = reader.next_row()? {
            if let Some(id) = &row.instance_id {
                visit(name(id), row.modified_at.as_micros());
            }
        }
    }
    Ok(())
}

fn name(id: &str) -> Name {
    (FixedState::with_seed(1).hash_one(id), FixedState::with_seed(2).hash_one(id))
}

#[cfg(test)]
mod tests;
