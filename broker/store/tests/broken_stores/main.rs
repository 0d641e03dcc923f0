//! The suite bites: each store with a fault is rejected, and for the right reason.

mod faulty;

use std::sync::Arc;

use faulty::{Fault, Faulty};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use musubi_store::Store;
use musubi_store::conformance::{self, Failure, Place, Plan, Rule, Subject};

struct Broken(Fault);

struct Memory(Arc<Faulty>);

impl Subject for Broken {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Memory(Arc::new(Faulty::new(self.0))))
    }
}

impl Place for Memory {
    fn open(&mut self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        let store: Arc<dyn Store> = self.0.clone();
        ready(Ok(store)).boxed()
    }

    fn close(&mut self, _: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        self.0 = Arc::new(self.0.closed());
        ready(Ok(())).boxed()
    }

    fn kill(&mut self, _: Arc<dyn Store>) -> BoxFuture<'_, Result<(), Failure>> {
        self.0 = Arc::new(self.0.killed());
        ready(Ok(())).boxed()
    }
}

/// The suite rejects a store with this fault because of one of these rules, whatever the seed.
async fn check(fault: Fault, rules: &[Rule]) {
    check_plan(fault, rules, Plan { population: 0, rounds: 0, ..Plan::default() }).await;
}

/// The same for a fault that shows only when tasks write and read beside each other. The runtime
/// has one thread, so that the tasks take turns in the same way each time.
async fn check_beside(fault: Fault, rules: &[Rule]) {
    check_plan(fault, rules, Plan { cases: 0, population: 0, ..Plan::default() }).await;
}

/// The same for a fault that shows only among many entities.
async fn check_wide(fault: Fault, rules: &[Rule]) {
    let population = Plan::default().population;
    check_plan(fault, rules, Plan { cases: 0, population, rounds: 0, seed: 0, steps: 0 }).await;
}

async fn check_plan(fault: Fault, rules: &[Rule], plan: Plan) {
    for seed in [1, 1000, 2000] {
        let found = conformance::check(&Broken(fault), Plan { seed, ..plan }).await.err();
        let rule = found.as_ref().map(|violation| violation.rule);
        assert!(
            rule.is_some_and(|rule| rules.contains(&rule)),
            "{fault:?} with seed {seed}: {}",
            found.map_or("accepted".to_owned(), |violation| violation.to_string())
        );
    }
}

#[tokio::test]
async fn a_cursor_that_includes_its_own_is_rejected() {
    check(Fault::CursorIncludesItsOwn, &[Rule::Cursor]).await;
}

#[tokio::test]
async fn a_lost_last_row_is_rejected() {
    check(Fault::LastRowLost, &[Rule::Selection]).await;
}

#[tokio::test]
async fn a_page_cut_short_is_rejected() {
    check(Fault::PageCutShort, &[Rule::Offset, Rule::Cursor]).await;
}

#[tokio::test]
async fn a_full_page_that_promises_more_is_rejected() {
    check(Fault::FullPageMeansMore, &[Rule::More]).await;
}

#[tokio::test]
async fn a_count_off_by_one_is_rejected() {
    check(Fault::CountOffByOne, &[Rule::Count]).await;
}

#[tokio::test]
async fn an_index_that_is_stale_after_an_update_is_rejected() {
    check(Fault::IndexStaleAfterUpdate, &[Rule::Selection]).await;
}

#[tokio::test]
async fn a_type_forgotten_on_delete_is_rejected() {
    check(Fault::TypeForgottenOnDelete, &[Rule::Types]).await;
}

#[tokio::test]
async fn an_order_by_id_is_rejected() {
    check(Fault::OrderedById, &[Rule::Order]).await;
}

#[tokio::test]
async fn a_place_that_is_used_again_is_rejected() {
    check(Fault::PlaceReused, &[Rule::Position]).await;
}

#[tokio::test]
async fn a_tenant_found_by_its_prefix_is_rejected() {
    check(Fault::TenantByPrefix, &[Rule::Selection]).await;
}

#[tokio::test]
async fn a_missing_change_is_rejected() {
    check(Fault::ChangeMissing, &[Rule::ChangeMissing]).await;
}

#[tokio::test]
async fn a_change_that_is_there_twice_is_rejected() {
    check(Fault::ChangeTwice, &[Rule::ChangeTwice]).await;
}

#[tokio::test]
async fn a_change_without_what_was_before_is_rejected() {
    check(Fault::BeforeImageMissing, &[Rule::Change]).await;
}

#[tokio::test]
async fn a_log_truncated_too_far_is_rejected() {
    check(Fault::TruncatedTooFar, &[Rule::Truncation]).await;
}

#[tokio::test]
async fn a_silent_log_is_rejected() {
    check(Fault::NeverAnnounced, &[Rule::Newest]).await;
}

#[tokio::test]
async fn a_write_that_is_acknowledged_but_not_persisted_is_rejected() {
    check(Fault::AcknowledgedButNotPersisted, &[Rule::Durable]).await;
}

#[tokio::test]
async fn a_group_applied_by_half_is_rejected() {
    check(Fault::GroupByHalf, &[Rule::Whole]).await;
}

#[tokio::test]
async fn an_ignored_expectation_is_rejected() {
    check(Fault::ExpectationIgnored, &[Rule::Outcome]).await;
}

#[tokio::test]
async fn a_prefix_found_anywhere_is_rejected() {
    check(Fault::PrefixAnywhere, &[Rule::Records]).await;
}

#[tokio::test]
async fn a_revision_that_is_checked_and_then_written_is_rejected() {
    check_beside(Fault::CheckedThenWritten, &[Rule::LostUpdate]).await;
}

#[tokio::test]
async fn a_group_that_becomes_visible_one_by_one_is_rejected() {
    check_beside(Fault::VisibleOneByOne, &[Rule::Moment]).await;
}

#[tokio::test]
async fn records_of_a_group_that_become_visible_one_by_one_are_rejected() {
    check_beside(Fault::RecordsOneByOne, &[Rule::Moment]).await;
}

#[tokio::test]
async fn a_scan_that_counts_while_others_write_is_rejected() {
    check_beside(Fault::ScanByCounting, &[Rule::Moment]).await;
}

#[tokio::test]
async fn a_log_that_begins_anew_is_rejected() {
    check(Fault::LogBeginsAnew, &[Rule::Durable]).await;
}

#[tokio::test]
async fn a_deletion_without_a_revision_is_rejected() {
    check(Fault::DeletionWithoutRevision, &[Rule::Revision]).await;
}

#[tokio::test]
async fn a_store_that_sees_one_piece_only_is_rejected() {
    check_wide(Fault::OnePieceOnly, &[Rule::Selection]).await;
}

#[tokio::test]
async fn an_expired_instance_that_is_shown_is_rejected() {
    check(Fault::ExpiredInstanceShown, &[Rule::State]).await;
}

#[tokio::test]
async fn an_expired_entity_that_is_counted_is_rejected() {
    check(Fault::ExpiredEntityCounted, &[Rule::Count]).await;
}

#[tokio::test]
async fn an_expired_part_that_is_asked_is_rejected() {
    check(Fault::ExpiredPartAsked, &[Rule::Selection]).await;
}

#[tokio::test]
async fn an_expiry_that_comes_late_is_rejected() {
    check(Fault::ExpiryComesLate, &[Rule::Selection, Rule::State]).await;
}

#[tokio::test]
async fn an_expiry_of_a_sub_attribute_that_is_missed_after_an_update_is_rejected() {
    check(Fault::SubAttributeExpiryMissed, &[Rule::Selection]).await;
}

#[tokio::test]
async fn ties_that_are_turned_round_are_rejected() {
    check(Fault::TiesTurnedRound, &[Rule::Order]).await;
}

#[tokio::test]
async fn an_order_that_is_ascending_for_descending_is_rejected() {
    check(Fault::DescendingIgnored, &[Rule::Order]).await;
}

#[tokio::test]
async fn a_page_that_is_ordered_after_it_was_cut_is_rejected() {
    check(Fault::OrderedAfterCut, &[Rule::Offset, Rule::Cursor]).await;
}

#[tokio::test]
async fn links_that_are_not_followed_are_rejected() {
    check(Fault::LinksNotFollowed, &[Rule::Selection]).await;
}

#[tokio::test]
async fn linked_entities_that_are_seen_as_they_are_kept_are_rejected() {
    check(Fault::LinkedAsKept, &[Rule::Selection]).await;
}

#[tokio::test]
async fn a_kind_that_stays_after_a_deletion_is_rejected() {
    check(Fault::KindForgottenOnDelete, &[Rule::Attributes]).await;
}
