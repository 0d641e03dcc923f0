//! What is asked of a store, whatever its size.

use std::net::SocketAddr;

use super::lamps::{self, ALIKE, Lamps, TYPE};
use crate::Failure;

/// Entities on a page.
const PAGE: u32 = 20;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// An entity by its id.
    Entity,
    /// The first page of a type.
    Page,
    /// The page after nine tenths of a type.
    Deep,
    /// How many there are of a type.
    Count,
    /// Those with a number.
    Number,
    /// Those with a text.
    Text,
    /// Those with a number between two others.
    Range,
    /// Those within 500 m of a point.
    Near,
    /// A change of an attribute.
    Patch,
    /// A new entity.
    Post,
}

impl Question {
    /// All that a store can form indexes for by itself.
    pub(crate) const INDEXED: [Self; 4] = [Self::Number, Self::Text, Self::Range, Self::Near];

    /// What it is called in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Entity => "`GET /entities/{id}`",
            Self::Page => "page of 20",
            Self::Deep => "page of 20 at nine tenths",
            Self::Count => "`count` on type",
            Self::Number => "`q`, a number",
            Self::Text => "`q`, a text",
            Self::Range => "`q`, a range of numbers",
            Self::Near => "`near` within 500 m",
            Self::Patch => "`PATCH …/attrs/{attr}`",
            Self::Post => "`POST /entities`",
        }
    }

    /// How many requests belong together: a change is taken back, so that the next question finds
    /// what it looks for.
    pub(crate) fn block(self) -> u32 {
        if self == Self::Patch { 100 } else { 1 }
    }

    /// How many requests there are in a run, at most: what is created makes a small store larger.
    pub(crate) fn most(self) -> u32 {
        if self == Self::Post { 50 } else { u32::MAX }
    }

    /// The status of a good answer.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Patch => 204,
            Self::Post => 201,
            Self::Entity
            | Self::Page
            | Self::Deep
            | Self::Count
            | Self::Number
            | Self::Text
            | Self::Range
            | Self::Near => 200,
        }
    }

    /// The request of this turn.
    pub(crate) fn request(self, server: SocketAddr, lamps: Lamps, turn: u32) -> Vec<u8> {
        let entities = |conditions: &str| {
            get(server, &format!("/ngsi-ld/v1/entities?type={TYPE}&{conditions}"))
        };
        let group = || lamps.group(lamps.any(turn));
        match self {
            Self::Entity => {
                let id = lamps::id(lamps.any(turn));
                get(server, &format!("/ngsi-ld/v1/entities/{id}"))
            }
            Self::Page => entities(&format!("limit={PAGE}")),
            Self::Deep => entities(&format!("limit={PAGE}&offset={}", lamps.count / 10 * 9)),
            Self::Count => entities("limit=0&count=true"),
            Self::Number => entities(&format!("q=illuminanceLevel=={}", lamps::level(group()))),
            Self::Text => entities(&format!("q=label==%22{}%22", lamps::label(group()))),
            Self::Range => {
                let (from, to) = (group(), group() + 1);
                entities(&format!("q=illuminanceLevel%3E{from};illuminanceLevel%3C{to}"))
            }
            Self::Near => {
                let (longitude, latitude) = lamps.place(turn);
                entities(&format!(
                    "georel=near;maxDistance==500&geometry=Point\
                     &coordinates=%5B{longitude:.6},{latitude:.6}%5D&limit=100"
                ))
            }
            Self::Patch => patch(server, lamps, turn),
            Self::Post => {
                let mut body = String::new();
                lamps.write(&mut body, lamps.count + turn);
                send(server, "POST", "/ngsi-ld/v1/entities", &body)
            }
        }
    }

    /// How many entities were found, of an answer that is as it has to be.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(crate) fn found(self, answer: &[u8], lamps: Lamps) -> Result<u32, Failure> {
        let ids = answer.windows(5).filter(|five| five == b"\"id\":").count();
        let found = match self {
            Self::Count => counted(answer)?,
            Self::Entity
            | Self::Page
            | Self::Deep
            | Self::Number
            | Self::Text
            | Self::Range
            | Self::Near
            | Self::Patch
            | Self::Post => u32::try_from(ids)?,
        };
        let is_right = match self {
            Self::Entity => found == 1,
            Self::Page | Self::Deep => found == PAGE,
            Self::Count => found == lamps.count,
            Self::Number | Self::Text | Self::Range => found == ALIKE,
            Self::Near => (1..100).contains(&found),
            Self::Patch | Self::Post => true,
        };
        if is_right { Ok(found) } else { Err(format!("{}: found {found}", self.name()).into()) }
    }
}

/// The first half of a block gives lamps another number, the second half gives them theirs back.
fn patch(server: SocketAddr, lamps: Lamps, turn: u32) -> Vec<u8> {
    let block = Question::Patch.block();
    let (number, half) = (turn / block, block / 2);
    let lamp = lamps.any(number * half + turn % half);
    let group = lamps.group(lamp);
    let is_first = turn % block < half;
    let value = if is_first { format!("{group}.75") } else { lamps::level(group) };
    let body = format!(
        "{{\"type\":\"Property\",\"value\":{value},\"observedAt\":\"2026-04-02T18:30:00Z\"}}"
    );
    let path = format!("/ngsi-ld/v1/entities/{}/attrs/illuminanceLevel", lamps::id(lamp));
    send(server, "PATCH", &path, &body)
}

/// What the answer's head says of how many there are.
fn counted(answer: &[u8]) -> Result<u32, Failure> {
    let text = str::from_utf8(answer)?;
    let value = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("ngsild-results-count"))
        .map(|(_, value)| value.trim().parse());
    Ok(value.ok_or("an answer without a count")??)
}

fn get(server: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n")
        .into_bytes()
}

/// A request with a body.
pub(crate) fn send(server: SocketAddr, method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
