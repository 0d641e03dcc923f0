//! Settings: what is printed, what is refused, and how it is said.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use musubi_tests::{Finished, Musubi, binary, finish, free_port, musubi, repository};

/// Runs `musubi serve` in a folder, expecting that it ends by itself.
fn serve_in(folder: &Path, arguments: &[&str]) -> Finished {
    finish(Command::new(binary()).current_dir(folder).arg("serve").args(arguments))
}

/// The keys of the printed settings, with their tables: `listen`, `mqtt.listen`.
fn keys(printed: &str) -> Vec<String> {
    let mut table = String::new();
    let mut keys = Vec::new();
    // What follows the keys are examples of tables, and not defaults.
    let (printed, _examples) = printed.split_once("# Who may publish").unwrap_or((printed, ""));
    for line in printed.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ") {
            let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_word {
                keys.push(format!("{table}{name}"));
            }
        }
    }
    keys
}

#[test]
fn every_key_is_printed_and_documented() {
    let printed = musubi(&["serve", "--print-config"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let keys = keys(&printed.stdout);
    assert!(keys.len() > 10 && keys.contains(&"mqtt.listen".to_owned()), "{keys:?}");
    let document = std::fs::read_to_string(repository().join("docs/configuration.md"));
    let document = document.expect("docs/configuration.md describes the settings");
    let shown = printed.stdout.trim_end();
    assert!(
        document.contains(shown),
        "docs/configuration.md does not show what is printed:\n{shown}"
    );
    for key in &keys {
        let variable = format!("MUSUBI_{}", key.replace('.', "_").to_uppercase());
        assert!(printed.stdout.contains(&variable), "{variable} is not printed");
    }
}

#[test]
fn what_is_printed_can_be_used_as_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = musubi(&["serve", "--print-config"]).stdout;
    std::fs::write(folder.path().join("musubi.toml"), printed).expect("a file");
    let server = Musubi::start(Command::new(binary()).current_dir(folder.path()).args([
        "serve",
        "--listen",
        "127.0.0.1:0",
    ]));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "durability = \"interval\"\n[mqtt]\nlisten_on = \"127.0.0.1:1883\"\n";
    std::fs::write(folder.path().join("musubi.toml"), text).expect("a file");
    let refused = serve_in(folder.path(), &[]);
    assert_eq!(refused.code, Some(1));
    for part in ["musubi.toml", "listen_on", "line 3", "column 1"] {
        assert!(refused.stderr.contains(part), "{part} is not in: {}", refused.stderr);
    }
    assert!(!folder.path().join("data").exists(), "nothing is made before the settings are read");
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "listen = \"127.0.0.1:0\"\ndata_dir = \"from-file\"\n";
    std::fs::write(folder.path().join("musubi.toml"), text).expect("a file");
    let start = |variable: Option<&str>, flag: &[&str]| {
        let mut command = Command::new(binary());
        command.current_dir(folder.path()).arg("serve").args(flag);
        if let Some(variable) = variable {
            command.env("MUSUBI_DATA_DIR", variable);
        }
        assert_eq!(Musubi::start(&mut command).stop().0, Some(0));
    };
    let exists = |name: &str| folder.path().join(name).exists();
    start(Some("from-variable"), &["--data-dir", "from-flag"]);
    assert!(exists("from-flag") && !exists("from-variable") && !exists("from-file"));
    start(Some("from-variable"), &[]);
    assert!(exists("from-variable") && !exists("from-file"));
    start(None, &[]);
    assert!(exists("from-file"));
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = serve_in(folder.path(), &["--config", "nowhere.toml"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--config nowhere.toml"), "{}", refused.stderr);
}

#[test]
fn values_that_cannot_be_used_are_refused_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    for (flag, value, key) in [
        ("--listen", "here", "listen"),
        ("--listen", "0.0.0.0:0", "loopback"),
        ("--mqtt", "0.0.0.0:0", "mqtt.listen"),
        ("--durability", "mostly", "durability"),
        ("--outbound-private", "perhaps", "outbound.private"),
        ("--adapter", "nowhere.toml", "nowhere.toml"),
    ] {
        let refused = serve_in(folder.path(), &["--listen", "127.0.0.1:0", flag, value]);
        let refused =
            if flag == "--listen" { serve_in(folder.path(), &[flag, value]) } else { refused };
        assert_eq!(refused.code, Some(1), "{flag} {value}: {}", refused.stderr);
        assert!(refused.stderr.contains(key), "{key} is not in: {}", refused.stderr);
    }
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let port = taken.local_addr().expect("an address").port().to_string();
    for arguments in
        [["--listen", &address, "--mqtt", "off"], ["--listen", "127.0.0.1:0", "--mqtt", &address]]
    {
        let refused = serve_in(folder.path(), &arguments);
        assert_eq!(refused.code, Some(1));
        let flag = if arguments[1] == address { "--listen" } else { "--mqtt" };
        assert!(refused.stderr.contains(flag), "{}", refused.stderr);
        assert!(refused.stderr.contains(&port), "{}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    }
}

#[test]
fn a_second_process_on_a_data_folder_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Musubi::serve(&folder.path().join("data"), &[]);
    let refused = serve_in(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("--data-dir"), "{}", refused.stderr);
    assert_eq!(first.stop().0, Some(0));
    let again = Musubi::serve(&folder.path().join("data"), &[]);
    assert_eq!(again.stop().0, Some(0));
}

#[test]
fn ready_lines_name_the_ports_that_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let [http, mqtt] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let data = folder.path().join("data");
    let server = Musubi::start(
        Command::new(binary())
            .args(["serve", "--listen", &http, "--mqtt", &mqtt, "--data-dir"])
            .arg(data),
    );
    assert_eq!(server.http.to_string(), http);
    assert_eq!(server.mqtt().to_string(), mqtt);
}

#[test]
fn help_shows_examples_and_every_command() {
    let help = musubi(&["--help"]).stdout;
    for part in ["Examples:", "musubi demo", "musubi serve", "adapter", "dead-letters"] {
        assert!(help.contains(part), "{part} is not in: {help}");
    }
    for command in [&["serve"][..], &["demo"], &["adapter", "run"], &["adapter", "preview"]] {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let help = musubi(&arguments);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Examples:"), "{command:?}: {}", help.stdout);
    }
    let version = musubi(&["--version"]);
    assert!(version.stdout.starts_with("musubi "), "{}", version.stdout);
}
