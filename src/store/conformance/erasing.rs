//! What is taken off things that must stay: nothing of it comes back by a repeat, and another account's is not touched.

use super::samples::{
    account_id, alert, alert_id, at, call, call_id, effect, fact, hash, lead, lead_id, message, message_id,
    next, observation, observation_id, run, run_id, sid, task, task_id, workflow_id,
};
use crate::{
    domain::{
        audio::Speaker,
        call::{CallFact, CallStatus, Parties},
        consent::{ConsentChange, ContactChannel, OptOutChange},
        erasure::{Redaction, opt_out_key},
        message::Direction,
        transcript::Utterance,
    },
    store::{
        PageRequest, Recorded, Store, StoreError,
        accounts::RememberedAnswer,
        calls::IncomingFact,
        contacts::{Contact, ContactCaps},
        runs::{EffectState, RunAppend, RunFilter, RunHead, RunStatus},
    },
};

const CUSTOMER: &str = "+14155550100";

fn named(sequence: u32) -> IncomingFact {
    let parties = Parties {
        direction: Direction::Inbound,
        from: CUSTOMER.to_owned(),
        to: "+14155550199".to_owned(),
    };
    IncomingFact {
        fact: CallFact::StatusReported {
            status: CallStatus::Completed,
            sequence: Some(sequence),
            duration_s: Some(9),
            sip_code: None,
            parties: Some(parties),
        },
        ..fact(account_id(1), 1, sequence)
    }
}

pub(crate) async fn a_call_loses_its_words_or_its_person_and_a_repeat_brings_nothing_back(store: &Store) {
    let calls = &store.calls;
    calls.record_fact(named(1)).await.expect("written");
    let mut record = call(account_id(1), 1, CallStatus::Completed);
    record.lead_id = Some(lead_id(1));
    record.recording_url = Some("https://example.com/RE1".to_owned());
    calls.save(record, 1).await.expect("written");
    let said = Utterance {
        ordinal: 0,
        speaker: Speaker::Customer,
        text: "my name is Ann".to_owned(),
        start_ms: 0,
        end_ms: 900,
        sentiment: None,
    };
    calls.append_utterance(call_id(1), said).await.expect("written");

    let foreign = calls.redact(account_id(2), call_id(1), Redaction::Person).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
    let redact = async |redaction| {
        calls
            .redact(account_id(1), call_id(1), redaction)
            .await
            .expect("written")
    };
    assert!(redact(Redaction::Words).await);
    assert!(!redact(Redaction::Words).await, "there is nothing more to take");
    let silent = calls.get(account_id(1), call_id(1)).await.expect("kept");
    assert_eq!((silent.from.as_str(), silent.recording_url), (CUSTOMER, None));
    assert_eq!(
        calls.transcript(account_id(1), call_id(1)).await.expect("read"),
        []
    );

    assert!(redact(Redaction::Person).await);
    assert!(!redact(Redaction::Person).await);
    let nobodys = calls.get(account_id(1), call_id(1)).await.expect("kept");
    assert_eq!((nobodys.from.as_str(), nobodys.lead_id), ("", None));
    assert_eq!(nobodys.status, CallStatus::Completed);
    assert_eq!(
        calls.record_fact(named(1)).await.expect("read"),
        Recorded::Duplicate
    );
    let facts = calls.facts(call_id(1)).await.expect("read");
    let kept: Vec<_> = facts.iter().map(|stored| format!("{:?}", stored.fact)).collect();
    assert_eq!(facts.len(), 1);
    assert!(!kept[0].contains(CUSTOMER), "{kept:?}");
    assert_eq!(
        calls.by_sid(account_id(1), &sid(1)).await.expect("read"),
        Some(nobodys)
    );
}

pub(crate) async fn a_message_is_emptied_and_still_known_by_its_provider(store: &Store) {
    let messages = &store.messages;
    let mut sent = message(account_id(1), 1);
    sent.provider_id = Some("SM1".to_owned());
    messages.record(sent.clone()).await.expect("written");
    let mut foreign = sent.clone().erased();
    foreign.account_id = account_id(2);
    let foreign = messages.redact(foreign).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
    messages.redact(sent.clone().erased()).await.expect("written");
    let found = messages.by_provider_id(account_id(1), "SM1").await.expect("read");
    let found = found.expect("known by it");
    assert_eq!(
        (found.body.as_str(), found.to.as_str(), found.id),
        ("", "", message_id(1))
    );
    assert_eq!(messages.record(sent).await.expect("read"), Recorded::Duplicate);
    assert_eq!(
        messages.get(account_id(1), message_id(1)).await.expect("kept"),
        found
    );
}

pub(crate) async fn tasks_and_alerts_are_removed_from_their_account_alone(store: &Store) {
    store.tasks.create(task(account_id(1), 1)).await.expect("written");
    store
        .alerts
        .raise(alert(account_id(1), 1))
        .await
        .expect("written");
    for (account, is_left) in [
        (account_id(2), true),
        (account_id(1), false),
        (account_id(1), false),
    ] {
        store.tasks.delete(account, task_id(1)).await.expect("written");
        store.alerts.delete(account, alert_id(1)).await.expect("written");
        let task = store.tasks.get(account_id(1), task_id(1)).await;
        let alert = store.alerts.get(account_id(1), alert_id(1)).await;
        assert_eq!((task.is_ok(), alert.is_ok()), (is_left, is_left));
        let listed = store.tasks.list(account_id(1), PageRequest::default()).await;
        assert_eq!(listed.expect("read").items.len(), usize::from(is_left));
    }
}

pub(crate) async fn an_erased_fact_is_known_and_says_nothing(store: &Store) {
    let heard = observation(account_id(1), Some(lead_id(1)), 1);
    store.observations.record(heard.clone()).await.expect("written");
    let foreign = store.observations.erase(account_id(2), observation_id(1)).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
    for _ in 0..2 {
        store
            .observations
            .erase(account_id(1), observation_id(1))
            .await
            .expect("written");
    }
    let kept = store
        .observations
        .get(account_id(1), observation_id(1))
        .await
        .expect("kept");
    assert!(kept.is_erased() && kept.data.is_null(), "{kept:?}");
    let timeline = store
        .observations
        .timeline(account_id(1), lead_id(1), PageRequest::default());
    assert_eq!(timeline.await.expect("read").items, [kept]);
    assert_eq!(
        store.observations.record(heard).await.expect("read"),
        Recorded::Duplicate
    );
    let waiting = store
        .observations
        .unrouted_of(account_id(1), Some(lead_id(1)))
        .await;
    assert_eq!(waiting.expect("read"), []);
}

pub(crate) async fn an_ended_run_forgets_what_it_did_and_keeps_its_head(store: &Store) {
    let first = run(account_id(1), workflow_id(1), 1);
    let first = RunAppend {
        head: RunHead {
            lead_id: Some(lead_id(1)),
            ..first.head.clone()
        },
        effects: vec![effect(&first, "a", EffectState::Claimed)],
        parts: vec![(0, b"Ann".to_vec())],
        ..first
    };
    store.runs.create(first.clone()).await.expect("written");
    let forget = async |account| store.runs.forget_history(account, run_id(1)).await;
    assert!(!forget(account_id(1)).await.expect("read"), "it goes on");
    let mut failed = next(&first, RunStatus::Failed);
    failed.head.error = Some("Ann did not answer".to_owned());
    failed.head.ended_at = Some(at(9));
    store.runs.append(failed.clone()).await.expect("written");
    assert!(matches!(
        forget(account_id(2)).await,
        Err(StoreError::Missing { .. })
    ));
    assert!(forget(account_id(1)).await.expect("written"));
    assert!(
        !forget(account_id(1)).await.expect("read"),
        "there is nothing more to forget"
    );

    let (head, snapshot) = store.runs.load(run_id(1)).await.expect("kept");
    assert_eq!(
        (head.status, head.error, snapshot),
        (RunStatus::Failed, None, Vec::new())
    );
    assert_eq!(
        store.runs.journal(account_id(1), run_id(1)).await.expect("read"),
        []
    );
    assert_eq!(
        store.runs.effects(account_id(1), run_id(1)).await.expect("read"),
        []
    );
    assert_eq!(store.runs.parts(run_id(1)).await.expect("read"), []);
    assert!(
        store
            .runs
            .ever_for_lead(workflow_id(1), lead_id(1))
            .await
            .expect("read")
    );
    assert_eq!(store.runs.create(first).await.expect("read"), Recorded::Duplicate);
    let counts = store
        .runs
        .counts(account_id(1), workflow_id(1))
        .await
        .expect("read");
    assert_eq!(counts.failed, 1);
    let late = next(&failed, RunStatus::Failed);
    let late = store.runs.append(late).await;
    assert!(matches!(late, Err(StoreError::Moved { .. })), "{late:?}");
    let listed = store
        .runs
        .list(account_id(1), RunFilter::default(), PageRequest::default());
    assert_eq!(listed.await.expect("read").items.len(), 1);
}

pub(crate) async fn answers_that_name_a_person_are_emptied(store: &Store) {
    for (account, key, body) in [(1, "a", CUSTOMER), (1, "b", "nobody"), (2, "a", CUSTOMER)] {
        let answer = RememberedAnswer {
            account_id: account_id(account),
            key: key.to_owned(),
            request_hash: hash(1),
            status: 201,
            body: format!("{{\"phone\":\"{body}\"}}"),
            at: at(10),
        };
        store.accounts.remember_answer(answer).await.expect("written");
    }
    let needles = || vec!["lead_x".to_owned(), CUSTOMER.to_owned()];
    let erase = async || {
        store
            .accounts
            .erase_answers(account_id(1), needles())
            .await
            .expect("written")
    };
    assert_eq!((erase().await, erase().await), (1, 0));
    let body = async |account, key| {
        let answer = store.accounts.remembered_answer(account_id(account), key).await;
        answer.expect("read").expect("kept").body
    };
    assert_eq!(body(1, "a").await, "{}");
    assert!(body(1, "b").await.contains("nobody") && body(2, "a").await.contains(CUSTOMER));
}

pub(crate) async fn contacts_with_a_person_are_forgotten(store: &Store) {
    let contact = |channel| Contact {
        account_id: account_id(1),
        subject: "lead_1".to_owned(),
        channel,
        key: "k".to_owned(),
        at: at(10),
    };
    let caps = ContactCaps {
        per_day: 5,
        per_week: 5,
    };
    for channel in ContactChannel::ALL {
        store
            .contacts
            .book(contact(channel), caps)
            .await
            .expect("written");
    }
    let booked = async || {
        let since = store
            .contacts
            .booked_since(account_id(1), "lead_1", ContactChannel::Sms, at(0));
        since.await.expect("read").len()
    };
    store
        .contacts
        .forget(account_id(2), "lead_1")
        .await
        .expect("written");
    assert_eq!(booked().await, 1);
    store
        .contacts
        .forget(account_id(1), "lead_1")
        .await
        .expect("written");
    assert_eq!(booked().await, 0);
}

pub(crate) async fn a_number_that_opted_out_is_kept_by_its_hash_alone(store: &Store) {
    let gone = lead(account_id(1), 1);
    let phone = gone.phone.clone().expect("the sample has one");
    store.leads.create(gone.clone()).await.expect("written");
    let stop = ConsentChange {
        opt_out: vec![OptOutChange::Everything],
        ..ConsentChange::default()
    };
    store
        .leads
        .change_consent(account_id(1), gone.id, stop, at(9))
        .await
        .expect("written");
    store.leads.delete(account_id(1), gone.id).await.expect("written");
    let under = async |key: &str| {
        store
            .leads
            .opt_out_under(account_id(1), key)
            .await
            .expect("read")
            .opted_out
    };
    assert!(under(&opt_out_key(account_id(1), &phone)).await);
    assert!(!under(phone.as_str()).await);
    let fresh = lead(account_id(1), 2);
    let fresh = crate::domain::lead::Lead {
        phone: Some(phone),
        ..fresh
    };
    let (fresh, is_new) = store.leads.find_or_create_by_phone(fresh).await.expect("written");
    assert!(is_new && fresh.opted_out, "{fresh:?}");
}
