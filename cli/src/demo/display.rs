//! What the demo says: what is running, what to try, and every few seconds what happened.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use musubi_broker::{Broker, Caller};
use musubi_model::Tenant;
use musubi_notify::Notifications;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::receiver::Receiver;
use super::sensors::Acknowledged;
use super::shelters::Reports;
use super::town::{DOCKS, SENSORS, SHELTERS};
use crate::adapters::Registry;
use crate::page::{Line, Page};
use crate::server::Server;

/// How often a line is printed.
const PERIOD: Duration = Duration::from_secs(3);

/// Where the town's side counts.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    pub(super) acknowledged: Acknowledged,
    pub(super) reports: Reports,
    pub(super) receiver: Receiver,
}

/// Which town, and where.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) seed: u64,
    /// The address of the broker.
    pub(super) base: String,
    /// The address of the town's own server.
    pub(super) town: String,
    pub(super) data_dir: PathBuf,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct Display {
    place: Place,
    broker: Broker,
    notifications: Notifications,
    registry: Registry,
    arrivals: Arrivals,
}

impl Display {
    pub(super) fn new(place: Place, server: &Server, arrivals: Arrivals) -> Self {
        Self {
            place,
            broker: server.broker.clone(),
            notifications: server.notifications.clone(),
            registry: server.registry.clone(),
            arrivals,
        }
    }

    fn commands(&self) -> Vec<(String, String)> {
        let Place { base, town, .. } = &self.place;
        let link = format!(
            "-H 'Link: <{base}{}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"'",
            musubi_schemas::CONTEXT_PATH
        );
        let get = |about: &str, query: &str| {
            (about.to_owned(), format!("curl -s {link} '{base}/ngsi-ld/v1/entities?{query}'"))
        };
        vec![
            get(
                "docks with at least one bike, in short form",
                "type=BikeHireDockingStation&q=availableBikeNumber%3E0&format=simplified&limit=3",
            ),
            get(
                "docks within 1 km of a point",
                "type=BikeHireDockingStation&georel=near;maxDistance==1000&geometry=Point&coordinates=%5B136.91,35.17%5D&format=simplified",
            ),
            get(
                "shelters with more than 50 people",
                "type=EvacuationShelter&q=occupancy%3E50&format=simplified",
            ),
            get(
                "one sensor, with everything that is known",
                "type=WeatherObserved&limit=1&options=sysAttrs",
            ),
            (
                "what the vendor is owed".to_owned(),
                format!(
                    "curl -s {base}/musubi/v1/subscriptions/urn:ngsi-ld:Subscription:demo-docks/ledger"
                ),
            ),
            (
                "unplug the vendor's receiver, and plug it in again".to_owned(),
                format!(
                    "curl -s -X POST {town}/receiver/unplug\ncurl -s -X POST {town}/receiver/plug"
                ),
            ),
        ]
    }

    /// Says what is running and what to try.
    pub(super) fn introduce(
        &self,
        out: &mut dyn Write,
        page: &watch::Sender<Page>,
    ) -> io::Result<()> {
        let Place { seed, base, town, data_dir } = &self.place;
        writeln!(
            out,
            "\nmusubi demo: a town of {DOCKS} docks, {SHELTERS} shelters and {SENSORS} sensors (seed {seed})"
        )?;
        let running = self.running();
        for line in &running {
            writeln!(out, "  {:<10} {}", line.name, line.value)?;
        }
        writeln!(out, "\nopen {base}/ in a browser, or try:")?;
        let commands = self.commands();
        for (about, command) in &commands {
            writeln!(out, "\n  # {about}")?;
            for line in command.lines() {
                writeln!(out, "  {line}")?;
            }
        }
        writeln!(
            out,
            "\nCtrl-C ends it; the data stays in {}. The town is at {town}.\n",
            data_dir.display()
        )?;
        out.flush()?;
        page.send_modify(|page| {
            page.running = running;
            page.commands = commands;
        });
        Ok(())
    }

    fn running(&self) -> Vec<Line> {
        let line = |name: &str, value: String| Line { name: name.to_owned(), value };
        vec![
            line(
                "docks",
                format!(
                    "a GBFS 2.3 feed at {}/gbfs/gbfs.json, polled by the gbfs adapter",
                    self.place.town
                ),
            ),
            line("sensors", format!("{SENSORS} MQTT clients, a message each every 4 s")),
            line(
                "shelters",
                "head counts posted to /musubi/v1/adapters/shelters/reports".to_owned(),
            ),
            line(
                "vendor",
                format!("two subscriptions; the receiver is {}", self.arrivals.receiver.url()),
            ),
        ]
    }

    /// Prints a line every few seconds until `shutdown`.
    pub(super) async fn run(
        &self,
        out: &mut dyn Write,
        page: &watch::Sender<Page>,
        shutdown: &CancellationToken,
    ) -> io::Result<()> {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut before = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let changes = self.broker.newest().0;
            let rate = changes.saturating_sub(before) / PERIOD.as_secs();
            before = changes;
            let entities = self.entities().await;
            let counts = self.counts(entities, changes);
            let ledger = self.notifications.totals();
            let plug =
                if self.arrivals.receiver.is_plugged() { "" } else { " (receiver unplugged)" };
            writeln!(
                out,
                "{entities} entities, {changes} changes ({rate}/s) | arrived: {} sensor messages, {} reports, {} docks | notifications: {} due, {} delivered, {} pending{plug}",
                self.arrivals.acknowledged.count(),
                self.arrivals.reports.count(),
                self.docks(),
                ledger.due,
                ledger.delivered,
                ledger.pending,
            )?;
            if let Some(latest) = self.arrivals.receiver.latest() {
                writeln!(out, "    last delivered: {latest}")?;
            }
            out.flush()?;
            page.send_modify(|page| page.counts = counts);
        }
    }

    fn docks(&self) -> u64 {
        let status = self.registry.find("docks").map(|adapter| adapter.status());
        status
            .and_then(|status| status.get("written").and_then(serde_json::Value::as_u64))
            .unwrap_or_default()
    }

    async fn entities(&self) -> u64 {
        let session = self.broker.session(Caller::Local, Tenant::default());
        // A town that has not written anything yet has no tenant.
        let types = session.types().await.unwrap_or_default();
        types.iter().map(|summary| summary.entities).sum()
    }

    fn counts(&self, entities: u64, changes: u64) -> Vec<Line> {
        let line = |name: &str, value: String| Line { name: name.to_owned(), value };
        vec![
            line("Entities", entities.to_string()),
            line("Changes", changes.to_string()),
            line("Sensor messages", self.arrivals.acknowledged.count().to_string()),
            line("Shelter reports", self.arrivals.reports.count().to_string()),
            line("Received by the vendor", self.arrivals.receiver.received().to_string()),
        ]
    }
}
