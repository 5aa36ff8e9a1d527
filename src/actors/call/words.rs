//! What is said on a call: heard, scored, kept, shown.
//!
//! In: frames of a stream, what the hearing makes of them, scores. Out: utterances in the store, live facts, and word of a
//! mood that fired. Part of the call's actor; the record of the call is not touched here but for its trend.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{CallActor, CallKey, CallMsg, CallState, Loaded};
use crate::{
    actors::{
        call_news::Fired,
        hearing::{self, Heard, TrackSpeakers},
        spans,
    },
    analysis::{Certainty, MoodChange, ScoreRequest},
    bus::live::LiveFact,
    clock,
    domain::{
        audio::Speaker,
        ids::CallId,
        time::{Timestamp, millis_of},
        transcript::Utterance,
    },
    media::frame::AudioFrame,
    store::StoreResult,
    telemetry::traces::{self, Span},
};

impl CallActor {
    /// Begins to listen to a stream that was opened.
    pub(super) fn listen(
        &self,
        state: &CallState,
        loaded: &mut Loaded,
        frames: mpsc::Receiver<AudioFrame>,
        (inbound, began): (Speaker, Timestamp),
    ) {
        let listening = self.hear(state, frames, (inbound, began));
        loaded.listens(listening, began);
    }

    /// Lets a stream be heard that began at `began`.
    pub(super) fn hear(
        &self,
        state: &CallState,
        frames: mpsc::Receiver<AudioFrame>,
        (inbound, began): (Speaker, Timestamp),
    ) -> JoinHandle<()> {
        let speakers = TrackSpeakers {
            inbound,
            outbound: inbound.other(),
        };
        let (desk, key) = (state.desk.clone(), state.key);
        let report = move |heard| desk.send(key, CallMsg::Heard { began, heard });
        hearing::start(speakers, self.kind.asr.clone(), frames, report)
    }

    /// Takes in what is heard on a stream that began at `began`: the call's time line begins with its first stream.
    pub(super) async fn take_heard(
        &self,
        state: &CallState,
        loaded: &mut Loaded,
        began: Timestamp,
        heard: Heard,
    ) -> StoreResult<()> {
        let call_id = state.key.1;
        let base_ms = millis_of(began.since(loaded.stream_began.unwrap_or(began)));
        loaded.last_sign = Instant::now();
        match heard {
            Heard::Partial {
                speaker,
                text,
                stable,
                start_ms,
                end_ms,
            } => {
                let (start_ms, end_ms) = (base_ms + start_ms, base_ms + end_ms);
                let text = loaded.talk.shown(speaker, &text);
                Self::words_until(state, loaded, end_ms);
                if let Some(request) = loaded.mood.heard_partial(speaker, &text, start_ms, end_ms) {
                    self.score(state, request);
                }
                let fact = LiveFact::TranscriptPartial {
                    call_id,
                    speaker,
                    text,
                    stable,
                    start_ms,
                    end_ms,
                };
                self.publish(state.key, fact);
            }
            Heard::Final {
                speaker,
                text,
                start_ms,
                end_ms,
            } => {
                let utterance = Utterance {
                    ordinal: loaded.next_ordinal,
                    speaker,
                    text: loaded.talk.said(speaker, &text),
                    start_ms: base_ms + start_ms,
                    end_ms: base_ms + end_ms,
                    sentiment: None,
                };
                loaded.next_ordinal += 1;
                Self::words_until(state, loaded, utterance.end_ms);
                let place = span_of(call_id, loaded, &utterance).map(|span| span.context());
                traces::within(place, self.take_keywords(state.key, loaded, &utterance)).await?;
                self.take_final(state, loaded, utterance).await?;
            }
            Heard::Gap {
                speaker,
                from_ms,
                to_ms,
            } => note_gap(call_id, speaker, from_ms, to_ms),
            Heard::Shed {
                speaker,
                start_ms,
                end_ms,
            } => self.take_shed(state, loaded, speaker, base_ms + start_ms..base_ms + end_ms),
            Heard::Ended => self.take_end(state.key, loaded).await?,
        }
        Ok(())
    }

    /// Words were said that nobody had the time to read.
    fn take_shed(
        &self,
        state: &CallState,
        loaded: &mut Loaded,
        speaker: Speaker,
        at_ms: std::ops::Range<u64>,
    ) {
        Self::words_until(state, loaded, at_ms.end);
        let fact = LiveFact::TranscriptShed {
            call_id: state.key.1,
            speaker,
            start_ms: at_ms.start,
            end_ms: at_ms.end,
        };
        self.publish(state.key, fact);
    }

    async fn take_end(&self, key: CallKey, loaded: &mut Loaded) -> StoreResult<()> {
        loaded.listening = None;
        if let Some(quiet) = loaded.quiet.take() {
            quiet.abort();
        }
        let changes = loaded.mood.ended();
        self.take_mood(key, loaded, changes).await
    }

    async fn take_final(
        &self,
        state: &CallState,
        loaded: &mut Loaded,
        utterance: Utterance,
    ) -> StoreResult<()> {
        let heard = loaded.mood.heard(&utterance);
        match heard.request {
            Some(request) => {
                loaded.unscored.insert(utterance.ordinal, utterance);
                self.score(state, request);
            }
            None => {
                let span = span_of(state.key.1, loaded, &utterance);
                self.news(state.key).said(utterance).await?;
                traces::end(span);
            }
        }
        self.take_mood(state.key, loaded, heard.changes).await
    }

    fn publish(&self, key: CallKey, fact: LiveFact) {
        self.kind.bus.publish(key.0, clock::now(), fact);
    }

    fn score(&self, state: &CallState, request: ScoreRequest) {
        let (desk, key) = (state.desk.clone(), state.key);
        let reply = Box::new(move |answer| desk.send(key, CallMsg::Scored(Box::new(answer))));
        self.kind.scoring.score(request, reply);
    }

    /// Carries out what became known about the mood, as part of the utterance that made it known.
    pub(super) async fn take_mood(
        &self,
        key: CallKey,
        loaded: &mut Loaded,
        changes: Vec<MoodChange>,
    ) -> StoreResult<()> {
        let scored = changes.iter().find_map(|change| match change {
            MoodChange::Scored { ordinal, .. } => loaded.unscored.get(ordinal),
            _ => None,
        });
        let span = scored.and_then(|utterance| span_of(key.1, loaded, utterance));
        let place = span.as_ref().map(Span::context);
        traces::within(place, self.take_changes(key, loaded, changes)).await?;
        traces::end(span);
        Ok(())
    }

    async fn take_changes(
        &self,
        key: CallKey,
        loaded: &mut Loaded,
        changes: Vec<MoodChange>,
    ) -> StoreResult<()> {
        let news = self.news(key);
        for change in changes {
            match change {
                MoodChange::Scored { ordinal, sentiment } => {
                    if let Some(mut utterance) = loaded.unscored.remove(&ordinal) {
                        utterance.sentiment = Some(sentiment);
                        news.said(utterance).await?;
                    }
                }
                MoodChange::Trend { value, at_ms } => {
                    loaded.call.trend = Some(value);
                    let fact = LiveFact::SentimentTrend {
                        call_id: key.1,
                        trend: value,
                        at_ms,
                    };
                    self.publish(key, fact);
                }
                MoodChange::Fired {
                    evidence,
                    certainty: Certainty::Confirmed,
                }
                | MoodChange::Confirmed { evidence } => {
                    news.mood_fired(&loaded.call, Fired::Negative, &evidence).await?;
                }
                MoodChange::Fired {
                    certainty: Certainty::Provisional,
                    ..
                } => {
                    // Effects wait for the final words by default; the provisional firing is only counted.
                    metrics::counter!("patchcord_alerts_provisional_total").increment(1);
                }
                MoodChange::Retracted { .. } => {
                    metrics::counter!("patchcord_alerts_retracted_total").increment(1);
                }
                MoodChange::Positive { evidence } => {
                    news.mood_fired(&loaded.call, Fired::Positive, &evidence).await?;
                }
            }
        }
        Ok(())
    }
}

/// The span of what was said, from its last sound on.
fn span_of(call_id: CallId, loaded: &Loaded, utterance: &Utterance) -> Option<Span> {
    let began = loaded.stream_began.unwrap_or(loaded.call.started_at);
    let ended = began.plus(Duration::from_millis(utterance.end_ms));
    let span = spans::utterance_of(call_id, utterance.ordinal, ended.min(clock::now()))?;
    Some(span.with("patchcord.speaker", utterance.speaker.as_str()))
}

fn note_gap(call_id: CallId, speaker: Speaker, from_ms: u64, to_ms: u64) {
    tracing::info!(%call_id, speaker = speaker.as_str(), from_ms, to_ms, "audio of a call is missing");
    metrics::counter!("patchcord_audio_gaps_total").increment(1);
}
