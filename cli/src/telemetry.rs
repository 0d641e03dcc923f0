//! Logs, on standard error.

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging. A second call changes nothing.
pub(crate) fn start(level: &str, format: LogFormat) {
    // The engine's own remarks are for those who ask for them.
    let filter = EnvFilter::try_new(format!("fjall=warn,lsm_tree=warn,{level}"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}
