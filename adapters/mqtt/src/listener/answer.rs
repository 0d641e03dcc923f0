//! What this endpoint says to a client, in the client's version of the protocol.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::wire::{Version, Violation};

/// The answer to a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// It may go on.
    Accepted(Terms),
    /// The client's identifier is missing where it is needed.
    NoClientId,
    /// Name or password are wrong, or missing.
    BadLogin,
    /// The way of authentication is not known here.
    BadAuthenticationMethod,
}

/// What the endpoint tells a client of MQTT 5 about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) window: u16,
    pub(crate) max_packet: u32,
    pub(crate) keep_alive: Option<u16>,
    pub(crate) assigned_client_id: Option<String>,
}

/// Writes packets of one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    pub(crate) version: Version,
    pub(crate) takes_reasons: bool,
}

/// What a subscriber is told.
const NOTHING_TO_SUBSCRIBE: &str = "this endpoint takes messages and sends none";

impl Writer {
    pub(crate) fn connection_acknowledged(self, welcome: Welcome, out: &mut BytesMut) {
        match self.version {
            Version::V4 => {
                let code = match welcome {
                    Welcome::Accepted(_) => v4::ConnectReturnCode::Success,
                    Welcome::NoClientId => v4::ConnectReturnCode::BadClientId,
                    Welcome::BadLogin => v4::ConnectReturnCode::BadUserNamePassword,
                    Welcome::BadAuthenticationMethod => v4::ConnectReturnCode::NotAuthorized,
                };
                written(v4::ConnAck::new(code, false).write(out).is_ok());
            }
            Version::V5 => {
                let (code, properties) = match welcome {
                    Welcome::Accepted(terms) => {
                        (v5::ConnectReturnCode::Success, Some(properties(terms)))
                    }
                    Welcome::NoClientId => (v5::ConnectReturnCode::ClientIdentifierNotValid, None),
                    Welcome::BadLogin => (v5::ConnectReturnCode::BadUserNamePassword, None),
                    Welcome::BadAuthenticationMethod => {
                        (v5::ConnectReturnCode::BadAuthenticationMethod, None)
                    }
                };
                let packet = v5::ConnAck { session_present: false, code, properties };
                written(packet.write(out).is_ok());
            }
        }
    }

    pub(crate) fn version_refused(out: &mut BytesMut) {
        let code = v4::ConnectReturnCode::RefusedProtocolVersion;
        written(v4::ConnAck::new(code, false).write(out).is_ok());
    }

    /// Acknowledges a message; a refusal is told only to a client of MQTT 5, which can hear it.
    pub(crate) fn published(
        self,
        packet_id: u16,
        refusal: Option<(v5::PubAckReason, &str)>,
        out: &mut BytesMut,
    ) {
        match self.version {
            Version::V4 => written(v4::PubAck::new(packet_id).write(out).is_ok()),
            Version::V5 => {
                let mut packet = v5::PubAck::new(packet_id, None);
                if let Some((code, sentence)) = refusal {
                    packet.reason = code;
                    packet.properties = self.takes_reasons.then(|| v5::PubAckProperties {
                        reason_string: Some(short(sentence)),
                        user_properties: Vec::new(),
                    });
                }
                written(packet.write(out).is_ok());
            }
        }
    }

    pub(crate) fn subscribed(self, packet_id: u16, filters: usize, out: &mut BytesMut) {
        match self.version {
            Version::V4 => {
                let codes = vec![v4::SubscribeReasonCode::Failure; filters];
                written(v4::SubAck::new(packet_id, codes).write(out).is_ok());
            }
            Version::V5 => {
                let packet = v5::SubAck {
                    pkid: packet_id,
                    return_codes: vec![v5::SubscribeReasonCode::ImplementationSpecific; filters],
                    properties: self.takes_reasons.then(|| v5::SubAckProperties {
                        reason_string: Some(NOTHING_TO_SUBSCRIBE.to_owned()),
                        user_properties: Vec::new(),
                    }),
                };
                written(packet.write(out).is_ok());
            }
        }
    }

    pub(crate) fn unsubscribed(self, packet_id: u16, filters: usize, out: &mut BytesMut) {
        match self.version {
            Version::V4 => written(v4::UnsubAck::new(packet_id).write(out).is_ok()),
            Version::V5 => {
                let packet = v5::UnsubAck {
                    pkid: packet_id,
                    reasons: vec![v5::UnsubAckReason::NoSubscriptionExisted; filters],
                    properties: None,
                };
                written(packet.write(out).is_ok());
            }
        }
    }

    pub(crate) fn ping_response(out: &mut BytesMut) {
        written(v4::PingResp.write(out).is_ok());
    }

    /// Says why the connection ends, to a client of MQTT 5; the older version has no word for it.
    pub(crate) fn disconnect(self, violation: &Violation, out: &mut BytesMut) {
        if self.version == Version::V5 {
            let mut packet = v5::Disconnect::new(violation.code);
            packet.properties = Some(v5::DisconnectProperties {
                session_expiry_interval: None,
                reason_string: Some(short(&violation.reason)),
                user_properties: Vec::new(),
                server_reference: None,
            });
            written(packet.write(out).is_ok());
        }
    }
}

fn properties(terms: Terms) -> v5::ConnAckProperties {
    v5::ConnAckProperties {
        // No session outlives its connection: there is nothing to send to a client that is away,
        // and what a client has not seen acknowledged it sends again.
        session_expiry_interval: Some(0),
        receive_max: Some(terms.window),
        max_qos: Some(1),
        retain_available: None,
        max_packet_size: Some(terms.max_packet),
        assigned_client_identifier: terms.assigned_client_id,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: Some(0),
        shared_subscription_available: Some(0),
        server_keep_alive: terms.keep_alive,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

/// The first 200 characters, so that an answer is small whatever a reason quotes.
fn short(sentence: &str) -> String {
    sentence.chars().take(200).collect()
}

/// Every packet written here is far below the protocol's limit, which is all that writing checks.
fn written(ok: bool) {
    if !ok {
        tracing::error!("an answer of MQTT could not be written");
    }
}
