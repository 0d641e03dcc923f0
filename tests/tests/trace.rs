//! In `sync` no answer leaves before the sync that covers its write has returned: shown by the
//! system calls of the process, as `strace` sees them.
//!
//! Every request has a marker in it. For each the trace has to show, in this order: the marker
//! arrives on a connection; it is written to a file of the store; that file is synced; the answer
//! leaves on the connection.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use musubi_tests::{Http, Musubi, PATIENCE, Publisher, binary, finish};
use serde_json::json;

const CALLS: &str = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,\
                     pwritev,pwritev2,fdatasync,fsync";

/// One system call: what it was, on what, and when it began and returned (as lines of the trace).
#[derive(Clone, Debug)]
struct Call {
    name: String,
    /// The file or connection, as `strace -yy` names it.
    target: String,
    /// The whole call with its data and result.
    text: String,
    began: usize,
    returned: usize,
}

impl Call {
    fn is_connection(&self) -> bool {
        self.target.starts_with("TCP")
    }

    fn receives(&self, marker: &str) -> bool {
        let reads = matches!(self.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg");
        reads && self.is_connection() && self.text.contains(marker)
    }

    fn answers(&self) -> bool {
        let writes = matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg");
        // 0x40 is the first byte of a PUBACK, and strace shows it as the character that it is.
        let good = self.text.contains("\"HTTP/1.1 2") || self.text.contains("\"@\\2");
        writes && self.is_connection() && good
    }

    fn stores(&self, marker: &str) -> bool {
        let writes =
            matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2");
        writes && self.target.starts_with('/') && self.text.contains(marker)
    }

    fn syncs(&self, file: &str) -> bool {
        matches!(self.name.as_str(), "fdatasync" | "fsync")
            && self.target == file
            && self.text.trim_end().ends_with("= 0")
    }
}

/// The calls of a trace, in the order in which they began.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: Vec<(String, usize, String)> = Vec::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, rest)) = text.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            unfinished.push((thread.to_owned(), line, start.to_owned()));
        } else if rest.starts_with("<... ") {
            let Some(index) = unfinished.iter().position(|(of, ..)| of == thread) else { continue };
            let (_, began, start) = unfinished.swap_remove(index);
            let end = rest.split_once(" resumed>").map_or("", |(_, end)| end);
            calls.extend(call(&format!("{start}{end}"), began, line));
        } else {
            calls.extend(call(rest, line, line));
        }
    }
    calls.sort_by_key(|call| call.began);
    calls
}

/// `fdatasync(9</data/journal>) = 0`
fn call(text: &str, began: usize, returned: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let digits = rest.find('<')?;
    rest.get(..digits)?.parse::<u32>().ok()?;
    let target = rest.get(digits + 1..)?;
    // The name of a connection holds an arrow.
    let end = if target.starts_with("TCP") { target.find("]>")? + 1 } else { target.find('>')? };
    Some(Call {
        name: name.to_owned(),
        target: target.get(..end)?.to_owned(),
        text: text.to_owned(),
        began,
        returned,
    })
}

/// Why the trace does not show that the write with this marker was synced before its answer left;
/// none if it does.
fn objection(calls: &[Call], marker: &str) -> Option<String> {
    let request = calls.iter().find(|call| call.receives(marker));
    let Some(request) = request else { return Some(format!("{marker} never arrived")) };
    let answer = calls.iter().find(|call| {
        call.answers() && call.began > request.returned && call.target == request.target
    });
    let Some(answer) = answer else { return Some(format!("{marker} was never answered")) };
    let mut written = calls
        .iter()
        .filter(|call| call.stores(marker) && call.began > request.began)
        .filter(|call| call.returned < answer.began)
        .peekable();
    if written.peek().is_none() {
        return Some(format!("{marker} was answered before it was written"));
    }
    let synced = written.all(|write| {
        calls.iter().any(|call| {
            call.syncs(&write.target) && call.began > write.returned && call.returned < answer.began
        })
    });
    if synced { None } else { Some(format!("{marker} was answered before it was synced")) }
}

fn require_strace() {
    let probe = finish(Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]));
    assert_eq!(
        probe.code,
        Some(0),
        "this test needs strace and the permission to trace processes (CAP_SYS_PTRACE in a \
         container): {}",
        probe.stderr
    );
}

/// The trace of a server that is asked, one after the other, to create entities and to take
/// messages; and the markers of those.
async fn traced(folder: &Path, durability: &str) -> (Vec<Call>, Vec<String>) {
    require_strace();
    let pipe = folder.join("trace");
    let made = finish(Command::new("mkfifo").arg(&pipe));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let (sender, whole) = mpsc::channel();
    let read_from = pipe.clone();
    std::thread::spawn(move || {
        let bytes = std::fs::read(read_from).expect("a trace");
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    let mapping = folder.join("sensors.toml");
    let text = "[source]\nkind = \"mqtt\"\n[groups.trace]\ntype = \"Traced\"\ndevices = \"any\"\n";
    std::fs::write(&mapping, text).expect("a file");
    let server = Musubi::start(
        Command::new("strace")
            // -D: the program is our child, and the tracer ends with it.
            .args(["-D", "-f", "-qq", "-yy", "-s", "65536", "-e", "signal=none", "-e", CALLS])
            .arg("-o")
            .arg(&pipe)
            .arg(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .args(["--durability", durability])
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--adapter")
            .arg(&mapping)
            // Nothing is synced by the clock while the test lasts.
            .env("MUSUBI_DURABILITY_INTERVAL", "1h"),
    );
    let http = Http::new(server.url());
    let mut publisher = Publisher::new(server.mqtt(), "trace");
    let mut markers = Vec::new();
    for number in 0..10 {
        let marker = format!("created-{number:03}");
        let id = format!("urn:ngsi-ld:Traced:{marker}");
        let body = json!({ "id": id, "type": "Traced", "level": number });
        assert_eq!(http.post("/ngsi-ld/v1/entities", &body).await.status, 201);
        markers.push(marker);
        let marker = format!("published-{number:03}");
        publisher
            .publish(&format!("/json/trace/{marker}/attrs"), format!("{{\"level\":{number}}}"))
            .await;
        markers.push(marker);
    }
    drop(publisher);
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    let trace = whole.recv_timeout(PATIENCE).expect("the tracer ends with the program");
    (calls(&trace), markers)
}

#[tokio::test]
async fn in_sync_no_answer_leaves_before_its_write_is_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (calls, markers) = traced(folder.path(), "sync").await;
    let objections: Vec<String> =
        markers.iter().filter_map(|marker| objection(&calls, marker)).collect();
    assert!(objections.is_empty(), "{objections:#?}");
}

/// That the check above is able to fail: in `interval` answers do not wait for the disk.
#[tokio::test]
async fn in_interval_the_same_check_finds_answers_that_left_before_the_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    let (calls, markers) = traced(folder.path(), "interval").await;
    for marker in markers {
        let expected = format!("{marker} was answered before it was synced");
        assert_eq!(objection(&calls, &marker), Some(expected));
    }
}

#[test]
fn a_trace_is_read_and_judged() {
    let read =
        "7 recvfrom(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"POST mark\", 10, 0, NULL, NULL) = 9";
    let write = "8 write(9</d/journal>, \"..mark..\", 8 <unfinished ...>";
    let written = "8 <... write resumed>) = 8";
    let sync = "8 fdatasync(9</d/journal> <unfinished ...>";
    let synced = "8 <... fdatasync resumed>) = 0";
    let answer = "7 sendto(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"HTTP/1.1 201 Created\", 20) = 20";
    let judge = |lines: &[&str]| objection(&calls(&lines.join("\n")), "mark");
    assert_eq!(judge(&[read, write, written, sync, synced, answer]), None);
    let early = Some("mark was answered before it was synced".to_owned());
    assert_eq!(judge(&[read, write, written, sync, answer, synced]), early);
    assert_eq!(judge(&[read, write, sync, written, synced, answer]), early.clone());
    assert_eq!(judge(&[read, write, written, answer]), early);
    let late = Some("mark was answered before it was written".to_owned());
    assert_eq!(judge(&[read, answer, write, written, sync, synced]), late);
    assert_eq!(judge(&[write, written]), Some("mark never arrived".to_owned()));
    assert_eq!(judge(&[read]), Some("mark was never answered".to_owned()));
}
