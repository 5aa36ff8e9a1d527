//! What others hear of a call: live facts, observations for the lead, alerts.
//!
//! Everything here may be said twice: ids come from the call, and what is there already changes nothing. So everything is said again while the
//! database is away, until it is kept.

use serde_json::json;

use super::{
    call::{CallKey, SILENCE},
    leads::LeadsHandle,
    patience::until_done,
};
use crate::{
    analysis::{Evidence, keywords::KeywordHit},
    bus::{live::LiveFact, local::LocalBus},
    clock,
    domain::{
        alert::{Alert, Severity},
        call::{Call, CallChange, CallStatus},
        ids::{AlertId, LeadId, ObservationId, RunId},
        lead::Lead,
        message::Direction,
        observation::{EventType, Observation},
        phone::PhoneNumber,
        time::Timestamp,
        transcript::Utterance,
    },
    store::{Recorded, Store, StoreError, StoreResult},
    telemetry::traces::{self, Span},
};

/// Which way the mood went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    Negative,
    Positive,
}

/// The voice of one call.
pub struct CallNews<'a> {
    pub store: &'a Store,
    pub bus: &'a LocalBus,
    pub leads: &'a LeadsHandle,
    pub key: CallKey,
}

impl CallNews<'_> {
    /// Whether the person was taken off the record since the call was read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn was_erased(&self, call: &Call) -> StoreResult<bool> {
        if call.lead_id.is_none() {
            return Ok(false);
        }
        match until_done(|| self.store.calls.get(call.account_id, call.id)).await {
            Ok(stored) => Ok(stored.lead_id.is_none() && stored.customer_number().is_empty()),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the lead with the customer's number, made if need be; `None` while no number is known.
    pub async fn lead_of(&self, call: &Call) -> StoreResult<Option<LeadId>> {
        let Ok(phone) = call.customer_number().parse::<PhoneNumber>() else {
            return Ok(None);
        };
        let now = clock::now();
        let lead = Lead {
            phone: Some(phone),
            ..Lead::nameless(self.leads.fresh_lead_id(), call.account_id, now)
        };
        let ours = lead.id;
        let (lead, is_new) = until_done(|| self.store.leads.find_or_create_by_phone(lead.clone())).await?;
        // An earlier try may have made it without hearing so.
        if is_new || lead.id == ours {
            let observation = Observation {
                id: ObservationId::derived(lead.created_at, &[b"lead.created", lead.id.as_bytes()]),
                account_id: lead.account_id,
                kind: EventType::LEAD_CREATED,
                at: now,
                lead_id: Some(lead.id),
                call_id: Some(call.id),
                caused_by: None,
                trace: None,
                data: json!({ "phone": lead.phone, "source": "call" }),
            };
            self.observed(observation).await?;
        }
        Ok(Some(lead.id))
    }

    /// Says that the call has begun.
    pub async fn started(&self, call: &Call) -> StoreResult<()> {
        self.publish(LiveFact::CallStarted {
            call: Box::new(call.shown()),
        });
        self.observe(call, EventType::CALL_STARTED, call.started_at, facts_of(call))
            .await
            .map(drop)
    }

    /// Says what a change means for workflows.
    pub async fn observe_change(&self, call: &Call, change: CallChange, at: Timestamp) -> StoreResult<()> {
        let kind = match change {
            CallChange::Unanswered => EventType::CALL_NO_ANSWER,
            CallChange::Busy => EventType::CALL_BUSY,
            CallChange::Failed => EventType::CALL_FAILED,
            CallChange::Voicemail => EventType::CALL_VOICEMAIL,
            // A missed call is reported as completed too: our TwiML had answered it.
            CallChange::Ended if call.status == CallStatus::Completed && call.answered_at.is_some() => {
                EventType::CALL_COMPLETED
            }
            CallChange::Ended | CallChange::Updated | CallChange::Answered => return Ok(()),
        };
        self.observe(call, kind, at, facts_of(call)).await.map(drop)
    }

    /// Shows people what changed.
    pub fn publish_changes(&self, call: &Call, changes: impl Iterator<Item = CallChange>) {
        let (mut is_updated, mut is_ended) = (false, false);
        for change in changes {
            is_updated = true;
            is_ended |= change == CallChange::Ended;
        }
        if is_ended {
            self.publish(LiveFact::CallEnded {
                call: Box::new(call.shown()),
            });
        } else if is_updated {
            self.publish(LiveFact::CallUpdated {
                call: Box::new(call.shown()),
            });
        }
    }

    /// Keeps and shows what was said.
    pub async fn said(&self, utterance: Utterance) -> StoreResult<()> {
        until_done(|| self.store.calls.append_utterance(self.key.1, utterance.clone())).await?;
        self.publish(LiveFact::TranscriptFinal {
            call_id: self.key.1,
            ordinal: utterance.ordinal,
            speaker: utterance.speaker,
            text: utterance.text,
            start_ms: utterance.start_ms,
            end_ms: utterance.end_ms,
            sentiment: utterance.sentiment,
        });
        Ok(())
    }

    /// Raises the alert for a mood that fired and starts what waits for it.
    pub async fn mood_fired(&self, call: &Call, fired: Fired, evidence: &Evidence) -> StoreResult<()> {
        let at = clock::now();
        let mut data = facts_of(call);
        if let (Some(data), Ok(serde_json::Value::Object(evidence))) =
            (data.as_object_mut(), serde_json::to_value(evidence))
        {
            data.extend(evidence);
        }
        let kind = match fired {
            Fired::Negative => EventType::CALL_SENTIMENT_NEGATIVE,
            Fired::Positive => EventType::CALL_SENTIMENT_POSITIVE,
        };
        // One firing is one turn of the call: hearing it again after a restart gives the same id.
        let turn = evidence.start_ms.to_be_bytes();
        let id = ObservationId::derived(
            call.started_at,
            &[kind.as_str().as_bytes(), call.id.as_bytes(), &turn],
        );
        if fired == Fired::Negative {
            self.raise(
                call,
                evidence,
                AlertId::derived(call.started_at, &[call.id.as_bytes(), &turn]),
                at,
            )
            .await?;
        }
        self.observed(observation(call, kind, id, at, data))
            .await
            .map(drop)
    }

    /// Says that a word was said that workflows watch for: once a call, word and side.
    pub async fn keyword_said(
        &self,
        call: &Call,
        utterance: &Utterance,
        hit: &KeywordHit,
    ) -> StoreResult<()> {
        let kind = EventType::CALL_KEYWORD;
        let speaker = utterance.speaker.as_str();
        let word = hit.keyword.to_lowercase();
        let id = ObservationId::derived(
            Timestamp::default(),
            &[
                kind.as_str().as_bytes(),
                call.id.as_bytes(),
                word.as_bytes(),
                speaker.as_bytes(),
            ],
        );
        let found = json!({
            "keyword": hit.keyword,
            "excerpt": hit.excerpt,
            "speaker": speaker,
            "start_ms": utterance.start_ms,
            "end_ms": utterance.end_ms,
        });
        let data = with(facts_of(call), found);
        self.observed(observation(call, kind, id, clock::now(), data))
            .await
            .map(drop)
    }

    /// Says that nobody speaks any more: once for each such stretch.
    pub async fn fell_silent(&self, call: &Call, since_ms: u64) -> StoreResult<()> {
        let kind = EventType::CALL_SILENCE;
        let id = ObservationId::derived(
            Timestamp::default(),
            &[
                kind.as_str().as_bytes(),
                call.id.as_bytes(),
                &since_ms.to_be_bytes(),
            ],
        );
        let quiet = json!({"seconds": SILENCE.as_secs(), "since_ms": since_ms});
        let data = with(facts_of(call), quiet);
        self.observed(observation(call, kind, id, clock::now(), data))
            .await
            .map(drop)
    }

    async fn raise(&self, call: &Call, evidence: &Evidence, id: AlertId, at: Timestamp) -> StoreResult<()> {
        let alert = Alert {
            id,
            account_id: call.account_id,
            kind: "negative_sentiment".to_owned(),
            severity: Severity::Critical,
            title: format!("Unhappy customer on the line: {}", call.customer_number()),
            evidence: serde_json::to_value(evidence).unwrap_or_default(),
            call_id: Some(call.id),
            lead_id: call.lead_id,
            run_id: None,
            raised_at: at,
            acked_at: None,
            acked_by: None,
            note: None,
        };
        let span = Span::below_current("alert negative_sentiment")
            .map(|span| span.with("patchcord.alert_id", alert.id.to_string()));
        let mut tries = 0;
        let recorded = until_done(|| {
            tries += 1;
            self.store.alerts.raise(alert.clone())
        })
        .await?;
        // An earlier try may have kept it without hearing so: showing it twice does no harm.
        if recorded == Recorded::Fresh || tries > 1 {
            metrics::counter!("patchcord_alerts_total").increment(1);
            self.publish(LiveFact::AlertRaised {
                alert: Box::new(alert),
            });
        }
        traces::end(span);
        Ok(())
    }

    async fn observe(
        &self,
        call: &Call,
        kind: EventType,
        at: Timestamp,
        data: serde_json::Value,
    ) -> StoreResult<Recorded> {
        let caused_by = self.placed_by(call).await?;
        // No moment in it: whichever report tells it, it is the same fact of the call.
        let id = ObservationId::derived(
            Timestamp::default(),
            &[kind.as_str().as_bytes(), call.id.as_bytes()],
        );
        let fact = Observation {
            caused_by,
            ..observation(call, kind, id, at, data)
        };
        self.observed(fact).await
    }

    async fn observed(&self, fact: Observation) -> StoreResult<Recorded> {
        until_done(|| self.leads.observe(fact.clone())).await
    }

    /// The run that placed the call, when one did: what became of the call is that run's doing.
    async fn placed_by(&self, call: &Call) -> StoreResult<Option<RunId>> {
        if call.direction == Direction::Inbound {
            return Ok(None);
        }
        let placed = until_done(|| {
            self.store
                .messages
                .by_provider_id(call.account_id, call.sid.as_str())
        })
        .await?;
        Ok(placed.and_then(|placed| placed.run_id))
    }

    fn publish(&self, fact: LiveFact) {
        self.bus.publish(self.key.0, clock::now(), fact);
    }
}

fn facts_of(call: &Call) -> serde_json::Value {
    json!({
        "direction": call.direction,
        "from": call.from,
        "to": call.to,
        "status": call.status,
        "duration_s": call.duration_s,
        "answered_by": call.answered_by,
    })
}

/// `facts` with the fields of `more`.
fn with(mut facts: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(facts), serde_json::Value::Object(more)) = (facts.as_object_mut(), more) {
        facts.extend(more);
    }
    facts
}

fn observation(
    call: &Call,
    kind: EventType,
    id: ObservationId,
    at: Timestamp,
    data: serde_json::Value,
) -> Observation {
    Observation {
        id,
        account_id: call.account_id,
        kind,
        at,
        lead_id: call.lead_id,
        call_id: Some(call.id),
        caused_by: None,
        trace: None,
        data,
    }
}
