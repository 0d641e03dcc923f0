//! Pages in a real browser: the examples, one of them through a kill of the broker, and the
//! documentation that the broker serves.

mod day;
mod docs;
mod driver;
mod live;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use musubi_tests::{Musubi, binary, repository};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves a page of `examples/` and its script, as any file server does.
async fn serve_example(name: &str, tasks: &mut JoinSet<()>) -> SocketAddr {
    let mut router = Router::new();
    for (ending, media) in [("html", "text/html"), ("js", "text/javascript")] {
        let file = format!("{name}.{ending}");
        let text = std::fs::read_to_string(repository().join("examples").join(&file));
        let text = text.expect("the example is there");
        let answer = move || std::future::ready(([(header::CONTENT_TYPE, media)], text.clone()));
        router = router.route(&format!("/{file}"), get(answer));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    address
}

/// A broker that pages of this origin may use.
fn broker(data: &Path, listen: &str, origin: &str) -> Musubi {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", listen, "--data-dir"]).arg(data);
    Musubi::start(command.env("MUSUBI_CORS_ORIGINS", origin))
}
