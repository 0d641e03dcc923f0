//! What is merged, entity by entity.

use musubi_model::Tenant;

use crate::column::Damaged;
use crate::live::LiveSegment;
use crate::segment::{Foreign, Row, Scan, SegmentError, SegmentWriter};
use crate::series::{Corrections, EntityKey, Entry, Head, SeriesName};

/// A segment as it is read for a merge.
pub(super) struct Input<'a> {
    pub(super) live: &'a LiveSegment,
    pub(super) scan: Scan<'a>,
    /// The place of each of its tenants among those of all inputs.
    tenants: Vec<usize>,
    /// The numbers of its names in the segment that is written.
    names: Foreign<'a>,
    is_taken_over: bool,
    /// The next row of the entity that was opened.
    pub(super) next: Option<Row>,
}

impl<'a> Input<'a> {
    pub(super) fn new(live: &'a LiveSegment, tenants: &[&Tenant]) -> Self {
        let segment = live.segment();
        let place = |tenant: &Tenant| tenants.binary_search(&tenant).unwrap_or(tenants.len());
        Self {
            live,
            scan: segment.scan(),
            tenants: segment.tenants().iter().map(place).collect(),
            names: Foreign::new(segment.names()),
            is_taken_over: false,
            next: None,
        }
    }

    /// Goes to the next entity; nothing of the one before may be left.
    pub(super) fn next_entity(&mut self) -> Result<(), SegmentError> {
        let advanced = self.scan.next_entity();
        let ended = match (advanced, &self.next) {
            (Ok(_), Some(_)) => Err(Damaged("the order of a segment that is merged").into()),
            (advanced, _) => advanced.map(|_| ()),
        };
        self.live.noted(ended)
    }

    /// What tells the entity at which it is from others, in their order.
    pub(super) fn entity(&self) -> Option<(usize, &[u8])> {
        let (tenant, id) = self.scan.entity()?;
        let place = usize::try_from(tenant).ok().and_then(|number| self.tenants.get(number));
        Some((place.copied().unwrap_or(usize::MAX), id))
    }

    /// Writes the entity as it stands there, if that is possible. It is then at the next one.
    pub(super) fn take_over(&mut self, writer: &mut SegmentWriter) -> Result<bool, SegmentError> {
        let (Some(body), Some((_, id))) = (self.scan.whole(), self.scan.entity()) else {
            return Ok(false);
        };
        let tenant = self.live.noted(self.scan.tenant().map_err(Into::into))?;
        self.live.noted(writer.whole((tenant, id), body, &mut self.names))?;
        if !self.is_taken_over {
            self.is_taken_over = true;
            writer.take_over(&self.live.segment().summary().stats);
        }
        self.next_entity()?;
        Ok(true)
    }

    /// The entity at which it is.
    pub(super) fn open(&mut self) -> Result<(EntityKey, Head), SegmentError> {
        let opened = self.live.noted(self.scan.open())?;
        self.follow()?;
        Ok(opened)
    }

    pub(super) fn advance(&mut self) -> Result<Option<Row>, SegmentError> {
        let following = self.live.noted(self.scan.step())?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    pub(super) fn series(&self) -> Option<&SeriesName> {
        match &self.next {
            Some(Row::Series(name, _)) => Some(name),
            Some(Row::Entry(_) | Row::RollUp(_)) | None => None,
        }
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        match &self.next {
            Some(Row::Entry(entry)) => Some(entry),
            Some(Row::Series(..) | Row::RollUp(_)) | None => None,
        }
    }

    /// What the input says of a series, if it has it. [`follow`](Self::follow) has to come after that.
    pub(super) fn take_corrections(&mut self, name: &SeriesName) -> Option<Corrections> {
        let next = self.next.take_if(|row| matches!(row, Row::Series(here, _) if here == name));
        match next {
            Some(Row::Series(_, corrections)) => Some(corrections),
            Some(Row::Entry(_) | Row::RollUp(_)) | None => None,
        }
    }

    /// Reads what comes behind a series' beginning, and its chunks if they were taken.
    pub(super) fn follow(&mut self) -> Result<(), SegmentError> {
        self.next = self.live.noted(self.scan.step())?;
        Ok(())
    }

    /// Passes over what is left of the entity.
    pub(super) fn skip_entity(&mut self) -> Result<(), SegmentError> {
        while self.next.is_some() {
            self.advance()?;
        }
        Ok(())
    }
}
