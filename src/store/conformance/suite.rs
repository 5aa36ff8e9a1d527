//! The list of facts, and the macro that makes a test of each for one implementation.

/// Makes one test of each fact. Facts are listed here and nowhere else.
macro_rules! suite {
    ($open:path) => {
        $crate::store::conformance::suite! { $open;
            accounts::an_account_comes_with_its_owner_or_not_at_all;
            accounts::an_account_asks_for_consent_as_it_was_last_told;
            accounts::an_account_keeps_things_for_as_long_as_it_was_last_told;
            accounts::an_email_belongs_to_one_user_in_whatever_case;
            accounts::a_refresh_token_works_once_and_its_reuse_ends_the_session;
            accounts::a_refresh_token_has_an_end;
            accounts::sessions_end_one_by_one_by_user_and_by_age;
            people::sessions_are_listed_by_person_and_found_in_their_account;
            people::a_change_to_a_person_keeps_everything_else;
            people::a_second_factor_is_changed_by_whoever_has_read_it;
            people::an_account_keeps_an_owner;
            people::of_two_owners_who_leave_at_once_one_stays;
            people::a_person_who_is_removed_leaves_nothing_that_opens;
            accounts::keys_are_found_by_hash_until_they_are_deleted;
            accounts::a_signing_secret_is_moved_on_one_by_one;
            accounts::the_first_answer_under_a_key_stays_until_it_is_forgotten;
            audit::entries_are_numbered_and_chained_in_their_account;
            audit::of_many_entries_at_once_each_has_its_number;
            audit::a_log_is_paged_through_by_filter;
            audit::details_are_erased_and_the_chain_holds;
            calls::facts_are_kept_once_and_in_order;
            calls::a_record_of_fewer_facts_never_replaces_one_of_more;
            calls::a_call_is_unsettled_until_it_is_terminal_and_all_its_facts_are_folded;
            calls::what_was_said_is_kept_once_and_read_by_ordinal;
            contacts::caps_of_a_day_and_a_week_hold_and_free_up;
            contacts::a_contact_that_was_not_made_is_given_back;
            contacts::what_is_booked_is_read_by_person_and_channel_from_a_moment_on;
            contacts::other_people_channels_and_accounts_have_their_own_count;
            contacts::of_many_at_once_only_as_many_as_the_cap_are_booked;
            erasing::a_call_loses_its_words_or_its_person_and_a_repeat_brings_nothing_back;
            erasing::a_message_is_emptied_and_still_known_by_its_provider;
            erasing::tasks_and_alerts_are_removed_from_their_account_alone;
            erasing::an_erased_fact_is_known_and_says_nothing;
            erasing::an_ended_run_forgets_what_it_did_and_keeps_its_head;
            erasing::answers_that_name_a_person_are_emptied;
            erasing::contacts_with_a_person_are_forgotten;
            erasing::a_number_that_opted_out_is_kept_by_its_hash_alone;
            isolation::no_read_reaches_another_account;
            isolation::no_write_reaches_another_account;
            keyring::a_key_is_made_once_and_wrapped_anew_by_whoever_has_read_it;
            leads::a_phone_number_belongs_to_one_lead_of_an_account;
            leads::finding_by_phone_creates_once_even_for_many_at_once;
            leads::a_lead_is_found_by_email_in_whatever_case_until_it_is_deleted;
            leads::an_edit_never_lifts_an_opt_out;
            leads::an_opt_out_stays_with_the_number_when_its_lead_is_deleted_or_gets_another;
            observations::the_unrouted_facts_of_one_lead_are_found_alone;
            leads::an_edit_is_made_once_under_its_key_and_its_facts_are_kept_with_it;
            leads::of_edits_of_different_fields_at_once_each_counts;
            leads::what_follows_from_an_edit_by_hand_is_kept_with_it;
            leads::an_untold_row_stands_on_the_timeline_alone;
            leads::a_refused_edit_changes_nothing_and_may_be_made_later;
            leads::leads_are_given_out_in_turn_or_to_whoever_has_fewest;
            leads::a_walk_meets_every_lead_once_oldest_first;
            lead_search::leads_are_found_by_words_newest_first_and_only_the_accounts_own;
            lead_search::whoever_has_exactly_that_number_or_address_is_found_first_and_once;
            lead_search::a_lead_is_found_by_what_its_merged_duplicates_had;
            lead_merges::a_merged_duplicate_is_found_as_the_lead_that_was_kept;
            lead_merges::an_opt_out_of_either_survives_a_merge_and_is_told;
            lead_merges::what_cannot_be_merged_stays_as_it_was;
            lead_merges::an_edit_ordered_for_a_duplicate_is_made_once_on_the_kept_lead;
            lead_merges::leads_with_one_address_are_listed_in_groups;
            lead_merges::what_happened_with_a_duplicate_is_on_the_kept_leads_timeline;
            lead_merges::runs_of_either_are_found_by_the_name_and_every_number_of_the_lead;
            observations::the_newest_facts_of_a_kind_come_newest_first;
            observations::a_fact_is_kept_once_and_unrouted_until_it_is_marked;
            observations::a_look_back_is_oldest_first_and_a_timeline_newest_first;
            paging::a_list_pages_through_everything_once_while_rows_arrive;
            paging::a_limit_is_capped_and_a_foreign_cursor_refused;
            records::an_alert_is_raised_and_acknowledged_once;
            records::a_task_is_created_once_and_replaced_whole;
            records::a_message_is_tied_to_the_first_id_it_is_given;
            records::a_message_never_moves_back;
            resources::a_resource_is_made_once_and_replaced_in_turn;
            resources::resources_are_listed_by_group_and_state_as_they_stand;
            resources::a_resource_is_open_until_nothing_is_left_to_do;
            runs::a_run_is_created_once;
            runs::what_is_beside_the_snapshot_is_kept_until_it_is_dropped;
            runs::an_append_out_of_turn_is_refused_and_changes_nothing;
            runs::of_two_owners_one_moves_the_run;
            runs::timers_and_effects_follow_the_appends;
            runs::lists_filter_by_workflow_lead_and_status;
            runs::runs_are_found_by_who_they_are_about_and_when;
            runs::recovery_scans_of_a_shard_see_that_shard_alone;
            runs::enrolment_sees_active_and_earlier_runs;
            runs::the_contacts_of_a_run_are_counted_by_where_they_stand;
            runs::tallies_follow_the_runs;
            schedules::how_far_a_workflow_came_never_goes_back_until_it_is_forgotten;
            schedules::workflows_by_the_clock_are_found_in_every_account_while_they_are_live;
            schedules::facts_that_are_waited_after_are_found_by_type_and_time;
            schedules::leads_are_found_by_their_birthday_page_by_page;
            walking::calls_that_began_before_a_moment_are_met_newest_first;
            walking::messages_that_were_made_before_a_moment_are_met_newest_first;
            webhooks::an_address_is_found_by_its_person_and_its_account_until_it_is_deleted;
            webhooks::a_rotated_token_replaces_the_one_before;
            workflows::an_edit_carries_the_revision_it_read;
            workflows::a_published_version_never_changes_and_outlives_its_workflow;
            workflows::only_enabled_and_published_workflows_are_triggered;
        }
    };
    ($open:path; $($file:ident :: $fact:ident;)+) => {$(
        #[tokio::test]
        async fn $fact() {
            let Some(opened) = $open().await else { return };
            $crate::store::conformance::$file::$fact(&opened.store).await;
        }
    )+};
}

pub(crate) use suite;
