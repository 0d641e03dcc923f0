//! The reference of histories passes their suite, and one that forgets does not.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_model::{AttrName, EntityId, InstanceNumber, Recorded, Sequence, Tenant};
use musubi_query::{EvolutionPage, TemporalQuery};
use musubi_store::conformance::{
    Failure, HistoryOverStore, HistoryPlace, HistoryPlan, HistorySubject, Rule, check_history,
};
use musubi_store::{
    History, HistoryError, Outline, ReferenceHistory, ReferenceStore, Store, StoreError,
};

/// What a history does with an answer before it gives it.
type Flaw = fn(&mut EvolutionPage, &TemporalQuery);

struct Flawed(Flaw);

struct Memory(Arc<ReferenceStore>, Flaw);

#[derive(Debug)]
struct Answering(ReferenceHistory, Flaw);

impl HistorySubject for Flawed {
    fn place(&self) -> Box<dyn HistoryPlace> {
        Box::new(Memory(Arc::default(), self.0))
    }
}

impl HistoryPlace for Memory {
    fn open(&mut self) -> BoxFuture<'_, Result<HistoryOverStore, Failure>> {
        self.0 = Arc::new(self.0.reopen());
        let history = Answering(ReferenceHistory::new(self.0.clone()), self.1);
        let pair: HistoryOverStore = (self.0.clone(), Arc::new(history));
        ready(Ok(pair)).boxed()
    }

    fn close(
        &mut self,
        _store: Arc<dyn Store>,
        _history: Arc<dyn History>,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        ready(Ok(())).boxed()
    }
}

impl History for Answering {
    fn evolutions<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a TemporalQuery,
    ) -> BoxFuture<'a, Result<EvolutionPage, HistoryError>> {
        async move {
            let mut page = self.0.evolutions(tenant, query).await?;
            self.1(&mut page, query);
            Ok(page)
        }
        .boxed()
    }

    fn outline<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
    ) -> BoxFuture<'a, Result<Option<Outline>, StoreError>> {
        self.0.outline(tenant, id)
    }

    fn instance<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
        attribute: &'a AttrName,
        number: InstanceNumber,
    ) -> BoxFuture<'a, Result<Option<Recorded>, StoreError>> {
        self.0.instance(tenant, id, attribute, number)
    }

    fn needed_from(&self) -> Sequence {
        self.0.needed_from()
    }
}

#[tokio::test]
async fn the_reference_passes_the_suite() {
    let plan = HistoryPlan::default();
    if let Err(violation) = check_history(&Flawed(|_, _| {}), plan).await {
        panic!("{violation}");
    }
}

async fn is_caught(what: &str, flaw: Flaw) {
    let plan = HistoryPlan::default();
    let rule = check_history(&Flawed(flaw), plan).await.err().map(|violation| violation.rule);
    assert!(matches!(rule, Some(Rule::Past | Rule::Durable)), "{what}: {rule:?}");
}

#[tokio::test]
async fn a_history_that_forgets_an_instance_is_caught() {
    is_caught("forgets", |page, _| {
        for attribute in page.items.iter_mut().flat_map(|item| &mut item.evolution.attributes) {
            if attribute.instances.len() > 6 {
                attribute.instances.remove(0);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_that_is_wrong_in_one_kind_of_answer_is_caught() {
    is_caught("keeps entities of which nothing is left", |page, query| {
        if query.keep_empty {
            page.items.retain(|item| !item.evolution.attributes.is_empty());
        }
    })
    .await;
    is_caught("says where it was cut", |page, _| page.cut = None).await;
    is_caught("ends a period", |page, _| {
        let aggregates = page.items.iter_mut().flat_map(|item| &mut item.aggregates);
        let told = aggregates.flat_map(|attribute| &mut attribute.methods);
        for aggregate in told.flat_map(|(_, told)| told) {
            aggregate.end = aggregate.end.plus_micros(1);
        }
    })
    .await;
    is_caught("shows a scope of before the range", |page, query| {
        if query.scope.is_some() {
            for item in &mut page.items {
                let found = std::mem::take(&mut item.evolution.scopes);
                let within = found.into_iter().filter(|it| musubi_query::in_range(it, query));
                item.evolution.scopes = within.collect();
            }
        }
    })
    .await;
}
