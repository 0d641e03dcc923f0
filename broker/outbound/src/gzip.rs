//! Bodies that come compressed, never longer than what is asked for.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

/// A body as it comes in, with a limit to what it may become.
pub(crate) enum Inflow {
    /// It is what it is.
    Plain(Bounded),
    /// By gzip.
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Bytes up to a limit.
#[derive(Debug)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_exceeded: bool,
}

/// Why a body is of no use.
#[derive(Debug)]
pub(crate) enum Unusable {
    TooLarge,
    Damaged,
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if part.len() > self.limit.saturating_sub(self.bytes.len()) {
            self.is_exceeded = true;
            return Err(io::Error::other("the limit is exceeded"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inflow {
    pub(crate) fn new(is_gzip: bool, limit: usize) -> Self {
        let bounded = Bounded { bytes: Vec::new(), limit, is_exceeded: false };
        if is_gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(bounded)))
        } else {
            Self::Plain(bounded)
        }
    }

    /// Takes the next part in.
    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), Unusable> {
        let added = match self {
            Self::Plain(bounded) => bounded.write_all(part),
            Self::Gzip(decoder) => decoder.write_all(part),
        };
        added.map_err(|_| self.fault())
    }

    /// The whole body.
    pub(crate) fn end(mut self) -> Result<Vec<u8>, Unusable> {
        if let Self::Gzip(decoder) = &mut self
            && decoder.try_finish().is_err()
        {
            return Err(self.fault());
        }
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            Self::Gzip(mut decoder) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
        }
    }

    fn fault(&self) -> Unusable {
        let bounded = match self {
            Self::Plain(bounded) => bounded,
            Self::Gzip(decoder) => decoder.get_ref(),
        };
        if bounded.is_exceeded { Unusable::TooLarge } else { Unusable::Damaged }
    }
}
