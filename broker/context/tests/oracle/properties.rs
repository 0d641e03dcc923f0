//! What is the same on both sides, on generated contexts and bodies.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::ours::{check, compiled, expanded, rendered};
use crate::{bodies, contexts, fragment, reference};

/// A context that both refuse, or of which every text stands for the same to both.
#[test]
fn contexts_mean_the_same() {
    check(100, contexts::any(), |context| {
        let ours = compiled(&context);
        let theirs = reference::texts(&context, &contexts::TEXTS);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                for (text, theirs) in contexts::TEXTS.iter().zip(theirs) {
                    let ours = contexts::meaning(&ours, text);
                    prop_assert_eq!(ours, theirs, "{} in {}", text, context);
                }
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => prop_assert!(false, "only theirs refuses {context}: {error}"),
            (Err(error), Ok(_)) => prop_assert!(
                reference::should_refuse(&error),
                "only ours refuses {context}: {error}"
            ),
        }
        Ok(())
    });
}

/// A context that does not count on the core context before it means the same where the core
/// context stands behind it alone, protected as it is published.
#[test]
fn the_core_context_may_stand_behind_alone() {
    check(40, contexts::complete(), |context| {
        let Ok(ours) = compiled(&context) else { return Ok(()) };
        let Ok(theirs) = reference::texts_before_core(&context, &contexts::TEXTS) else {
            return Ok(());
        };
        for (text, theirs) in contexts::TEXTS.iter().zip(theirs) {
            prop_assert_eq!(contexts::meaning(&ours, text), theirs, "{} in {}", text, context);
        }
        Ok(())
    });
}

/// Names, types, vocabulary, targets, times, structure and plain values of a body.
#[test]
fn bodies_expand_to_the_same() {
    check(80, bodies::with_context(), |(context, body)| {
        let ours = compiled(&context).map_err(|error| TestCaseError::reject(error.to_string()))?;
        let fragment = match expanded(&body, &ours) {
            Ok(fragment) => fragment,
            // Two terms of one meaning: JSON-LD puts them together, and we ask which is meant.
            Err(reason) if reason.contains("given twice") => return Ok(()),
            Err(reason) => return Err(TestCaseError::fail(format!("{reason}: {body} {context}"))),
        };
        let theirs = match reference::expand(&context, &body) {
            Ok(theirs) => theirs,
            // A term that is skipped because its IRI looks like a keyword counts as unfinished
            // there, and here as not defined.
            Err(error)
                if error.contains("CyclicIriMapping")
                    && context.to_string().contains("@future") =>
            {
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {body} {context}"))),
        };
        prop_assert_eq!(
            fragment::view(&fragment),
            crate::expanded::view(&theirs),
            "{} in {}",
            body,
            context
        );
        Ok(())
    });
}

/// What is rendered in the context of the body is the body, if it was written with the names that
/// we write, and settles after one turn if it was not.
#[test]
fn a_body_comes_back_in_its_own_context() {
    check(200, bodies::with_context(), |(context, body)| {
        let context =
            compiled(&context).map_err(|error| TestCaseError::reject(error.to_string()))?;
        let Ok(fragment) = expanded(&body, &context) else { return Ok(()) };
        let canonical = rendered(fragment.clone(), &context);
        let again = expanded(&canonical, &context).map_err(TestCaseError::fail)?;
        prop_assert_eq!(fragment::view(&again), fragment::view(&fragment), "{}", canonical);
        prop_assert_eq!(&rendered(again, &context), &canonical);
        prop_assert_eq!(bodies::in_written_names(&body, &context), canonical);
        Ok(())
    });
}

/// The generators reach what they are for: else the properties above hold of nothing.
#[test]
fn generated_cases_are_worth_it() {
    let mut runner = TestRunner::deterministic();
    let mut valid = 0;
    for _ in 0..200 {
        let context = contexts::any().new_tree(&mut runner).unwrap().current();
        valid += usize::from(compiled(&context).is_ok());
    }
    assert!((60..190).contains(&valid), "{valid} of 200 contexts are valid");
    let mut accepted = 0;
    for _ in 0..200 {
        let (context, body) = bodies::with_context().new_tree(&mut runner).unwrap().current();
        let context = compiled(&context).unwrap();
        accepted += usize::from(expanded(&body, &context).is_ok());
    }
    assert!(accepted > 150, "{accepted} of 200 bodies are valid");
}
