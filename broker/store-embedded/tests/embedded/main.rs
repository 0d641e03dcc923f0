//! The embedded store from outside: the suite that every store passes, and what is its own.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod log;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod town;
