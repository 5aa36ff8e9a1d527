//! Delays in a lead's zone, driven through whole runs.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::{START, Story, single};
use crate::{
    domain::{run::RunStatus, time::Timestamp},
    workflows::{
        calendar::{local, zone},
        definition::TimeOfDay,
        input::Input,
        journal::Entry,
        run::Run,
    },
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// The moment a run that begins at `now` in `zone` waits for; `now` itself when it does not wait.
fn waits_until(story: &mut Story, fresh: &Run, now: Timestamp) -> Timestamp {
    story.run = fresh.clone();
    story.world.now = now;
    let begun = story.give(Input::Started);
    begun.timers_set.first().map_or(now, |(_, due)| *due)
}

fn story_in(zone: &str, params: &Value) -> (Story, Run) {
    let mut story = Story::new(&single("delay", params, &json!({})));
    if let Some(lead) = &mut story.world.lead {
        lead.timezone = Some(zone.to_owned());
    }
    let fresh = story.run.clone();
    (story, fresh)
}

#[test]
fn no_delay_ends_early_in_any_minute_around_a_change_of_the_clock() {
    let changes = [
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Europe/London", "2026-03-29T01:00:00Z"),
        ("Europe/London", "2026-10-25T01:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("Asia/Kolkata", "2026-03-08T07:00:00Z"),
    ];
    let wanted: TimeOfDay = "02:15".parse().expect("a time of day");
    for (name, change) in changes {
        let place = zone(name).expect("a zone");
        let (mut span, fresh_span) = story_in(name, &json!({"for": "90m"}));
        let (mut until, fresh_until) = story_in(name, &json!({"until": "02:15"}));
        let hours = json!({"for": "90m", "business_hours": {"days": ["sat", "sun", "mon"], "from": "02:15", "to": "03:15"}});
        let (mut open, fresh_open) = story_in(name, &hours);
        let middle = at(change).as_unix_millis() / 60_000;
        for minute in middle - 180..middle + 180 {
            let now = Timestamp::from_unix_millis(minute * 60_000 + 1);
            let hour_and_half = now.plus(Duration::from_secs(5_400));
            assert_eq!(waits_until(&mut span, &fresh_span, now), hour_and_half);
            let found = waits_until(&mut until, &fresh_until, now);
            assert!(
                found > now && local(found, &place).time >= wanted,
                "{name} at {now}: {found}"
            );
            assert!(
                found.since(now) <= Duration::from_secs(25 * 3_600),
                "{name} at {now}: {found}"
            );
            let found = waits_until(&mut open, &fresh_open, now);
            let shown = local(found, &place).time.minutes();
            assert!(found >= hour_and_half, "{name} at {now}: {found}");
            // The hour may be skipped whole; then the next day's counts.
            assert!((135..195).contains(&shown), "{name} at {now}: {found}");
        }
    }
}

#[test]
fn a_wait_outside_of_business_hours_goes_on_to_their_beginning() {
    let params = json!({"for": "1h", "business_hours": {"from": "09:00", "to": "17:00"}});
    let (mut story, fresh) = story_in("America/New_York", &params);
    let cases = [
        // Monday 10:00 in New York: an hour later is open.
        ("2026-11-23T15:00:00Z", "2026-11-23T16:00:00Z"),
        // Friday 16:30: Monday 09:00.
        ("2026-11-20T21:30:00Z", "2026-11-23T14:00:00Z"),
        // Friday 15:59:59: still open a second before the end.
        ("2026-11-20T20:59:59Z", "2026-11-20T21:59:59Z"),
    ];
    for (now, expected) in cases {
        assert_eq!(waits_until(&mut story, &fresh, at(now)), at(expected), "{now}");
    }
}

#[test]
fn a_time_without_a_zone_is_the_leads_and_the_history_says_which() {
    let (mut story, _) = story_in("Asia/Kolkata", &json!({"until": "Mon 09:00"}));
    story.world.now = START;
    let begun = story.give(Input::Started);
    assert_eq!(begun.run.status(), RunStatus::Waiting);
    // START is Sunday 2026-11-22 09:00 UTC.
    assert_eq!(begun.timers_set[0].1, at("2026-11-23T03:30:00Z"));
    let input = begun.journal.iter().find_map(|line| match &line.entry {
        Entry::NodeWaiting { input, .. } => Some(input.clone()),
        _ => None,
    });
    assert_eq!(
        input,
        Some(json!({"until": "Mon 09:00", "timezone": "Asia/Kolkata"}))
    );
    let (mut story, fresh) = story_in("America/New_York", &json!({"until": "2026-12-24 19:30"}));
    assert_eq!(waits_until(&mut story, &fresh, START), at("2026-12-25T00:30:00Z"));
}

#[test]
fn the_workflows_zone_serves_where_the_leads_is_not_known() {
    let mut definition = single("delay", &json!({"until": "09:00"}), &json!({}));
    definition["settings"]["timezone"] = json!("Europe/London");
    let mut story = Story::new(&definition);
    if let Some(lead) = &mut story.world.lead {
        lead.phone = "+61412345678".parse().ok();
    }
    let begun = story.give(Input::Started);
    assert_eq!(begun.timers_set[0].1, at("2026-11-23T09:00:00Z"));
}
