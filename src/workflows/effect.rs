//! Effects: everything a run may ask of the world, as data.
//!
//! An effect carries all that is needed to carry it out, so the shell stores it as JSON (`EffectRow::request`) before the
//! first byte is sent and can settle it after a crash without the run. Its key is derived from run, node, visit and
//! ordinal: a repeated step computes the same one, and a further attempt keeps it.

mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use wanted::{CalendarEvent, Cells, Coupon, CouponLife, Credit, Discount, EmailMessage, SheetRow};

use super::definition::{Audience, QuietHours};
use crate::domain::{
    alert::Severity,
    call::CallPlan,
    consent::ContactChannel,
    ids::{AccountId, AlertId, CallId, LeadId, MessageId, ObservationId, RunId, TaskId, WorkflowId},
    lead::{self, LeadEdit, LeadFilter},
    observation::EventType,
    phone::PhoneNumber,
    run::RunStatus,
    task::Priority,
    time::Timestamp,
    trace::TraceContext,
};

/// What a transition asks of the shell, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Carry the effect out. Its claim is part of the same append: send nothing before that is on disk.
    Act(Box<Effect>),
    /// Find out whether the effect was carried out, and answer with `Input::LookedUp`.
    LookUp(Box<Effect>),
    /// Fire `timer` at `due`; a timer set before under the same number is replaced.
    SetTimer {
        timer: u64,
        due: Timestamp,
    },
    ClearTimer {
        timer: u64,
    },
    /// Find the lead's facts of these types since then, oldest first, and answer with `Input::LookedBack`.
    LookBack {
        /// Which of the run's waits asks.
        wait: u32,
        lead_id: LeadId,
        events: Vec<EventType>,
        since: Timestamp,
    },
    /// Find out whether a run has ended, and answer with `Input::RunEnded` if it has.
    AskRun {
        run_id: RunId,
    },
    /// Find out whether a call has ended, and answer with `Input::CallEnded` if it has.
    AskCall {
        call_id: CallId,
    },
    /// End a run that nobody waits for any more, and answer with `Input::RunEnded` when it has ended already.
    CancelRun {
        run_id: RunId,
    },
    /// Bring facts of these types about the run's lead or call as `Input::Observed`, until the run ends.
    Listen {
        events: Vec<EventType>,
    },
    /// The run is over.
    Finish {
        status: RunStatus,
        error: Option<String>,
    },
}

/// One thing to do in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    pub key: String,
    /// Counts claims from 1. A definite failure and an absent effect may be tried again under the same key.
    pub attempt: u32,
    /// How many of the claims the gate held back before anything was sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub holds: u32,
    pub run_id: RunId,
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// The node that asks.
    pub node: String,
    /// How often the run came by the node before, from 0.
    pub visit: u32,
    /// When it was first asked for: a look-up starts here, and ids of what it makes are derived from it.
    pub planned_at: Timestamp,
    pub audience: Audience,
    /// What the workflow says about when its lead may be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Box<SendWindow>>,
    /// When the gate's permission ends: what a provider still holds back then must not go out any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    pub in_doubt: InDoubt,
    /// Where it was asked for, when its run is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    pub request: Request,
}

/// A workflow's own rules for when its lead may be reached; the gate's come on top.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SendWindow {
    /// IANA zone for people whose own is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// What exactly is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    SendSms {
        to: PhoneNumber,
        body: String,
        /// The account's number when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<PhoneNumber>,
    },
    SlackMessage {
        /// `#name`, or a channel's id.
        channel: String,
        text: String,
    },
    CreateTask {
        title: String,
        notes: String,
        priority: Priority,
        due_at: Option<Timestamp>,
    },
    RaiseAlert {
        /// The alert's own word, `negative_sentiment`.
        alert: String,
        severity: Severity,
        title: String,
        /// The words, score and rule that led to it.
        evidence: Value,
    },
    SendEmail(EmailMessage),
    PlaceCall {
        to: PhoneNumber,
        /// The account's number when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<PhoneNumber>,
        plan: CallPlan,
        /// How long the end of the call is waited for; not at all when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// Changes the lead.
    EditLead {
        edit: LeadEdit,
    },
    /// Lists the leads that are like this, oldest first.
    FindLeads {
        filter: LeadFilter,
        limit: u32,
    },
    /// Runs the account's JavaScript. Nothing outside comes of it.
    RunScript {
        code: String,
        /// What the script sees, by name.
        input: Value,
        timeout_ms: u64,
    },
    WebhookRequest {
        method: HttpMethod,
        url: String,
        headers: BTreeMap<String, String>,
        /// Sent as JSON; nothing is sent when it is null.
        body: Value,
    },
    /// Starts another workflow for the same lead. Carried out by the runs themselves.
    RunWorkflow {
        target: WorkflowId,
        /// What the run sees as `trigger.data`.
        data: Value,
        /// Whether its end is waited for.
        wait: bool,
        /// How many runs have started one another down to it.
        depth: u8,
    },
    /// A post to one of Zapier's hooks.
    ZapierHook {
        url: String,
        body: Value,
    },
    CalendarEvent(CalendarEvent),
    SheetRow(SheetRow),
    StripeCredit(Credit),
    StripeCoupon(Coupon),
}

/// Where a request goes: what the gate, the rates and the circuit breakers ask about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand<'a> {
    /// To a person's phone.
    Phone {
        channel: ContactChannel,
        to: &'a PhoneNumber,
        /// The number it is sent by, when the workflow names one.
        from: Option<&'a PhoneNumber>,
    },
    /// To people's mailboxes.
    Mail { to: &'a [String], cc: &'a [String] },
    /// To people by a service that has no address of theirs in it.
    Service,
    /// To somebody's own server.
    Server { url: &'a str },
    /// It stays in the house.
    House,
}

/// The address of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient<'a> {
    Phone(&'a PhoneNumber),
    Email(&'a str),
}

impl Request {
    /// Where it goes.
    #[must_use]
    pub fn errand(&self) -> Errand<'_> {
        match self {
            Self::SendSms { to, from, .. } => Errand::Phone {
                channel: ContactChannel::Sms,
                to,
                from: from.as_ref(),
            },
            Self::PlaceCall { to, from, .. } => Errand::Phone {
                channel: ContactChannel::Call,
                to,
                from: from.as_ref(),
            },
            Self::SendEmail(email) => Errand::Mail {
                to: &email.to,
                cc: &email.cc,
            },
            Self::SlackMessage { .. }
            | Self::CalendarEvent(_)
            | Self::SheetRow(_)
            | Self::StripeCredit(_)
            | Self::StripeCoupon(_) => Errand::Service,
            Self::WebhookRequest { url, .. } | Self::ZapierHook { url, .. } => Errand::Server { url },
            Self::CreateTask { .. }
            | Self::RaiseAlert { .. }
            | Self::EditLead { .. }
            | Self::FindLeads { .. }
            | Self::RunScript { .. }
            | Self::RunWorkflow { .. } => Errand::House,
        }
    }
}

impl Request {
    /// The same without these receivers of an e-mail; `None` when nobody would get it but by copy.
    #[must_use]
    pub fn without(&self, left_out: &BTreeSet<String>) -> Option<Self> {
        let Self::SendEmail(email) = self else {
            return Some(self.clone());
        };
        let mut email = email.clone();
        email.to.retain(|address| !left_out.contains(address));
        email.cc.retain(|address| !left_out.contains(address));
        (!email.to.is_empty()).then_some(Self::SendEmail(email))
    }
}

impl<'a> Errand<'a> {
    /// The channel by which it reaches a person; `None` for what is no message or call of its own.
    #[must_use]
    pub const fn channel(self) -> Option<ContactChannel> {
        match self {
            Self::Phone { channel, .. } => Some(channel),
            Self::Mail { .. } => Some(ContactChannel::Email),
            Self::Service | Self::Server { .. } | Self::House => None,
        }
    }

    /// The person's address that it goes to; the first, where there are several.
    #[must_use]
    pub fn recipient(self) -> Option<Recipient<'a>> {
        self.recipients().into_iter().next()
    }

    /// Every address of a person that it goes to, copies last.
    #[must_use]
    pub fn recipients(self) -> Vec<Recipient<'a>> {
        match self {
            Self::Phone { to, .. } => vec![Recipient::Phone(to)],
            Self::Mail { to, cc } => {
                let all = to.iter().chain(cc);
                all.map(|address| Recipient::Email(address)).collect()
            }
            Self::Service | Self::Server { .. } | Self::House => Vec::new(),
        }
    }

    /// The number that it goes to.
    #[must_use]
    pub const fn phone(self) -> Option<&'a PhoneNumber> {
        match self {
            Self::Phone { to, .. } => Some(to),
            Self::Mail { .. } | Self::Service | Self::Server { .. } | Self::House => None,
        }
    }
}

/// The verb of a webhook request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    /// The verb as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who carries an effect out: what rate limits and circuit breakers are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Sms,
    Call,
    Email,
    Slack,
    Task,
    Alert,
    Lead,
    Script,
    Webhook,
    Workflow,
    Zapier,
    Calendar,
    Sheets,
    Stripe,
}

impl Provider {
    /// Every provider there is.
    pub const ALL: &'static [Self] = &[
        Self::Sms,
        Self::Call,
        Self::Email,
        Self::Slack,
        Self::Task,
        Self::Alert,
        Self::Lead,
        Self::Script,
        Self::Webhook,
        Self::Workflow,
        Self::Zapier,
        Self::Calendar,
        Self::Sheets,
        Self::Stripe,
    ];
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sms => "sms",
            Self::Call => "call",
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Task => "task",
            Self::Alert => "alert",
            Self::Lead => "lead",
            Self::Script => "script",
            Self::Webhook => "webhook",
            Self::Workflow => "workflow",
            Self::Zapier => "zapier",
            Self::Calendar => "calendar",
            Self::Sheets => "sheets",
            Self::Stripe => "stripe",
        })
    }
}

/// The node's choice for an effect that was looked up and not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    #[default]
    Resend,
    /// A person decides.
    Ask,
    /// It counts as failed and is not sent again.
    Drop,
    /// The run goes on as if it had been sent, and it is not sent again.
    Skip,
}

impl Effect {
    /// The key of the effect number `ordinal` that `node` asks for on its visit number `visit`.
    #[must_use]
    pub fn key_of(run_id: RunId, node: &str, visit: u32, ordinal: u32) -> String {
        format!("{run_id}/{node}/{visit}/{ordinal}")
    }

    /// How often it was really tried: what retry policies count.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.attempt.saturating_sub(self.holds)
    }

    /// Who carries it out.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        match self.request {
            Request::SendSms { .. } => Provider::Sms,
            Request::PlaceCall { .. } => Provider::Call,
            Request::SendEmail(_) => Provider::Email,
            Request::SlackMessage { .. } => Provider::Slack,
            Request::CreateTask { .. } => Provider::Task,
            Request::RaiseAlert { .. } => Provider::Alert,
            Request::EditLead { .. } | Request::FindLeads { .. } => Provider::Lead,
            Request::RunScript { .. } => Provider::Script,
            Request::WebhookRequest { .. } => Provider::Webhook,
            Request::RunWorkflow { .. } => Provider::Workflow,
            Request::ZapierHook { .. } => Provider::Zapier,
            Request::CalendarEvent(_) => Provider::Calendar,
            Request::SheetRow(_) => Provider::Sheets,
            Request::StripeCredit(_) | Request::StripeCoupon(_) => Provider::Stripe,
        }
    }

    /// The id of the task it makes: the same for every attempt.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        TaskId::derived(self.planned_at, &[self.key.as_bytes()])
    }

    /// The id of the alert it raises: the same for every attempt.
    #[must_use]
    pub fn alert_id(&self) -> AlertId {
        AlertId::derived(self.planned_at, &[self.key.as_bytes()])
    }

    /// The id of the fact of this kind that it leads to: the same for every attempt.
    #[must_use]
    pub fn fact_id(&self, kind: &EventType) -> ObservationId {
        lead::fact_id(self.planned_at, &self.key, kind)
    }

    /// The id of the run it starts: the same for every attempt.
    #[must_use]
    pub fn child_id(&self) -> RunId {
        let shard = self
            .lead_id
            .map_or(self.run_id.shard(), |lead_id| lead_id.shard());
        RunId::derived(self.planned_at, &[self.key.as_bytes()]).in_shard(shard)
    }

    /// The id of the message it sends: the same for every attempt.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        MessageId::derived(self.planned_at, &[self.key.as_bytes()])
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
