//! What the nodes that reach the outside ask for, and what is wrong with them before a run comes by.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::{START, Story, acts, single, unknown};
use crate::{
    domain::{call::OnMachine, run::RunStatus},
    workflows::{
        Definition,
        definition::Audience,
        effect::{CouponLife, Discount, Effect, InDoubt, Provider, Request},
        input::{Finding, Input},
        validate,
    },
};

fn story(kind: &str, params: &Value) -> Story {
    let mut story = Story::new(&single(kind, params, &json!({})));
    if let Some(lead) = &mut story.world.lead {
        lead.email = Some("Ada@Example.com".to_owned());
    }
    story
}

fn asked(kind: &str, params: &Value) -> Effect {
    let mut story = story(kind, params);
    let started = story.give(Input::Started);
    let effects = acts(&started);
    assert_eq!(effects.len(), 1, "{:?}", story.run.error());
    let stored = serde_json::to_string(&effects[0]).expect("an effect is JSON");
    let back: Effect = serde_json::from_str(&stored).expect("and comes back");
    assert_eq!(&back, effects[0]);
    back
}

fn failure(kind: &str, params: &Value) -> String {
    let mut story = story(kind, params);
    story.give(Input::Started);
    story.run.error().expect("it fails")
}

fn problems(kind: &str, params: &Value) -> Vec<(String, String)> {
    let definition = Definition::from_value(&single(kind, params, &json!({}))).expect("it has the shape");
    let problems = validate(&definition).into_iter();
    problems.map(|problem| (problem.path, problem.code)).collect()
}

#[test]
fn an_email_goes_to_the_lead_in_one_line_of_subject() {
    let params = json!({"subject": "Hi {{ lead.first_name }}\n\nBcc: all@example.com", "body": "{{ trigger.excerpt }}",
        "cc": "a@example.com, b@example.com", "reply_to": "desk@example.com"});
    let effect = asked("send_email", &params);
    assert_eq!(
        (effect.provider(), effect.audience),
        (Provider::Email, Audience::Lead)
    );
    let Request::SendEmail(email) = effect.request else {
        panic!("an e-mail")
    };
    assert_eq!(email.to, ["ada@example.com"]);
    assert_eq!(email.cc, ["a@example.com", "b@example.com"]);
    assert_eq!(email.subject, "Hi Ada Bcc: all@example.com");
    assert_eq!(email.reply_to.as_deref(), Some("desk@example.com"));
    let wrong = failure(
        "send_email",
        &json!({"subject": "s", "body": "b", "to": "{{ trigger.excerpt }}"}),
    );
    assert!(wrong.contains("`refund` is not an e-mail address"), "{wrong}");
}

#[test]
fn an_email_in_doubt_is_skipped_sent_again_or_asked_about() {
    for (choice, status) in [
        ("skip", RunStatus::Completed),
        ("resend", RunStatus::Running),
        ("ask", RunStatus::Stuck),
    ] {
        let params = json!({"subject": "s", "body": "b", "in_doubt": choice});
        let mut story = story("send_email", &params);
        let started = story.give(Input::Started);
        let effect = acts(&started)[0].clone();
        story.give(unknown(&effect));
        let found = story.give(Input::LookedUp {
            key: effect.key.clone(),
            attempt: 1,
            finding: Finding::Absent,
        });
        assert_eq!(story.run.status(), status, "{choice}");
        assert_eq!(acts(&found).len(), usize::from(choice == "resend"), "{choice}");
    }
}

#[test]
fn a_call_has_a_plan_and_is_never_repeated_on_a_guess() {
    let params = json!({"say": "Hello {{ lead.first_name }}", "connect_to": "+1 415 555 0123", "timeout": "20s",
        "on_machine": "leave_message", "machine_text": "Call us back"});
    let effect = asked("place_call", &params);
    assert_eq!(
        (effect.provider(), effect.audience),
        (Provider::Call, Audience::Lead)
    );
    assert_eq!(effect.in_doubt, InDoubt::Ask);
    let Request::PlaceCall { to, plan, .. } = effect.request else {
        panic!("a call")
    };
    assert_eq!(to.as_str(), "+14155550100");
    assert_eq!(plan.say.as_deref(), Some("Hello Ada"));
    assert_eq!(
        plan.connect_to.map(|number| number.to_string()),
        Some("+14155550123".to_owned())
    );
    assert_eq!(plan.timeout_s, 20);
    assert_eq!(
        plan.on_machine,
        OnMachine::LeaveMessage("Call us back".to_owned())
    );
}

#[test]
fn zapier_gets_the_data_or_all_there_is() {
    let hook = "https://hooks.zapier.com/hooks/catch/1/a/";
    let data = asked(
        "zapier",
        &json!({"url": hook, "data": {"name": "{{ lead.name }}", "n": 1}}),
    );
    assert_eq!(data.provider(), Provider::Zapier);
    let Request::ZapierHook { url, body } = data.request else {
        panic!("a hook")
    };
    assert_eq!(
        (url.as_str(), body),
        (hook, json!({"name": "Ada Lovelace", "n": 1}))
    );
    let Request::ZapierHook { body, .. } = asked("zapier", &json!({"url": hook})).request else {
        panic!("a hook")
    };
    assert_eq!(body["lead"]["name"], json!("Ada Lovelace"));
    assert_eq!(body["trigger"]["excerpt"], json!("refund"));
}

#[test]
fn an_entry_has_an_end_after_its_start() {
    let params = json!({"title": "Visit {{ lead.first_name }}", "start": "2026-11-24T09:00:00-05:00", "duration": "45m",
        "attendees": ["{{ lead.email }}"], "location": "Office"});
    let Request::CalendarEvent(event) = asked("calendar_event", &params).request else {
        panic!("an entry")
    };
    assert_eq!(event.starts_at.to_string(), "2026-11-24T14:00:00.000Z");
    assert_eq!(event.ends_at.since(event.starts_at), Duration::from_secs(45 * 60));
    assert_eq!(event.attendees, ["ada@example.com"]);
    let early = json!({"title": "t", "start": "2026-11-24T09:00:00Z", "end": "2026-11-24T08:00:00Z"});
    assert!(failure("calendar_event", &early).contains("expected an end after the start"));
    let wrong = failure(
        "calendar_event",
        &json!({"title": "t", "start": "{{ trigger.excerpt }}"}),
    );
    assert!(wrong.contains("`start` gave `refund`"), "{wrong}");
}

#[test]
fn a_row_knows_its_document_and_its_cells() {
    let params = json!({"spreadsheet": "https://docs.google.com/spreadsheets/d/1aB/edit#gid=0",
        "values": {"Name": "{{ lead.name }}", "Score": 5}});
    let Request::SheetRow(row) = asked("sheet_row", &params).request else {
        panic!("a row")
    };
    assert_eq!(row.spreadsheet, "1aB");
    assert_eq!(
        json!(row.cells),
        json!({"named": {"Name": "Ada Lovelace", "Score": 5}})
    );
}

#[test]
fn credits_and_coupons_say_what_they_give() {
    let params =
        json!({"amount": "{{ trigger.data.tries * 1000 }}", "currency": "usd", "reason": "Referral"});
    let Request::StripeCredit(credit) = asked("stripe_credit", &params).request else {
        panic!("a credit")
    };
    assert_eq!(
        (credit.amount, credit.customer.as_str()),
        (3_000, "Ada@Example.com")
    );
    let wrong = failure(
        "stripe_credit",
        &json!({"amount": "{{ trigger.excerpt }}", "currency": "usd"}),
    );
    assert!(wrong.contains("`amount` gave `refund`"), "{wrong}");
    let params = json!({"percent_off": 10, "duration": "repeating", "months": 3, "expires_in": "14d"});
    let Request::StripeCoupon(coupon) = asked("stripe_coupon", &params).request else {
        panic!("a coupon")
    };
    assert_eq!(coupon.discount, Discount::Percent(10.0));
    assert_eq!(coupon.lasts, CouponLife::Months(3));
    assert_eq!(
        coupon.redeem_by,
        Some(START.plus(Duration::from_secs(14 * 86_400)))
    );
    assert_eq!(coupon.redemptions_max, Some(1));
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table: what is wrong, and how it is told"
)]
fn what_is_wrong_is_named_before_anything_runs() {
    let table = [
        (
            "send_email",
            json!({"subject": "s", "body": "b", "cc": "a@x, nobody"}),
            "cc",
            "bad_email",
        ),
        ("send_email", json!({"subject": "s"}), "body", "missing_field"),
        (
            "send_email",
            json!({"subject": "s", "body": "b", "in_doubt": "drop"}),
            "in_doubt",
            "bad_params",
        ),
        ("place_call", json!({}), "say", "bad_params"),
        (
            "place_call",
            json!({"say": "a", "timeout": "1s"}),
            "timeout",
            "bad_span",
        ),
        (
            "place_call",
            json!({"say": "a", "on_machine": "leave_message"}),
            "machine_text",
            "bad_params",
        ),
        (
            "place_call",
            json!({"connect_to": "12"}),
            "connect_to",
            "bad_phone",
        ),
        (
            "zapier",
            json!({"url": "http://hooks.zapier.com/x"}),
            "url",
            "bad_url",
        ),
        (
            "calendar_event",
            json!({"title": "t", "start": "tomorrow"}),
            "start",
            "bad_time",
        ),
        (
            "calendar_event",
            json!({"title": "t", "start": "{{ now }}", "duration": "1x"}),
            "duration",
            "bad_span",
        ),
        (
            "sheet_row",
            json!({"spreadsheet": "a", "values": {}}),
            "values",
            "bad_params",
        ),
        (
            "stripe_credit",
            json!({"amount": 0, "currency": "usd"}),
            "amount",
            "bad_params",
        ),
        (
            "stripe_credit",
            json!({"amount": 5, "currency": "USD"}),
            "currency",
            "bad_params",
        ),
        ("stripe_coupon", json!({}), "percent_off", "bad_params"),
        (
            "stripe_coupon",
            json!({"amount_off": 5}),
            "currency",
            "bad_params",
        ),
        (
            "stripe_coupon",
            json!({"percent_off": 5, "duration": "repeating"}),
            "months",
            "bad_params",
        ),
    ];
    for (kind, params, field, code) in table {
        let found = problems(kind, &params);
        let expected = (format!("nodes[0].params.{field}"), code.to_owned());
        assert!(found.contains(&expected), "{kind} {params}: {found:?}");
    }
}
