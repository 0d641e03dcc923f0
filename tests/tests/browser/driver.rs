//! Chromium without a window, driven over the `WebDriver` protocol (W3C), which is HTTP and JSON.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use musubi_tests::{Http, PATIENCE, program};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with a page. Ended when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    http: Http,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn open() -> Self {
        let _ = program("chromium");
        let mut driver = Command::new(program("chromedriver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The browser is a child of the driver, and ends with its group.
            .process_group(0)
            .spawn()
            .expect("the driver starts");
        let http = Http::new(format!("http://127.0.0.1:{}", port(&mut driver)));
        let profile = tempfile::tempdir().expect("a folder");
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &folder,
        ];
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self { driver, http, session: String::new(), _profile: profile };
        let answer = browser.command(Method::POST, "/session", &wanted).await;
        let session = answer["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{session}");
        browser
    }

    /// What a command gives.
    async fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let body = (method == Method::POST).then_some(body);
        let answer = self.http.send(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()["value"].clone()
    }

    pub(crate) async fn go(&self, url: &str) {
        let path = format!("{}/url", self.session);
        self.command(Method::POST, &path, &json!({"url": url})).await;
    }

    /// What a script in the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let path = format!("{}/execute/sync", self.session);
        self.command(Method::POST, &path, &json!({"script": script, "args": []})).await
    }

    /// Waits until a script in the page returns this.
    pub(crate) async fn until(&self, what: &str, script: &str, expected: &Value) {
        let mut found = Value::Null;
        let asking = async {
            while found != *expected {
                found = self.run(script).await;
            }
        };
        let is_over = tokio::time::timeout(PATIENCE, asking).await.is_err();
        assert!(!is_over, "{what} did not happen; there is {found}, and not {expected}");
    }

    /// What the page complained about.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let path = format!("{}/se/log", self.session);
        let log = self.command(Method::POST, &path, &json!({"type": "browser"})).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].to_string()).collect()
    }

    pub(crate) async fn close(self) {
        self.command(Method::DELETE, &self.session, &Value::Null).await;
    }
}

/// The port on which the driver listens, as it says itself.
fn port(driver: &mut Child) -> u16 {
    let (sender, found) = mpsc::channel();
    let output = BufReader::new(driver.stdout.take().expect("a pipe"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let _ = sender.send(port.trim_end_matches('.').parse().expect("a port"));
            }
        }
    });
    found.recv_timeout(PATIENCE).expect("the driver listens")
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}
