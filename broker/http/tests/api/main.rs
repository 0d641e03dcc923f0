//! The API, called in process: statuses, headers and bodies of every endpoint.

#[cfg(test)]
mod attributes;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod entities;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod query;
#[cfg(test)]
mod representation;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod support;
