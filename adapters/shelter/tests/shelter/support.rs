//! What the tests share: a town with a folder of tables, and a sink that fails when told to.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_adapter_kit::testing::{ManualClock, MemorySink};
use musubi_adapter_kit::{
    Adapter, AdapterMetrics, DeadLetter, Delivery, MappingError, MappingFile, ModelCheck,
    ModelProblem, Rejection, Remembered, Services, Sink, SinkError,
};
use musubi_context::Context;
use musubi_model::{Clock, Entity, EntityFragment, EntityId, Tenant, Timestamp};
use musubi_outbound::Client;
use musubi_schemas::Schemas;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;

/// The moment at which most tests begin, after the moments of all tables: 2024-06-01.
pub(crate) const NOW: &str = "2024-06-01T00:00:00Z";

/// What happens to the next writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is carried out and answered.
    Pass,
    /// It is neither carried out nor answered.
    Lost,
    /// It is carried out, and nobody learns of it.
    Unanswered,
}

/// A sink that fails when told to.
#[derive(Debug)]
pub(crate) struct FlakySink {
    inner: Arc<MemorySink>,
    /// The fate of each of the next writes, and of all after them.
    fates: Mutex<(Vec<Fate>, Fate)>,
    refused: Mutex<HashSet<EntityId>>,
    reads_fail: AtomicBool,
    /// A write waits for a permit, and gives it back.
    gate: Semaphore,
    /// One permit for each write that has come to the gate.
    pub(crate) arrivals: Semaphore,
}

impl FlakySink {
    /// Lets so many writes pass and gives all others this fate.
    pub(crate) fn after(&self, passing: usize, fate: Fate) {
        *self.fates.lock() = (vec![Fate::Pass; passing], fate);
    }

    /// Gives the next write this fate; the others pass.
    pub(crate) fn next(&self, fate: Fate) {
        *self.fates.lock() = (vec![fate], Fate::Pass);
    }

    /// Makes every delivery that names this entity be refused, or not any more.
    pub(crate) fn refuse(&self, id: &str, refused: bool) {
        let id = shelter_id(id);
        if refused {
            self.refused.lock().insert(id);
        } else {
            self.refused.lock().remove(&id);
        }
    }

    pub(crate) fn fail_reads(&self, fail: bool) {
        self.reads_fail.store(fail, Ordering::SeqCst);
    }

    /// Makes all writes wait until they are released.
    pub(crate) fn hold(&self) {
        self.gate.forget_permits(1);
    }

    pub(crate) fn release(&self) {
        self.gate.add_permits(1);
    }

    fn fate(&self) -> Fate {
        let mut fates = self.fates.lock();
        if fates.0.is_empty() { fates.1 } else { fates.0.remove(0) }
    }

    fn readable(&self) -> Result<(), SinkError> {
        if self.reads_fail.load(Ordering::SeqCst) {
            return Err(SinkError { reason: "the test wants this read to fail".to_owned() });
        }
        Ok(())
    }

    fn is_refused(&self, delivery: &Delivery) -> bool {
        let refused = self.refused.lock();
        delivery
            .entities
            .iter()
            .filter_map(|entity| entity.id.as_ref())
            .any(|id| refused.contains(id))
    }
}

impl Sink for FlakySink {
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        deliveries: Vec<Delivery>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), Rejection>>, SinkError>> {
        async move {
            self.arrivals.add_permits(1);
            drop(self.gate.acquire().await.unwrap());
            let fate = self.fate();
            let failed = || SinkError { reason: format!("the test wants this write {fate:?}") };
            if fate == Fate::Lost {
                return Err(failed());
            }
            let mut results = Vec::new();
            for delivery in deliveries {
                if self.is_refused(&delivery) {
                    let reason = "the test wants it refused".to_owned();
                    results.push(Err(Rejection { reason }));
                } else {
                    results.extend(self.inner.write(tenant, adapter, vec![delivery]).await?);
                }
            }
            if fate == Fate::Unanswered { Err(failed()) } else { Ok(results) }
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        ids: &'a [EntityId],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<Entity>>>, SinkError>> {
        async move {
            self.readable()?;
            self.inner.read(tenant, ids).await
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        id_prefix: &'a str,
        offset: usize,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entity>>, SinkError>> {
        self.inner.list(tenant, id_prefix, offset, limit)
    }

    fn state<'a>(
        &'a self,
        tenant: &'a Tenant,
        adapter: &'a str,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Remembered>, SinkError>> {
        async move {
            self.readable()?;
            self.inner.state(tenant, adapter, prefix).await
        }
        .boxed()
    }
}

#[derive(Debug)]
struct Models(Schemas);

impl ModelCheck for Models {
    fn check(&self, model: &str, entity: &EntityFragment) -> Vec<ModelProblem> {
        let problems = self.0.check(model, entity).into_iter();
        problems
            .map(|problem| ModelProblem { attribute: problem.attribute, reason: problem.reason })
            .collect()
    }
}

/// A town: a folder of tables, a sink and a clock.
pub(crate) struct Town {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: Arc<MemorySink>,
    pub(crate) sink: Arc<FlakySink>,
    pub(crate) services: Services,
    pub(crate) folder: tempfile::TempDir,
}

impl Town {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let memory = Arc::new(MemorySink::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let sink = Arc::new(FlakySink {
            inner: Arc::clone(&memory),
            fates: Mutex::new((Vec::new(), Fate::Pass)),
            refused: Mutex::default(),
            reads_fail: AtomicBool::default(),
            gate: Semaphore::new(1),
            arrivals: Semaphore::new(0),
        });
        let services = Services {
            sink: Arc::clone(&sink) as Arc<dyn Sink>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            client: Client::unguarded(),
            context: Context::core(),
            models: Some(Arc::new(Models(Schemas::built_in().unwrap()))),
            metrics: AdapterMetrics::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tables")).unwrap();
        Self { clock, memory, sink, services, folder }
    }

    pub(crate) fn adapter(&self, mapping: &str) -> Result<Arc<dyn Adapter>, MappingError> {
        let file = self.folder.path().join("shelters.toml");
        let mapping = MappingFile::parse(mapping, &file.display().to_string())?;
        musubi_adapter_shelter::from_mapping(&mapping, self.services.clone())
    }

    /// An adapter of the folder of tables. What it writes has to fit the data model.
    pub(crate) fn tables(&self, source: &str) -> Arc<dyn Adapter> {
        self.adapter(&format!(
            "[source]\nkind = \"file\"\n{source}\n[map]\npreset = \"shelter-snapshot\"\n\
             attribution = \"架空市, CC BY 4.0\"\n[model_check]\nmode = \"enforce\"\n"
        ))
        .unwrap()
    }

    /// An adapter that is posted to. What it writes has to fit the data model.
    pub(crate) fn posts(&self) -> Arc<dyn Adapter> {
        self.adapter(
            "name = \"doors\"\n[source]\nkind = \"http_push\"\n[map]\n\
             preset = \"shelter-reports\"\n[model_check]\nmode = \"enforce\"\n",
        )
        .unwrap()
    }

    /// Works through the folder with an adapter that remembers nothing by itself.
    pub(crate) async fn run(&self) -> Value {
        let adapter = self.tables("path = \"tables\"");
        Arc::clone(&adapter).run_once().await.unwrap();
        adapter.status()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("tables").join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn copy(&self, file: &Path) {
        std::fs::copy(file, self.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }

    pub(crate) fn copy_all(&self, files: &[PathBuf]) {
        for file in files {
            self.copy(file);
        }
    }

    pub(crate) fn shelter(&self, id: &str) -> Option<Arc<Entity>> {
        self.memory.entity(&Tenant::default(), &shelter_id(id))
    }

    /// The value of an attribute of a shelter, by the end of its name.
    pub(crate) fn value(&self, id: &str, term: &str) -> Option<Value> {
        let entity = self.shelter(id)?;
        let found = entity
            .attributes
            .iter()
            .find(|attribute| attribute.name.as_str().rsplit(['/', ':']).next() == Some(term))?;
        Some(found.instances[0].value.json.to_value())
    }

    pub(crate) fn people(&self, id: &str) -> Option<u64> {
        self.value(id, "occupancy")?.as_u64()
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.value(id, "status").unwrap().as_str().unwrap().to_owned()
    }

    /// The shelters that are open, and how many people are in each.
    pub(crate) fn open(&self) -> BTreeMap<String, u64> {
        let shelters = self.memory.entities(&Tenant::default());
        let ids = shelters.iter().map(|entity| short(&entity.id));
        ids.filter(|id| matches!(self.status(id).as_str(), "open" | "full"))
            .map(|id| {
                let people = self.people(&id).unwrap();
                (id, people)
            })
            .collect()
    }

    /// Everything that is written, for a comparison.
    pub(crate) fn everything(&self) -> BTreeMap<(String, String), (Value, Option<Timestamp>)> {
        let mut everything = BTreeMap::new();
        for entity in self.memory.entities(&Tenant::default()) {
            for attribute in &entity.attributes {
                let instance = &attribute.instances[0];
                let key = (short(&entity.id), attribute.name.to_string());
                everything.insert(key, (instance.value.json.to_value(), instance.observed_at));
            }
        }
        everything
    }

    /// The origins and reasons of the dead letters.
    pub(crate) fn letters(&self) -> Vec<(String, String)> {
        let letters = self.memory.dead_letters(&Tenant::default());
        letters.into_iter().map(|letter| (letter.origin, letter.reason)).collect()
    }
}

pub(crate) fn shelter_id(id: &str) -> EntityId {
    format!("urn:ngsi-ld:EvacuationShelter:{id}").parse().unwrap()
}

fn short(id: &EntityId) -> String {
    id.as_str().strip_prefix("urn:ngsi-ld:EvacuationShelter:").unwrap().to_owned()
}

/// The synthetic files of a folder, in the order of their names.
pub(crate) fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A table of one moment: ids and head counts.
pub(crate) fn table(moment: &str, rows: &[(&str, &str)]) -> String {
    let lines =
        rows.iter().map(|(id, people)| format!("{id},合成の避難所{id},{people},{moment}\n"));
    std::iter::once("ID,名称,人数,時点\n".to_owned()).chain(lines).collect()
}

pub(crate) fn counts(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
    rows.iter().map(|(id, people)| ((*id).to_owned(), *people)).collect()
}

/// A letter with this origin and payload.
pub(crate) fn again(origin: &str, payload: &[u8]) -> DeadLetter {
    DeadLetter::new("test", origin, "", payload, Timestamp::default())
}
