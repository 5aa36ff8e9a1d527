//! One run's transitions as the runs actor writes them: head, a snapshot, two journal lines, one effect.

use patchcord::{
    domain::{
        ids::{AccountId, RunId, WorkflowId},
        time::Timestamp,
    },
    store::runs::{EffectRow, EffectState, JournalLine, RunAppend, RunHead, RunStatus},
};

pub const SNAPSHOT_BYTES: usize = 600;
pub const ENTRY: &str =
    "{\"node\":\"tell\",\"input\":{\"to\":\"+14155550100\"},\"output\":{\"sid\":\"SM0123456789\"}}";
pub const REQUEST: &str =
    "{\"type\":\"send_sms\",\"to\":\"+14155550100\",\"body\":\"We tried to call you.\"}";
pub const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);

/// The first transition of a run, with its effect claimed.
pub fn created(id: RunId, number: u64) -> RunAppend {
    let at = Timestamp::from_unix_millis(1_795_000_000_000 + number);
    RunAppend {
        head: RunHead {
            id,
            account_id: ACCOUNT,
            workflow_id: WorkflowId::from_bytes([2; 16]),
            version: 1,
            lead_id: None,
            call_id: None,
            retry_of: None,
            trigger: "call.no_answer".to_owned(),
            status: RunStatus::Running,
            revision: 1,
            started_at: at,
            updated_at: at,
            ended_at: None,
            error: None,
        },
        epoch: 1,
        snapshot: vec![b'x'; SNAPSHOT_BYTES],
        journal: lines(0, at),
        parts: Vec::new(),
        drops_parts: false,
        timers_set: Vec::new(),
        timers_cleared: Vec::new(),
        effects: vec![EffectRow {
            key: effect_key(id),
            run_id: id,
            account_id: ACCOUNT,
            state: EffectState::Claimed,
            attempt: 1,
            request: REQUEST.to_owned(),
            provider_id: None,
            error: None,
            at,
        }],
    }
}

pub fn effect_key(id: RunId) -> String {
    format!("{id}/tell/0/0")
}

/// Moves to the run's next transition.
pub fn advance(append: &mut RunAppend) {
    append.journal = lines(append.head.revision * 2, append.head.updated_at);
    append.head.revision += 1;
}

fn lines(from: u64, at: Timestamp) -> Vec<JournalLine> {
    [from, from + 1]
        .map(|seq| JournalLine {
            seq,
            at,
            entry: ENTRY.to_owned(),
        })
        .into()
}
