//! `musubi demo`: a simulated town on top of a real broker.
//!
//! The town is the only thing that is simulated. Its docks are a GBFS feed that the real adapter
//! polls over HTTP, its sensors publish to the real MQTT listener, its shelters post to the real
//! endpoint, and its vendor subscribes through the real API.

mod display;
mod feed;
mod receiver;
mod sensors;
mod shelters;
mod town;
mod vendor;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use musubi_adapter_kit::MappingFile;
use musubi_model::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::display::{Arrivals, Display, Place};
use self::feed::Feed;
use self::receiver::Receiver;
use self::sensors::Acknowledged;
use self::shelters::Reports;
use self::town::Town;
use crate::args::Demo;
use crate::page::Page;
use crate::serve::settings;
use crate::server::{Additions, Server, bind};
use crate::settings::Defaults;
use crate::telemetry;

/// How often somebody rides.
const RIDES: Duration = Duration::from_secs(2);

/// Runs the town until `shutdown`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(
    demo: Demo,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let settings = settings(&demo.serve, &Defaults::DEMO)?;
    if settings.mqtt.is_none() {
        return Err("--mqtt off: the town's sensors need the MQTT listener".to_owned());
    }
    let level = demo.serve.log_level.as_deref().unwrap_or("warn");
    telemetry::start(level, settings.log_format);

    let mut tasks = JoinSet::new();
    let town = Arc::new(Mutex::new(Town::new(demo.seed)));
    let listener = bind("--receiver", address("--receiver", &demo.receiver)?).await?;
    let receiver = Receiver::new(listener.local_addr().map_err(|error| error.to_string())?);
    tasks.spawn(receiver.clone().run(listener, shutdown.clone()));
    let town_address =
        serve_town(&mut tasks, &demo, town.clone(), receiver.clone(), shutdown.clone()).await?;

    let (sender, page) = watch::channel(Page::default());
    let mappings = mappings(&town_address)?;
    let data_dir = settings.data_dir.clone();
    let server = Server::start(settings, Additions { mappings, page }).await?;
    server.announce(out).map_err(|error| error.to_string())?;
    let base = format!("http://{}", server.http);
    vendor::subscribe(&base, &receiver.url()).await?;

    let acknowledged = Acknowledged::default();
    if let Some(mqtt) = server.mqtt {
        sensors::start(&mut tasks, &town, mqtt, &acknowledged, &shutdown);
    }
    let reports = Reports::default();
    tasks.spawn(shelters::run(base.clone(), town.clone(), reports.clone(), shutdown.clone()));
    tasks.spawn(ride(town, shutdown.clone()));

    let arrivals = Arrivals { acknowledged, reports, receiver };
    let place = Place { seed: demo.seed, base, town: town_address, data_dir };
    let display = Display::new(place, &server, arrivals);
    display.introduce(out, &sender).map_err(|error| error.to_string())?;
    let broken = tokio::select! {
        shown = display.run(out, &sender, &shutdown) => {
            shown.map_err(|error| error.to_string())?;
            None
        }
        broken = server.broken() => Some(broken),
    };
    shutdown.cancel();
    finish(&mut tasks).await;
    server.stop().await;
    if let Some(broken) = broken {
        return Err(broken);
    }
    writeln!(out, "ended; the next start finds this town's data").map_err(|error| error.to_string())
}

async fn finish(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(error = %error, "a part of the town ended badly");
        }
    }
}

fn address(flag: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| format!("{flag} {text}: {error}"))
}

/// The town's own server: the feed of its docks, and the switch of the vendor's receiver.
async fn serve_town(
    tasks: &mut JoinSet<()>,
    demo: &Demo,
    town: Arc<Mutex<Town>>,
    receiver: Receiver,
    shutdown: CancellationToken,
) -> Result<String, String> {
    let listener = bind("--town", address("--town", &demo.town)?).await?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let feed = Feed { town, clock, address: format!("http://{bound}") };
    let base = feed.address.clone();
    let switch = Router::new()
        .route(
            "/receiver/unplug",
            post(async |State(receiver): State<Receiver>| {
                receiver.plug(false);
                "the receiver is unplugged\n"
            }),
        )
        .route(
            "/receiver/plug",
            post(async |State(receiver): State<Receiver>| {
                receiver.plug(true);
                "the receiver is plugged in\n"
            }),
        )
        .with_state(receiver);
    let app = feed.router().merge(switch);
    tasks.spawn(async move {
        tokio::select! {
            served = axum::serve(listener, app).into_future() => {
                if let Err(error) = served {
                    tracing::error!(error = %error, "the town's server ended");
                }
            }
            () = shutdown.cancelled() => {}
        }
    });
    Ok(base)
}

/// The mapping files of the town's sources.
fn mappings(town: &str) -> Result<Vec<MappingFile>, String> {
    let docks = format!(
        "name = \"docks\"\n[source]\nkind = \"gbfs\"\nurl = \"{town}/gbfs/gbfs.json\"\n\
         min_interval = \"5s\"\n[map]\npreset = \"gbfs-stations\"\n\
         attribution = \"synthetic data of a town that does not exist\"\n"
    );
    let sensors = format!(
        "name = \"sensors\"\n[source]\nkind = \"mqtt\"\n[groups.{}]\ntype = \"WeatherObserved\"\n\
         devices = \"any\"\n",
        sensors::API_KEY
    );
    let shelters = "name = \"shelters\"\n[source]\nkind = \"http_push\"\n[map]\n\
                    preset = \"shelter-reports\"\n";
    [("docks.toml", docks.as_str()), ("sensors.toml", &sensors), ("shelters.toml", shelters)]
        .into_iter()
        .map(|(name, text)| MappingFile::parse(text, name).map_err(|error| error.to_string()))
        .collect()
}

async fn ride(town: Arc<Mutex<Town>>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(RIDES);
    // The docks show themselves once as the seed made them.
    ticks.tick().await;
    let mut step = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                step += 1;
                town.lock().ride(step);
            }
            () = shutdown.cancelled() => return,
        }
    }
}
