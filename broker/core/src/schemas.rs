//! Schemas of entity types: which there are in a tenant, and whether a write that does not follow
//! one is let through. What happens at the door is in `door.rs`.

use std::sync::{Arc, LazyLock};

use musubi_context::{Context, ContextSource};
use musubi_model::{Cause, TypeName};
use musubi_schemas::Schema;
use musubi_store::{Expect, Record, RecordKind, RecordQuery, RecordWrite};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::Plan;
use crate::{Error, Right, Session};

mod door;
mod registry;

pub(crate) use door::{Extent, Wrong};
pub use door::{SchemaWarning, SchemaWarnings};
pub(crate) use registry::{Registered, Registry};

/// What happens to a write that does not follow the schema of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// Nothing: the schema is kept and not looked at.
    Off,
    /// It is carried out, and the client and the operator are told.
    #[default]
    Warn,
    /// It is refused.
    Enforce,
}

/// Where a schema comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaSource {
    /// The operator gave this document.
    Own(Value),
    /// It is the data model of the project that has this name.
    Model(String),
}

/// The schema of a type, as it is kept.
#[derive(Clone, Debug)]
pub struct TypeSchema {
    /// The type, expanded.
    pub entity_type: TypeName,
    /// What happens to a write that does not follow it.
    pub mode: SchemaMode,
    /// Where it comes from.
    pub source: SchemaSource,
    /// The context that gives the short names that the schema speaks in.
    pub context: Context,
}

/// How a [`TypeSchema`] lies in its record, under the name of the type.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    mode: SchemaMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// None is the project's own, as the program that reads this has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<ContextSource>,
}

static OWN_CONTEXT: LazyLock<Result<Context, String>> = LazyLock::new(|| {
    let file: Value =
        serde_json::from_str(musubi_schemas::CONTEXT).map_err(|error| error.to_string())?;
    let terms = file.get("@context").map(Value::to_string).unwrap_or_default();
    let member = Value::from(musubi_schemas::CONTEXT_PATH).to_string();
    let source = ContextSource { url: None, member, document: terms };
    Context::from_source(&source).map_err(|error| error.to_string())
});

/// The most schemas of a tenant.
const MAX_SCHEMAS: usize = 100;
/// The longest context that a schema is registered under, in bytes.
const MAX_CONTEXT: usize = 512 * 1024;

impl TypeSchema {
    /// The project's own context, in which the terms of its data models have their names.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the program's own file is broken, which a test rules out.
    pub fn own_context() -> Result<Context, Error> {
        OWN_CONTEXT.clone().map_err(Error::Internal)
    }

    /// The short name of the type in the schema's own context.
    pub fn term(&self) -> String {
        self.context.compact(self.entity_type.as_str()).into_owned()
    }

    /// The schema as a document, that of the model if it is one. None if this program has no such
    /// model.
    pub fn document(&self) -> Option<Value> {
        match &self.source {
            SchemaSource::Own(document) => Some(document.clone()),
            SchemaSource::Model(name) => {
                let models = musubi_schemas::Schemas::built_in().ok()?;
                models.schema(name).map(|schema| schema.document().clone())
            }
        }
    }

    fn compile(&self) -> Result<Schema, Error> {
        match &self.source {
            SchemaSource::Own(document) => Schema::compile(document.clone())
                .map_err(|error| Error::BadRequestData(format!("the schema: {error}"))),
            SchemaSource::Model(name) => {
                let models = musubi_schemas::Schemas::built_in()
                    .map_err(|error| Error::Internal(error.to_string()))?;
                models.schema(name).cloned().ok_or_else(|| {
                    let known: Vec<&str> = models.names().collect();
                    let known = known.join(", ");
                    Error::BadRequestData(format!("there is no model {name:?}; there are {known}"))
                })
            }
        }
    }

    fn to_bytes(&self) -> Result<Arc<[u8]>, Error> {
        let (schema, model) = match &self.source {
            SchemaSource::Own(document) => (Some(document.clone()), None),
            SchemaSource::Model(name) => (None, Some(name.clone())),
        };
        let context = Some(self.context.source())
            .filter(|source| Self::own_context().is_ok_and(|own| own.source() != *source));
        let kept = Kept { mode: self.mode, schema, model, context };
        let bytes =
            serde_json::to_vec(&kept).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(bytes.into())
    }

    fn read(record: &Record) -> Result<Self, Error> {
        let lost = |reason: String| Error::Internal(format!("schema {}: {reason}", record.key.key));
        let kept: Kept =
            serde_json::from_slice(&record.value).map_err(|error| lost(error.to_string()))?;
        let source = match (kept.schema, kept.model) {
            (Some(document), None) => SchemaSource::Own(document),
            (None, Some(name)) => SchemaSource::Model(name),
            (Some(_), Some(_)) | (None, None) => {
                return Err(lost("it is neither a schema nor a model".to_owned()));
            }
        };
        let entity_type = record.key.key.parse().map_err(|_| lost("it is no type".to_owned()))?;
        let context = match &kept.context {
            None => Self::own_context()?,
            Some(source) => {
                Context::from_source(source).map_err(|error| lost(error.to_string()))?
            }
        };
        Ok(Self { entity_type, mode: kept.mode, source, context })
    }
}

impl Session {
    /// Registers the schema of a type in the place of the one that it has; whether it had none.
    /// Writes that begin after this has answered are held against it.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if the schema cannot be used, if there is no such model, or if the
    /// tenant has 100 schemas already.
    pub async fn put_schema(&self, schema: TypeSchema) -> Result<bool, Error> {
        self.caller.require(Right::WriteSchemas)?;
        let registered = Registered::new(&schema)?;
        if schema.context.source().document.len() > MAX_CONTEXT {
            let reason = format!(
                "a schema keeps the context that it was registered under, which may have {MAX_CONTEXT} bytes"
            );
            return Err(Error::BadRequestData(reason));
        }
        let key = schema.entity_type.as_str();
        let registry = &self.broker.shared().schemas;
        let _turn = registry.turn().await;
        let is_new = self.record(RecordKind::Schema, key).await?.is_none();
        if is_new && self.schema_records().await?.len() >= MAX_SCHEMAS {
            let reason = format!("a tenant has at most {MAX_SCHEMAS} schemas");
            return Err(Error::BadRequestData(reason));
        }
        self.write_schema(key, Some(schema.to_bytes()?)).await?;
        registry.set(&self.tenant, &schema.entity_type, Some(registered));
        Ok(is_new)
    }

    /// The schema of this type.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn schema(&self, entity_type: &TypeName) -> Result<TypeSchema, Error> {
        self.caller.require(Right::ReadSchemas)?;
        self.require_tenant().await?;
        let missing = || Error::ResourceNotFound(format!("schema of the type {entity_type}"));
        let record = self.record(RecordKind::Schema, entity_type.as_str()).await?;
        TypeSchema::read(&record.ok_or_else(missing)?)
    }

    /// The schemas of the tenant, in the order of their types.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn schemas(&self) -> Result<Vec<TypeSchema>, Error> {
        self.caller.require(Right::ReadSchemas)?;
        self.require_tenant().await?;
        self.schema_records().await?.iter().map(TypeSchema::read).collect()
    }

    /// Forgets the schema of a type.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn delete_schema(&self, entity_type: &TypeName) -> Result<(), Error> {
        self.caller.require(Right::WriteSchemas)?;
        self.require_tenant().await?;
        let registry = &self.broker.shared().schemas;
        let _turn = registry.turn().await;
        if self.record(RecordKind::Schema, entity_type.as_str()).await?.is_none() {
            let what = format!("schema of the type {entity_type}");
            return Err(Error::ResourceNotFound(what));
        }
        self.write_schema(entity_type.as_str(), None).await?;
        registry.set(&self.tenant, entity_type, None);
        Ok(())
    }

    async fn schema_records(&self) -> Result<Vec<Record>, Error> {
        let query = RecordQuery {
            kind: RecordKind::Schema,
            tenant: Some(self.tenant.clone()),
            prefix: String::new(),
            after: None,
            limit: MAX_SCHEMAS,
        };
        Ok(self.broker.store().records(&query).await?)
    }

    async fn write_schema(&self, key: &str, value: Option<Arc<[u8]>>) -> Result<(), Error> {
        let key = self.record_key(RecordKind::Schema, key);
        let records = vec![RecordWrite { key, expect: Expect::Any, value }];
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        self.commit_one(plan, self.now()).await.map(drop)
    }
}
