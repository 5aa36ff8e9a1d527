//! Shipped workflows played through on a virtual clock, with sample facts.

use serde_json::{Value, json};

use crate::{
    domain::{
        ids::{AccountId, ObservationId, RunId, WorkflowId},
        lead::Lead,
        observation::Observation,
        time::Timestamp,
    },
    workflows::{
        AccountFacts, Definition, Plan, World,
        dry_run::{Contacts, DryRun, INPUTS_MAX, Script, Trial, dry_run},
        samples, trigger,
    },
};

/// A Monday, 15:00 in New York, where the sample lead is.
pub(super) const MONDAY: Timestamp = Timestamp::from_unix_millis(1_795_464_000_000);

/// A shipped workflow and what starts it.
pub(super) struct Played {
    definition: Definition,
    pub lead: Lead,
    pub data: Value,
    pub trend: Option<f32>,
    pub script: Value,
    pub start: Timestamp,
}

impl Played {
    pub fn new(definition: &Value) -> Self {
        let definition = Definition::from_value(definition).expect("a shipped definition");
        let lead = samples::lead(account_id(), MONDAY);
        let data = Value::Object(samples::data(&definition.trigger.kind, MONDAY));
        Self {
            definition,
            lead,
            data,
            trend: None,
            script: json!({}),
            start: MONDAY,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Plays it; the trigger must match.
    pub fn play(self) -> DryRun {
        let plan = Plan::new(self.definition).expect("a shipped workflow has no problems");
        let kind = plan.definition().trigger.kind.clone();
        let mut call = samples::call(account_id(), &kind, Some(self.lead.id), MONDAY);
        if let Some(call) = &mut call {
            call.trend = self.trend;
            if self.data["direction"] == "outbound" {
                call.direction = crate::domain::message::Direction::Outbound;
                std::mem::swap(&mut call.from, &mut call.to);
            }
        }
        let observation = Observation {
            id: ObservationId::derived(MONDAY, &[b"fact"]),
            account_id: account_id(),
            kind,
            at: self.start,
            lead_id: Some(self.lead.id),
            call_id: call.as_ref().map(|call| call.id),
            caused_by: None,
            trace: None,
            data: self.data,
        };
        let world = World {
            now: self.start,
            account: AccountFacts {
                id: account_id(),
                name: "Acme".to_owned(),
                require_consent: false,
            },
            lead: Some(self.lead),
            call_summary: call.as_ref().map(samples::summary),
            call,
        };
        let matches = trigger::matches(&plan.definition().trigger, &observation, &world);
        assert_eq!(matches.ok(), Some(true), "the trigger matches its sample");
        let trial = Trial {
            workflow_id: WorkflowId::derived(MONDAY, &[b"workflow"]),
            version: 1,
            run_id: RunId::derived(MONDAY, &[b"run"]),
            call_id: observation.call_id,
            trigger: trigger::value_of(&observation),
            world,
            script: serde_json::from_value::<Script>(self.script).expect("a script"),
            past: Vec::new(),
            people: Vec::new(),
            rules: None,
            inputs_max: INPUTS_MAX,
        };
        dry_run(&plan, &trial, &mut Contacts::default(), &|_| None)
    }
}

fn account_id() -> AccountId {
    AccountId::derived(MONDAY, &[b"account"])
}

/// Every effect: after how many hours, at which node, to whom, and as it reads.
pub(super) fn told(run: &DryRun) -> Vec<(u64, &str, &str, &str)> {
    run.effects
        .iter()
        .map(|effect| {
            (
                effect.at.since(run.started_at).as_secs() / 3_600,
                effect.node.as_str(),
                effect.to.as_deref().unwrap_or(""),
                effect.text.as_deref().unwrap_or(""),
            )
        })
        .collect()
}
