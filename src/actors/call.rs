//! One call: folds its facts, listens to it, scores it, tells others.
//!
//! In: word that facts are in the store, what is heard, scores. Out: the record and the transcript in the store, live facts,
//! observations for the lead, alerts. Decisions are made in `domain::call` and `analysis`; this file carries them out.
//! Restarts: its parent makes it anew and tells it to recover; it folds the facts in the store and goes on. Doing so twice
//! is harmless: observations and alerts have ids derived from the call.
//! While the database is away it hears on: what was said is in its mailbox and in its hands until it is kept.

mod hearing_again;
mod waiting_room;
mod watched;
mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    asr::AsrHandle,
    call_news::CallNews,
    cluster::neighbours::Neighbours,
    hearing::Heard,
    leads::LeadsHandle,
    open_lines::OpenLines,
    patience::until_done,
    plans::Plans,
    residents::{Desk, Resident},
    scoring::ScoringHandle,
    stuck::{self, Stuck},
};
use crate::{
    analysis::{CallMood, ScoreAnswer, Scorer},
    bus::local::LocalBus,
    clock,
    domain::{
        audio::Speaker,
        call::{Call, CallChange, CallFact},
        erasure::Redaction,
        ids::{AccountId, CallId},
        redaction::Conversation,
        sentiment::Sentiment,
        time::Timestamp,
        transcript::Utterance,
    },
    integrations::{
        line::CallLine,
        probe::{CallProbe, ProbeAnswer},
    },
    media::frame::AudioFrame,
    store::{Store, StoreError, StoreResult, calls::IncomingFact},
};

pub(super) use watched::SILENCE;

/// A call within its account.
pub type CallKey = (AccountId, CallId);

/// What a call's actor understands.
pub enum CallMsg {
    /// Facts are in the store that are not folded in.
    FactsArrived,
    /// A stream was opened: its frames come through here, their times counted from when it `began`.
    LineOpened {
        frames: mpsc::Receiver<AudioFrame>,
        inbound: Speaker,
        began: Timestamp,
    },
    /// Heard on a stream that began at this moment.
    Heard {
        began: Timestamp,
        heard: Heard,
    },
    Scored(Box<ScoreAnswer>),
    /// Nobody spoke for a while after this moment of the call.
    Quiet {
        since_ms: u64,
    },
    /// Time to see whether the call still lives.
    Watch,
    /// What the provider says about a call nothing was heard of.
    Probed(ProbeAnswer),
    /// It should be heard, and perhaps nobody hears it.
    Unheard,
    Recover,
}

/// What every call's actor needs.
#[derive(Clone)]
pub struct CallKind {
    pub store: Store,
    pub bus: LocalBus,
    pub leads: LeadsHandle,
    pub plans: Plans,
    pub asr: AsrHandle,
    pub scoring: ScoringHandle,
    pub probe: Arc<dyn CallProbe>,
    pub line: Arc<dyn CallLine>,
    pub neighbours: Neighbours,
    /// What is heard on this node.
    pub lines: OpenLines,
    /// Without any sign of life for this long, the provider is asked.
    pub lost_after: Duration,
}

/// The actor.
pub struct CallActor {
    kind: CallKind,
}

/// Its state.
pub struct CallState {
    key: CallKey,
    desk: Desk<CallKind>,
    handled: u64,
    loaded: Option<Loaded>,
}

/// The call as it stands.
struct Loaded {
    call: Call,
    /// Facts folded in.
    folded: u64,
    mood: CallMood,
    /// What was said last, by which numbers are known that were said in two breaths.
    talk: Conversation,
    next_ordinal: u32,
    /// The customer's words that wait for their score, by ordinal.
    unscored: BTreeMap<u32, Utterance>,
    listening: Option<JoinHandle<()>>,
    /// When the first stream began: later streams' times go on from it.
    stream_began: Option<Timestamp>,
    last_sign: Instant,
    watch: Option<JoinHandle<()>>,
    /// Up to where somebody spoke.
    words_until_ms: u64,
    /// Waits for silence.
    quiet: Option<JoinHandle<()>>,
    /// Looks whether anybody hears the call.
    ears: Option<JoinHandle<()>>,
    ears_tried: u32,
}

impl Loaded {
    /// Notes the task that hears a stream which began at `began`.
    fn listens(&mut self, listening: JoinHandle<()>, began: Timestamp) {
        // A stream that replaces another leaves the other to end by itself: what it still has to say is said.
        self.listening = Some(listening);
        self.last_sign = Instant::now();
        let known = self.stream_began.or_else(|| self.call.first_stream_began());
        self.stream_began = Some(known.map_or(began, |first| first.min(began)));
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let tasks = [
            self.watch.take(),
            self.listening.take(),
            self.quiet.take(),
            self.ears.take(),
        ];
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}

impl Resident for CallKind {
    type Key = CallKey;
    type Msg = CallMsg;
    type Child = CallActor;
    const NAME: &'static str = "call";

    fn child(&self) -> CallActor {
        CallActor { kind: self.clone() }
    }

    fn recover() -> CallMsg {
        CallMsg::Recover
    }

    fn gave_up(&self, (account_id, call_id): &CallKey, error: &str) {
        let stuck = Stuck {
            account_id: *account_id,
            kind: "call_stuck",
            title: "A call can no longer be followed".to_owned(),
            error: error.to_owned(),
            run_id: None,
            call_id: Some(*call_id),
            lead_id: None,
        };
        stuck::tell(self.store.clone(), self.bus.clone(), stuck);
    }
}

/// Gives back the score that was stored, when a transcript is heard again after a restart.
struct Remembered(Sentiment);

impl Scorer for Remembered {
    fn score(&self, _text: &str) -> Sentiment {
        self.0
    }
}

impl CallActor {
    fn news(&self, key: CallKey) -> CallNews<'_> {
        CallNews {
            store: &self.kind.store,
            bus: &self.kind.bus,
            leads: &self.kind.leads,
            key,
        }
    }

    /// Reads what is known of the call; `None` while no fact of it is in the store.
    async fn load(&self, key: CallKey) -> StoreResult<Option<Loaded>> {
        let (account_id, call_id) = key;
        let stored = match self.kind.store.calls.get(account_id, call_id).await {
            Ok(call) => Some(call),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(first) = self.kind.store.calls.facts(call_id).await?.into_iter().next() else {
            return Ok(None);
        };
        let Some(sid) = self.kind.store.calls.sid(account_id, call_id).await? else {
            return Ok(None);
        };
        let mut call = Call::new(call_id, account_id, sid, first.at);
        if let Some(stored) = stored {
            call.lead_id = stored.lead_id;
            call.trend = stored.trend;
        }
        let mut mood = CallMood::default();
        let mut next_ordinal = 0;
        for utterance in self
            .kind
            .store
            .calls
            .transcript(account_id, call_id)
            .await
            .or_else(empty_if_missing)?
        {
            next_ordinal = next_ordinal.max(utterance.ordinal + 1);
            if let (Some(request), Some(sentiment)) = (mood.heard(&utterance).request, utterance.sentiment) {
                mood.scored(request.answer(&Remembered(sentiment)));
            }
        }
        Ok(Some(Loaded {
            call,
            folded: 0,
            mood,
            talk: Conversation::default(),
            next_ordinal,
            unscored: BTreeMap::new(),
            listening: None,
            stream_began: None,
            last_sign: Instant::now(),
            watch: None,
            words_until_ms: 0,
            quiet: None,
            ears: None,
            ears_tried: 0,
        }))
    }

    /// Reads what is known of a call whose stream is open, however long the database is away: it has facts, or will have as soon as the
    /// database takes them.
    async fn load_in_the_end(&self, key: CallKey) -> StoreResult<Option<Loaded>> {
        let read = async || match self.load(key).await? {
            None => Err(StoreError::Unavailable(
                "the stream's start is not kept yet".into(),
            )),
            loaded => Ok(loaded),
        };
        until_done(read).await
    }

    /// Folds in the facts that are in the store and tells what changed.
    async fn fold(&self, key: CallKey, loaded: &mut Loaded) -> Result<(), StoreError> {
        let facts = until_done(|| self.kind.store.calls.facts(key.1)).await?;
        let is_first = loaded.folded == 0;
        let mut changes: Vec<(CallChange, Timestamp)> = Vec::new();
        for stored in facts.iter().filter(|stored| stored.ordinal >= loaded.folded) {
            for change in loaded.call.apply(&stored.fact, stored.at) {
                changes.push((change, stored.at));
            }
        }
        loaded.folded = u64::try_from(facts.len()).unwrap_or(u64::MAX);
        loaded.last_sign = Instant::now();
        let news = self.news(key);
        if loaded.call.status.is_terminal() && news.was_erased(&loaded.call).await? {
            loaded.call = loaded.call.clone().redacted(Redaction::Person);
        }
        if loaded.call.lead_id.is_none() {
            loaded.call.lead_id = news.lead_of(&loaded.call).await?;
        }
        let calls = &self.kind.store.calls;
        if is_first || !changes.is_empty() {
            // Whoever hears of it reads the call as it is now. The last fact does not count as told yet.
            let untold = loaded.folded.saturating_sub(1);
            until_done(|| calls.save(loaded.call.clone(), untold)).await?;
        }
        if is_first {
            news.started(&loaded.call).await?;
        }
        // A crash before they count as told folds again and tells them under the same ids.
        for (change, at) in &changes {
            news.observe_change(&loaded.call, *change, *at).await?;
        }
        until_done(|| calls.save(loaded.call.clone(), loaded.folded)).await?;
        news.publish_changes(&loaded.call, changes.iter().map(|(change, _)| *change));
        Ok(())
    }

    /// Looks whether the call still lives; asks the provider when nothing was heard of it for too long.
    fn watch(&self, state: &CallState, loaded: &Loaded) {
        let is_quiet = loaded.last_sign.elapsed() >= self.kind.lost_after;
        if !is_quiet || loaded.call.status.is_terminal() {
            return;
        }
        let (desk, key, sid) = (state.desk.clone(), state.key, loaded.call.sid.clone());
        let probe = Arc::clone(&self.kind.probe);
        tokio::spawn(async move {
            let answer = probe.ask(&sid).await;
            desk.send(key, CallMsg::Probed(answer));
        });
    }

    async fn take_probe(&self, key: CallKey, loaded: &mut Loaded, answer: ProbeAnswer) -> StoreResult<()> {
        let fact = match answer {
            ProbeAnswer::Live => {
                loaded.last_sign = Instant::now();
                return Ok(());
            }
            ProbeAnswer::Ended { status, duration_s } => CallFact::StatusReported {
                status,
                sequence: None,
                duration_s,
                sip_code: None,
                parties: None,
            },
            ProbeAnswer::Gone => CallFact::Lost,
        };
        tracing::warn!(call_id = %key.1, "nothing was heard of a call for too long: its record is closed");
        let incoming = IncomingFact {
            account_id: key.0,
            sid: loaded.call.sid.clone(),
            call_id: key.1,
            dedupe_key: "watchdog".to_owned(),
            at: clock::now(),
            fact,
        };
        until_done(|| self.kind.store.calls.record_fact(incoming.clone())).await?;
        self.fold(key, loaded).await
    }

    fn set_watch(&self, state: &CallState, loaded: &mut Loaded) {
        if loaded.call.status.is_terminal() {
            if let Some(watch) = loaded.watch.take() {
                watch.abort();
            }
            return;
        }
        if loaded.watch.as_ref().is_some_and(|watch| !watch.is_finished()) {
            return;
        }
        let (desk, key, pause) = (state.desk.clone(), state.key, self.kind.lost_after / 2);
        loaded.watch = Some(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            desk.send(key, CallMsg::Watch);
        }));
    }

    /// Takes up a call that is not in memory, by its first message; `None` when there is nothing to take up. A stream is heard from its
    /// first frame on, before anything is read.
    async fn begin(&self, state: &CallState, message: CallMsg) -> StoreResult<Option<Loaded>> {
        let (message, stream) = match message {
            CallMsg::LineOpened {
                frames,
                inbound,
                began,
            } => {
                let listening = self.hear(state, frames, (inbound, began));
                (None, Some((listening, began)))
            }
            other => (Some(other), None),
        };
        let loaded = match &stream {
            Some((listening, _)) => {
                let loaded = self.load_in_the_end(state.key).await;
                loaded.inspect_err(|_| listening.abort())?
            }
            // Nothing is in its hands yet: it fails and is told to recover, and a stream that opens meanwhile is heard at once.
            None => self.load(state.key).await?,
        };
        let Some(mut loaded) = loaded else {
            return Ok(None);
        };
        self.fold(state.key, &mut loaded).await?;
        if let Some((listening, began)) = stream {
            loaded.listens(listening, began);
        }
        if let Some(message) = message {
            self.take(state, &mut loaded, message).await?;
        }
        Ok(Some(loaded))
    }

    async fn take(&self, state: &CallState, loaded: &mut Loaded, message: CallMsg) -> StoreResult<()> {
        match message {
            CallMsg::FactsArrived | CallMsg::Recover => {
                self.fold(state.key, loaded).await?;
                self.look_for_ears(state, loaded);
                Ok(())
            }
            CallMsg::LineOpened {
                frames,
                inbound,
                began,
            } => {
                self.listen(state, loaded, frames, (inbound, began));
                Ok(())
            }
            CallMsg::Heard { began, heard } => self.take_heard(state, loaded, began, heard).await,
            CallMsg::Scored(answer) => {
                let changes = loaded.mood.scored(*answer);
                self.take_mood(state.key, loaded, changes).await
            }
            CallMsg::Quiet { since_ms } => self.take_quiet(state.key, loaded, since_ms).await,
            CallMsg::Watch => {
                self.watch(state, loaded);
                self.watch_room(state, loaded);
                Ok(())
            }
            CallMsg::Probed(answer) => self.take_probe(state.key, loaded, answer).await,
            CallMsg::Unheard => {
                self.take_unheard(state, loaded);
                Ok(())
            }
        }
    }
}

fn empty_if_missing(error: StoreError) -> StoreResult<Vec<Utterance>> {
    match error {
        StoreError::Missing { .. } => Ok(Vec::new()),
        other => Err(other),
    }
}

impl Actor for CallActor {
    type Msg = CallMsg;
    type State = CallState;
    type Arguments = (CallKey, Desk<CallKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<CallMsg>,
        (key, desk): Self::Arguments,
    ) -> Result<CallState, ActorProcessingErr> {
        Ok(CallState {
            key,
            desk,
            handled: 0,
            loaded: None,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<CallMsg>,
        message: CallMsg,
        state: &mut CallState,
    ) -> Result<(), ActorProcessingErr> {
        state.handled += 1;
        let mut loaded = match state.loaded.take() {
            Some(mut loaded) => {
                self.take(state, &mut loaded, message).await?;
                loaded
            }
            None => match self.begin(state, message).await? {
                Some(loaded) => loaded,
                None => {
                    state.desk.idle(state.key, state.handled);
                    return Ok(());
                }
            },
        };
        self.set_watch(state, &mut loaded);
        let is_over =
            loaded.call.status.is_terminal() && loaded.listening.is_none() && loaded.unscored.is_empty();
        state.loaded = Some(loaded);
        if is_over {
            state.desk.idle(state.key, state.handled);
        }
        Ok(())
    }
}
