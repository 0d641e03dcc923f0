//! The crate graph is the architecture: an edge goes to a lower level only, and only where it is
//! listed here.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each crate, its level, and the crates of ours that it may know.
const LAYERS: [(&str, u8, &[&str]); 18] = [
    ("musubi-model", 0, &[]),
    ("musubi-outbound", 0, &[]),
    ("musubi-context", 1, &["model", "outbound"]),
    ("musubi-query", 1, &["model"]),
    ("musubi-export", 1, &["model"]),
    ("musubi-schemas", 1, &["model"]),
    ("musubi-view", 2, &["model", "context"]),
    ("musubi-store", 2, &["model", "query"]),
    ("musubi-adapter-kit", 2, &["model", "outbound", "context"]),
    ("musubi-store-embedded", 3, &["model", "query", "store"]),
    ("musubi-history", 3, &["model", "query", "store"]),
    ("musubi-notify", 3, &["model", "outbound", "context", "query", "store", "view"]),
    ("musubi-adapter-gbfs", 3, &["model", "outbound", "adapter-kit"]),
    ("musubi-adapter-mqtt", 3, &["model", "context", "adapter-kit"]),
    ("musubi-adapter-shelter", 3, &["model", "outbound", "adapter-kit"]),
    ("musubi-broker", 4, &["model", "context", "query", "schemas", "store", "notify"]),
    ("musubi-http", 5, &["model", "context", "query", "view", "notify", "broker"]),
    ("musubi", 6, &[]),
];

/// Crates that must not be direct dependencies of ours, and what we use instead.
const NOT_DIRECT: [(&str, &str); 6] = [
    ("chrono", "jiff"),
    ("once_cell", "std::sync::LazyLock"),
    ("lazy_static", "std::sync::LazyLock"),
    ("async-trait", "futures_util::future::BoxFuture"),
    ("failure", "thiserror"),
    ("openssl", "rustls"),
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn direct(package: &Value) -> impl Iterator<Item = (&str, bool)> {
    package["dependencies"].as_array().into_iter().flatten().map(|dependency| {
        (dependency["name"].as_str().unwrap_or_default(), dependency["kind"].is_null())
    })
}

#[test]
fn every_edge_between_our_crates_is_one_that_the_architecture_allows() {
    let levels: BTreeMap<&str, u8> =
        LAYERS.iter().map(|(name, level, _)| (*name, *level)).collect();
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if name == "musubi-tests" {
            continue;
        }
        let (_, level, allowed) =
            LAYERS.iter().find(|(known, _, _)| *known == name).unwrap_or_else(|| {
                panic!("{name} has no level: say where it belongs, here and in ARCHITECTURE.md")
            });
        for (dependency, _) in direct(&package).filter(|(_, normal)| *normal) {
            let Some(target) = levels.get(dependency) else { continue };
            let short = dependency.trim_start_matches("musubi-");
            assert!(target < level, "{name} (level {level}) knows {dependency} (level {target})");
            assert!(
                name == "musubi" || allowed.contains(&short),
                "{name} knows {dependency}, which the architecture does not foresee"
            );
        }
    }
}

#[test]
fn no_crate_of_ours_depends_on_what_we_have_decided_against() {
    for package in packages() {
        for (dependency, _) in direct(&package) {
            for (banned, instead) in NOT_DIRECT {
                assert_ne!(dependency, banned, "{} uses {banned}; use {instead}", package["name"]);
            }
        }
    }
}

#[test]
fn axum_is_known_to_the_http_binding_and_to_the_demo_alone() {
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        let knows = direct(&package).any(|(dependency, normal)| normal && dependency == "axum");
        let may = ["musubi-http", "musubi", "musubi-tests"].contains(&name);
        assert!(may || !knows, "{name} knows axum");
    }
}
