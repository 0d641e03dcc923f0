//! `musubi serve`: the broker, until somebody ends it.

use std::io::Write;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::args::Serve;
use crate::page::Page;
use crate::server::{Additions, Server};
use crate::settings::{Defaults, Settings};
use crate::telemetry;

/// Runs the server until `shutdown`.
///
/// # Errors
///
/// A sentence for the operator; also if a part of the server has ended by itself.
pub(crate) async fn run(
    serve: Serve,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<(), String> {
    if serve.print_config {
        return out.write_all(Settings::print().as_bytes()).map_err(|error| error.to_string());
    }
    let settings = settings(&serve, &Defaults::SERVE)?;
    telemetry::start(&settings.log_level, settings.log_format);
    let (_nothing_more, page) = watch::channel(Page::default());
    let server = Server::start(settings, Additions { mappings: Vec::new(), page }).await?;
    server.announce(out).map_err(|error| error.to_string())?;
    let broken = tokio::select! {
        () = shutdown.cancelled() => None,
        broken = server.broken() => Some(broken),
    };
    tracing::info!("ending: what is on its way is finished first");
    server.stop().await;
    broken.map_or(Ok(()), Err)
}

/// The settings that flags, environment and file give.
///
/// # Errors
///
/// A sentence that names the flag, variable or key.
pub(crate) fn settings(serve: &Serve, defaults: &Defaults) -> Result<Settings, String> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut settings =
        Settings::gather(serve.config.as_deref(), &environment, &serve.flags(), defaults)
            .map_err(|error| error.to_string())?;
    settings.adapters.extend(serve.adapter.iter().cloned());
    Ok(settings)
}
