//! What a request costs: requests per second of processor time, of our client and of reqwest, to a
//! bare server in a process of its own.
//!
//! ```text
//! cargo run --release -p musubi-outbound --example speed
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use musubi_outbound::{Client, Guard, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Requests of a run.
const REQUESTS: usize = 100_000;
/// Requests under way at a time.
const AT_A_TIME: usize = 64;
/// About the length of a notification.
const BODY: Bytes = Bytes::from_static(&[b'x'; 600]);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::args().nth(1).as_deref() == Some("server") {
        return runtime.block_on(async {
            // The pipe ends with whoever holds its other end.
            let mut nothing = Vec::new();
            tokio::select! {
                ended = serve() => ended,
                _ = tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut nothing)) => Ok(()),
            }
        });
    }
    let program = std::env::current_exe()?;
    let mut server =
        Command::new(program).arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    let url = format!("http://127.0.0.1:{}/notify", line.trim());
    let measured = runtime.block_on(compare(&url));
    server.kill()?;
    server.wait()?;
    measured
}

async fn compare(url: &str) -> Outcome<()> {
    for _ in 0..3 {
        measure("reqwest", reqwest_client()?, url).await?;
        measure("ours", Client::guarded(Guard::default()), url).await?;
    }
    Ok(())
}

/// A client that can send a notification.
trait Sender: Clone + Send + 'static {
    fn send(&self, url: &str) -> impl Future<Output = Outcome<u16>> + Send;
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::LINK, HeaderValue::from_static("<https://example.org/context>"));
    headers
}

impl Sender for Client {
    async fn send(&self, url: &str) -> Outcome<u16> {
        let request = Request {
            method: Method::POST,
            url: url.parse()?,
            headers: headers(),
            body: BODY,
            timeout: Duration::from_secs(10),
            max_body: 65_536,
        };
        Ok(self.deliver(request).await?.status.as_u16())
    }
}

impl Sender for reqwest::Client {
    async fn send(&self, url: &str) -> Outcome<u16> {
        let timeout = Duration::from_secs(10);
        let request = self.post(url).headers(headers()).body(BODY);
        let answer = tokio::time::timeout(timeout, request.send()).await??;
        let status = answer.status().as_u16();
        answer.bytes().await?;
        Ok(status)
    }
}

fn reqwest_client() -> Outcome<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(AT_A_TIME);
    Ok(builder.build()?)
}

async fn measure(name: &str, client: impl Sender, url: &str) -> Outcome<()> {
    let (before, start) = (processor_time()?, Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (client, url) = (client.clone(), url.to_owned());
        tasks.spawn(async move {
            for _ in 0..REQUESTS / AT_A_TIME {
                if client.send(&url).await? != 200 {
                    return Err("not 200".into());
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let used = processor_time()?.saturating_sub(before);
    let requests = u32::try_from(REQUESTS)?;
    println!(
        "{name:8} {:>7.0} requests per second, {:>7.0} per second of processor time, {:?} each",
        f64::from(requests) / start.elapsed().as_secs_f64(),
        f64::from(requests) / used.as_secs_f64(),
        used / requests,
    );
    Ok(())
}

/// What this process has used of the processor so far.
fn processor_time() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("an unknown form of /proc/self/stat")?;
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    // A tick is a hundredth of a second on every Linux that we know of.
    Ok(Duration::from_millis(ticks * 10))
}

async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        tasks.spawn(answer(stream));
    }
}

/// Answers whenever a request has come; every one of them has the same length of body.
async fn answer(mut stream: TcpStream) -> Outcome<()> {
    let mut seen = Vec::new();
    loop {
        if stream.read_buf(&mut seen).await? == 0 {
            return Ok(());
        }
        let head = seen.windows(4).position(|window| window == b"\r\n\r\n");
        if head.is_some_and(|end| seen.len() >= end + 4 + BODY.len()) {
            seen.clear();
            stream.write_all(ANSWER).await?;
        }
    }
}
