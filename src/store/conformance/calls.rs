//! Calls: facts, the folded record, the transcript.

use super::samples::{account_id, call, call_id, fact, sid};
use crate::{
    domain::{audio::Speaker, call::CallStatus, transcript::Utterance},
    store::{Recorded, Store, StoreError},
};

pub(crate) async fn facts_are_kept_once_and_in_order(store: &Store) {
    for (sequence, expected) in [
        (0, Recorded::Fresh),
        (1, Recorded::Fresh),
        (0, Recorded::Duplicate),
        (2, Recorded::Fresh),
    ] {
        assert_eq!(
            store
                .calls
                .record_fact(fact(account_id(1), 1, sequence))
                .await
                .expect("written"),
            expected
        );
    }
    store
        .calls
        .record_fact(fact(account_id(1), 2, 0))
        .await
        .expect("another call has its own keys");
    let kept = store.calls.facts(call_id(1)).await.expect("read");
    let ordinals: Vec<u64> = kept.iter().map(|kept| kept.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2]);
    for (sequence, kept) in (0..).zip(kept) {
        let sent = fact(account_id(1), 1, sequence);
        assert_eq!((kept.at, kept.fact), (sent.at, sent.fact));
    }
}

pub(crate) async fn a_record_of_fewer_facts_never_replaces_one_of_more(store: &Store) {
    store
        .calls
        .record_fact(fact(account_id(1), 1, 0))
        .await
        .expect("written");
    assert!(matches!(
        store.calls.get(account_id(1), call_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
    let late = call(account_id(1), 1, CallStatus::Completed);
    store.calls.save(late.clone(), 2).await.expect("written");
    store
        .calls
        .save(call(account_id(1), 1, CallStatus::Ringing), 1)
        .await
        .expect("ignored, not refused");
    assert_eq!(
        store.calls.get(account_id(1), call_id(1)).await.expect("kept"),
        late
    );
    let mut scored = late;
    scored.trend = Some(0.5);
    store.calls.save(scored.clone(), 2).await.expect("written");
    assert_eq!(
        store.calls.by_sid(account_id(1), &sid(1)).await.expect("read"),
        Some(scored)
    );
    assert_eq!(
        store.calls.by_sid(account_id(1), &sid(2)).await.expect("read"),
        None
    );
}

pub(crate) async fn a_call_is_unsettled_until_it_is_terminal_and_all_its_facts_are_folded(store: &Store) {
    let entry = (account_id(1), call_id(1), sid(1));
    let unsettled = async || store.calls.unsettled(None).await.expect("read");
    store
        .calls
        .record_fact(fact(account_id(1), 1, 0))
        .await
        .expect("written");
    assert_eq!(
        unsettled().await,
        std::slice::from_ref(&entry),
        "nothing is folded"
    );
    store
        .calls
        .save(call(account_id(1), 1, CallStatus::InProgress), 1)
        .await
        .expect("written");
    assert_eq!(
        unsettled().await,
        std::slice::from_ref(&entry),
        "the call goes on"
    );
    store
        .calls
        .save(call(account_id(1), 1, CallStatus::Completed), 1)
        .await
        .expect("written");
    assert_eq!(unsettled().await, []);
    store
        .calls
        .record_fact(fact(account_id(1), 1, 1))
        .await
        .expect("written");
    assert_eq!(unsettled().await, [entry], "a fact is not folded in");
    store
        .calls
        .save(call(account_id(1), 1, CallStatus::Completed), 2)
        .await
        .expect("written");
    assert_eq!(unsettled().await, []);
}

pub(crate) async fn what_was_said_is_kept_once_and_read_by_ordinal(store: &Store) {
    let said = |ordinal: u32, text: &str| Utterance {
        ordinal,
        speaker: Speaker::Customer,
        text: text.to_owned(),
        start_ms: 100,
        end_ms: 900,
        sentiment: None,
    };
    store
        .calls
        .record_fact(fact(account_id(1), 1, 0))
        .await
        .expect("written");
    for (ordinal, text, expected) in [
        (1, "second", Recorded::Fresh),
        (0, "first", Recorded::Fresh),
        (1, "not this", Recorded::Duplicate),
    ] {
        let recorded = store
            .calls
            .append_utterance(call_id(1), said(ordinal, text))
            .await;
        assert_eq!(recorded.expect("written"), expected);
    }
    let transcript = store
        .calls
        .transcript(account_id(1), call_id(1))
        .await
        .expect("read");
    assert_eq!(transcript, [said(0, "first"), said(1, "second")]);
}
