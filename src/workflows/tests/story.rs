//! A run with the world around it, driven input by input through stored snapshots.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    domain::{
        ids::{AccountId, LeadId, RunId, WorkflowId},
        lead::Lead,
        time::Timestamp,
    },
    workflows::{
        effect::{Command, Effect},
        history::{self, Step},
        input::{Failure, FailureKind, Finding, Input},
        journal::JournalEntry,
        plan::Plan,
        run::{Run, RunSeed},
        scope::{AccountFacts, World},
        transition::{Transition, transition},
    },
};

pub(in crate::workflows) const START: Timestamp = Timestamp::from_unix_millis(1_795_338_000_000);

/// A run with the world around it, driven input by input.
pub(in crate::workflows) struct Story {
    pub plan: Plan,
    pub world: World,
    pub run: Run,
    pub journal: Vec<JournalEntry>,
    /// What the store holds beside the snapshot.
    pub parts: std::collections::BTreeMap<u32, Vec<u8>>,
}

impl Story {
    pub fn new(definition: &Value) -> Self {
        let plan = Plan::from_json(&definition.to_string()).expect("a valid definition");
        let account_id = AccountId::derived(START, &[b"account"]);
        let lead = lead(account_id);
        let seed = RunSeed {
            id: RunId::derived(START, &[b"run"]),
            account_id,
            workflow_id: WorkflowId::derived(START, &[b"workflow"]),
            version: 1,
            lead_id: Some(lead.id),
            call_id: None,
            trigger: json!({"type": "call.no_answer", "data": {"tries": 3, "leads": [{"id": LeadId::derived(START, &[b"other"]), "name": "Grace Hopper", "phone": "+14155550199"}]}, "excerpt": "refund", "score": -0.9}),
            started_at: START,
        };
        let account = AccountFacts {
            id: account_id,
            name: "Acme".to_owned(),
            require_consent: false,
        };
        let world = World {
            now: START,
            account,
            lead: Some(lead),
            call: None,
            call_summary: None,
        };
        Self {
            plan,
            world,
            run: Run::new(seed),
            journal: Vec::new(),
            parts: std::collections::BTreeMap::new(),
        }
    }

    pub fn give(&mut self, input: Input) -> Transition {
        let mut stored = Run::from_snapshot(&self.run.snapshot()).expect("a snapshot of ours");
        for part in stored.missing_parts() {
            stored.fill(part, &self.parts[&part]).expect("a part of ours");
        }
        let transition = transition(&self.plan, stored, input, &self.world);
        self.run = transition.run.clone();
        self.parts.extend(transition.parts.clone());
        self.journal.extend(transition.journal.clone());
        transition
    }

    pub fn pass(&mut self, span: Duration) {
        self.world.now = self.world.now.plus(span);
    }

    pub fn steps(&self) -> Vec<Step> {
        history::steps(&self.journal)
    }
}

pub(in crate::workflows) fn lead(account_id: AccountId) -> Lead {
    Lead {
        name: "Ada Lovelace".to_owned(),
        phone: Some("+14155550100".parse().expect("a number")),
        score: 90,
        ..Lead::nameless(LeadId::derived(START, &[b"lead"]), account_id, START)
    }
}

pub(in crate::workflows) fn acts(transition: &Transition) -> Vec<&Effect> {
    transition
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::Act(effect) => Some(&**effect),
            _ => None,
        })
        .collect()
}

pub(in crate::workflows) fn done(effect: &Effect) -> Input {
    Input::EffectDone {
        key: effect.key.clone(),
        attempt: effect.attempt,
        provider_id: Some("SM1".to_owned()),
        output: json!({"id": "SM1"}),
    }
}

pub(in crate::workflows) fn failed(effect: &Effect, kind: FailureKind) -> Input {
    let failure = Failure {
        kind,
        code: "503".to_owned(),
        message: "try later".to_owned(),
        retry_after: None,
    };
    Input::EffectFailed {
        key: effect.key.clone(),
        attempt: effect.attempt,
        failure,
    }
}

pub(in crate::workflows) fn unknown(effect: &Effect) -> Input {
    Input::EffectUnknown {
        key: effect.key.clone(),
        attempt: effect.attempt,
        message: "timed out".to_owned(),
    }
}

pub(in crate::workflows) fn looked_up(effect: &Effect, finding: Finding) -> Input {
    Input::LookedUp {
        key: effect.key.clone(),
        attempt: effect.attempt,
        finding,
    }
}

/// One node behind the trigger, with `extra` laid over it.
pub(in crate::workflows) fn single(kind: &str, params: &Value, extra: &Value) -> Value {
    let mut node = json!({"id": "one", "type": kind, "params": params});
    for (name, value) in extra.as_object().into_iter().flatten() {
        node[name] = value.clone();
    }
    json!({"name": "w", "trigger": {"type": "call.no_answer"}, "nodes": [node],
        "edges": [{"from": "trigger", "to": "one"}]})
}

pub(in crate::workflows) fn sms(extra: &Value) -> Value {
    single("send_sms", &json!({"body": "Hi {{ lead.first_name }}"}), extra)
}
