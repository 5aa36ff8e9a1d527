//! Observations: kept once, routed once, read back in time.

use super::samples::{account_id, at, lead_id, observation, observation_id};
use crate::store::{PageRequest, Recorded, Store};

pub(crate) async fn a_fact_is_kept_once_and_unrouted_until_it_is_marked(store: &Store) {
    let (first, second) = (
        observation(account_id(1), None, 1),
        observation(account_id(2), Some(lead_id(1)), 2),
    );
    assert_eq!(
        store.observations.record(second.clone()).await.expect("written"),
        Recorded::Fresh
    );
    assert_eq!(
        store.observations.record(first.clone()).await.expect("written"),
        Recorded::Fresh
    );
    assert_eq!(
        store.observations.record(first.clone()).await.expect("written"),
        Recorded::Duplicate
    );
    assert_eq!(
        store.observations.unrouted(None).await.expect("read"),
        [first.clone(), second.clone()]
    );
    store
        .observations
        .mark_routed(observation_id(1))
        .await
        .expect("written");
    assert_eq!(
        store.observations.record(first.clone()).await.expect("written"),
        Recorded::Duplicate
    );
    assert_eq!(store.observations.unrouted(None).await.expect("read"), [second]);
    assert_eq!(
        store
            .observations
            .get(account_id(1), observation_id(1))
            .await
            .expect("read"),
        first
    );
}

pub(crate) async fn a_look_back_is_oldest_first_and_a_timeline_newest_first(store: &Store) {
    let lead = Some(lead_id(1));
    for number in [3, 1, 2] {
        store
            .observations
            .record(observation(account_id(1), lead, number))
            .await
            .expect("written");
    }
    store
        .observations
        .record(observation(account_id(1), Some(lead_id(2)), 4))
        .await
        .expect("written");
    let back = store
        .observations
        .of_lead_since(account_id(1), lead_id(1), at(2))
        .await
        .expect("read");
    assert_eq!(
        back,
        [2, 3].map(|number| observation(account_id(1), lead, number))
    );
    let page = store
        .observations
        .timeline(account_id(1), lead_id(1), PageRequest::default())
        .await
        .expect("read");
    assert_eq!(
        page.items,
        [3, 2, 1].map(|number| observation(account_id(1), lead, number))
    );
}

pub(crate) async fn the_unrouted_facts_of_one_lead_are_found_alone(store: &Store) {
    let mine = Some(lead_id(1));
    let facts = [
        observation(account_id(1), mine, 2),
        observation(account_id(1), mine, 1),
        observation(account_id(1), Some(lead_id(2)), 3),
        observation(account_id(1), None, 4),
        observation(account_id(2), None, 5),
    ];
    for fact in &facts {
        store.observations.record(fact.clone()).await.expect("written");
    }
    let unrouted = |lead| store.observations.unrouted_of(account_id(1), lead);
    assert_eq!(
        unrouted(mine).await.expect("read"),
        [facts[1].clone(), facts[0].clone()]
    );
    assert_eq!(unrouted(None).await.expect("read"), [facts[3].clone()]);
    store
        .observations
        .mark_routed(observation_id(1))
        .await
        .expect("written");
    assert_eq!(unrouted(mine).await.expect("read"), [facts[0].clone()]);
    let stranger = store
        .observations
        .unrouted_of(account_id(2), mine)
        .await
        .expect("read");
    assert!(stranger.is_empty());
}

pub(crate) async fn the_newest_facts_of_a_kind_come_newest_first(store: &Store) {
    let kind = observation(account_id(1), None, 1).kind;
    for number in 1..=4 {
        let fact = observation(account_id(1), None, number);
        store.observations.record(fact).await.expect("written");
    }
    let foreign = observation(account_id(2), None, 5);
    store.observations.record(foreign).await.expect("written");
    let found = store.observations.newest_of(account_id(1), kind, 3).await;
    let ids: Vec<_> = found.expect("read").into_iter().map(|fact| fact.id).collect();
    assert_eq!(ids, [observation_id(4), observation_id(3), observation_id(2)]);
    let other = crate::domain::observation::EventType::new("shop.order_paid");
    let none = store.observations.newest_of(account_id(1), other, 3).await;
    assert!(none.expect("read").is_empty());
}
