//! Rows of a table, with those on top that are not in it yet.

use std::iter::Peekable;

use super::tables::guarded;
use super::{Result, StateRow};

/// A row on top: its key, and what it is; none if there is none any more.
pub(super) type Upper<'u> = (&'u [u8], Option<&'u [u8]>);

/// The rows of a table and of what is on top, in the order of their keys.
pub(super) struct Merged<U: Iterator> {
    lower: Option<fjall::Iter>,
    next: Option<StateRow>,
    upper: Peekable<U>,
}

impl<'u, U: Iterator<Item = Upper<'u>>> Merged<U> {
    pub(super) fn new(lower: Option<fjall::Iter>, upper: U) -> Self {
        Self { lower, next: None, upper: upper.peekable() }
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<StateRow>> {
        loop {
            if self.next.is_none() {
                let row = guarded(|| {
                    Ok(self
                        .lower
                        .as_mut()
                        .and_then(Iterator::next)
                        .map(fjall::Guard::into_inner)
                        .transpose()?)
                })?;
                self.next = row.map(|(key, value)| StateRow { key, value });
            }
            let Some((key, value)) = self.upper.peek().copied() else {
                return Ok(self.next.take());
            };
            match &self.next {
                Some(lower) if lower.key() < key => return Ok(self.next.take()),
                Some(lower) if lower.key() == key => self.next = None,
                Some(_) | None => {}
            }
            self.upper.next();
            if let Some(value) = value {
                return Ok(Some(StateRow { key: key.into(), value: value.into() }));
            }
        }
    }
}
