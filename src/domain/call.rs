//! A telephone call: its record, and the facts it is folded from.
//!
//! Facts arrive in any order and number; the record they give is the same. The fold is in `call/fold.rs`.

mod end;
mod fold;
mod leg;
mod plan;
mod room;

use serde::{Deserialize, Serialize};

pub use end::{CallEnd, CallOutcome};
pub use fold::{CallChange, FoldState};
pub use leg::{Leg, LegNews, MonitorMode};
pub use plan::{CallPlan, OnMachine};
pub use room::{Monitor, MonitorLeg, MonitorState, Supervision, Talk};

use super::{
    audio::Speaker,
    ids::{AccountId, CallId, CallSid, LeadId, RoomSid, StreamSid},
    message::Direction,
    time::Timestamp,
};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    Queued,
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
}

impl CallStatus {
    /// Whether nothing more can happen to the call itself.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled
        )
    }
}

/// Who or what picked up, as far as detection could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    Human,
    Fax,
    /// Undecided: treated as a person.
    Unknown,
    /// A machine started to speak; misfires on long human greetings.
    MachineStart,
    MachineEndBeep,
    MachineEndSilence,
    MachineEndOther,
}

impl AnsweredBy {
    /// Whether a machine answered.
    #[must_use]
    pub const fn is_machine(self) -> bool {
        matches!(
            self,
            Self::MachineStart | Self::MachineEndBeep | Self::MachineEndSilence | Self::MachineEndOther
        )
    }
}

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    pub direction: Direction,
    pub from: String,
    pub to: String,
}

/// One fact about a call, as a door took it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum CallFact {
    /// The provider asked what to do with a call.
    Requested {
        direction: Direction,
        from: String,
        to: String,
        status: CallStatus,
    },
    /// The provider reported progress; `sequence` counts its reports from 0 where it counts at all.
    StatusReported {
        status: CallStatus,
        sequence: Option<u32>,
        duration_s: Option<u32>,
        /// SIP response where the provider gives one: 404 unreachable, 487 rang out.
        sip_code: Option<u16>,
        /// Who calls whom, where the report says so: it may come before the request does.
        #[serde(default)]
        parties: Option<Parties>,
    },
    /// Our agent picked up: the two sides can hear each other.
    DialAnswered,
    /// The leg to our agent ended with this result.
    DialEnded {
        status: CallStatus,
        duration_s: Option<u32>,
    },
    /// Answering-machine detection decided.
    MachineDetected { answered_by: AnsweredBy },
    /// A recording is ready. `voicemail` when our TwiML asked the caller to leave a message.
    RecordingReady {
        url: String,
        duration_s: Option<u32>,
        voicemail: bool,
    },
    StreamStarted {
        stream: StreamSid,
        /// Who is heard on the inbound track.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inbound: Option<Speaker>,
    },
    /// The media stream ended; `clean` when the provider said so before the socket closed.
    StreamStopped { stream: StreamSid, clean: bool },
    /// The provider reports that a stream is over, whoever ended it: all that is heard of one whose listener died.
    StreamReportedOver { stream: StreamSid },
    /// Something became of a leg in the call's own room.
    Leg {
        leg: Leg,
        #[serde(flatten)]
        news: LegNews,
    },
    /// A room of the call's own has closed: nobody is in it any more.
    RoomClosed { room: RoomSid },
    /// Nothing was heard of the call for too long and the provider no longer knows it.
    Lost,
}

/// The record of one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Call {
    #[schema(value_type = String)]
    pub id: CallId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The provider's id.
    #[schema(value_type = String)]
    pub sid: CallSid,
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    pub direction: Direction,
    pub from: String,
    pub to: String,
    pub status: CallStatus,
    /// Number of the report that gave `status`, where the provider counts; lower ones do not change it.
    #[schema(ignore)]
    pub sequence: Option<u32>,
    /// How the leg to our agent ended, when there was one.
    pub dial_status: Option<CallStatus>,
    pub answered_by: Option<AnsweredBy>,
    pub duration_s: Option<u32>,
    pub sip_code: Option<u16>,
    pub recording_url: Option<String>,
    /// Whether the caller left a message.
    pub voicemail: bool,
    /// The stream that is open now.
    #[schema(value_type = Option<String>)]
    pub stream: Option<StreamSid>,
    /// Times a stream broke off without the provider's word: the transcript has a hole there.
    pub gaps: u32,
    /// Whether supervisors can listen.
    #[serde(default)]
    #[schema(required)]
    pub supervision: Supervision,
    /// The supervisors who take part at this moment, and how; empty once the call is over.
    #[serde(default)]
    #[schema(required)]
    pub monitors: Vec<Monitor>,
    /// Running sentiment of the customer, −1.0 to 1.0.
    pub trend: Option<f32>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What the fold remembers so that the order of facts does not matter.
    #[serde(default, skip_serializing_if = "FoldState::is_blank")]
    #[schema(ignore)]
    pub fold: FoldState,
}

impl Call {
    /// Returns the record of a call of which nothing is known but that something was heard of it at `at`.
    #[must_use]
    pub fn new(id: CallId, account_id: AccountId, sid: CallSid, at: Timestamp) -> Self {
        Self {
            id,
            account_id,
            sid,
            lead_id: None,
            direction: Direction::Inbound,
            from: String::new(),
            to: String::new(),
            status: CallStatus::Queued,
            sequence: None,
            dial_status: None,
            answered_by: None,
            duration_s: None,
            sip_code: None,
            recording_url: None,
            voicemail: false,
            stream: None,
            gaps: 0,
            supervision: Supervision::Off,
            monitors: Vec::new(),
            trend: None,
            started_at: at,
            answered_at: None,
            ended_at: None,
            fold: FoldState::default(),
        }
    }

    /// The record as people see it: without what only the fold remembers.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            fold: FoldState::default(),
            ..self.clone()
        }
    }

    /// The customer's number; empty until a fact has named it.
    #[must_use]
    pub fn customer_number(&self) -> &str {
        match self.direction {
            Direction::Inbound => &self.from,
            Direction::Outbound => &self.to,
        }
    }
}
