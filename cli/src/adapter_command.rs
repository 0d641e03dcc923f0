//! `musubi adapter`: looks at, checks and runs a source without the broker's process.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use musubi_adapter_kit::{
    AdapterMetrics, HttpSink, MappingFile, Services, Sink, Source, run_tests,
};
use musubi_model::SystemClock;
use musubi_outbound::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::adapters::adapter;
use crate::api::Api;
use crate::args::Adapter;
use crate::nothing_sink::NothingSink;
use crate::services::{own_context, services};

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(
    command: Adapter,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<(), String> {
    match command {
        Adapter::Check { file } => {
            let mapping = mapping(&file)?;
            adapter(&mapping, alone(Arc::new(NothingSink))?).map_err(|error| error.to_string())?;
            say(
                out,
                &format!("{}: a {} source that can be used", mapping.file, mapping.source.kind()),
            )
        }
        Adapter::Preview { file, broker, limit } => {
            let folder =
                std::env::temp_dir().join(format!("musubi-preview-{}", std::process::id()));
            let previewed = preview(&file, broker.as_deref(), limit, &folder).await;
            // It is there only if a broker was named.
            let _ = std::fs::remove_dir_all(&folder);
            say(out, previewed?.trim_end())
        }
        Adapter::Test { file } => test(&mapping(&file)?, out),
        Adapter::Run { file, broker, data_dir, once } => {
            let mapping = mapping(&file)?;
            if let Source::HttpPush(_) = mapping.source {
                return Err(format!(
                    "{}: what is posted is taken by the broker's own process; use musubi serve --adapter",
                    mapping.file
                ));
            }
            let sink = Arc::new(http_sink(&broker, &data_dir.join(&mapping.name))?);
            let adapter = adapter(&mapping, alone(sink)?).map_err(|error| error.to_string())?;
            if once {
                adapter.clone().run_once().await.map_err(|error| error.to_string())?;
                return say(out, &adapter.status().to_string());
            }
            say(out, &format!("running {} towards {broker}; Ctrl-C ends it", adapter.name()))?;
            adapter.run(shutdown).await.map_err(|error| error.to_string())
        }
        Adapter::Devices { unknown: _, broker } => unknown_devices(&broker, out).await,
    }
}

/// What a source would write, compared with the broker if one is named; `folder` is for what is
/// needed meanwhile.
async fn preview(
    file: &Path,
    broker: Option<&str>,
    limit: usize,
    folder: &Path,
) -> Result<String, String> {
    let sink: Arc<dyn Sink> = match broker {
        None => Arc::new(NothingSink),
        Some(broker) => Arc::new(http_sink(broker, folder)?),
    };
    let adapter = adapter(&mapping(file)?, alone(sink)?).map_err(|error| error.to_string())?;
    let preview = adapter.preview(limit).await.map_err(|error| error.to_string())?;
    Ok(preview.render())
}

/// Runs the tests of a mapping file, and fails if one of them does.
fn test(mapping: &MappingFile, out: &mut dyn Write) -> Result<(), String> {
    let outcomes = run_tests(mapping, &own_context()?).map_err(|error| error.to_string())?;
    if outcomes.is_empty() {
        return Err(format!("{} has no [[test]]", mapping.file));
    }
    let mut failed = 0_usize;
    for outcome in &outcomes {
        if outcome.differences.is_empty() {
            say(out, &format!("ok      {}", outcome.name))?;
        } else {
            failed += 1;
            say(out, &format!("FAILED  {}", outcome.name))?;
            for difference in &outcome.differences {
                say(out, &format!("        {difference}"))?;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} tests failed", outcomes.len())) }
}

/// Lists the devices that report and that no mapping file knows.
async fn unknown_devices(broker: &str, out: &mut dyn Write) -> Result<(), String> {
    let list = Api::new(broker, None)?.call(Method::GET, "/musubi/v1/adapters", None).await?;
    let mut count = 0_usize;
    for adapter in list.as_array().into_iter().flatten() {
        let name = adapter.get("name").and_then(Value::as_str).unwrap_or_default();
        let unknown = adapter.get("unknownDevices").and_then(Value::as_array);
        for device in unknown.into_iter().flatten() {
            count += 1;
            let device = device.as_str().map_or_else(|| device.to_string(), str::to_owned);
            say(out, &format!("{name}  {device}"))?;
        }
    }
    if count == 0 { say(out, "none") } else { Ok(()) }
}

fn mapping(file: &Path) -> Result<MappingFile, String> {
    MappingFile::load(file).map_err(|error| error.to_string())
}

/// What an adapter gets that runs outside of the broker's process.
fn alone(sink: Arc<dyn Sink>) -> Result<Services, String> {
    services(sink, Arc::new(SystemClock), AdapterMetrics::default())
}

fn http_sink(broker: &str, folder: &Path) -> Result<HttpSink, String> {
    let url = Url::parse(broker).map_err(|error| format!("--broker {broker}: {error}"))?;
    HttpSink::open(Client::unguarded(), url, folder, Arc::new(SystemClock))
        .map_err(|error| error.to_string())
}

fn say(out: &mut dyn Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}
