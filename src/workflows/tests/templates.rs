//! The templates as shipped, each played through both ways on a virtual clock.

use serde_json::{Value, json};

use super::played::{Played, told};
use crate::{
    domain::run::RunStatus,
    workflows::{Plan, dry_run::DryRun, templates},
};

const SAM: &str = "+14155550123";

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
