//! What becomes of writes over time, in a crowd, and under conditions.

#[cfg(test)]
mod conditions;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod entity_maps;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod purge;
#[cfg(test)]
mod support;
