//! The API, called in process: statuses, headers and bodies of every endpoint.

#[cfg(test)]
mod attributes;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod entities;
#[cfg(test)]
mod entity_maps;
#[cfg(test)]
mod entity_query;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod interaction_table;
#[cfg(test)]
mod jsonld_contexts;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod preconditions;
#[cfg(test)]
mod prefer;
#[cfg(test)]
mod purge;
#[cfg(test)]
mod query;
#[cfg(test)]
mod read_parameters;
#[cfg(test)]
mod representation;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod source_identity;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod temporal;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod transient;
