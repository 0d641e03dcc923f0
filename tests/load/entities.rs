//! The entities that are written and read: five attributes each.

use std::net::SocketAddr;
use std::time::Duration;

use crate::generator::{Load, NUMBER, Numbers, TURN, Template};
use crate::{Failure, measured};

/// Their type.
pub(crate) const TYPE: &str = "StreetLight";

/// How many are created at the same time by [`fill`].
const CREATORS: u32 = 16;

/// Creates the first so many.
///
/// # Errors
///
/// If one of them is not created.
pub(crate) async fn fill(server: SocketAddr, count: u32) -> Result<(), Failure> {
    let load = Load {
        server,
        template: create(server),
        connections: CREATORS.min(count),
        expected: 201,
        numbers: Numbers::once(count),
        time: Duration::from_mins(10),
    };
    let run = measured::run(&load).await?;
    if run.good == count {
        Ok(())
    } else {
        Err(format!("{} of {count} entities were created", run.good).into())
    }
}

/// `POST /entities` of entity after entity.
pub(crate) fn create(server: SocketAddr) -> Template {
    let body = entity("0.75");
    Template::new(format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        head(server, "POST", "entities"),
        body.len()
    ))
}

/// `PATCH` of an attribute of entity after entity, each time with another value.
pub(crate) fn change(server: SocketAddr) -> Template {
    let body = format!(
        "{{\"type\":\"Property\",\"value\":0.{TURN},\"observedAt\":\"2026-04-01T18:30:00Z\"}}"
    );
    let path = format!("entities/{}/attrs/illuminanceLevel", id());
    Template::new(format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        head(server, "PATCH", &path),
        body.len()
    ))
}

/// Batch upserts of so many entities each, each time with another value.
pub(crate) fn upsert(server: SocketAddr, count: u32) -> Template {
    let value = format!("0.{TURN}");
    Template::many(&head(server, "POST", "entityOperations/upsert"), &entity(&value), count)
}

/// An entity of about 600 bytes.
fn entity(illuminance: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"type\":\"{TYPE}\",\
         \"powerState\":{{\"type\":\"Property\",\"value\":\"on\",\
         \"observedAt\":\"2026-04-01T18:30:00Z\"}},\
         \"illuminanceLevel\":{{\"type\":\"Property\",\"value\":{illuminance},\
         \"observedAt\":\"2026-04-01T18:30:00Z\"}},\
         \"lanternHeight\":{{\"type\":\"Property\",\"value\":6.5,\"unitCode\":\"MTR\"}},\
         \"location\":{{\"type\":\"GeoProperty\",\
         \"value\":{{\"type\":\"Point\",\"coordinates\":[139.6917,35.6895]}}}},\
         \"refStreetLightGroup\":{{\"type\":\"Relationship\",\
         \"object\":\"urn:ngsi-ld:StreetLightGroup:{NUMBER}\"}}}}",
        id = id()
    )
}

/// The head of a request with a body, up to its length.
fn head(server: SocketAddr, method: &str, path: &str) -> String {
    format!(
        "{method} /ngsi-ld/v1/{path} HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\n"
    )
}

/// `GET /entities/{id}` of entity after entity.
pub(crate) fn retrieve(server: SocketAddr) -> Template {
    get(server, &format!("/ngsi-ld/v1/entities/{}", id()))
}

/// `GET /entities` for a page of 20.
pub(crate) fn page(server: SocketAddr) -> Template {
    get(server, &format!("/ngsi-ld/v1/entities?type={TYPE}&limit=20"))
}

/// `GET /entities` for the only one of a group.
pub(crate) fn of_group(server: SocketAddr) -> Template {
    let group = format!("%22urn:ngsi-ld:StreetLightGroup:{NUMBER}%22");
    get(server, &format!("/ngsi-ld/v1/entities?type={TYPE}&q=refStreetLightGroup=={group}"))
}

/// `DELETE /entities/{id}` of entity after entity.
pub(crate) fn delete(server: SocketAddr) -> Template {
    let path = format!("/ngsi-ld/v1/entities/{}", id());
    Template::new(format!("DELETE {path} HTTP/1.1\r\nHost: {server}\r\n\r\n"))
}

fn get(server: SocketAddr, path: &str) -> Template {
    Template::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n"
    ))
}

fn id() -> String {
    format!("urn:ngsi-ld:{TYPE}:{NUMBER}")
}
