//! The reference passes the suite.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_store::conformance::{self, Failure, Place, Plan, Subject};
use musubi_store::{ReferenceStore, Store};

struct Reference;

struct Memory(Arc<ReferenceStore>);

impl Subject for Reference {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Memory(Arc::default()))
    }
}

impl Place for Memory {
    fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        self.0 = Arc::new(self.0.reopen());
        let store: Arc<dyn Store> = self.0.clone();
        ready(Ok(store)).boxed()
    }

    fn close(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        drop(store);
        ready(Ok(())).boxed()
    }

    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        self.close(store)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_passes_the_suite() {
    if let Err(violation) = conformance::check(&Reference, Plan::default()).await {
        panic!("{violation}");
    }
}
