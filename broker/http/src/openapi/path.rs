//! A path and what its operations have in common.

use serde_json::{Map, Value};

use super::operation::Operation;

/// A path and its operations.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// As the router writes it, with names in braces.
    pub(super) template: &'static str,
    pub(super) tag: &'static str,
    /// What stands in the braces, in order: entries of `parameters.json` after `path:`.
    names: &'static [&'static str],
    reach: Reach,
    pub(super) operations: Vec<Operation>,
}

/// Which headers every operation of a path reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The tenant and the context of names.
    Names,
    /// The tenant.
    Tenant,
    /// None.
    Process,
}

impl Path {
    /// A path below which names are read in a context.
    pub(super) fn of_names(
        tag: &'static str,
        template: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self { template, tag, names, reach: Reach::Names, operations: Vec::new() }
    }

    /// A path of a tenant.
    pub(super) fn of_tenant(
        tag: &'static str,
        template: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self { reach: Reach::Tenant, ..Self::of_names(tag, template, names) }
    }

    /// A path of the process, whatever the tenant.
    pub(super) fn of_process(
        tag: &'static str,
        template: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self { reach: Reach::Process, ..Self::of_names(tag, template, names) }
    }

    /// Adds an operation.
    pub(super) fn with(mut self, operation: Operation) -> Self {
        let operation = operation.may_fail(&[400, 403, 421, 500, 503]);
        let tenant = |operation: Operation| {
            let reads = operation.is_read();
            let operation = operation.header("NGSILD-Tenant");
            if reads { operation.may_fail(&[404]) } else { operation }
        };
        let operation = match self.reach {
            Reach::Process => operation,
            Reach::Tenant => tenant(operation),
            Reach::Names => tenant(operation).header("Link").may_fail(&[504]),
        };
        self.operations.push(operation);
        self
    }

    /// The path item.
    pub(super) fn written(&self) -> Value {
        let mut item = Map::new();
        for operation in &self.operations {
            let (method, written) = operation.written(self.tag, self.names);
            if method == "get" {
                // What is answered to GET is answered to HEAD, without the body.
                item.insert("head".to_owned(), operation.head(self.tag, self.names));
            }
            item.insert(method.to_owned(), written);
        }
        Value::Object(item)
    }
}
