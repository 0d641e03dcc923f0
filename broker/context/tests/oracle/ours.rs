//! Our expansion and rendering, and how properties of them are checked.

use musubi_context::{
    Context, ContextError, ContextSource, Representation, expand_entity, render_entity,
};
use musubi_model::{Entity, EntityFragment, Limits, Node, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use serde_json::Value;

/// Our compiled context.
pub(crate) fn compiled(context: &Value) -> Result<Context, ContextError> {
    let document = context.to_string();
    Context::from_source(&ContextSource { url: None, member: document.clone(), document })
}

/// Our expansion.
pub(crate) fn expanded(body: &Value, context: &Context) -> Result<EntityFragment, String> {
    let text = body.to_string();
    let node = Node::parse(&text, Limits::default()).map_err(|error| error.to_string())?;
    expand_entity(&node, context).map_err(|error| error.to_string())
}

/// Our normalized representation of what a fragment creates.
pub(crate) fn rendered(fragment: EntityFragment, context: &Context) -> Value {
    let entity = Entity::create(fragment, Timestamp::from_seconds(0)).unwrap();
    let mut out = Vec::new();
    render_entity(&mut out, &entity, context, &Representation::default());
    serde_json::from_slice(&out).unwrap()
}

/// Runs a property on cases that are the same every time, and on cases that never are.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> TestCaseResult,
) {
    let config = || Config { cases, failure_persistence: None, ..Config::default() };
    let fixed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for mut runner in [TestRunner::new_with_rng(config(), fixed), TestRunner::new(config())] {
        if let Err(error) = runner.run(&strategy, &property) {
            panic!("{error}");
        }
    }
}
