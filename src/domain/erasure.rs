//! Erasing a person: how far it has come, and what is left of the things that must stay.
//!
//! Calls, messages and facts keep their place without anything about the person: a provider that tells of one again is recognised,
//! so that nothing about the person comes back by a repeat and nothing is done twice. Everything else goes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    call::{Call, CallFact},
    hex::hex,
    ids::{AccountId, LeadId, UserId},
    lead::{Lead, Merged},
    message::Message,
    observation::{EventType, Observation},
    phone::PhoneNumber,
    resource::resource,
    time::Timestamp,
};

/// The kind of a fact of which nothing but its moment is left.
const ERASED: &str = "erased";
/// Tells these hashes from every other.
const PURPOSE: &[u8] = b"patchcord opted-out number 1\n";

/// How an erasure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// Taken in for good; it goes on by itself, also after a crash.
    Erasing,
    /// Nothing is left.
    Done,
}

impl ErasureStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erasing => "erasing",
            Self::Done => "done",
        }
    }
}

/// How much was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErasureCounts {
    /// Facts of the timeline.
    pub facts: u64,
    /// Runs whose history is gone, those that were cancelled for it among them.
    pub runs: u64,
    /// Calls whose numbers, transcript and recording's address are gone.
    pub calls: u64,
    /// Messages whose text and addresses are gone.
    pub messages: u64,
    /// Tasks that were removed.
    pub tasks: u64,
    /// Alerts that were removed.
    pub alerts: u64,
    /// Appointments, quotes and payments that were removed.
    pub records: u64,
    /// Posts of other services, and rows in reports of imports, that named the person.
    pub mentions: u64,
    /// Answers kept for a repeat of a request that named the person.
    pub answers: u64,
    /// Entries of the audit log whose before and after are gone.
    pub audit_entries: u64,
}

/// The erasure of a lead. Its id is the lead's: there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    pub lead_id: LeadId,
    pub account_id: AccountId,
    pub requested_by: UserId,
    pub status: ErasureStatus,
    /// What is looked for; nothing once it is done.
    pub phone: Option<PhoneNumber>,
    pub email: Option<String>,
    /// Ids, numbers and addresses of duplicates that were merged into the lead.
    #[serde(default)]
    pub merged: Merged,
    pub counts: ErasureCounts,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

resource!(Erasure as Erasure by lead_id {
    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

impl Erasure {
    /// The erasure of a lead, and of the duplicates that were merged into it, at its beginning.
    #[must_use]
    pub fn of(lead: Lead, requested_by: UserId, at: Timestamp) -> Self {
        Self {
            lead_id: lead.id,
            account_id: lead.account_id,
            requested_by,
            status: ErasureStatus::Erasing,
            phone: lead.phone,
            email: lead.email,
            merged: lead.merged,
            counts: ErasureCounts::default(),
            created_at: at,
            finished_at: None,
        }
    }

    /// The lead's id and those of the duplicates that were merged into it.
    #[must_use]
    pub fn lead_ids(&self) -> Vec<LeadId> {
        std::iter::once(self.lead_id)
            .chain(self.merged.ids.iter().copied())
            .collect()
    }

    /// The erasure when nothing is left: without what was looked for.
    #[must_use]
    pub fn done(self, at: Timestamp) -> Self {
        Self {
            status: ErasureStatus::Done,
            phone: None,
            email: None,
            merged: Merged {
                phones: Vec::new(),
                emails: Vec::new(),
                ..self.merged
            },
            finished_at: Some(at),
            ..self
        }
    }
}

/// The name under which a number's opt-out is kept when no lead has the number: its hash, so that the number itself is not kept.
#[must_use]
pub fn opt_out_key(account: AccountId, phone: &PhoneNumber) -> String {
    let mut hash = Sha256::new();
    hash.update(PURPOSE);
    hash.update(account.as_bytes());
    hash.update(phone.as_str().as_bytes());
    format!("sha256:{}", hex(&hash.finalize()))
}

/// What is taken off a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redaction {
    /// What was said, and where the recording lies.
    Words,
    /// That, and whose call it was.
    Person,
}

impl Call {
    /// The record without what is taken off.
    #[must_use]
    pub fn redacted(self, redaction: Redaction) -> Self {
        let call = Self {
            recording_url: None,
            ..self
        };
        match redaction {
            Redaction::Words => call,
            Redaction::Person => Self {
                lead_id: None,
                from: String::new(),
                to: String::new(),
                ..call
            },
        }
    }
}

impl CallFact {
    /// The fact without what is taken off: folded again, it brings nothing back.
    #[must_use]
    pub fn redacted(self, redaction: Redaction) -> Self {
        match (self, redaction) {
            (
                Self::RecordingReady {
                    url: _,
                    duration_s,
                    voicemail,
                },
                _,
            ) => Self::RecordingReady {
                url: String::new(),
                duration_s,
                voicemail,
            },
            (
                Self::Requested {
                    direction, status, ..
                },
                Redaction::Person,
            ) => Self::Requested {
                direction,
                status,
                from: String::new(),
                to: String::new(),
            },
            (
                Self::StatusReported {
                    status,
                    sequence,
                    duration_s,
                    sip_code,
                    parties: _,
                },
                Redaction::Person,
            ) => Self::StatusReported {
                status,
                sequence,
                duration_s,
                sip_code,
                parties: None,
            },
            (fact, _) => fact,
        }
    }
}

impl Message {
    /// The message without what it says.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self {
            body: String::new(),
            call: None,
            ..self
        }
    }

    /// The message without what it says and between whom it went.
    #[must_use]
    pub fn erased(self) -> Self {
        Self {
            from: String::new(),
            to: String::new(),
            error: None,
            lead_id: None,
            ..self.without_text()
        }
    }
}

impl Observation {
    /// What is left of a fact: that there was one. It triggers nothing.
    #[must_use]
    pub fn erased(self) -> Self {
        Self {
            kind: EventType::new(ERASED),
            call_id: None,
            caused_by: None,
            data: serde_json::Value::Null,
            ..self
        }
    }

    /// Whether nothing else is left of it.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.kind.as_str() == ERASED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        call::{CallStatus, Parties},
        ids::{CallId, CallSid},
        message::Direction,
    };

    const CUSTOMER: &str = "+14155550101";

    fn facts() -> Vec<CallFact> {
        let (from, to) = (CUSTOMER.to_owned(), "+15550001111".to_owned());
        vec![
            CallFact::Requested {
                direction: Direction::Inbound,
                from: from.clone(),
                to: to.clone(),
                status: CallStatus::Ringing,
            },
            CallFact::StatusReported {
                status: CallStatus::Completed,
                sequence: Some(3),
                duration_s: Some(61),
                sip_code: None,
                parties: Some(Parties {
                    direction: Direction::Inbound,
                    from,
                    to,
                }),
            },
            CallFact::RecordingReady {
                url: "https://recordings.example/RE1".to_owned(),
                duration_s: Some(60),
                voicemail: false,
            },
        ]
    }

    fn folded(facts: &[CallFact]) -> Call {
        let mut call = Call::new(
            CallId::from_bytes([1; 16]),
            AccountId::from_bytes([2; 16]),
            CallSid::new("CA1"),
            Timestamp::from_unix_millis(100_000),
        );
        for fact in facts {
            call.apply(fact, Timestamp::from_unix_millis(100_000));
        }
        call
    }

    #[test]
    fn an_erased_call_is_the_fold_of_its_erased_facts_and_keeps_how_it_went() {
        let facts = facts();
        let whole = folded(&facts);
        assert_eq!(
            (whole.from.as_str(), whole.recording_url.is_some()),
            (CUSTOMER, true)
        );
        let erased: Vec<CallFact> = facts
            .into_iter()
            .map(|fact| fact.redacted(Redaction::Person))
            .collect();
        let again = folded(&erased);
        assert_eq!((again.from.as_str(), again.to.as_str()), ("", ""));
        assert_eq!(again.recording_url, None);
        assert_eq!((again.status, again.duration_s), (whole.status, whole.duration_s));
        let record = whole.redacted(Redaction::Person);
        assert_eq!(
            (record.from, record.recording_url),
            (again.from, again.recording_url)
        );
    }

    #[test]
    fn what_only_loses_its_words_keeps_whose_it_was() {
        let call = folded(&facts()).redacted(Redaction::Words);
        assert_eq!((call.from.as_str(), call.recording_url), (CUSTOMER, None));
        let kept = facts().remove(0);
        assert_eq!(kept.clone().redacted(Redaction::Words), kept);
    }

    #[test]
    fn a_number_is_kept_as_a_hash_of_its_account() {
        let phone: PhoneNumber = CUSTOMER.parse().expect("a number");
        let keys = [1, 2].map(|number| opt_out_key(AccountId::from_bytes([number; 16]), &phone));
        assert_ne!(keys[0], keys[1]);
        assert!(keys[0].starts_with("sha256:") && !keys[0].contains("4155550101"));
    }
}
