//! The notifier over real sockets: a plain store, a receiver, and everything that can go wrong
//! between them.

#[cfg(test)]
mod bad_endpoints;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod model;
#[cfg(test)]
#[expect(dead_code, reason = "the unit tests of the transport use more of it")]
#[path = "../../src/transport/mqtt/tests/mosquitto.rs"]
mod mosquitto;
#[cfg(test)]
mod mqtt;
#[cfg(test)]
mod occasions;
#[cfg(test)]
mod pressure;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod routine;
#[cfg(test)]
mod store;
#[cfg(test)]
mod town;
#[cfg(test)]
mod trouble;
