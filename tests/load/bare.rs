//! The limit that reading and writing are compared with: an axum server that reads what it is sent,
//! answers recorded bytes from memory, with the recorded headers, and does nothing else.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, patch, post};
use axum::serve::ListenerExt as _;
use musubi_tests::Musubi;
use tokio::net::TcpListener;

use crate::Failure;
use crate::generator::Connection;
use crate::report::say;

/// What can be asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// `GET /entities/{id}`
    Entity,
    /// `GET /entities`
    Page,
    /// `POST /entities`
    Create,
    /// `PATCH /entities/{id}/attrs/{attr}`
    Change,
}

impl Question {
    const ALL: [Self; 4] = [Self::Entity, Self::Page, Self::Create, Self::Change];

    /// The file with its answer, head included.
    fn file(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::Page => "page",
            Self::Create => "create",
            Self::Change => "change",
        }
    }
}

/// Asks a server, and writes its answer into the folder.
///
/// # Errors
///
/// If the status is not the expected one.
pub(crate) async fn record(
    server: SocketAddr,
    request: &[u8],
    expected: u16,
    (question, folder): (Question, &Path),
) -> Result<(), Failure> {
    let name = question.file();
    let mut connection = Connection::open(server).await?;
    let head = connection.ask(request).await?;
    if head.status != expected {
        return Err(format!("{name} is answered {}", head.status).into());
    }
    std::fs::write(folder.join(name), connection.answer())?;
    let answer = connection.answer().len();
    say(&format!("{name}: {} bytes, answered with {answer}, heads included", request.len()));
    Ok(())
}

/// Starts a server of the answers in a folder.
///
/// # Errors
///
/// If this program cannot be found.
pub(crate) fn start(folder: &Path) -> Result<Musubi, Failure> {
    Ok(Musubi::start(Command::new(std::env::current_exe()?).arg("bare").arg(folder)))
}

/// A recorded answer.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path)?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
        let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let mut headers = HeaderMap::new();
        for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
            let name: HeaderName = name.parse()?;
            // The server writes these two itself, as it did where the answer was recorded.
            if name != header::DATE && name != header::CONTENT_LENGTH {
                headers.append(name, HeaderValue::from_str(value.trim())?);
            }
        }
        let body = Bytes::from(bytes).slice(end + 4..);
        Ok(Self { status, headers, body })
    }
}

/// Serves the answers in a folder on a free port, until the process is ended.
///
/// # Errors
///
/// If an answer cannot be read, or there is no port.
pub(crate) fn run(folder: &Path) -> Result<(), Failure> {
    let mut app = Router::new();
    for question in Question::ALL {
        let path = folder.join(question.file());
        if !path.exists() {
            continue;
        }
        let (route, method) = match question {
            Question::Entity => ("/ngsi-ld/v1/entities/{id}", get(answer)),
            Question::Page => ("/ngsi-ld/v1/entities", get(answer)),
            Question::Create => ("/ngsi-ld/v1/entities", post(read_and_answer)),
            Question::Change => {
                ("/ngsi-ld/v1/entities/{id}/attrs/{attribute}", patch(read_and_answer))
            }
        };
        app = app.route(route, method.with_state(Answer::read(&path)?));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "listening http://{}", listener.local_addr()?)?;
        out.flush()?;
        let listener = listener.tap_io(|stream| {
            // Without it the connection is slower, and still one.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, app).await?)
    })
}

async fn answer(State(answer): State<Answer>) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

async fn read_and_answer(state: State<Answer>, _body: Bytes) -> Response<Body> {
    answer(state).await
}
