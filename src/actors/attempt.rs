//! One attempt of one effect: the gate is asked, then the port; and one look-up.
//!
//! In: an effect whose turn it is. Out: how it ended. Runs in a task of its own; a panic in a port is one unknown outcome.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio::time::Instant;

use super::{
    effects::{Ask, EffectsKind, EffectsMsg},
    gate::{self, Decision},
    place::Place,
    rates::RateOf,
    spans,
};
use crate::{
    bus::redis::allowance::Rate,
    domain::time::Timestamp,
    integrations::{
        port::{AWAY, EffectOutcome, EffectPort},
        twilio,
    },
    store::StoreError,
    telemetry::traces::{self, Span},
    workflows::{Effect, Failure, FailureKind, Finding},
};

/// Longest an effect may take before its outcome counts as unknown. The ports' own time-outs are shorter.
const EXECUTE_MAX: Duration = Duration::from_secs(60);
/// Longest a look-up may take: Twilio's list is read after 5, 20 and 60 s.
const LOOK_UP_MAX: Duration = Duration::from_secs(120);

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// At the provider.
    Tried(EffectOutcome),
    /// At the gate: for good.
    Stopped(Failure),
    /// At the gate: not before a moment.
    Held { until: Timestamp, reason: String },
    /// Nowhere: other nodes use the same rate until this moment.
    Paced(RateOf, Instant),
    /// Nowhere: another node acts for the run, and settles what this one has claimed.
    Elsewhere,
}

impl Ended {
    const fn word(&self) -> &'static str {
        match self {
            Self::Tried(outcome) => outcome.word(),
            Self::Stopped(_) => "stopped",
            Self::Held { .. } => "held",
            Self::Paced(..) => "paced",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Asks the gate and, if it says so, carries an effect out.
pub async fn attempt(kind: &Arc<EffectsKind>, myself: &ActorRef<EffectsMsg>, effect: &Effect) -> Ended {
    let Some(span) = spans::of_effect("effect", effect) else {
        return attempt_on(kind, myself, effect).await;
    };
    let ended = traces::within(Some(span.context()), attempt_on(kind, myself, effect)).await;
    let word = ended.word();
    let span = span.with("patchcord.outcome", word);
    match ended {
        Ended::Tried(EffectOutcome::Confirmed { .. }) | Ended::Held { .. } => span.end(),
        Ended::Tried(_) | Ended::Stopped(_) => span.failed(word).end(),
        // Nothing was tried: the attempt that is has this place.
        Ended::Paced(..) | Ended::Elsewhere => (),
    }
    ended
}

async fn attempt_on(kind: &Arc<EffectsKind>, myself: &ActorRef<EffectsMsg>, effect: &Effect) -> Ended {
    let permit = match kind.gate.decide(effect).await {
        Decision::Go(permit) => permit,
        Decision::Hold { until, reason } => return Ended::Held { until, reason },
        Decision::Refuse(refusal) => {
            return Ended::Stopped(Failure {
                kind: FailureKind::Permanent,
                code: refusal.code.to_owned(),
                message: refusal.message,
                retry_after: None,
            });
        }
    };
    if let Some((whose, wait)) = shared_wait(kind, effect).await {
        return Ended::Paced(whose, Instant::now() + wait);
    }
    // Asked at the last moment: a process that was stopped in the middle must not send what the next owner sends again.
    if kind.ownership.owns(effect.run_id.shard()).is_none() {
        return Ended::Elsewhere;
    }
    if let Some(gate) = permit.gate {
        let _ = myself.send_message(EffectsMsg::Judged(effect.key.clone(), gate));
    }
    let request = effect.request.without(&permit.left_out);
    let allowed = Effect {
        valid_until: permit.valid_until,
        request: request.unwrap_or_else(|| effect.request.clone()),
        ..effect.clone()
    };
    let outcome = execute(Arc::clone(&kind.port), allowed).await;
    if let EffectOutcome::Rejected(failure) = &outcome {
        kind.gate.give_back(permit.booked).await;
        if failure.code == AWAY {
            return Ended::Held {
                until: gate::when_store_may_be_back(effect),
                reason: format!("nothing was sent: {}", failure.message),
            };
        }
        if twilio::means_opted_out(&failure.code) {
            keep_opt_out(kind, effect).await;
        }
    }
    Ended::Tried(outcome)
}

/// Whose rate is used up by all nodes together, and for how long; `None` when its turn was taken. Without Redis each node keeps to its
/// part of the rate.
async fn shared_wait(kind: &EffectsKind, effect: &Effect) -> Option<(RateOf, Duration)> {
    let allowances = kind.allowances.as_ref()?;
    let place = Place::of(effect, Ask::Act, &kind.sender);
    let (whose, wanted): (Vec<RateOf>, Vec<(String, Rate)>) = place
        .shared_rates(&kind.limits)
        .into_iter()
        .map(|(whose, name, per_second)| {
            let rate = Rate {
                interval: Duration::from_secs(1) / per_second,
                // A twentieth of a second's turns may come at once, as within one node.
                burst: 1 + per_second / 20,
            };
            (whose, (name, rate))
        })
        .unzip();
    if wanted.is_empty() {
        return None;
    }
    let used_up = allowances
        .take_all_or_part(&wanted, kind.ownership.nodes())
        .await?;
    Some((*whose.get(used_up.at)?, used_up.wait))
}

/// Brings an opt-out that only the provider knew of to the lead and its runs.
async fn keep_opt_out(kind: &EffectsKind, effect: &Effect) {
    let kept = async {
        let fact = kind.gate.opted_out_at_provider(effect).await?;
        if let (Some(fact), Some(leads)) = (fact, kind.leads.get()) {
            leads.observe(fact).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = kept.await {
        tracing::error!(run_id = %effect.run_id, %error, "an opt-out that the provider told of could not be kept");
    }
}

/// Carries an effect out in a task of its own, so that a panic in a port is one unknown outcome and nothing more.
async fn execute(port: Arc<dyn EffectPort>, effect: Effect) -> EffectOutcome {
    let provider = effect.provider();
    let place = traces::current();
    let execution = async move { tokio::time::timeout(EXECUTE_MAX, port.execute(&effect)).await };
    let attempt = tokio::spawn(traces::within(place, execution));
    let outcome = match attempt.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => EffectOutcome::Unknown {
            message: format!("no answer within {} s", EXECUTE_MAX.as_secs()),
        },
        Err(error) => EffectOutcome::Unknown {
            message: format!("the attempt broke off: {error}"),
        },
    };
    let word = outcome.word();
    metrics::counter!("patchcord_effects_total", "provider" => provider.to_string(), "outcome" => word)
        .increment(1);
    outcome
}

/// Whether an outcome says that the provider does not work, not that it did not like what it got.
pub fn is_providers_failure(outcome: &EffectOutcome) -> bool {
    match outcome {
        EffectOutcome::Confirmed { .. } => false,
        EffectOutcome::Unknown { .. } => true,
        EffectOutcome::Rejected(failure) => failure.kind == FailureKind::Temporary && failure.code != "store",
    }
}

/// Finds out whether an effect was carried out.
pub async fn look_up(port: Arc<dyn EffectPort>, effect: &Effect) -> Finding {
    let effect = effect.clone();
    let span = spans::of_effect("look up", &effect);
    let place = span.as_ref().map(Span::context);
    let search = async move { tokio::time::timeout(LOOK_UP_MAX, port.settle(&effect)).await };
    let found = tokio::spawn(traces::within(place, search)).await;
    traces::end(span);
    match found {
        Ok(Ok(finding)) => finding,
        Ok(Err(_)) => Finding::CannotTell {
            reason: "the provider did not answer the look-up in time".to_owned(),
        },
        Err(error) => Finding::CannotTell {
            reason: format!("the look-up broke off: {error}"),
        },
    }
}
