//! A sink that holds nothing and takes nothing, for a look at a source without a broker.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::{Delivery, Rejection, Sink, SinkError};
use musubi_model::{Entity, EntityId, Tenant};

/// Everything is new to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NothingSink;

impl Sink for NothingSink {
    fn write<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>> {
        async { Err(SinkError { reason: "there is no broker".to_owned() }) }.boxed()
    }

    fn read<'a>(
        &'a self,
        _: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>> {
        async { Ok(vec![None; ids.len()]) }.boxed()
    }

    fn list<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: usize,
        _: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entity>>, SinkError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn state<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Arc<[u8]>)>, SinkError>> {
        async { Ok(Vec::new()) }.boxed()
    }
}
