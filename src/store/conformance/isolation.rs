//! Accounts cannot reach each other's rows: a foreign id looks like one that does not exist.

use super::samples::{
    account_id, alert, alert_id, appointment, at, by_hand, call, call_id, effect, fact, hash, key, key_id,
    lead, lead_id, message, message_id, next, observation, observation_id, run, run_id, sid, task, task_id,
    user, user_id, version, webhook, webhook_id, workflow, workflow_id,
};
use crate::{
    domain::{
        call::CallStatus,
        ids::AccountId,
        lead::{EditRefusal, LeadChange},
    },
    store::{
        PageRequest, Store, StoreError, StoreResult,
        accounts::RememberedAnswer,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
        runs::{EffectState, RunCounts, RunFilter, RunStatus},
    },
};

/// Fills account 1 with one row of everything.
async fn fill(store: &Store) {
    let owner = account_id(1);
    let mut started = run(owner, workflow_id(1), 1);
    started.head.lead_id = Some(lead_id(1));
    started.effects = vec![effect(&started, "k", EffectState::Claimed)];
    store.runs.create(started).await.expect("written");
    store
        .workflows
        .create(workflow(owner, 1), Some(version(workflow_id(1), 1)))
        .await
        .expect("written");
    store.leads.create(lead(owner, 1)).await.expect("written");
    store.calls.record_fact(fact(owner, 1, 0)).await.expect("written");
    store
        .calls
        .save(call(owner, 1, CallStatus::Ringing), 1)
        .await
        .expect("written");
    store
        .observations
        .record(observation(owner, Some(lead_id(1)), 1))
        .await
        .expect("written");
    store.alerts.raise(alert(owner, 1)).await.expect("written");
    store.tasks.create(task(owner, 1)).await.expect("written");
    let row = ResourceRow::first(&appointment(owner, 1)).expect("JSON");
    store.resources.create(row).await.expect("written");
    let mut sent = message(owner, 1);
    sent.provider_id = Some("SM1".to_owned());
    store.messages.record(sent).await.expect("written");
    store.accounts.create_user(user(owner, 1)).await.expect("written");
    store
        .accounts
        .create_key(key(&user(owner, 1), 1))
        .await
        .expect("written");
    store
        .webhooks
        .create(webhook(&user(owner, 1), 1))
        .await
        .expect("written");
    let answer = RememberedAnswer {
        account_id: owner,
        key: "k".to_owned(),
        request_hash: hash(1),
        status: 202,
        body: "{}".to_owned(),
        at: at(1),
    };
    store.accounts.remember_answer(answer).await.expect("written");
}

fn assert_missing<T: std::fmt::Debug>(result: StoreResult<T>) {
    assert!(matches!(result, Err(StoreError::Missing { .. })), "{result:?}");
}

pub(crate) async fn no_read_reaches_another_account(store: &Store) {
    fill(store).await;
    let stranger = account_id(2);
    no_run_or_workflow_is_read(store, stranger).await;
    no_person_or_call_is_read(store, stranger).await;
    no_record_is_read(store, stranger).await;
}

async fn no_run_or_workflow_is_read(store: &Store, stranger: AccountId) {
    let page = PageRequest::default;
    assert_missing(store.runs.head(stranger, run_id(1)).await);
    assert_missing(store.runs.journal(stranger, run_id(1)).await);
    assert_missing(store.runs.effects(stranger, run_id(1)).await);
    let by_workflow = RunFilter {
        workflow_id: Some(workflow_id(1)),
        ..RunFilter::default()
    };
    let by_lead = RunFilter {
        lead_id: Some(lead_id(1)),
        ..RunFilter::default()
    };
    let by_status = RunFilter {
        status: Some(RunStatus::Running),
        ..RunFilter::default()
    };
    for filter in [RunFilter::default(), by_workflow, by_lead, by_status] {
        assert_eq!(
            store
                .runs
                .list(stranger, filter, page())
                .await
                .expect("read")
                .items,
            []
        );
    }
    assert_eq!(
        store.runs.counts(stranger, workflow_id(1)).await.expect("read"),
        RunCounts::default()
    );
    assert_missing(store.workflows.get(stranger, workflow_id(1)).await);
    assert_missing(store.workflows.versions(stranger, workflow_id(1)).await);
    assert_eq!(
        store.workflows.list(stranger, page()).await.expect("read").items,
        []
    );
    assert_eq!(
        store
            .workflows
            .triggered_by(stranger, "call.no_answer")
            .await
            .expect("read"),
        []
    );
}

async fn no_person_or_call_is_read(store: &Store, stranger: AccountId) {
    let page = PageRequest::default;
    assert_missing(store.leads.get(stranger, lead_id(1)).await);
    let phone = lead(stranger, 1).phone.expect("the sample has one");
    assert_eq!(store.leads.by_phone(stranger, &phone).await.expect("read"), None);
    assert_eq!(
        store
            .leads
            .by_email(stranger, "lead1@example.com")
            .await
            .expect("read"),
        None
    );
    assert_eq!(store.leads.list(stranger, page()).await.expect("read").items, []);
    assert_missing(store.calls.get(stranger, call_id(1)).await);
    assert_missing(store.calls.transcript(stranger, call_id(1)).await);
    assert_eq!(store.calls.by_sid(stranger, &sid(1)).await.expect("read"), None);
    assert_eq!(store.calls.list(stranger, page()).await.expect("read").items, []);
    assert_missing(store.observations.get(stranger, observation_id(1)).await);
    assert_eq!(
        store
            .observations
            .of_lead_since(stranger, lead_id(1), at(0))
            .await
            .expect("read"),
        []
    );
    assert_eq!(
        store
            .observations
            .timeline(stranger, lead_id(1), page())
            .await
            .expect("read")
            .items,
        []
    );
}

async fn no_record_is_read(store: &Store, stranger: AccountId) {
    let page = PageRequest::default;
    assert_missing(store.alerts.get(stranger, alert_id(1)).await);
    assert_eq!(store.alerts.list(stranger, page()).await.expect("read").items, []);
    assert_missing(store.tasks.get(stranger, task_id(1)).await);
    assert_eq!(store.tasks.list(stranger, page()).await.expect("read").items, []);
    assert_missing(store.messages.get(stranger, message_id(1)).await);
    let row = ResourceRow::first(&appointment(stranger, 1)).expect("JSON");
    let address = ResourceAddress {
        account_id: stranger,
        kind: row.kind,
        id: row.id,
    };
    assert_missing(store.resources.get(address).await);
    for (group, state) in [(None, None), (row.group, None), (None, Some(row.state.clone()))] {
        let filter = ResourceFilter {
            kind: row.kind,
            group,
            state,
        };
        let page = store.resources.list(stranger, filter, page()).await;
        assert_eq!(page.expect("read").items, []);
    }
    assert_eq!(
        store
            .messages
            .by_provider_id(stranger, "SM1")
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store.messages.list(stranger, page()).await.expect("read").items,
        []
    );
    assert_eq!(store.accounts.users(stranger).await.expect("read"), []);
    assert_eq!(store.accounts.keys(stranger).await.expect("read"), []);
    assert_eq!(store.webhooks.list(stranger).await.expect("read"), []);
    assert_eq!(
        store
            .accounts
            .remembered_answer(stranger, "k")
            .await
            .expect("read"),
        None
    );
}

async fn no_edit_reaches_another_account(store: &Store, stranger: AccountId) {
    let edit = by_hand(stranger, lead_id(1), LeadChange::default());
    let edited = store.leads.edit(edit).await.expect("read");
    assert_eq!(edited, Err(EditRefusal::LeadGone(lead_id(1))));
}

pub(crate) async fn no_write_reaches_another_account(store: &Store) {
    fill(store).await;
    let (owner, stranger) = (account_id(1), account_id(2));
    let mut edited = workflow(stranger, 1);
    edited.revision = 2;
    assert_missing(store.workflows.update(edited, None).await);
    assert_missing(store.workflows.delete(stranger, workflow_id(1)).await);
    no_edit_reaches_another_account(store, stranger).await;
    assert_missing(store.leads.delete(stranger, lead_id(1)).await);
    assert_missing(store.calls.record_fact(fact(stranger, 1, 1)).await);
    store
        .calls
        .save(call(stranger, 1, CallStatus::Completed), 9)
        .await
        .expect("ignored, not refused");
    assert_missing(
        store
            .alerts
            .acknowledge(stranger, alert_id(1), user_id(2), at(1))
            .await,
    );
    assert_missing(store.alerts.annotate(stranger, alert_id(1), None).await);
    assert_missing(store.tasks.update(task(stranger, 1)).await);
    let row = ResourceRow::first(&appointment(stranger, 1)).expect("JSON");
    let address = ResourceAddress {
        account_id: stranger,
        kind: row.kind,
        id: row.id,
    };
    assert_missing(store.resources.replace(row.settled()).await);
    assert_missing(store.resources.delete(address).await);
    assert_missing(store.accounts.delete_key(stranger, key_id(1)).await);
    assert_missing(store.webhooks.delete(stranger, webhook_id(1)).await);
    assert_missing(store.webhooks.rotate(stranger, webhook_id(1), hash(9)).await);
    assert_missing(
        store
            .runs
            .append(next(&run(stranger, workflow_id(1), 1), RunStatus::Cancelled))
            .await,
    );

    assert_eq!(
        store.workflows.get(owner, workflow_id(1)).await.expect("kept"),
        workflow(owner, 1)
    );
    assert_eq!(
        store.leads.get(owner, lead_id(1)).await.expect("kept"),
        lead(owner, 1)
    );
    assert_eq!(
        store.calls.get(owner, call_id(1)).await.expect("kept").status,
        CallStatus::Ringing
    );
    assert_eq!(
        store.alerts.get(owner, alert_id(1)).await.expect("kept").acked_by,
        None
    );
    assert_eq!(
        store.tasks.get(owner, task_id(1)).await.expect("kept"),
        task(owner, 1)
    );
    assert_eq!(
        store.runs.head(owner, run_id(1)).await.expect("kept").status,
        RunStatus::Running
    );
}
