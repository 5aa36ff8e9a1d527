//! Triggers by the clock: how far they came, and what they look up.

use super::samples::{account_id, at, lead, lead_id, observation, workflow, workflow_id};
use crate::{
    domain::observation::{EventType, Observation},
    store::{Store, schedules::Considered},
};

pub(crate) async fn how_far_a_workflow_came_never_goes_back_until_it_is_forgotten(store: &Store) {
    let known = |version, until| Considered {
        version,
        until: at(until),
    };
    for (version, until) in [(1, 10), (1, 20), (1, 15), (2, 12), (1, 99)] {
        let considered = known(version, until);
        store
            .schedules
            .consider(workflow_id(1), considered)
            .await
            .expect("written");
    }
    let all = store.schedules.considered().await.expect("read");
    assert_eq!(all.get(&workflow_id(1)), Some(&known(2, 12)));
    store.schedules.forget(workflow_id(1)).await.expect("written");
    assert!(store.schedules.considered().await.expect("read").is_empty());
}

pub(crate) async fn workflows_by_the_clock_are_found_in_every_account_while_they_are_live(store: &Store) {
    for (number, trigger, enabled) in [
        (1, "schedule", true),
        (2, "schedule", false),
        (3, "call.busy", true),
        (4, "lead.birthday", true),
    ] {
        let mut row = workflow(account_id(number), number);
        row.trigger = trigger.to_owned();
        row.enabled = enabled;
        store.workflows.create(row, None).await.expect("written");
    }
    let live = store
        .schedules
        .live(&[EventType::SCHEDULE, EventType::LEAD_BIRTHDAY])
        .await
        .expect("read");
    let ids: Vec<_> = live.iter().map(|row| row.id).collect();
    assert_eq!(ids, [workflow_id(1), workflow_id(4)]);
}

pub(crate) async fn facts_that_are_waited_after_are_found_by_type_and_time(store: &Store) {
    let fact = |account, number, kind| Observation {
        kind,
        ..observation(account_id(account), Some(lead_id(1)), number)
    };
    for (account, number, kind) in [
        (1, 1, EventType::QUOTE_SENT),
        (1, 2, EventType::PURCHASE_COMPLETED),
        (1, 3, EventType::QUOTE_SENT),
        (1, 4, EventType::CALL_BUSY),
        (2, 5, EventType::QUOTE_SENT),
        (1, 6, EventType::QUOTE_SENT),
    ] {
        store
            .observations
            .record(fact(account, number, kind))
            .await
            .expect("written");
    }
    let sent = EventType::QUOTE_SENT;
    let (first, last) = (fact(1, 1, sent.clone()), fact(1, 6, sent.clone()));
    let found = store
        .schedules
        .facts(account_id(1), &sent, first.at, last.at, 10)
        .await
        .expect("read");
    assert_eq!(found, [fact(1, 3, sent.clone()), last.clone()]);
    let found = store
        .schedules
        .facts(account_id(1), &sent, at(0), last.at, 1)
        .await
        .expect("read");
    assert_eq!(found, [first]);
}

pub(crate) async fn leads_are_found_by_their_birthday_page_by_page(store: &Store) {
    for (account, number, birthday) in [
        (1, 1, "1990-05-17"),
        (1, 2, "05-17"),
        (1, 3, "1990-05-18"),
        (2, 4, "1990-05-17"),
        (1, 5, "2001-05-17"),
    ] {
        let mut lead = lead(account_id(account), number);
        lead.fields.insert("birthday".to_owned(), birthday.into());
        store.leads.create(lead).await.expect("written");
    }
    let mut found = Vec::new();
    let mut after = None;
    while let Some(lead) = store
        .schedules
        .born_on(account_id(1), "05-17", after, 1)
        .await
        .expect("read")
        .pop()
    {
        after = Some(lead.id);
        found.push(lead.id);
    }
    assert_eq!(found, [lead_id(1), lead_id(2), lead_id(5)]);
}
