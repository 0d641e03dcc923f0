//! Schemas at the door: what `enforce` accepts is what the plain validator accepts of the
//! simplified entity, and adapters meet it too.

#[cfg(test)]
mod enforced;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod support;
