//! The templates as shipped, each played through both ways on a virtual clock.

use serde_json::{Value, json};

use super::played::{Played, told};
use crate::{
    domain::{run::RunStatus, tokens::Tokens},
    workflows::{
        Plan,
        dry_run::{DryOutcome, DryRun},
        templates,
    },
};

const SAM: &str = "+14155550123";
const MAIL: &str = "sam@customer.example";

fn template(slug: &str) -> Played {
    Played::new(&templates::find(slug).expect("a template").definition)
}

fn scripted(slug: &str, script: Value) -> DryRun {
    template(slug).with(|played| played.script = script).play()
}

/// After how many hours, at which node.
fn nodes(run: &DryRun) -> Vec<(u64, &str)> {
    told(run)
        .into_iter()
        .map(|(hours, node, ..)| (hours, node))
        .collect()
}

#[test]
fn every_template_is_a_valid_workflow_under_its_own_name_and_says_what_to_connect() {
    let mut slugs: Vec<_> = templates::all()
        .iter()
        .map(|template| template.slug.as_str())
        .collect();
    for template in templates::all() {
        let plan = Plan::from_json(&template.definition.to_string());
        assert!(plan.is_ok(), "{}: {:?}", template.slug, plan.err());
        assert!(
            !template.description.is_empty() && !template.connects.is_empty(),
            "{}",
            template.slug
        );
    }
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), templates::all().len());
}

#[test]
fn lead_nurture_welcomes_writes_and_follows_up() {
    let run = template("lead_nurture").play();
    assert_eq!(run.status, RunStatus::Completed);
    let mail = "Hi Sam,\n\nthank you for your interest. Tell us what you need and when it suits you, and we will call you.\n\nBest regards\nAcme";
    assert_eq!(
        told(&run),
        [
            (
                0,
                "welcome",
                SAM,
                "Hi Sam, this is Acme. Thank you for getting in touch! Reply here with any question."
            ),
            (24, "introduce", MAIL, mail),
            (72, "follow_up", "", "Follow up with Sam Sample"),
        ]
    );
    assert_eq!(run.effects[1].request["subject"], "How Acme can help");
    // The run, one segment, one e-mail.
    assert_eq!(run.tokens, Tokens::from_thousandths(1_600));
    let landline = scripted(
        "lead_nurture",
        json!({"answers": {"welcome": {"fail": {}}, "introduce": {"fail": {}}}}),
    );
    assert_eq!(
        nodes(&landline),
        [(0, "welcome"), (0, "introduce"), (48, "follow_up")]
    );
    let out = scripted(
        "lead_nurture",
        json!({"events": [{"type": "lead.opted_out", "after": "2h"}]}),
    );
    assert_eq!((out.status, out.effects.len()), (RunStatus::Cancelled, 1));
}

#[test]
fn an_appointment_is_confirmed_entered_and_described() {
    let run = template("appointment_confirmation").play();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(nodes(&run), [(0, "confirm"), (0, "calendar"), (0, "details")]);
    let told_all = told(&run);
    assert!(
        told_all[0]
            .3
            .starts_with("Hi Sam, your appointment is booked: First consultation, "),
        "{}",
        told_all[0].3
    );
    assert_eq!(told_all[1].3, "First consultation with Sam Sample");
    assert!(told_all[2].3.contains("Where: Main office"), "{}", told_all[2].3);
    let script = json!({"answers": {"calendar": {"fail": {"message": "Google Calendar is not connected"}}, "confirm": {"fail": {}}}});
    let unconnected = scripted("appointment_confirmation", script);
    assert_eq!(unconnected.status, RunStatus::Completed);
    assert_eq!(
        nodes(&unconnected),
        [
            (0, "confirm"),
            (0, "calendar"),
            (0, "enter_by_hand"),
            (0, "details")
        ]
    );
    let notes = unconnected.effects[2].request["notes"].as_str().expect("notes");
    assert!(notes.ends_with("Google Calendar is not connected"), "{notes}");
}

#[test]
fn a_payment_is_thanked_for_and_followed_up_a_month_later() {
    let run = template("payment_follow_up").play();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(
        told(&run),
        [
            (
                0,
                "thanks",
                MAIL,
                "Hi Sam,\n\nwe have received your payment. Thank you!\n\nAcme"
            ),
            (0, "customer", "", ""),
            (720, "upsell", "", "Offer Sam Sample the next step"),
        ]
    );
    assert_eq!(
        run.path[1].output.as_ref().expect("an output")["stage"],
        "customer"
    );
    let failing = scripted("payment_follow_up", json!({"answers": {"thanks": {"fail": {}}}}));
    assert_eq!(
        nodes(&failing).last(),
        Some(&(720, "upsell")),
        "a mail that fails does not end it"
    );
}

#[test]
fn a_no_show_is_texted_called_and_given_to_a_person() {
    let run = template("no_show_recovery").play();
    assert_eq!(run.status, RunStatus::Completed);
    let text = "Hi Sam, we missed each other today. We will try you again later, or reply here with a time that suits you. Acme";
    let told_all = told(&run);
    assert_eq!(told_all[0], (2, "text", SAM, text));
    assert_eq!(
        (told_all[1].0, told_all[1].1, told_all[1].2),
        (6, "call_again", SAM)
    );
    assert_eq!(told_all[2], (6, "by_hand", "", "Reach Sam Sample by hand"));
    let failing = scripted(
        "no_show_recovery",
        json!({"answers": {"text": {"fail": {}}, "call_again": {"fail": {}}}}),
    );
    assert_eq!(nodes(&failing), [(2, "text"), (6, "call_again"), (6, "by_hand")]);
}

#[test]
fn negative_feedback_reaches_the_managers_and_the_customer() {
    let run = template("negative_feedback_alert").play();
    assert_eq!(run.status, RunStatus::Completed);
    let told_all = told(&run);
    assert_eq!(
        told_all[0],
        (
            0,
            "tell",
            "#managers",
            "Sam Sample is unhappy: “I have been waiting for two weeks, this is unacceptable”"
        )
    );
    assert_eq!(told_all[1], (0, "task", "", "Call Sam Sample back"));
    assert_eq!(run.effects[1].request["priority"], "urgent");
    assert_eq!((told_all[2].1, told_all[2].2), ("sorry", MAIL));
    let failing = scripted(
        "negative_feedback_alert",
        json!({"answers": {"tell": {"fail": {}}, "sorry": {"fail": {}}}}),
    );
    assert_eq!(failing.status, RunStatus::Completed);
    assert_eq!(
        told(&failing)[3],
        (0, "no_email", "", "Apologise to Sam Sample on the phone")
    );
}

#[test]
fn a_happy_customer_who_pays_is_asked_and_credited() {
    let script = json!({"events": [
        {"type": "payment.received", "after": "1d"}, {"type": "referral.converted", "once_at": "referred", "after": "3d"}]});
    let run = scripted("referral_request", script.clone());
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(nodes(&run), [(192, "ask"), (264, "credit")]);
    assert!(told(&run)[0].3.contains("we credit you $50"));
    assert_eq!(
        (
            &run.effects[1].request["amount"],
            &run.effects[1].request["currency"]
        ),
        (&json!(5_000), &json!("usd"))
    );
    let mut unconnected = script;
    unconnected["answers"] = json!({"credit": {"fail": {"message": "Stripe is not connected"}}});
    let unconnected = scripted("referral_request", unconnected);
    assert_eq!(
        told(&unconnected)[2],
        (264, "by_hand", "", "Credit Sam Sample $50 for a referral")
    );
    let never_paid = template("referral_request").play();
    assert_eq!(
        (never_paid.status, never_paid.effects.len()),
        (RunStatus::Completed, 0)
    );
    assert_eq!(
        never_paid.ended_at.since(never_paid.started_at).as_secs(),
        30 * 86_400
    );
}

#[test]
fn a_qualified_lead_is_scored_and_routed_three_ways() {
    let score = |score: i32| {
        template("lead_scoring")
            .with(|played| played.lead.score = score)
            .play()
    };
    let high = score(70);
    assert_eq!(high.path[0].output.as_ref().expect("a score")["score"], 95);
    assert_eq!(nodes(&high), [(0, "score"), (0, "senior"), (0, "call_now")]);
    assert_eq!(told(&high)[2].3, "Call Sam Sample today");
    let middle = score(40);
    assert_eq!(nodes(&middle), [(0, "score"), (0, "team")]);
    let low = score(5);
    assert_eq!(nodes(&low), [(0, "score"), (0, "nurture"), (168, "look_again")]);
    assert!(
        told(&low)[1]
            .3
            .starts_with("Hi Sam,\n\nhere is how others got started with us.")
    );
    let nobody = template("lead_scoring")
        .with(|played| {
            played.lead.score = 90;
            played.script = json!({"answers": {"senior": {"fail": {"code": "no_agents"}}}});
        })
        .play();
    assert_eq!(
        nodes(&nobody).last(),
        Some(&(0, "call_now")),
        "the task is made even when nobody can be assigned"
    );
}

#[test]
fn an_unpaid_quote_is_reminded_of_called_about_and_discounted_until_it_is_paid() {
    let run = template("abandoned_cart_recovery").play();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(
        nodes(&run),
        [(24, "remind"), (72, "call"), (72, "discount"), (72, "offer")]
    );
    assert!(
        told(&run)[0]
            .3
            .contains("your quote is still waiting for you: https://shop.example/quotes/1.")
    );
    assert!(
        told(&run)[3]
            .3
            .contains("with the code SAMPLE your quote is 10 % less"),
        "{}",
        told(&run)[3].3
    );
    let paid = scripted(
        "abandoned_cart_recovery",
        json!({"events": [{"type": "payment.received", "after": "30h"}]}),
    );
    assert_eq!(
        (paid.status, nodes(&paid)),
        (RunStatus::Completed, vec![(24, "remind")])
    );
    let at_once = scripted(
        "abandoned_cart_recovery",
        json!({"events": [{"type": "payment.received", "after": "1h"}]}),
    );
    assert!(at_once.effects.is_empty());
    let unconnected = scripted(
        "abandoned_cart_recovery",
        json!({"answers": {"discount": {"fail": {}}, "call": {"fail": {}}}}),
    );
    assert_eq!(told(&unconnected)[3].3, "Offer Sam Sample 10 % on the open quote");
}

#[test]
fn everybody_whose_birthday_it_is_gets_a_wish_and_a_deal_of_their_own() {
    let people = json!([
        {"id": "lead_01h455vb4pex5vsknk084sn02q", "name": "Ann Lee", "first_name": "Ann", "phone": "+14155550111",
            "email": "ann@customer.example"},
        {"id": "lead_01h455vb4pex5vsknk084sn02r", "name": "Bob Ray", "first_name": "Bob", "phone": "+14155550222",
            "email": "bob@customer.example"}]);
    let found = json!({"answers": {"find": {"output": {"count": 2, "leads": people}}}});
    let run = scripted("birthday", found.clone());
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.error);
    let wished: Vec<_> = told(&run)
        .into_iter()
        .filter(|(_, node, ..)| *node == "wish")
        .map(|(.., to, text)| (to, text))
        .collect();
    assert_eq!(
        wished,
        [
            ("+14155550111", "Happy birthday, Ann! All the best from Acme."),
            ("+14155550222", "Happy birthday, Bob! All the best from Acme."),
        ]
    );
    let deals: Vec<_> = told(&run)
        .into_iter()
        .filter(|(_, node, ..)| *node == "deal")
        .map(|(.., to, _)| to)
        .collect();
    assert_eq!(deals, ["ann@customer.example", "bob@customer.example"]);
    let mut failing = found;
    failing["answers"]["wish"] = json!({"fail": {}});
    let failing = scripted("birthday", failing);
    assert_eq!(failing.status, RunStatus::Completed);
    assert_eq!(
        failing
            .effects
            .iter()
            .filter(|effect| effect.outcome == DryOutcome::Done && effect.node == "deal")
            .count(),
        2
    );
    let nobody = scripted(
        "birthday",
        json!({"answers": {"find": {"output": {"count": 0, "leads": []}}}}),
    );
    assert_eq!((nobody.status, nobody.effects.len()), (RunStatus::Completed, 1));
}

#[test]
fn a_survey_alerts_on_a_bad_rating_and_asks_for_a_review_on_a_good_one() {
    let rated = |rating: i32| {
        let answered = json!({"events": [{"type": "survey.answered", "data": {"rating": rating}, "once_at": "answer", "after": "5h"}]});
        scripted("feedback_survey", answered)
    };
    let bad = rated(2);
    let told_all = told(&bad);
    assert_eq!(
        (told_all[0].0, told_all[0].1, told_all[0].2),
        (168, "survey", SAM)
    );
    assert!(told_all[0].3.starts_with(
        "Hi Sam, how do you like your purchase? One minute helps us: https://survey.example/lead_"
    ));
    assert_eq!(told_all[1], (173, "tell", "", "Sam Sample rated us 2"));
    assert_eq!(bad.effects[1].request["severity"], "critical");
    let good = rated(5);
    assert_eq!(nodes(&good), [(168, "survey"), (173, "review")]);
    assert!(
        told(&good)[1]
            .3
            .starts_with("Thank you, Sam! Would you share it with others? https://review.example/acc_")
    );
    assert_eq!(nodes(&rated(4)), [(168, "survey")], "in between is neither");
    let silent = template("feedback_survey").play();
    assert_eq!((silent.status, silent.effects.len()), (RunStatus::Completed, 1));
}
