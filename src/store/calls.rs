//! Calls: the facts as they came, the record they fold to, and what was said.

use async_trait::async_trait;

use super::{Page, PageRequest, Recorded, StoreResult};
use crate::domain::{
    call::{Call, CallFact},
    erasure::Redaction,
    ids::{AccountId, CallId, CallSid},
    shard::Shard,
    time::Timestamp,
    transcript::Utterance,
};

/// A fact with its place in the call's own journal.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFact {
    /// Counts a call's facts from 0 in the order they were taken in.
    pub ordinal: u64,
    pub at: Timestamp,
    pub fact: CallFact,
}

/// A fact on its way in.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingFact {
    pub account_id: AccountId,
    pub sid: CallSid,
    pub call_id: CallId,
    /// The same fact always carries the same text: a repeat is dropped by it.
    pub dedupe_key: String,
    pub at: Timestamp,
    pub fact: CallFact,
}

#[async_trait]
pub trait CallStore: Send + Sync {
    /// Keeps a fact before anything is done with it. The call id is `CallId::derived` from the sid, so that no look-up is needed.
    async fn record_fact(&self, fact: IncomingFact) -> StoreResult<Recorded>;
    /// All facts of a call, oldest first.
    async fn facts(&self, call_id: CallId) -> StoreResult<Vec<StoredFact>>;
    /// Writes the folded record; `folded` is the number of facts it holds. A record that holds fewer than the stored one is ignored.
    async fn save(&self, call: Call, folded: u64) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: CallId) -> StoreResult<Call>;
    /// The provider's id of a call of which at least one fact is kept, folded or not.
    async fn sid(&self, account_id: AccountId, id: CallId) -> StoreResult<Option<CallSid>>;
    async fn by_sid(&self, account_id: AccountId, sid: &CallSid) -> StoreResult<Option<Call>>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Call>>;
    /// Recovery scan over all accounts of a shard, or of all: calls with a fact that is not folded in, or whose record is not
    /// terminal.
    async fn unsettled(&self, shard: Option<Shard>) -> StoreResult<Vec<(AccountId, CallId, CallSid)>>;
    /// Keeps what was said. The same ordinal again changes nothing.
    async fn append_utterance(&self, call_id: CallId, utterance: Utterance) -> StoreResult<Recorded>;
    /// Takes words, or the person, off a call for good: transcript, record and facts. The keys of its facts stay, so that a repeat of one
    /// brings nothing back. Returns whether there was anything to take.
    async fn redact(&self, account_id: AccountId, id: CallId, redaction: Redaction) -> StoreResult<bool>;
    /// Everything said on a call, by ordinal.
    async fn transcript(&self, account_id: AccountId, id: CallId) -> StoreResult<Vec<Utterance>>;
}
