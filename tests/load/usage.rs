//! What a process has used, from the system's own books (`/proc`, so Linux only).

use std::ffi::OsString;
use std::time::Duration;

use crate::Failure;

/// A point in the life of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    process: u32,
    used: Duration,
}

impl Processor {
    /// What this process has used so far.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) fn now(process: u32) -> Result<Self, Failure> {
        Ok(Self { process, used: processor_time(process)? })
    }

    /// Its beginning.
    pub(crate) fn start_of(process: u32) -> Self {
        Self { process, used: Duration::ZERO }
    }

    /// What it has used since then, in user and kernel mode together.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) fn since(self) -> Result<Duration, Failure> {
        Ok(processor_time(self.process)?.saturating_sub(self.used))
    }
}

fn processor_time(process: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/…/stat is not as expected")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    let each = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second())?;
    Ok(each * u32::try_from(ticks)?)
}

/// The memory that a process holds now (`VmRSS`), in bytes.
///
/// # Errors
///
/// If the process has ended.
pub(crate) fn memory(process: u32) -> Result<u64, Failure> {
    held(process, "VmRSS:")
}

/// What of it are pages of files, such as the program itself (`RssFile`), in bytes. The system can
/// drop them when it needs room.
///
/// # Errors
///
/// If the process has ended.
pub(crate) fn memory_of_files(process: u32) -> Result<u64, Failure> {
    held(process, "RssFile:")
}

fn held(process: u32, name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.ok_or("/proc/…/status is not as expected")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

/// Bytes as millions of them.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    // A number of kilobytes always fits.
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1000.0
}

/// Waits until a process is idle: until it has used next to nothing for a while.
///
/// # Errors
///
/// If it has ended, or is not idle after half a minute.
pub(crate) async fn idle(process: u32) -> Result<(), Failure> {
    for _ in 0..60 {
        let before = Processor::now(process)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if before.since()? <= Duration::from_millis(20) {
            return Ok(());
        }
    }
    Err("the broker does not come to rest".into())
}

/// What the threads of a process have used, to the nanosecond: for what takes a moment only, of
/// which [`Processor`] sees nothing. What a thread has used that has ended meanwhile is not in it.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    process: u32,
    used: Vec<(OsString, Duration)>,
}

impl Threads {
    /// What each thread has used so far.
    ///
    /// # Errors
    ///
    /// If the process has ended, or the system does not say.
    pub(crate) fn now(process: u32) -> Result<Self, Failure> {
        let mut used = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let thread = thread?;
            // A thread may end while this is read.
            let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let nanoseconds = text.split_whitespace().next().ok_or("/proc/…/schedstat is empty")?;
            used.push((thread.file_name(), Duration::from_nanos(nanoseconds.parse()?)));
        }
        if used.is_empty() {
            return Err("the system does not say what threads have used".into());
        }
        Ok(Self { process, used })
    }

    /// What all of them have used so far.
    pub(crate) fn all(&self) -> Duration {
        self.used.iter().map(|(_, used)| *used).sum()
    }

    /// What they and those that were started meanwhile have used since then.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) fn since(&self) -> Result<Duration, Failure> {
        let of = |name: &OsString| {
            let before = self.used.iter().find(|(other, _)| other == name);
            before.map_or(Duration::ZERO, |(_, used)| *used)
        };
        let now = Self::now(self.process)?;
        Ok(now.used.iter().map(|(name, used)| used.saturating_sub(of(name))).sum())
    }
}
