//! The entities of a segment, one after the other.

use musubi_model::{EntityId, Tenant, TypeName};

use super::page::PageKind;
use super::row::Rows;
use super::{EntityRow, Segment, SegmentError};

impl Segment {
    /// The entities of a tenant in the order of their ids, after one; if types are given, only
    /// those that have one of them.
    pub(crate) fn heads(
        &self,
        tenant: &Tenant,
        after: Option<&EntityId>,
        types: Option<&[TypeName]>,
    ) -> Heads<'_> {
        let known = &self.tail.names.types;
        let number = |name: &TypeName| {
            let place = known.iter().position(|known| known == name)?;
            u32::try_from(place).ok()
        };
        let types: Option<Vec<u32>> = types.map(|types| types.iter().filter_map(number).collect());
        let tenant = self.tail.names.number_of_tenant(tenant);
        let nothing = types.as_ref().is_some_and(Vec::is_empty);
        let tenant = tenant.filter(|_| !nothing);
        let rows = tenant.map(|tenant| {
            let from = after.map_or("", EntityId::as_str);
            (tenant, self.rows_from(PageKind::Entities, tenant, from))
        });
        Heads { segment: self, rows, after: after.cloned(), types }
    }
}

/// See [`Segment::heads`]. After an error there is nothing more.
#[derive(Debug)]
pub(crate) struct Heads<'a> {
    segment: &'a Segment,
    /// With the number of the tenant.
    rows: Option<(u32, Rows<'a>)>,
    after: Option<EntityId>,
    types: Option<Vec<u32>>,
}

impl Heads<'_> {
    fn step(&mut self) -> Result<Option<EntityRow>, SegmentError> {
        let Some((tenant, rows)) = &mut self.rows else {
            return Ok(None);
        };
        while rows.advance()? {
            if rows.tenant() > *tenant {
                break;
            }
            let early =
                self.after.as_ref().is_some_and(|after| rows.id() <= after.as_str().as_bytes());
            if rows.tenant() < *tenant || early {
                continue;
            }
            if let Some(row) = self.segment.entity_row(rows, self.types.as_deref())? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

impl Iterator for Heads<'_> {
    type Item = Result<EntityRow, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if !matches!(step, Some(Ok(_))) {
            self.rows = None;
        }
        step
    }
}
