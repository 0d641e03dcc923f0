//! Sensors over MQTT: a client of any broker, and a listener of our own.
//!
//! Both bring messages to an [`Ingest`] and acknowledge them only after it has answered, in the
//! order in which they came. [`MqttAdapter`] is such a place: what a message becomes is decided
//! in pure functions ([`Mapping`]), and it is durable before it is acknowledged. An [`Exchange`]
//! stands between one listener and several adapters.
//!
//! Nothing here distributes messages, and nothing is published yet: commands to devices need a
//! connection of their own.

mod adapter;
mod client;
mod duplicates;
mod exchange;
mod listener;
mod map;
mod measures;
mod message;
mod settle;
mod topic;
mod unknown_devices;
mod users;
mod visitor;

pub use adapter::{MqttAdapter, from_mapping};
pub use client::{
    BrokerAddress, Client, ClientOptions, ClientStatus, InvalidBrokerAddress, Protocol,
};
pub use exchange::Exchange;
pub use listener::{Limits, Listener, ListenerOptions, Traffic};
pub use map::{Mapped, Mapping};
pub use message::{Ingest, Message, Verdict};
pub use topic::{DeviceTopic, InvalidTopic, TopicFilter, TopicVars, device_topic};
pub use users::{Account, InvalidUser, User, Users};
