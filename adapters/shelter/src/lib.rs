//! Evacuation shelters: snapshots, reports and check-ins.
//!
//! Three kinds of input say how a shelter is: a table of all open shelters (a snapshot), a report
//! of one shelter's head count, and a check-in or check-out that changes it. All three end in one
//! life of an `EvacuationShelter`. Counts only; nothing here knows of people.
//!
//! `snapshot`, `era`, `lifecycle`, `occupancy`, `report` and `map` are pure; `adapter` and
//! `files` do the IO.

mod adapter;
mod encoding;
mod era;
mod files;
mod lifecycle;
mod map;
mod occupancy;
mod report;
mod snapshot;

pub use adapter::from_mapping;
use lifecycle::{Congestion, MAX_PEOPLE, Observation, Shelter, Stated, Status, Thresholds};
