//! From the format of a data folder to the next, one step at a time.
//!
//! A step is carried out under the lock of the folder, before the engine is opened. Only when it is
//! done does the file `FORMAT` say so, so a step that was interrupted is carried out again: each has
//! to come to the same end from wherever an earlier attempt of it stopped.
//!
//! For a new format, add a step at the end of [`MIGRATIONS`], and to the tests a backup that the
//! version before it made.

use std::path::Path;

use crate::engine;
use crate::folder;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A step from one format to the next.
pub(crate) struct Migration {
    /// What is new, for the log.
    what: &'static str,
    carry_out: fn(&Path) -> Result<(), Failure>,
}

/// All steps, from format 1 on.
pub(crate) const MIGRATIONS: [Migration; 2] = [
    Migration {
        what: "the log may hold changes of what is recorded of the past",
        // The rows are the same. Only versions that do not know the new ones are to be kept out.
        carry_out: |_folder| Ok(()),
    },
    Migration {
        what: "the log has files of its own, and rows may say less of what was before",
        carry_out: |folder| Ok(engine::take_over(folder)?),
    },
];

/// Takes the folder, which is of format `found`, through the steps that are left.
pub(crate) fn migrate(folder: &Path, found: u32, steps: &[Migration]) -> Result<(), Failure> {
    let done = usize::try_from(found.saturating_sub(1))?;
    for (format, step) in (found..).zip(steps.iter().skip(done)) {
        let next = format + 1;
        tracing::info!(
            folder = %folder.display(),
            from = format,
            to = next,
            "the data folder is made one of the next format: {}",
            step.what
        );
        (step.carry_out)(folder)?;
        folder::write_format(folder, next)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn note(folder: &Path, step: &str) -> Result<(), Failure> {
        let path = folder.join("steps");
        let before = fs::read_to_string(&path).unwrap_or_default();
        Ok(fs::write(path, format!("{before}{step} "))?)
    }

    fn steps(second: fn(&Path) -> Result<(), Failure>) -> [Migration; 3] {
        [
            Migration { what: "one", carry_out: |folder| note(folder, "one") },
            Migration { what: "two", carry_out: second },
            Migration { what: "three", carry_out: |folder| note(folder, "three") },
        ]
    }

    fn format_of(folder: &Path) -> String {
        fs::read_to_string(folder.join("FORMAT")).unwrap()
    }

    #[test]
    fn a_migration_that_was_interrupted_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        folder::write_format(folder.path(), 1).unwrap();
        let interrupted = steps(|_| Err("the power is gone".into()));
        migrate(folder.path(), 1, &interrupted).unwrap_err();
        assert_eq!(format_of(folder.path()), "musubi-store-embedded 2\n", "one step was done");
        migrate(folder.path(), 2, &steps(|folder| note(folder, "two"))).unwrap();
        assert_eq!(format_of(folder.path()), "musubi-store-embedded 4\n");
        let done = fs::read_to_string(folder.path().join("steps")).unwrap();
        assert_eq!(done, "one two three ");
    }

    #[test]
    fn a_step_that_ended_before_the_format_was_written_is_carried_out_again() {
        let folder = tempfile::tempdir().unwrap();
        folder::write_format(folder.path(), 3).unwrap();
        // As a kill leaves it between the step and its mark.
        note(folder.path(), "three").unwrap();
        fs::write(folder.path().join("FORMAT.new"), "musubi-st").unwrap();
        migrate(folder.path(), 3, &steps(|folder| note(folder, "two"))).unwrap();
        assert_eq!(format_of(folder.path()), "musubi-store-embedded 4\n");
        let done = fs::read_to_string(folder.path().join("steps")).unwrap();
        assert_eq!(done, "three three ");
    }

    #[test]
    fn there_is_nothing_to_do_in_the_newest_format() {
        let folder = tempfile::tempdir().unwrap();
        migrate(folder.path(), 4, &steps(|folder| note(folder, "two"))).unwrap();
        assert!(!folder.path().join("steps").exists());
        assert!(!folder.path().join("FORMAT").exists());
    }
}
