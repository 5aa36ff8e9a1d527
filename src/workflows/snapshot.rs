//! A run as bytes, and back.
//!
//! One format byte, one byte of flags, the depth, the ids as raw bytes (as text they would be half of a parked run), then
//! compact JSON. Effects are stored without what the run and the token around them say already.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{
    effect::Effect,
    run::{Ids, Run},
};
use crate::domain::ids::{AccountId, CallId, LeadId, RunId, WorkflowId};

/// First byte of every snapshot this version writes. A change of layout takes the next number and keeps reading this one.
pub const SNAPSHOT_FORMAT: u8 = 2;

const HAS_LEAD: u8 = 1;
const HAS_CALL: u8 = 2;
const HAS_PARENT: u8 = 4;
const IS_RETRY: u8 = 8;

/// Why bytes are not a run.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot is empty")]
    Empty,
    #[error("snapshot format {0} is not known to this version")]
    Format(u8),
    #[error("the snapshot ends within its ids")]
    Short,
    #[error("the snapshot cannot be read")]
    Broken(#[source] serde_json::Error),
}

pub(super) fn write(run: &Run) -> Vec<u8> {
    let ids = &run.ids;
    let mut bytes = Vec::with_capacity(256);
    let flags = [
        (ids.lead.is_some(), HAS_LEAD),
        (ids.call.is_some(), HAS_CALL),
        (ids.parent.is_some(), HAS_PARENT),
        (ids.retry_of.is_some(), IS_RETRY),
    ];
    let flags = flags
        .iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |all, (_, flag)| all | flag);
    bytes.extend([SNAPSHOT_FORMAT, flags, ids.depth]);
    bytes.extend(ids.run.as_bytes());
    bytes.extend(ids.account.as_bytes());
    bytes.extend(ids.workflow.as_bytes());
    bytes.extend(ids.lead.iter().flat_map(LeadId::as_bytes));
    bytes.extend(ids.call.iter().flat_map(CallId::as_bytes));
    bytes.extend(ids.parent.iter().flat_map(RunId::as_bytes));
    bytes.extend(ids.retry_of.iter().flat_map(RunId::as_bytes));
    serde_json::to_writer(&mut bytes, run).expect("a run has only text keys and a Vec takes every byte");
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Run, SnapshotError> {
    let (format, rest) = bytes.split_first().ok_or(SnapshotError::Empty)?;
    if *format != SNAPSHOT_FORMAT {
        return Err(SnapshotError::Format(*format));
    }
    let (ids, json) = read_ids(rest)?;
    let mut run: Run = serde_json::from_slice(json).map_err(SnapshotError::Broken)?;
    run.ids = ids;
    fill_effects(&mut run);
    Ok(run)
}

fn read_ids(bytes: &[u8]) -> Result<(Ids, &[u8]), SnapshotError> {
    let [flags, depth, rest @ ..] = bytes else {
        return Err(SnapshotError::Short);
    };
    let mut rest = rest;
    let mut next = || {
        let (id, after) = rest.split_first_chunk::<16>().ok_or(SnapshotError::Short)?;
        rest = after;
        Ok(*id)
    };
    let has = |flag: u8| flags & flag != 0;
    let ids = Ids {
        run: RunId::from_bytes(next()?),
        account: AccountId::from_bytes(next()?),
        workflow: WorkflowId::from_bytes(next()?),
        lead: has(HAS_LEAD).then(&mut next).transpose()?.map(LeadId::from_bytes),
        call: has(HAS_CALL).then(&mut next).transpose()?.map(CallId::from_bytes),
        parent: has(HAS_PARENT)
            .then(&mut next)
            .transpose()?
            .map(RunId::from_bytes),
        retry_of: has(IS_RETRY).then(&mut next).transpose()?.map(RunId::from_bytes),
        depth: *depth,
    };
    Ok((ids, rest))
}

/// Gives effects back what is written around them.
fn fill_effects(run: &mut Run) {
    let leads: Vec<Option<LeadId>> = run
        .tokens
        .values()
        .map(|token| run.lead_id_in(token.way.frame))
        .collect();
    for (token, lead_id) in run.tokens.values_mut().zip(leads) {
        let (node, visit) = (token.node.clone(), token.visit);
        if let Some(effect) = token.state.effect_mut() {
            effect.key = Effect::key_of(run.ids.run, &node, visit, 0);
            effect.run_id = run.ids.run;
            effect.account_id = run.ids.account;
            effect.workflow_id = run.ids.workflow;
            effect.call_id = run.ids.call;
            effect.lead_id = lead_id;
            effect.node = node;
            effect.visit = visit;
            effect.trace = run.trace;
        }
    }
}

/// An output that expressions read: shared, because a run is copied for every step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept(pub Arc<Value>);

impl Kept {
    pub(super) fn new(value: Value) -> Self {
        Self(Arc::new(value))
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}

/// Serde for an effect inside its run.
pub(super) mod effect {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{is_zero, millis};
    use crate::{
        domain::{
            ids::{AccountId, RunId, WorkflowId},
            time::Timestamp,
        },
        workflows::{
            definition::Audience,
            effect::{Effect, InDoubt, Request, SendWindow},
        },
    };

    #[derive(Serialize, Deserialize)]
    struct Stored<R> {
        #[serde(rename = "a")]
        attempt: u32,
        #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
        holds: u32,
        #[serde(rename = "p", with = "millis")]
        planned_at: Timestamp,
        #[serde(rename = "u")]
        audience: Audience,
        #[serde(rename = "d")]
        in_doubt: InDoubt,
        #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
        window: Option<Box<SendWindow>>,
        #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
        valid_until: Option<Timestamp>,
        #[serde(rename = "r")]
        request: R,
    }

    pub fn serialize<S: Serializer>(effect: &Effect, serializer: S) -> Result<S::Ok, S::Error> {
        Stored {
            attempt: effect.attempt,
            holds: effect.holds,
            planned_at: effect.planned_at,
            audience: effect.audience,
            in_doubt: effect.in_doubt,
            window: effect.window.clone(),
            valid_until: effect.valid_until,
            request: &effect.request,
        }
        .serialize(serializer)
    }

    /// What the run and the token say is filled in by `super::fill_effects`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Effect>, D::Error> {
        let stored = Stored::<Request>::deserialize(deserializer)?;
        Ok(Box::new(Effect {
            key: String::new(),
            attempt: stored.attempt,
            holds: stored.holds,
            run_id: RunId::from_bytes([0; 16]),
            account_id: AccountId::from_bytes([0; 16]),
            workflow_id: WorkflowId::from_bytes([0; 16]),
            lead_id: None,
            call_id: None,
            node: String::new(),
            visit: 0,
            planned_at: stored.planned_at,
            audience: stored.audience,
            in_doubt: stored.in_doubt,
            window: stored.window,
            valid_until: stored.valid_until,
            trace: None,
            request: stored.request,
        }))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Serde for a moment as a bare number: a snapshot is read by nobody but us.
pub(super) mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::time::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(moment.as_unix_millis())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(deserializer).map(Timestamp::from_unix_millis)
    }
}

/// Serde for a moment that may be missing.
pub(super) mod optional_millis {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::time::Timestamp;

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        moment.map(Timestamp::as_unix_millis).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Timestamp::from_unix_millis))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        domain::ids::CallId,
        workflows::{
            RunSeed, automations,
            input::Input,
            plan::Plan,
            tests::story::{START, Story, acts, done, single},
        },
    };

    #[test]
    fn a_parked_run_with_its_key_data_takes_at_most_400_bytes() {
        let shipped = automations::find("missed_call_text_back").expect("a shipped automation");
        let definition = shipped.definition.replace("call.direction == 'inbound'", "true");
        let mut story = Story::new(&single("delay", &json!({"for": "1h"}), &json!({})));
        story.plan = Plan::from_json(&definition).expect("fine");
        story.run = Run::new(RunSeed {
            id: story.run.id(),
            account_id: story.run.account_id(),
            workflow_id: story.run.workflow_id(),
            version: 1,
            lead_id: story.run.lead_id(),
            call_id: Some(CallId::derived(START, &[b"call"])),
            trigger: json!({"type": "call.no_answer", "at": START, "data": {"from": "+14155550100", "to": "+14155550101"}}),
            started_at: START,
        });
        let mut given = story.give(Input::Started);
        while let Some(effect) = acts(&given).first().map(|effect| (*effect).clone()) {
            given = story.give(done(&effect));
        }
        let bytes = given.run.snapshot();
        assert!(!given.run.timers().is_empty(), "it is parked");
        assert!(
            bytes.len() <= 400,
            "{} bytes: {}",
            bytes.len(),
            String::from_utf8_lossy(&bytes)
        );
    }

    #[test]
    fn what_is_cut_off_or_of_another_format_is_refused() {
        let story = Story::new(&single("delay", &json!({"for": "1h"}), &json!({})));
        let bytes = story.run.snapshot();
        assert_eq!(read(&bytes).expect("a run of ours"), story.run);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
        let mut older = bytes;
        older[0] = 1;
        assert!(matches!(read(&older), Err(SnapshotError::Format(1))));
    }
}
