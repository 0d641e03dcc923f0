//! A connection that makes requests of one kind, and keeps the book of what it has written.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use tokio::time::Instant;

use crate::generator::{Connection, Template};
use crate::receivers::now;
use crate::soak::kind::{Kind, Turns};
use crate::{Failure, delivery, entities};

/// How many lights there are all the time, and how many sensors.
pub(super) const ENTITIES: u32 = 10_000;
/// The number of the first light that comes and goes.
const PASSING: u32 = 1_000_000;
/// How many of these a worker leaves there.
const STAYING: u32 = 50;

/// What was acknowledged of an entity.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// The last value: of a light the turn in which it was written, of a sensor the time.
    pub(super) value: u64,
    /// How often it was written.
    pub(super) count: u64,
}

/// A worker and its book. The entities of a kind are divided among its workers, so each knows the last
/// value of its own.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) kind: Kind,
    server: SocketAddr,
    /// Which of the workers of its kind it is.
    number: u32,
    template: Template,
    removal: Template,
    /// Requests made so far, deletions aside.
    turn: u32,
    /// How many of the lights that it created are deleted.
    deleted: u32,
    /// Of each of its entities.
    written: Vec<Written>,
    /// The last time that was written.
    stamp: u64,
    /// How long answers took, in microseconds.
    latencies: Vec<u32>,
    /// And those to deletions.
    deletions: Vec<u32>,
}

impl Worker {
    /// All workers of a kind.
    pub(super) fn several(kind: Kind, server: SocketAddr) -> Vec<Self> {
        let template = match kind {
            Kind::Create => entities::create(server),
            Kind::Patch => entities::change(server),
            Kind::Page => entities::page(server),
            Kind::Query => entities::of_group(server),
            Kind::Get | Kind::Change | Kind::Mqtt => entities::retrieve(server),
        };
        let own = usize::try_from(ENTITIES / kind.connections()).unwrap_or_default();
        let worker = |number| Self {
            kind,
            server,
            number,
            template: template.clone(),
            removal: entities::delete(server),
            turn: 0,
            deleted: 0,
            written: vec![Written::default(); own],
            stamp: 0,
            latencies: Vec::new(),
            deletions: Vec::new(),
        };
        (0..kind.connections()).map(worker).collect()
    }

    /// Makes requests while there are turns.
    pub(super) async fn work(mut self, turns: Arc<Turns>) -> Result<Self, Failure> {
        let mut connection = Connection::open(self.server).await?;
        while let Some(start) = turns.next().await {
            let place = usize::try_from(self.turn)? % self.written.len().max(1);
            let entity = self.entity(place);
            let (status, value) = match self.kind {
                Kind::Create => {
                    let number = self.passing(self.turn);
                    (connection.ask(self.template.with(number, 0)).await?.status, 0)
                }
                Kind::Change => {
                    let request = self.change(entity);
                    (connection.ask(request.as_bytes()).await?.status, self.stamp)
                }
                Kind::Patch | Kind::Get | Kind::Page | Kind::Query | Kind::Mqtt => {
                    let request = self.template.with(entity, self.turn);
                    (connection.ask(request).await?.status, self.turn.into())
                }
            };
            self.latencies.push(micros(start));
            self.check(status, self.kind.expected())?;
            if let Some(written) = self.written.get_mut(place) {
                *written = Written { value, count: written.count + 1 };
            }
            self.turn += 1;
            if self.kind == Kind::Create && self.turn - self.deleted > STAYING {
                let start = Instant::now();
                let number = self.passing(self.deleted);
                let status = connection.ask(self.removal.with(number, 0)).await?.status;
                self.check(status, 204)?;
                self.deletions.push(micros(start));
                self.deleted += 1;
            }
        }
        Ok(self)
    }

    fn check(&self, status: u16, expected: u16) -> Result<(), Failure> {
        if status == expected {
            Ok(())
        } else {
            Err(format!("{}: an answer was {status} and not {expected}", self.kind.what()).into())
        }
    }

    /// The number of the entity that has this place in the book.
    fn entity(&self, place: usize) -> u32 {
        let place = u32::try_from(place).unwrap_or_default();
        place * self.kind.connections() + self.number
    }

    /// The number of the light that was created in this turn.
    fn passing(&self, turn: u32) -> u32 {
        PASSING + turn * self.kind.connections() + self.number
    }

    /// A request that changes a sensor to a time that no other change has.
    fn change(&mut self, entity: u32) -> String {
        let workers = u64::from(self.kind.connections());
        let time = now() / workers * workers + u64::from(self.number);
        self.stamp = time.max(self.stamp + workers);
        let body = format!("{{\"type\":\"Property\",\"value\":{}}}", self.stamp);
        let path = format!("entities/{}/attrs/sent", delivery::entity_id(entity.into()));
        delivery::request(self.server, ("PATCH", &path), &body)
    }

    /// How long the answers took since it was asked last, and those to deletions.
    pub(super) fn take_latencies(&mut self) -> (Vec<u32>, Vec<u32>) {
        (std::mem::take(&mut self.latencies), std::mem::take(&mut self.deletions))
    }

    /// The entities that it wrote, with what was acknowledged.
    pub(super) fn written(&self) -> impl Iterator<Item = (u32, Written)> {
        let places = self.written.iter().enumerate();
        places.map(|(place, written)| (self.entity(place), *written)).filter(|it| it.1.count > 0)
    }

    /// The numbers of the lights that it created and has not deleted.
    pub(super) fn staying(&self) -> impl Iterator<Item = u32> {
        self.turns_of(self.deleted..self.turn)
    }

    /// The numbers of the last ones that it deleted.
    pub(super) fn gone(&self) -> impl Iterator<Item = u32> {
        self.turns_of(self.deleted.saturating_sub(STAYING)..self.deleted)
    }

    fn turns_of(&self, turns: Range<u32>) -> impl Iterator<Item = u32> {
        let turns = if self.kind == Kind::Create { turns } else { 0..0 };
        turns.map(|turn| self.passing(turn))
    }
}

fn micros(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX)
}
