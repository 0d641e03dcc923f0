//! The entities that are written and read: five attributes each.

use std::net::SocketAddr;

use crate::generator::{NUMBER, Template};

/// Their type.
pub(crate) const TYPE: &str = "StreetLight";

/// `POST /entities` of entity after entity.
pub(crate) fn create(server: SocketAddr) -> Template {
    let body = format!(
        "{{\"id\":\"{id}\",\"type\":\"{TYPE}\",\
         \"powerState\":{{\"type\":\"Property\",\"value\":\"on\",\
         \"observedAt\":\"2026-04-01T18:30:00Z\"}},\
         \"illuminanceLevel\":{{\"type\":\"Property\",\"value\":0.75,\
         \"observedAt\":\"2026-04-01T18:30:00Z\"}},\
         \"lanternHeight\":{{\"type\":\"Property\",\"value\":6.5,\"unitCode\":\"MTR\"}},\
         \"location\":{{\"type\":\"GeoProperty\",\
         \"value\":{{\"type\":\"Point\",\"coordinates\":[139.6917,35.6895]}}}},\
         \"refStreetLightGroup\":{{\"type\":\"Relationship\",\
         \"object\":\"urn:ngsi-ld:StreetLightGroup:{NUMBER}\"}}}}",
        id = id()
    );
    Template::new(format!(
        "POST /ngsi-ld/v1/entities HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// `GET /entities/{id}` of entity after entity.
pub(crate) fn retrieve(server: SocketAddr) -> Template {
    get(server, &format!("/ngsi-ld/v1/entities/{}", id()))
}

/// `GET /entities` for a page of 20.
pub(crate) fn page(server: SocketAddr) -> Template {
    get(server, &format!("/ngsi-ld/v1/entities?type={TYPE}&limit=20"))
}

fn get(server: SocketAddr, path: &str) -> Template {
    Template::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n"
    ))
}

fn id() -> String {
    format!("urn:ngsi-ld:{TYPE}:{NUMBER}")
}
