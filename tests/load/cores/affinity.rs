//! Which cores a process runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// The cores that this process had when it began; it has them again when this value goes.
#[derive(Debug)]
pub(super) struct Cores {
    before: CpuSet,
    cores: Vec<usize>,
}

impl Cores {
    /// Those that the calling thread may run on.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub(super) fn of_this_process() -> Result<Self, Failure> {
        let before = sched_getaffinity(None)?;
        let cores = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core)).collect();
        Ok(Self { before, cores })
    }

    /// The first two of them.
    ///
    /// # Errors
    ///
    /// If there is only one.
    pub(super) fn first_two(&self) -> Result<[usize; 2], Failure> {
        match self.cores.as_slice() {
            [first, second, ..] => Ok([*first, *second]),
            _ => Err("there is only one core".into()),
        }
    }

    /// Makes the calling thread, and what it starts from now on, run on these.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    #[expect(clippy::unused_self, reason = "whoever binds gives back at the end")]
    pub(super) fn bind(&self, cores: &[usize]) -> Result<(), Failure> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Makes it run on the last one.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn bind_to_last(&self) -> Result<(), Failure> {
        let last = self.cores.len().saturating_sub(1);
        self.bind(self.cores.get(last..).unwrap_or_default())
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // What comes after this row runs on fewer cores if it fails, and is still measured.
        let _ = sched_setaffinity(None, &self.before);
    }
}
