//! What a run shows and tells once a transition is on disk: its steps and alerts to people, facts to other workflows, its end to those
//! who wait for it.
//!
//! All of it may be told twice, and what is lost with the process is found in the store.

use super::{RunActor, RunFault};
use crate::{
    actors::{
        lead::LeadMsg,
        leads::Subject,
        stuck::{self, Stuck},
    },
    bus::live::LiveFact,
    clock,
    domain::{
        ids::{AccountId, AlertId},
        message::MessageStatus,
        observation::EventType,
        run::{EffectState, RunStatus},
    },
    store::StoreError,
    workflows::{Plan, Provider, Run, Transition},
};

impl RunActor {
    /// Shows people what the transition did.
    pub(super) fn tell(&self, plan: &Plan, moved: &Transition) {
        if !self.kind.bus.was_watched() {
            return;
        }
        let (run, now) = (&moved.run, clock::now());
        for line in &moved.journal {
            let Some((node, status)) = line.entry.step() else {
                continue;
            };
            let fact = LiveFact::RunStep {
                run_id: run.id(),
                node: node.to_owned(),
                kind: plan.kind_of(node).unwrap_or_default().to_owned(),
                status,
                detail: serde_json::to_value(&line.entry).unwrap_or_default(),
                call_id: run.call_id(),
            };
            self.kind.bus.publish(run.account_id(), now, fact);
        }
    }

    /// Shows the alerts that effects of this run have raised.
    pub(super) async fn show_alerts(&self, moved: &Transition) -> Result<(), RunFault> {
        for record in &moved.effects {
            let effect = &record.effect;
            if effect.provider() != Provider::Alert || record.state != EffectState::Confirmed {
                continue;
            }
            let alert = self
                .kind
                .store
                .alerts
                .get(effect.account_id, effect.alert_id())
                .await?;
            let fact = LiveFact::AlertRaised {
                alert: Box::new(alert),
            };
            self.kind.bus.publish(effect.account_id, clock::now(), fact);
        }
        Ok(())
    }

    /// Brings the facts that effects of this run have led to before the lead's other workflows. A crash before that leaves
    /// them unrouted in the store: the next start takes them up.
    pub(super) async fn hand_on_facts(&self, moved: &Transition) -> Result<(), RunFault> {
        let Some(leads) = self.kind.leads.get() else {
            return Ok(());
        };
        for record in &moved.effects {
            let effect = &record.effect;
            if effect.provider() != Provider::Lead || record.state != EffectState::Confirmed {
                continue;
            }
            for kind in [EventType::LEAD_UPDATED, EventType::LEAD_QUALIFIED] {
                let id = effect.fact_id(&kind);
                match self.kind.store.observations.get(effect.account_id, id).await {
                    Ok(fact) => leads.deliver(Subject::of(&fact), LeadMsg::Observed(Box::new(fact))),
                    Err(StoreError::Missing { .. }) => (),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Marks messages that are not tried again as failed.
    pub(super) async fn close_messages(&self, moved: &Transition) -> Result<(), RunFault> {
        for record in &moved.effects {
            let effect = &record.effect;
            let was_given_up = matches!(record.state, EffectState::Rejected | EffectState::Absent)
                && !moved.run.holds(&effect.key);
            if !was_given_up
                || !matches!(
                    effect.provider(),
                    Provider::Sms | Provider::Email | Provider::Call
                )
            {
                continue;
            }
            let messages = &self.kind.store.messages;
            let closed = messages.progress(
                effect.message_id(),
                MessageStatus::Failed,
                None,
                record.error.clone(),
                clock::now(),
            );
            match closed.await {
                // The gate refused it: it was never written down.
                Ok(_) | Err(StoreError::Missing { .. }) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Raises an alert for each effect that waits for a person's word; once for each time that one is asked for.
    pub(super) async fn call_people(&self, run: &Run) -> Result<(), RunFault> {
        for effect in run.asking() {
            let attempt = effect.attempt.to_be_bytes();
            let id = AlertId::derived(effect.planned_at, &[effect.key.as_bytes(), b"asked", &attempt]);
            let stuck = Stuck {
                account_id: run.account_id(),
                kind: "outcome_unknown",
                title: format!(
                    "It is not known whether “{}” was carried out: resend or skip it",
                    effect.node
                ),
                error: run.error().unwrap_or_default(),
                run_id: Some(run.id()),
                call_id: run.call_id(),
                lead_id: run.lead_id(),
            };
            stuck::raise(&self.kind.store, &self.kind.bus, id, stuck).await?;
        }
        Ok(())
    }

    /// Tells everybody that the run is over.
    pub(super) fn finish(&self, run: &Run, status: RunStatus, error: Option<String>) {
        let fact = LiveFact::RunEnded {
            run_id: run.id(),
            status: status.as_str().to_owned(),
            error,
            call_id: run.call_id(),
        };
        self.kind.bus.publish(run.account_id(), clock::now(), fact);
        metrics::counter!("patchcord_runs_ended_total", "status" => status.as_str()).increment(1);
        self.tell_of_end(run, status);
    }

    /// Lets those go on who wait for this run's end: the run that started it, and starts that stand behind it.
    pub(super) fn tell_of_end(&self, run: &Run, status: RunStatus) {
        if let (Some(runs), Some(parent)) = (self.kind.runs.get(), run.parent()) {
            runs.tell_end(parent, run.id(), status, run.error());
        }
        if let (Some(leads), Some(lead_id)) = (self.kind.leads.get(), run.lead_id()) {
            let account_id: AccountId = run.account_id();
            leads.deliver(Subject::Lead(account_id, lead_id), LeadMsg::RunEnded);
        }
    }
}
