//! The built-in automations, each played through both ways.

use serde_json::{Value, json};

use super::played::{Played, told};
use crate::{domain::run::RunStatus, workflows::automations};

fn automation(slug: &str) -> Played {
    let found = automations::find(slug).expect("a built-in automation");
    Played::new(&serde_json::from_str::<Value>(found.definition).expect("JSON"))
}

const SAM: &str = "+14155550123";

#[test]
fn a_missed_call_is_answered_by_text_and_called_back_an_hour_later() {
    let run = automation("missed_call_text_back").play();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(
        told(&run),
        [
            (
                0,
                "text_back",
                SAM,
                "Hi Sam, sorry we missed your call. Reply here, or we will call you back shortly."
            ),
            (1, "call_back", "", "Call Sam Sample back"),
        ]
    );
    let script = json!({"answers": {"text_back": {"fail": {"message": "It is a landline"}}}});
    let landline = automation("missed_call_text_back")
        .with(|played| played.script = script)
        .play();
    let nodes: Vec<_> = told(&landline)
        .into_iter()
        .map(|(hours, node, ..)| (hours, node))
        .collect();
    assert_eq!(
        nodes,
        [(0, "text_back"), (0, "call_back")],
        "nobody waits for a text that never came"
    );
}

#[test]
fn an_unhappy_customer_is_escalated_at_once_whatever_fails() {
    let run = automation("negative_sentiment_escalation").play();
    assert_eq!(run.status, RunStatus::Completed);
    let excerpt = "I have been waiting for two weeks, this is unacceptable";
    assert_eq!(
        told(&run),
        [
            (
                0,
                "tell_managers",
                "#managers",
                format!("Sam Sample is unhappy on a live call: “{excerpt}”").as_str()
            ),
            (0, "urgent_task", "", "Call Sam Sample back"),
            (
                0,
                "apologise",
                SAM,
                "Hi Sam, we are sorry your call did not go well. A manager will call you back today."
            ),
            (24, "check_in", "", "Check that Sam Sample is happy now"),
        ]
    );
    let script = json!({"answers": {"tell_managers": {"fail": {}}, "apologise": {"fail": {}}}});
    let failing = automation("negative_sentiment_escalation")
        .with(|played| played.script = script)
        .play();
    assert_eq!(failing.status, RunStatus::Completed);
    assert!(told(&failing).iter().any(|(_, node, ..)| *node == "check_in"));
}

#[test]
fn a_voicemail_is_thanked_for_and_listened_to_even_when_no_text_gets_through() {
    let run = automation("voicemail_follow_up").play();
    assert_eq!(
        told(&run),
        [
            (
                0,
                "thank",
                SAM,
                "Hi Sam, thank you for your message. We have it and will call you back. Acme"
            ),
            (
                0,
                "listen",
                "",
                "Listen to the voicemail of Sam Sample and call back"
            ),
        ]
    );
    let script = json!({"answers": {"thank": {"fail": {}}}});
    let failing = automation("voicemail_follow_up")
        .with(|played| played.script = script)
        .play();
    assert_eq!(failing.status, RunStatus::Completed);
    assert_eq!(told(&failing).len(), 2);
}

#[test]
fn a_happy_customer_is_asked_for_a_review_anybody_else_for_a_referral() {
    let customer = automation("positive_call_review")
        .with(|played| played.lead.stage = "customer".to_owned())
        .play();
    let review = "Hi Sam, thank you for the kind words today! Would you share them in a short review? https://review.example/";
    let told_customer = told(&customer);
    assert_eq!(told_customer.len(), 1);
    assert_eq!((told_customer[0].0, told_customer[0].1), (1, "ask_review"));
    assert!(told_customer[0].3.starts_with(review), "{}", told_customer[0].3);
    let prospect = automation("positive_call_review").play();
    assert_eq!(
        told(&prospect),
        [(
            1,
            "ask_referral",
            SAM,
            "Hi Sam, it was good to talk today! If you know somebody else we could help, just reply with their name. Acme"
        )]
    );
    let turned = json!({"events": [{"type": "call.sentiment_negative", "after": "10m"}]});
    let turned = automation("positive_call_review")
        .with(|played| played.script = turned)
        .play();
    assert_eq!(turned.status, RunStatus::Cancelled);
    assert!(turned.effects.is_empty(), "a call that turned is not asked about");
}

#[test]
fn every_completed_call_is_summed_up_sooner_when_it_went_badly() {
    let run = automation("after_call_summary")
        .with(|played| played.trend = Some(0.4))
        .play();
    assert_eq!(
        told(&run),
        [(0, "follow_up", "", "Follow up on the call with Sam Sample")]
    );
    let notes = run.effects[0].request["notes"].as_str().expect("notes");
    assert!(
        notes.starts_with("Inbound call from +14155550123 to +14155550199, 185 seconds"),
        "{notes}"
    );
    let bad = automation("after_call_summary")
        .with(|played| played.trend = Some(-0.6))
        .play();
    assert_eq!(
        told(&bad),
        [(
            0,
            "follow_up_soon",
            "",
            "Follow up on the difficult call with Sam Sample"
        )]
    );
    assert_eq!(bad.effects[0].request["priority"], "high");
}

#[test]
fn an_unanswered_call_of_ours_is_made_again_within_the_call_window() {
    let outbound = |played: &mut Played| played.data["direction"] = json!("outbound");
    let run = automation("no_answer_retry").with(outbound).play();
    assert_eq!(run.status, RunStatus::Completed);
    let calls = told(&run);
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].0, calls[0].1, calls[0].2), (1, "call_again", SAM));
    let script = json!({"answers": {"call_again": {"fail": {"message": "The number does not exist"}}}});
    let failing = automation("no_answer_retry")
        .with(outbound)
        .with(|played| played.script = script)
        .play();
    assert_eq!(
        told(&failing)[1],
        (1, "by_hand", "", "Sam Sample could not be called again")
    );
    assert_eq!(failing.effects[1].request["notes"], "The number does not exist");
    let evening = automation("no_answer_retry")
        .with(outbound)
        .with(|played| played.start = "2026-11-23T23:30:00Z".parse().expect("half past six in New York"))
        .play();
    assert_eq!(
        evening.effects[0].at.to_string(),
        "2026-11-24T14:00:00.000Z",
        "nine the next morning"
    );
}
