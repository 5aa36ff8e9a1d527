//! Rows to test with. The same number always gives the same row.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::{
    domain::{
        alert::{Alert, Severity},
        appointment::{Appointment, AppointmentStatus},
        call::{Call, CallFact, CallStatus},
        ids::{
            AccountId, AlertId, AppointmentId, CallId, CallSid, KeyId, LeadId, MessageId, ObservationId,
            RunId, SessionId, TaskId, UserId, WebhookId, WorkflowId,
        },
        lead::{EditBy, KeyedEdit, Lead, LeadChange, LeadEdit},
        message::{Channel, Direction, Message, MessageStatus},
        observation::{EventType, Observation},
        task::{Priority, Task, TaskStatus},
        time::Timestamp,
    },
    store::{
        accounts::{Account, ApiKey, Role, Session, Signing, User},
        calls::IncomingFact,
        runs::{EffectRow, EffectState, JournalLine, RunAppend, RunHead, RunStatus},
        webhooks::IncomingWebhook,
        workflows::{WorkflowRow, WorkflowVersion},
    },
};

/// Returns a moment `seconds` after a fixed one.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_000_000_000).plus(Duration::from_secs(seconds))
}

macro_rules! numbered {
    ($($function:ident = $id:ty;)+) => {$(
        pub(crate) fn $function(number: u64) -> $id {
            <$id>::derived(at(number), &[&number.to_be_bytes()])
        }
    )+};
}

numbered! {
    account_id = AccountId;
    user_id = UserId;
    key_id = KeyId;
    session_id = SessionId;
    workflow_id = WorkflowId;
    run_id = RunId;
    lead_id = LeadId;
    call_id = CallId;
    task_id = TaskId;
    alert_id = AlertId;
    observation_id = ObservationId;
    message_id = MessageId;
    webhook_id = WebhookId;
    appointment_id = AppointmentId;
}

pub(crate) fn hash(number: u8) -> [u8; 32] {
    [number; 32]
}

pub(crate) fn account(number: u64) -> Account {
    Account {
        id: account_id(number),
        name: format!("Account {number}"),
        created_at: at(number),
        signing: Signing::default(),
        require_consent: false,
        retention: crate::domain::retention::Retention::default(),
    }
}

pub(crate) fn user(account: AccountId, number: u64) -> User {
    User {
        id: user_id(number),
        account_id: account,
        email: format!("person{number}@example.com"),
        name: format!("Person {number}"),
        role: Role::Agent,
        password_hash: "$argon2id$…".to_owned(),
        second_factor: None,
        created_at: at(number),
    }
}

pub(crate) fn session(user: &User, number: u8) -> Session {
    Session {
        id: session_id(u64::from(number)),
        user_id: user.id,
        account_id: user.account_id,
        access_hash: hash(number),
        access_until: at(900),
        refresh_hash: hash(number + 100),
        refresh_until: at(9_000 + u64::from(number)),
        created_at: at(0),
    }
}

pub(crate) fn key(user: &User, number: u8) -> ApiKey {
    ApiKey {
        id: key_id(u64::from(number)),
        account_id: user.account_id,
        user_id: user.id,
        name: format!("Key {number}"),
        role: Role::Admin,
        hash: hash(number),
        created_at: at(u64::from(number)),
        last_used_at: None,
    }
}

pub(crate) fn webhook(user: &User, number: u8) -> IncomingWebhook {
    IncomingWebhook {
        id: webhook_id(u64::from(number)),
        account_id: user.account_id,
        user_id: user.id,
        name: format!("Webhook {number}"),
        token_hash: hash(number),
        created_at: at(u64::from(number)),
    }
}

pub(crate) fn workflow(account: AccountId, number: u64) -> WorkflowRow {
    WorkflowRow {
        id: workflow_id(number),
        account_id: account,
        name: format!("Workflow {number}"),
        enabled: true,
        draft: "{}".to_owned(),
        published: 1,
        trigger: "call.no_answer".to_owned(),
        created_at: at(number),
        updated_at: at(number),
        revision: 1,
    }
}

pub(crate) fn version(workflow: WorkflowId, version: u32) -> WorkflowVersion {
    WorkflowVersion {
        workflow_id: workflow,
        version,
        definition: format!("{{\"version\": {version}}}"),
        published_at: at(u64::from(version)),
    }
}

/// Returns a run's first transition: one journal line, nothing else.
pub(crate) fn run(account: AccountId, workflow: WorkflowId, number: u64) -> RunAppend {
    RunAppend {
        head: RunHead {
            id: run_id(number),
            account_id: account,
            workflow_id: workflow,
            version: 1,
            lead_id: None,
            call_id: None,
            retry_of: None,
            trigger: "call.no_answer".to_owned(),
            status: RunStatus::Running,
            revision: 1,
            started_at: at(number),
            updated_at: at(number),
            ended_at: None,
            error: None,
        },
        epoch: 1,
        snapshot: b"first".to_vec(),
        journal: vec![line(0)],
        parts: Vec::new(),
        drops_parts: false,
        timers_set: Vec::new(),
        timers_cleared: Vec::new(),
        effects: Vec::new(),
    }
}

/// Returns the transition after `before`, to `status`.
pub(crate) fn next(before: &RunAppend, status: RunStatus) -> RunAppend {
    let revision = before.head.revision + 1;
    RunAppend {
        head: RunHead {
            status,
            revision,
            updated_at: at(revision),
            ..before.head.clone()
        },
        epoch: before.epoch,
        snapshot: format!("after {revision}").into_bytes(),
        journal: vec![line(revision - 1)],
        parts: Vec::new(),
        drops_parts: false,
        timers_set: Vec::new(),
        timers_cleared: Vec::new(),
        effects: Vec::new(),
    }
}

pub(crate) fn line(seq: u64) -> JournalLine {
    JournalLine {
        seq,
        at: at(seq),
        entry: format!("{{\"line\": {seq}}}"),
    }
}

pub(crate) fn effect(run: &RunAppend, key: &str, state: EffectState) -> EffectRow {
    EffectRow {
        key: key.to_owned(),
        run_id: run.head.id,
        account_id: run.head.account_id,
        state,
        attempt: 1,
        request: "{}".to_owned(),
        provider_id: None,
        error: None,
        at: at(5),
    }
}

/// An edit by hand.
pub(crate) fn by_hand(account: AccountId, lead: LeadId, change: LeadChange) -> KeyedEdit {
    KeyedEdit {
        account_id: account,
        lead_id: lead,
        key: format!("api {}", ObservationId::fresh()),
        planned_at: at(9),
        at: at(9),
        by: EditBy::Hand { read_at: None },
        trace: None,
        edit: LeadEdit::Change(change),
    }
}

pub(crate) fn lead(account: AccountId, number: u64) -> Lead {
    Lead {
        name: format!("Lead {number}"),
        phone: format!("+1415555{number:04}").parse().ok(),
        email: Some(format!("Lead{number}@Example.com")),
        score: 50,
        fields: BTreeMap::from([("plan".to_owned(), json!("gold"))]),
        ..Lead::nameless(lead_id(number), account, at(number))
    }
}

pub(crate) fn sid(number: u64) -> CallSid {
    CallSid::new(format!("CA{number:032x}"))
}

pub(crate) fn call(account: AccountId, number: u64, status: CallStatus) -> Call {
    Call {
        from: "+14155550100".to_owned(),
        to: "+14155550199".to_owned(),
        status,
        trend: Some(-0.25),
        ..Call::new(call_id(number), account, sid(number), at(number))
    }
}

pub(crate) fn fact(account: AccountId, call: u64, sequence: u32) -> IncomingFact {
    IncomingFact {
        account_id: account,
        sid: sid(call),
        call_id: call_id(call),
        dedupe_key: format!("status {sequence}"),
        at: at(u64::from(sequence)),
        fact: CallFact::StatusReported {
            status: CallStatus::Ringing,
            sequence: Some(sequence),
            duration_s: None,
            sip_code: None,
            parties: None,
        },
    }
}

pub(crate) fn observation(account: AccountId, lead: Option<LeadId>, number: u64) -> Observation {
    Observation {
        id: observation_id(number),
        account_id: account,
        kind: EventType::CALL_NO_ANSWER,
        at: at(number),
        lead_id: lead,
        call_id: None,
        caused_by: None,
        trace: None,
        data: json!({"number": number}),
    }
}

pub(crate) fn alert(account: AccountId, number: u64) -> Alert {
    Alert {
        id: alert_id(number),
        account_id: account,
        kind: "negative_sentiment".to_owned(),
        severity: Severity::Critical,
        title: format!("Alert {number}"),
        evidence: json!({"score": -0.9}),
        call_id: None,
        lead_id: None,
        run_id: None,
        raised_at: at(number),
        acked_at: None,
        acked_by: None,
        note: None,
    }
}

pub(crate) fn task(account: AccountId, number: u64) -> Task {
    Task {
        id: task_id(number),
        account_id: account,
        title: format!("Task {number}"),
        notes: String::new(),
        priority: Priority::Urgent,
        status: TaskStatus::Open,
        due_at: None,
        lead_id: None,
        call_id: None,
        run_id: None,
        created_at: at(number),
        done_at: None,
        times_done: 0,
    }
}

pub(crate) fn message(account: AccountId, number: u64) -> Message {
    Message {
        id: message_id(number),
        account_id: account,
        channel: Channel::Sms,
        direction: Direction::Outbound,
        from: "+14155550100".to_owned(),
        to: "+14155550199".to_owned(),
        body: format!("Message {number}"),
        call: None,
        status: MessageStatus::Queued,
        provider_id: None,
        error: None,
        lead_id: None,
        run_id: None,
        created_at: at(number),
        updated_at: at(number),
    }
}

/// Those with even and those with odd numbers have a lead each.
pub(crate) fn appointment(account: AccountId, number: u64) -> Appointment {
    Appointment {
        id: appointment_id(number),
        account_id: account,
        lead_id: Some(lead_id(number % 2)),
        title: format!("Appointment {number}"),
        starts_at: at(number + 1_000),
        ends_at: None,
        location: None,
        notes: String::new(),
        status: AppointmentStatus::Booked,
        revision: 1,
        created_at: at(number),
        updated_at: at(number),
    }
}
