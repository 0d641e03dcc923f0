//! A whole server: store, broker, notifier, adapters, listeners. The only place that names them
//! all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use musubi_adapter_kit::{Adapter, MappingFile, Services, Source};
use musubi_broker::Broker;
use musubi_history::Archive;
use musubi_http::{Hosts, HttpOptions, Limits, ServeOptions};
use musubi_model::SystemClock;
use musubi_notify::{Notifications, Notifier};
use musubi_schemas::{CONTEXT, CONTEXT_NAME};
use musubi_store_embedded::EmbeddedStore;
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::adapters::{Registry, adapter};
use crate::backups::LiveBackups;
use crate::page::{Line, Page};
use crate::settings::Settings;

mod core;
mod mqtt;
mod open;
mod part;
mod upkeep;

use self::core::Core;
use self::open::{open_history, open_store, raise_file_limit};
use self::part::{Alarm, Part};

/// How long requests on their way may take once the server is to end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a part may take to end: its own deadline for what is on its way, and something for
/// what it saves then.
const LAST: Duration = Duration::from_secs(30);

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where the HTTP API is.
    pub(crate) http: SocketAddr,
    /// Where the MQTT listener is.
    pub(crate) mqtt: Option<SocketAddr>,
    /// The operations.
    pub(crate) broker: Broker,
    /// What became of notifications.
    pub(crate) notifications: Notifications,
    /// The adapters.
    pub(crate) registry: Registry,
    store: Arc<EmbeddedStore>,
    adapters: Part,
    listeners: Part,
    notifying: Part,
    recording: Part,
    alarm: Alarm,
}

/// What the page shows beside the server's own lines, if somebody has more to say.
pub(crate) type Extra = watch::Receiver<Page>;

/// What is added to the settings by the program that starts the server.
#[derive(Debug)]
pub(crate) struct Additions {
    /// Mapping files that stand in no file.
    pub(crate) mappings: Vec<MappingFile>,
    /// More for the page.
    pub(crate) page: Extra,
}

impl Server {
    /// Opens the store, starts everything, and listens.
    ///
    /// # Errors
    ///
    /// A sentence that names the flag, file or port.
    pub(crate) async fn start(
        mut settings: Settings,
        additions: Additions,
    ) -> Result<Self, String> {
        raise_file_limit();
        let store = open_store(&settings).await?;
        let listener = bind("--listen", settings.listen).await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let public = settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let mut metrics = MetricsRegistry::with_prefix("musubi");
        store.metrics().register(&mut metrics);
        settings.notify.ids = musubi_broker::notification_key(&*store, &SystemClock).await;
        let archive = open_history(&settings, &store).await?;
        if let Some(archive) = &archive {
            archive.metrics().register(&mut metrics);
        }
        let kept = archive.clone();
        let (core, notifier) = Core::assemble(&settings, (&store, kept), &public, &mut metrics)?;
        let data = settings.data_dir.clone();
        let backups = LiveBackups::new(store.clone(), archive.clone(), data, core.clock.clone());
        core.broker.backs_up_by(Arc::new(backups));
        core.broker.load_tenants().await.map_err(|error| error.to_string())?;
        core.broker.load_schemas().await.map_err(|error| error.to_string())?;
        let services = core.services(&mut metrics)?;
        let mqtt = mqtt::Mqtt::prepare(&settings, &core.clock, &mut metrics).await?;
        let registry = registry(&settings, &additions, &services, &mqtt)?;
        core.replays.know(registry.clone());

        let alarm = Alarm::default();
        let notifying = notify(notifier, &alarm);
        let recording = record(archive, &alarm);
        loaded(&core.notifications, &alarm).await?;
        let mut adapters = Part::default();
        registry.run(&mut adapters.tasks, &adapters.stop);
        upkeep::start(&mut adapters, &alarm, core.letters(&settings));
        let sweeper = core.sweeper(&settings);
        adapters.start_vital("the sweeper", &alarm, |stop| sweeper.run(stop.cancelled_owned()));
        watch_store(&store, &mut adapters, &alarm);
        let mut listeners = Part::default();
        let mqtt = mqtt.listener()?.map(|(address, listener)| {
            listeners.start_vital("the MQTT listener", &alarm, |stop| listener.run(stop));
            address
        });
        let options = HttpOptions {
            limits: limits(&settings),
            hosts: hosts(address, &public),
            origins: settings.cors_origins.clone(),
            metrics,
            ready: Some(readiness(&store, &alarm)),
            page: Some(page(&settings, (address, mqtt), &core.notifications, additions.page)),
            adapters: Some(Arc::new(registry.clone())),
            contexts: vec![(CONTEXT_NAME.to_owned(), CONTEXT.to_owned())],
        };
        serve(listener, (&core.broker, options), &mut listeners, &alarm);
        let Core { broker, notifications, .. } = core;
        Ok(Self {
            http: address,
            mqtt,
            broker,
            notifications,
            registry,
            store,
            adapters,
            listeners,
            notifying,
            recording,
            alarm,
        })
    }

    /// Waits until a part has ended by itself without which writes would be accepted and not be
    /// carried through; says which. Then the server is to be stopped and started again.
    pub(crate) async fn broken(&self) -> String {
        let what = self.alarm.raised().await;
        format!("{what} has ended by itself, so the server ends; nothing acknowledged is lost")
    }

    /// Prints the ready lines.
    pub(crate) fn announce(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        if let Some(address) = self.mqtt {
            writeln!(out, "listening mqtt://{address}")?;
        }
        writeln!(out, "listening http://{}", self.http)?;
        out.flush()
    }

    /// Ends in the order in which nothing is lost: no new work, then what is on its way, then the
    /// notifier's results, then what writes files of the history, then the store.
    pub(crate) async fn stop(self) {
        self.adapters.stop.cancel();
        self.listeners.end(LAST).await;
        self.adapters.end(LAST).await;
        self.notifying.end(LAST).await;
        self.recording.end(LAST).await;
        if let Err(error) = self.store.close().await {
            tracing::error!(error = %error, "the store did not close cleanly; the next start repairs it");
        }
    }
}

/// Begins to notify.
fn notify(notifier: Notifier, alarm: &Alarm) -> Part {
    let mut notifying = Part::default();
    notifying.start_vital("the notifier", alarm, |stop| async move {
        if let Err(error) = notifier.run(stop.cancelled_owned()).await {
            tracing::error!(error = %error, "the notifier gave up");
        }
    });
    notifying
}

/// Begins to write files of the history, if there is one.
fn record(archive: Option<Archive>, alarm: &Alarm) -> Part {
    let mut recording = Part::default();
    if let Some(archive) = archive {
        recording.start_vital("the history", alarm, |stop| archive.run(stop));
    }
    recording
}

/// Begins to answer over HTTP.
fn serve(listener: TcpListener, http: (&Broker, HttpOptions), part: &mut Part, alarm: &Alarm) {
    let router = musubi_http::router(http.0.clone(), http.1);
    part.start_vital("the HTTP server", alarm, |stop| async move {
        let options = ServeOptions { drain: DRAIN, ..ServeOptions::default() };
        let served = musubi_http::serve(listener, router, options, stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(error = %error, "the HTTP server ended");
        }
    });
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        body: settings.body_limit,
        history_instances: settings.history.instances,
        ..Limits::default()
    }
}

/// Listens, or says which flag names a port that is taken.
///
/// # Errors
///
/// A sentence.
pub(crate) async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            format!("{flag} {address}: port {} is taken by another program", address.port())
        } else {
            format!("{flag} {address}: {error}")
        }
    })
}

/// An error and what is behind it, in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn registry(
    settings: &Settings,
    additions: &Additions,
    services: &Services,
    mqtt: &mqtt::Mqtt,
) -> Result<Registry, String> {
    let mut adapters: Vec<Arc<dyn Adapter>> = Vec::new();
    let mut add = |mapping: &MappingFile| {
        let made = match &mapping.source {
            Source::Mqtt(_) => mqtt.adapter(mapping, services.clone()),
            Source::Gbfs(_) | Source::File(_) | Source::HttpPush(_) => {
                adapter(mapping, services.clone())
            }
        };
        adapters.push(made.map_err(|error| error.to_string())?);
        Ok::<(), String>(())
    };
    for mapping in &additions.mappings {
        add(mapping)?;
    }
    for path in &settings.adapters {
        add(&MappingFile::load(path).map_err(|error| error.to_string())?)?;
    }
    Registry::new(adapters)
}

fn hosts(address: SocketAddr, public: &str) -> Hosts {
    let public = url::Url::parse(public).ok().and_then(|url| url.host_str().map(str::to_owned));
    Hosts::LoopbackAnd(public.into_iter().chain([address.ip().to_string()]).collect())
}

/// Waits until the notifier knows what was there before: nobody is to be shown an account without
/// it.
async fn loaded(notifications: &Notifications, alarm: &Alarm) -> Result<(), String> {
    tokio::select! {
        () = notifications.loaded() => Ok(()),
        part = alarm.raised() => Err(format!("{part} did not begin")),
    }
}

/// Raises the alarm when the store has ended.
fn watch_store(store: &EmbeddedStore, part: &mut Part, alarm: &Alarm) {
    let mut ended = store.ended();
    part.start_vital("the store", alarm, |stop| async move {
        let ended = async { drop(ended.wait_for(|ended| *ended).await) };
        stop.run_until_cancelled(ended).await;
    });
}

fn readiness(store: &Arc<EmbeddedStore>, alarm: &Alarm) -> musubi_http::Readiness {
    let (healthy, alarm) = (store.healthy(), alarm.clone());
    Arc::new(move || {
        if let Some(what) = alarm.what() {
            Err(format!("{what} has ended, so the server ends"))
        } else if *healthy.borrow() {
            Ok(())
        } else {
            Err("the store takes no writes now; reads go on".to_owned())
        }
    })
}

fn page(
    settings: &Settings,
    (http, mqtt): (SocketAddr, Option<SocketAddr>),
    notifications: &Notifications,
    extra: Extra,
) -> musubi_http::PageSource {
    let mut running = vec![
        Line { name: "NGSI-LD API".to_owned(), value: format!("http://{http}/ngsi-ld/v1") },
        Line {
            name: "MQTT listener".to_owned(),
            value: mqtt.map_or("off (--mqtt)".to_owned(), |address| format!("mqtt://{address}")),
        },
        Line {
            name: "Store".to_owned(),
            value: format!("{} ({:?})", settings.data_dir.display(), settings.durability),
        },
    ];
    running.extend(
        settings
            .adapters
            .iter()
            .map(|path| Line { name: "Adapter".to_owned(), value: path.display().to_string() }),
    );
    let notifications = notifications.clone();
    Arc::new(move || {
        let ledger = notifications.totals();
        let more = extra.borrow().clone();
        let notified = format!(
            "{} due = {} delivered + {} pending + {} dead + {} suppressed",
            ledger.due, ledger.delivered, ledger.pending, ledger.dead, ledger.suppressed
        );
        let mut page = Page { running: running.clone(), ..more.clone() };
        page.running.extend(more.running);
        page.counts.push(Line { name: "Notifications".to_owned(), value: notified });
        page.html()
    })
}
