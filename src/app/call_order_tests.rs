//! What is told of a call, and what can be read of it at that moment.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::test_app;
use crate::{
    actors::CallReport,
    domain::{
        call::{Call, CallFact, CallStatus},
        erasure::Redaction,
        ids::{AccountId, CallId, CallSid},
        message::Direction,
        observation::EventType,
        shard::Shard,
        transcript::Utterance,
    },
    store::{
        Aggregates, Page, PageRequest, Recorded, Store, StoreResult,
        calls::{CallStore, IncomingFact, StoredFact},
    },
};

fn ringing(account_id: AccountId, sid: &str) -> CallReport {
    CallReport {
        account_id,
        sid: CallSid::new(sid),
        dedupe_key: "request".to_owned(),
        fact: CallFact::Requested {
            direction: Direction::Inbound,
            from: "+14155550101".to_owned(),
            to: "+14155550199".to_owned(),
            status: CallStatus::Ringing,
        },
    }
}

/// A store in which no call's facts count as told before the test says so.
struct Held {
    calls: Arc<dyn CallStore>,
    may_settle: Arc<Semaphore>,
}

#[async_trait]
impl CallStore for Held {
    async fn save(&self, call: Call, folded: u64) -> StoreResult<()> {
        let facts = self.calls.facts(call.id).await?;
        if u64::try_from(facts.len()) == Ok(folded) {
            drop(self.may_settle.acquire().await);
        }
        self.calls.save(call, folded).await
    }
    async fn record_fact(&self, fact: IncomingFact) -> StoreResult<Recorded> {
        self.calls.record_fact(fact).await
    }
    async fn facts(&self, call_id: CallId) -> StoreResult<Vec<StoredFact>> {
        self.calls.facts(call_id).await
    }
    async fn get(&self, account_id: AccountId, id: CallId) -> StoreResult<Call> {
        self.calls.get(account_id, id).await
    }
    async fn sid(&self, account_id: AccountId, id: CallId) -> StoreResult<Option<CallSid>> {
        self.calls.sid(account_id, id).await
    }
    async fn by_sid(&self, account_id: AccountId, sid: &CallSid) -> StoreResult<Option<Call>> {
        self.calls.by_sid(account_id, sid).await
    }
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Call>> {
        self.calls.list(account_id, page).await
    }
    async fn unsettled(&self, shard: Option<Shard>) -> StoreResult<Vec<(AccountId, CallId, CallSid)>> {
        self.calls.unsettled(shard).await
    }
    async fn append_utterance(&self, call_id: CallId, utterance: Utterance) -> StoreResult<Recorded> {
        self.calls.append_utterance(call_id, utterance).await
    }
    async fn redact(&self, account_id: AccountId, id: CallId, redaction: Redaction) -> StoreResult<bool> {
        self.calls.redact(account_id, id, redaction).await
    }
    async fn transcript(&self, account_id: AccountId, id: CallId) -> StoreResult<Vec<Utterance>> {
        self.calls.transcript(account_id, id).await
    }
}

/// Asks again until the answer is yes.
async fn comes_true<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let asking = async {
        while !ask().await {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(in_time.is_ok(), "{what}: not within 30 s");
}

#[tokio::test]
async fn who_hears_of_a_call_can_read_it_and_it_counts_as_told_only_then() {
    let may_settle = Arc::new(Semaphore::new(0));
    let (app, _folder) = test_app::build_over(|store| {
        let held = Held {
            calls: Arc::clone(&store.calls),
            may_settle: Arc::clone(&may_settle),
        };
        Store::from(Aggregates {
            calls: Arc::new(held),
            ..Aggregates::clone(&store)
        })
    })
    .await;
    let account_id = AccountId::fresh();
    let request = ringing(account_id, "CA00000000000000000000000000000002");
    let (call_id, _) = app.context.calls.report(request).await.expect("it is kept");
    let store = &app.store;
    comes_true("the start is told", || async {
        let started = store
            .observations
            .newest_of(account_id, EventType::CALL_STARTED, 1);
        started.await.is_ok_and(|told| !told.is_empty())
    })
    .await;

    let call = store
        .calls
        .get(account_id, call_id)
        .await
        .expect("it can be read");
    assert_eq!(call.direction, Direction::Inbound);
    let unsettled = async || store.calls.unsettled(None).await.expect("they are listed");
    assert_eq!(unsettled().await.len(), 1, "a crash now has it told again");
    may_settle.add_permits(1);
}

#[tokio::test]
async fn a_fact_that_was_kept_without_word_of_it_is_taken_up_when_it_is_brought_again() {
    let (app, _folder) = test_app::build().await;
    let account_id = AccountId::fresh();
    let report = ringing(account_id, "CA00000000000000000000000000000003");
    let call_id = CallId::of_provider(account_id, &report.sid);
    // The database took it, and the answer was lost: whoever brought it was told to come again, and the call's actor was told nothing.
    let kept = IncomingFact {
        account_id,
        sid: report.sid.clone(),
        call_id,
        dedupe_key: report.dedupe_key.clone(),
        at: crate::clock::now(),
        fact: report.fact.clone(),
    };
    let calls = &app.store.calls;
    assert_eq!(
        calls.record_fact(kept).await.expect("it is kept"),
        Recorded::Fresh
    );
    let (_, recorded) = app.context.calls.report(report).await.expect("it is kept");
    assert_eq!(recorded, Recorded::Duplicate);
    comes_true("the fact is folded in", || async {
        let call = calls.get(account_id, call_id).await;
        call.is_ok_and(|call| call.status == CallStatus::Ringing)
    })
    .await;
}
