//! The interpreters by which the tests run what is not Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::finish;
use crate::repository;

/// A program of the system, which has to be there: `tests/run` installs it.
///
/// # Panics
///
/// If it does not start.
#[must_use]
pub fn program(name: &str) -> &str {
    let version = Command::new(name).arg("--version").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "{name} is not installed; `bash tests/run` installs what the tests need"
    );
    name
}

/// The Python of the tests, with this package in it, which is a requirement as pip reads it; made
/// as `tests/run` makes it if it is not there.
///
/// # Panics
///
/// If it cannot be made.
#[must_use]
pub fn python(module: &str, requirement: &str) -> PathBuf {
    let folder = repository().join("target/python");
    let python = folder.join("bin/python");
    let imports = |python: &Path| {
        let import = format!("import {module}");
        python.exists() && finish(Command::new(python).args(["-c", &import])).code == Some(0)
    };
    if !imports(&python) {
        let made = finish(Command::new(program("python3")).args(["-m", "venv"]).arg(&folder));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let pip = folder.join("bin/pip");
        let installed = finish(Command::new(pip).args(["install", "-q", requirement]));
        assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    }
    python
}
