//! A segment that counts, for as long as anyone reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::manifest::Listed;
use crate::segment::{Segment, SegmentError};

/// A segment that the manifest names, or named when a reader began. Its file goes when it counts no
/// more and nobody holds it.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    listed: Listed,
    path: PathBuf,
    segment: Segment,
    is_replaced: AtomicBool,
    is_damaged: AtomicBool,
    /// When it was looked at for what is not kept any more; microseconds since 1970.
    looked_at: AtomicI64,
}

impl LiveSegment {
    /// Opens the file.
    pub(crate) fn open(listed: Listed, path: PathBuf) -> Result<Self, SegmentError> {
        let segment = Segment::open(&path)?;
        Ok(Self {
            listed,
            path,
            segment,
            is_replaced: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
            looked_at: AtomicI64::new(i64::MIN),
        })
    }

    pub(crate) fn listed(&self) -> Listed {
        self.listed
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Remembers whether a reading of it found that it is not what was written. Says so once.
    pub(crate) fn noted<T>(&self, read: Result<T, SegmentError>) -> Result<T, SegmentError> {
        if let Err(error @ SegmentError::Damaged(_)) = &read
            && !self.is_damaged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(path = %self.path.display(), %error, "a segment of the history is damaged");
        }
        read
    }

    /// Whether it was found that it is not what was written.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// When it was last looked at for what is not kept any more, in microseconds since 1970.
    pub(crate) fn looked_at(&self) -> i64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    /// It was looked at, and there was nothing.
    pub(crate) fn look(&self, now: i64) {
        self.looked_at.store(now, Ordering::Relaxed);
    }

    /// The manifest names it no more.
    pub(crate) fn replaced(&self) {
        self.is_replaced.store(true, Ordering::Release);
    }
}

impl Drop for LiveSegment {
    fn drop(&mut self) {
        if !self.is_replaced.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            // It is removed when the folder is opened next.
            tracing::warn!(path = %self.path.display(), %error, "a merged segment stays for now");
        }
    }
}
