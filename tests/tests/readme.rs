//! The READMEs say what works: every `sh` block of them is run, in order, by one shell in an empty
//! folder, with `cargo run --release --` standing for the built program.
//!
//! The convention is small. The two commands of the first section are left out: the test command
//! is running this test, and the demo has a test of its own. A block that ends with `&` starts a
//! server, and the next one is run when the server is ready. Addresses on the default ports are
//! moved to free ones. `curl` fails on an answer that is an error.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use musubi_tests::{PATIENCE, binary, free_port, repository};
use rustix::process::{Pid, Signal, kill_process_group};

const TWO_COMMANDS: [&str; 2] = ["cargo run --release -- demo", "bash tests/run"];
const PROGRAM: &str = "cargo run --release --";
const DONE: &str = "### done";
const FAILED: &str = "### failed";

/// The `sh` blocks of a document.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in document.lines() {
        match &mut block {
            None if line.trim() == "```sh" => block = Some(String::new()),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(block.is_none(), "a block is not closed");
    blocks
}

fn is_one_of_the_two_commands(block: &str) -> bool {
    TWO_COMMANDS.contains(&block.trim())
}

fn starts_a_server(block: &str) -> bool {
    block.trim_end().ends_with('&')
}

/// A shell that blocks are given to, one after the other.
struct Shell {
    child: Child,
    lines: Receiver<String>,
    http: u16,
    mqtt: u16,
    /// Everything it printed, for the one who has to find out what went wrong.
    printed: Vec<String>,
}

impl Shell {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new("sh")
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell");
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut shell =
            Self { child, lines, http: free_port(), mqtt: free_port(), printed: Vec::new() };
        shell.write(&shell.prelude());
        shell
    }

    /// Makes the shell's program and curl behave as the convention says.
    fn prelude(&self) -> String {
        let http = self.http;
        let program = binary().display();
        format!(
            r#"set -e
exec 2>&1
trap 'printf "\n{FAILED} %s\n" $?' EXIT
export MUSUBI_LISTEN=127.0.0.1:{http}
musubi() {{
    case "$1 $2" in
        "dead-letters "*|"subscriptions "*|"export "*|"import "*|"backup "*|"adapter run"|"adapter devices") '{program}' "$@" --broker http://127.0.0.1:{http} ;;
        *) '{program}' "$@" ;;
    esac
}}
curl() {{ command curl --fail-with-body "$@"; }}
"#
        )
    }

    fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        // A shell that has ended says so with its last line.
        let _ = input.write_all(text.as_bytes());
        let _ = input.flush();
    }

    fn run(&mut self, block: &str) -> Result<(), String> {
        let moved = block
            .replace(PROGRAM, "musubi")
            .replace(":1026", &format!(":{}", self.http))
            .replace(":1883", &format!(":{}", self.mqtt))
            .replace("-p 1883", &format!("-p {}", self.mqtt));
        self.write(&moved);
        let awaited = if starts_a_server(block) {
            "listening http://"
        } else {
            self.write(&format!("\necho\necho '{DONE}'\n"));
            DONE
        };
        loop {
            let line =
                self.lines.recv_timeout(PATIENCE).map_err(|_| self.report(block, "no end"))?;
            self.printed.push(line.clone());
            if line.starts_with(FAILED) {
                return Err(self.report(block, &line));
            }
            if line.starts_with(awaited) {
                return Ok(());
            }
        }
    }

    fn report(&self, block: &str, why: &str) -> String {
        let from = self.printed.len().saturating_sub(30);
        format!("{why} in the block\n{block}\nafter\n{}", self.printed[from..].join("\n"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell and what it started in the background.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Runs the blocks of a document, and gives what was printed.
fn run(document: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(repository().join("examples"), folder.path().join("examples"))
        .expect("a link");
    let mut shell = Shell::start(folder.path());
    for block in blocks(document).iter().filter(|block| !is_one_of_the_two_commands(block)) {
        shell.run(block)?;
    }
    Ok(shell.printed.join("\n"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(repository().join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A block without its comments, which are in the document's own language.
fn without_comments(block: &str) -> String {
    let lines = block.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_block_of_the_readme_works() {
    if let Err(reason) = run(&document("README.md")) {
        panic!("{reason}");
    }
}

#[test]
fn both_readmes_have_the_same_blocks_and_the_two_commands() {
    let [english, japanese] = ["README.md", "README.ja.md"].map(|name| blocks(&document(name)));
    for command in TWO_COMMANDS {
        assert!(english.iter().any(|block| block.trim() == command), "README.md lacks {command}");
    }
    let bare = |blocks: &[String]| -> Vec<String> {
        blocks.iter().map(|block| without_comments(block)).collect()
    };
    assert_eq!(bare(&english), bare(&japanese));
}

#[test]
fn blocks_are_run_in_order_by_one_shell() {
    let text = "Text.\n\n```sh\nbash tests/run\n```\n\n```toml\nnot = \"run\"\n```\n\
        ```sh\ncargo run --release -- serve --mqtt 127.0.0.1:1883 &\n```\n\
        ```sh\nNAME=value\ncurl -s http://127.0.0.1:1026/health/ready\n```\n\
        ```sh\necho \"kept: $NAME\"\ncargo run --release -- dead-letters list\n```\n";
    assert_eq!(blocks(text).len(), 4);
    let printed = run(text).unwrap();
    assert!(printed.contains("kept: value"), "{printed}");
    assert!(printed.contains("there are no dead letters"), "{printed}");
}

#[test]
fn a_block_that_fails_is_found() {
    let check = |block: &str| run(&format!("```sh\n{block}\n```\n")).unwrap_err();
    assert!(check("false\necho not reached").contains("### failed 1"));
    assert!(check("cargo run --release -- no-such-command").contains("### failed 2"));
    assert!(check("curl -s http://127.0.0.1:1026/health/live").contains("### failed"));
    let server = "```sh\ncargo run --release -- serve &\n```\n";
    let wrong = "```sh\ncurl -s http://127.0.0.1:1026/ngsi-ld/v1/nothing\n```\n";
    assert!(run(&format!("{server}{wrong}")).unwrap_err().contains("### failed 22"));
}

#[test]
fn the_benchmark_commands_name_rows_and_options_that_exist() {
    const COMMAND: &str = "cargo run --release -p musubi-tests --bin load";
    for document in ["README.md", "README.ja.md", "docs/performance.md"] {
        let text = std::fs::read_to_string(repository().join(document)).expect("a document");
        let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(COMMAND)).collect();
        assert!(!commands.is_empty(), "{document} does not say how to measure");
        for command in commands {
            let arguments = command.split_whitespace().filter(|word| *word != "--");
            let load = Command::new(env!("CARGO_BIN_EXE_load"))
                .args(arguments)
                .arg("--list")
                .stdout(Stdio::null())
                .status()
                .expect("load starts");
            assert!(load.success(), "{document}: {COMMAND}{command}");
        }
    }
}
