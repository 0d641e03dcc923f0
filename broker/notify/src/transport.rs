//! How a notification reaches its endpoint.

pub(crate) mod failure;
mod http;
mod mqtt;
pub(crate) mod retry_after;
mod signature;
pub(crate) mod transports;
