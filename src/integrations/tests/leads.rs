//! Edits and searches of leads by runs: once each, whatever is repeated.

use std::collections::BTreeMap;

use serde_json::json;

use super::fake::{account, effect, kept, lead, planned_at};
use crate::{
    domain::{
        ids::LeadId,
        lead::{Lead, LeadEdit, LeadFilter, LeadUpdate, ScoreChange},
        observation::EventType,
    },
    integrations::{
        lead_records::LeadRecords,
        port::{EffectOutcome, EffectPort},
    },
    workflows::{Effect, Request},
};

fn about_ann(node: &str, edit: LeadEdit) -> Effect {
    Effect {
        lead_id: Some(lead().id),
        ..effect(node, Request::EditLead { edit })
    }
}

#[tokio::test]
async fn points_are_added_once_however_often_the_effect_is_repeated() {
    let kept = kept();
    let port = LeadRecords {
        store: kept.store.clone(),
    };
    kept.store.leads.create(lead()).await.expect("written");
    let effect = about_ann("score", LeadEdit::Score(ScoreChange { set: None, add: 30 }));
    let first = port.execute(&effect).await;
    let EffectOutcome::Confirmed { output, .. } = &first else {
        panic!("{first:?}")
    };
    assert_eq!(output["score"], json!(30));
    for _ in 0..3 {
        assert_eq!(port.execute(&effect).await, first);
    }
    let ann = kept.store.leads.get(account(), lead().id).await.expect("read");
    assert_eq!(ann.score, 30);
    let id = effect.fact_id(&EventType::LEAD_UPDATED);
    let fact = kept.store.observations.get(account(), id).await.expect("kept");
    assert_eq!(fact.caused_by, Some(effect.run_id));
}

#[tokio::test]
async fn an_edit_that_cannot_be_made_says_why() {
    let kept = kept();
    let port = LeadRecords {
        store: kept.store.clone(),
    };
    let update = LeadUpdate {
        timezone: Some("Mars/Olympus".to_owned()),
        ..LeadUpdate::default()
    };
    let effect = about_ann("update", LeadEdit::Update(update));
    let code = |outcome: EffectOutcome| match outcome {
        EffectOutcome::Rejected(failure) => failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(port.execute(&effect).await), "lead_gone");
    kept.store.leads.create(lead()).await.expect("written");
    assert_eq!(code(port.execute(&effect).await), "bad_field");
    let nobody = Effect {
        lead_id: None,
        ..effect
    };
    assert_eq!(code(port.execute(&nobody).await), "no_lead");
}

#[tokio::test]
async fn a_search_gives_the_oldest_first_and_says_when_there_are_more() {
    let kept = kept();
    let port = LeadRecords {
        store: kept.store.clone(),
    };
    for number in 0..5_u64 {
        let at = crate::domain::time::Timestamp::from_unix_millis(number + 1);
        let one = Lead {
            name: if number == 0 {
                String::new()
            } else {
                format!("Lead {number}")
            },
            stage: if number == 2 { "won" } else { "new" }.to_owned(),
            fields: BTreeMap::from([("birthday".to_owned(), json!("1990-11-20"))]),
            ..Lead::nameless(LeadId::derived(at, &[b"lead"]), account(), at)
        };
        kept.store.leads.create(one).await.expect("written");
    }
    assert!(planned_at().to_string().starts_with("2026-11-20"));
    let search = |limit| {
        let filter = LeadFilter {
            stages: vec!["new".to_owned()],
            birthday_in: Some("UTC".to_owned()),
            ..LeadFilter::default()
        };
        effect("find", Request::FindLeads { filter, limit })
    };
    let EffectOutcome::Confirmed { output, .. } = port.execute(&search(3)).await else {
        panic!("a list")
    };
    assert_eq!((&output["count"], &output["is_more"]), (&json!(3), &json!(true)));
    assert_eq!(output["leads"][0].get("name"), None);
    assert_eq!(output["leads"][1]["first_name"], json!("Lead"));
    let EffectOutcome::Confirmed { output, .. } = port.execute(&search(4)).await else {
        panic!("a list")
    };
    assert_eq!((&output["count"], &output["is_more"]), (&json!(4), &json!(false)));
}
