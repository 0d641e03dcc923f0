//! The built program as a process of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long any event is waited for before a test fails.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A running program. Killed when it is dropped.
#[derive(Debug)]
pub struct Musubi {
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
    /// Where the HTTP API is.
    pub http: SocketAddr,
    /// Where the MQTT listener is, if there is one.
    pub mqtt: Option<SocketAddr>,
}

/// What a program left that has ended by itself.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// The program, built from the present sources with the profile of the tests themselves, or the
/// one that `MUSUBI_BINARY` names.
///
/// # Panics
///
/// If it cannot be built.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("MUSUBI_BINARY") {
            return binary.into();
        }
        let test = std::env::current_exe().expect("a test knows where it is");
        let profile = test
            .ancestors()
            .find(|folder| folder.join("deps").is_dir())
            .expect("a test stands in a target folder");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--package", "musubi"]);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the program does not build");
        profile.join("musubi")
    })
}

/// Runs the program with these arguments until it ends by itself.
///
/// # Panics
///
/// If it does not end.
#[must_use]
pub fn musubi(arguments: &[&str]) -> Finished {
    finish(Command::new(binary()).args(arguments))
}

/// Runs a command until it ends by itself.
///
/// # Panics
///
/// If it cannot be started or does not end.
#[must_use]
pub fn finish(command: &mut Command) -> Finished {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let stdout = rest(child.stdout.take().expect("a pipe"));
    let stderr = rest(child.stderr.take().expect("a pipe"));
    let ended =
        stdout.recv_timeout(PATIENCE).and_then(|out| Ok((out, stderr.recv_timeout(PATIENCE)?)));
    let Ok((stdout, stderr)) = ended else {
        let _ = child.kill();
        panic!("{command:?} does not end");
    };
    let status = child.wait().expect("the process ends");
    Finished { code: status.code(), stdout, stderr }
}

/// All that a pipe gives, once it is closed.
fn rest(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, whole) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    whole
}

/// The lines of a pipe as they come.
fn lines(pipe: impl Read + Send + 'static, echo: bool) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if echo {
                eprintln!("{line}");
            }
            // Whether or not anybody listens any more, the pipe is emptied.
            let _ = sender.send(line);
        }
    });
    lines
}

impl Musubi {
    /// Starts `musubi serve` on free ports, with its data in this folder.
    ///
    /// # Panics
    ///
    /// If it ends before it is ready.
    pub fn serve(data: &Path, arguments: &[&str]) -> Self {
        let folder = data.to_str().expect("the folder's name is UTF-8");
        let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--data-dir", folder];
        all.extend(arguments);
        Self::start(Command::new(binary()).args(all))
    }

    /// Starts a command that is a server, and waits for its ready lines.
    ///
    /// # Panics
    ///
    /// If it ends before it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let echo = std::env::var_os("MUSUBI_TEST_LOG").is_some();
        let mut running = Self {
            lines: lines(child.stdout.take().expect("a pipe"), false),
            complaints: lines(child.stderr.take().expect("a pipe"), echo),
            child,
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            mqtt: None,
        };
        loop {
            let line = match running.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not get ready"),
                Err(RecvTimeoutError::Disconnected) => {
                    let said: Vec<String> = running.complaints.iter().collect();
                    panic!("the program ended before it was ready:\n{}", said.join("\n"));
                }
            };
            if let Some(address) = line.strip_prefix("listening mqtt://") {
                running.mqtt = Some(address.parse().expect("an address"));
            } else if let Some(address) = line.strip_prefix("listening http://") {
                running.http = address.parse().expect("an address");
                return running;
            }
        }
    }

    /// The address of the API, as in `http://127.0.0.1:1026`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The address of the MQTT listener.
    ///
    /// # Panics
    ///
    /// If it was not asked for.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt.expect("the program was started with --mqtt")
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its output; none when it has ended.
    ///
    /// # Panics
    ///
    /// If it neither prints nor ends.
    pub fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program prints nothing more"),
        }
    }

    /// What it has complained about so far.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.try_iter().collect()
    }

    /// Ends it at once, as a power cut of the process does.
    ///
    /// # Panics
    ///
    /// If the system does not let us.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Asks it to end, as Ctrl-C does, and gives its exit code and whatever else it printed.
    ///
    /// # Panics
    ///
    /// If the system does not let us, or it does not end.
    pub fn stop(mut self) -> (Option<i32>, Vec<String>) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, Signal::INT).expect("the process can be asked");
        let mut printed = Vec::new();
        while let Some(line) = self.line() {
            printed.push(line);
        }
        let status = self.child.wait().expect("the process ends");
        (status.code(), printed)
    }
}

impl Drop for Musubi {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
