//! A change of a lead that was cut off before its facts were recorded: whoever looks for facts on their way finds them.

use std::sync::Arc;

use super::{super::rows::Scylla, opened};
use crate::{
    domain::lead::LeadChange,
    store::{
        StoreError,
        conformance::samples::{account_id, by_hand, lead, lead_id, observation},
    },
};

#[tokio::test]
async fn what_follows_from_a_change_is_heard_of_when_nobody_came_to_say_so() {
    let Some(opened) = opened().await else { return };
    let (core, facts) = (&opened.core, &opened.store.observations);
    let scylla = Scylla::new(Arc::clone(&core.db), core.observations.clone());
    let account = account_id(1);
    let told = observation(account, Some(lead_id(1)), 1);
    let shard = told.shard();

    // Announced, and not made: nothing is heard of.
    scylla
        .observations
        .announce(lead_id(1), "created", std::slice::from_ref(&told))
        .await
        .expect("written");
    assert!(facts.unrouted(Some(shard)).await.expect("read").is_empty());
    let unkept = facts.get(account, told.id).await;
    assert!(matches!(unkept, Err(StoreError::Missing { .. })), "{unkept:?}");

    // Made, and cut off.
    scylla
        .insert_told_lead(&lead(account, 1), std::slice::from_ref(&told))
        .await
        .expect("written");
    let found = facts.unrouted(Some(shard)).await.expect("read");
    assert_eq!(found, std::slice::from_ref(&told));
    facts.mark_routed(told.id).await.expect("written");
    let change = LeadChange {
        stage: Some("qualified".to_owned()),
        ..LeadChange::default()
    };
    let edit = by_hand(account, lead_id(1), change);
    let (_, noted) = scylla.make_edit(&edit).await.expect("written").expect("it holds");
    assert_eq!(noted.len(), 2, "updated and qualified");
    let mut found = facts.unrouted(Some(shard)).await.expect("read");
    found.sort_by_key(|fact| noted.iter().position(|other| other.id == fact.id));
    assert_eq!(found, noted);
    assert_eq!(facts.get(account, noted[0].id).await.expect("kept"), noted[0]);

    // Once heard, it is not found again.
    for fact in &noted {
        facts.mark_routed(fact.id).await.expect("written");
    }
    assert!(facts.unrouted(Some(shard)).await.expect("read").is_empty());
}
