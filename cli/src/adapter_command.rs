//! `musubi adapter`: looks at, checks and runs a source without the broker's process.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use musubi_adapter_kit::{
    AdapterMetrics, HttpSink, MappingFile, Services, Sink, Source, run_tests,
};
use musubi_context::{Context, ContextSource};
use musubi_model::SystemClock;
use musubi_outbound::Client;
use musubi_schemas::Schemas;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::adapters::{Models, adapter};
use crate::api::Api;
use crate::args::Adapter;
use crate::nothing_sink::NothingSink;

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
            adapter(&mapping, services(Arc::new(NothingSink))?)
                .map_err(|error| error.to_string())?;
            say(
                out,
                &format!("{}: a {} source that can be used", mapping.file, mapping.source.kind()),
            )
        }
        Adapter::Preview { file, broker, limit } => {
            let sink: Arc<dyn Sink> = match broker {
                None => Arc::new(NothingSink),
                Some(broker) => {
                    let folder = format!("musubi-preview-{}", std::process::id());
                    Arc::new(http_sink(&broker, &std::env::temp_dir().join(folder))?)
                }
            };
            let adapter =
                adapter(&mapping(&file)?, services(sink)?).map_err(|error| error.to_string())?;
            let preview = adapter.preview(limit).await.map_err(|error| error.to_string())?;
            say(out, preview.render().trim_end())
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
            let adapter = adapter(&mapping, services(sink)?).map_err(|error| error.to_string())?;
            if once {
                adapter.clone().run_once().await.map_err(|error| error.to_string())?;
                return say(out, &adapter.status().to_string());
            }
            say(out, &format!("running {} towards {broker}; Ctrl-C ends it", adapter.name()))?;
            adapter.run(shutdown).await.map_err(|error| error.to_string())
        }
        Adapter::Devices { unknown, broker } => devices(&broker, unknown, out).await,
    }
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

async fn devices(broker: &str, unknown: bool, out: &mut dyn Write) -> Result<(), String> {
    let list = Api::new(broker, None)?.call(Method::GET, "/musubi/v1/adapters", None).await?;
    let mut count = 0_usize;
    for adapter in list.as_array().into_iter().flatten() {
        let name = adapter.get("name").and_then(Value::as_str).unwrap_or_default();
        let kinds: &[&str] =
            if unknown { &["unknownDevices"] } else { &["devices", "unknownDevices"] };
        for kind in kinds {
            for device in adapter.get(kind).and_then(Value::as_array).into_iter().flatten() {
                count += 1;
                let device = device.as_str().map_or_else(|| device.to_string(), str::to_owned);
                say(out, &format!("{name}  {device}"))?;
            }
        }
    }
    if count == 0 { say(out, "none") } else { Ok(()) }
}

fn mapping(file: &Path) -> Result<MappingFile, String> {
    MappingFile::load(file).map_err(|error| error.to_string())
}

/// What an adapter gets that runs outside of the broker's process.
fn services(sink: Arc<dyn Sink>) -> Result<Services, String> {
    let schemas = Schemas::built_in().map_err(|error| error.to_string())?;
    Ok(Services {
        sink,
        clock: Arc::new(SystemClock),
        client: Client::unguarded(),
        context: own_context()?,
        models: Some(Arc::new(Models(schemas))),
        metrics: AdapterMetrics::default(),
    })
}

/// The context that names the terms of the project's own data models.
///
/// # Errors
///
/// A sentence, if the program's own file is broken, which a test rules out.
pub(crate) fn own_context() -> Result<Context, String> {
    let file: Value =
        serde_json::from_str(musubi_schemas::CONTEXT).map_err(|error| error.to_string())?;
    let terms = file.get("@context").map(Value::to_string).unwrap_or_default();
    let source = ContextSource { url: None, member: terms.clone(), document: terms };
    Context::from_source(&source).map_err(|error| error.to_string())
}

fn http_sink(broker: &str, folder: &Path) -> Result<HttpSink, String> {
    let url = Url::parse(broker).map_err(|error| format!("--broker {broker}: {error}"))?;
    HttpSink::open(Client::unguarded(), url, folder, Arc::new(SystemClock))
        .map_err(|error| error.to_string())
}

fn say(out: &mut dyn Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_programs_own_context_can_be_used() {
        let context = super::own_context().unwrap();
        let name = context.attribute("occupancy").unwrap();
        assert_eq!(name.as_str(), "urn:musubi:ns:occupancy");
    }
}
