//! Asks the linker for the short form of relocations, where whoever loads the program reads it.
//!
//! The program has some sixty thousand places that its loader has to adjust. In the long form they
//! are 1.3 MB, which are read at the start and then stay in memory; in the short form they are a
//! hundredth of it.

use std::env;
use std::io::{self, Write as _};
use std::process::Command;

/// The first version of glibc whose loader reads the short form. A program with it says so, and an
/// earlier loader refuses it.
const SINCE: (u32, u32) = (2, 36);

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "cargo::rerun-if-changed=build.rs")?;
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_for_here = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    let has_glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if is_for_here && has_glibc && glibc().is_some_and(|version| version >= SINCE) {
        writeln!(out, "cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs")?;
    }
    Ok(())
}

/// The version of glibc here.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
