//! The gate: reads the facts about whoever an effect would reach, right before the attempt, and asks the rules.
//!
//! In: an effect whose turn it is. Out: go, hold or refuse. Nothing is remembered here: an opt-out that was kept a moment ago counts. What
//! goes is booked in the store before it goes, in one step with the count, so that two workflows at once cannot both take the
//! last place under a cap.

mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    clock,
    domain::{
        consent::ConsentChange,
        ids::{LeadId, ObservationId},
        observation::{EventType, Observation},
        time::Timestamp,
    },
    store::{
        Store, StoreError, StoreResult,
        contacts::{Contact, ContactCaps},
    },
    workflows::{
        Effect,
        definition::{Audience, QuietHours, TimeOfDay},
        effect::{Errand, Recipient},
        gate_caps::{Caps, WhenCapped},
        gate_people::Person,
        gate_rules::{GateFacts, GateRules, Objection, Pass, Refusal},
        gate_together::{Counts, Permission, Together, judge_together},
    },
};

/// Until facts are read again that could not be; twice as long after each time the effect was held back.
const UNREAD_PAUSE: Duration = Duration::from_secs(2);
/// Enough to come to about two minutes.
const UNREAD_DOUBLINGS_MAX: u32 = 6;

/// `[gate]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSettings {
    /// `21:00-08:00`, or empty.
    pub quiet_hours: String,
    /// IANA zone of people of whom nothing is known.
    pub timezone: String,
    pub require_consent: bool,
    pub reply_within_s: u64,
    pub caps_replies: bool,
    pub when_capped: WhenCapped,
    pub sms_per_day: u32,
    pub sms_per_week: u32,
    pub call_per_day: u32,
    pub call_per_week: u32,
    pub email_per_day: u32,
    pub email_per_week: u32,
    /// Messages a second that one account may send, over all its numbers; 0: no bound.
    pub account_messages_per_s: u32,
    /// Calls a second that one number may start.
    pub calls_per_s: u32,
    /// Failures in a row after which a provider is left alone; 0: never.
    pub breaker_after: u32,
    /// Seconds it is first left alone.
    pub breaker_pause_s: u64,
}

/// A key of `[gate]` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {expected}")]
pub struct GateSettingsError {
    pub key: &'static str,
    pub expected: &'static str,
}

impl GateSettings {
    /// The rules that the settings ask for.
    ///
    /// # Errors
    /// [`GateSettingsError`] naming the key.
    pub fn rules(&self) -> Result<GateRules, GateSettingsError> {
        let zone = crate::workflows::calendar::zone(&self.timezone).ok_or(GateSettingsError {
            key: "gate.timezone",
            expected: "expected an IANA time zone like `America/New_York`",
        })?;
        Ok(GateRules {
            quiet_hours: quiet_hours(&self.quiet_hours)?,
            zone,
            require_consent: self.require_consent,
            reply_within: Duration::from_secs(self.reply_within_s),
            caps_replies: self.caps_replies,
            caps: self.caps(),
        })
    }

    fn caps(&self) -> Caps {
        let caps = |per_day, per_week| ContactCaps { per_day, per_week };
        Caps {
            sms: caps(self.sms_per_day, self.sms_per_week),
            call: caps(self.call_per_day, self.call_per_week),
            email: caps(self.email_per_day, self.email_per_week),
            when_full: self.when_capped,
        }
    }
}

fn quiet_hours(text: &str) -> Result<Option<QuietHours>, GateSettingsError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let time = |text: &str| serde_json::from_value::<TimeOfDay>(Value::from(text.trim())).ok();
    text.split_once('-')
        .and_then(|(from, until)| {
            Some(QuietHours {
                from: time(from)?,
                until: time(until)?,
            })
        })
        .map(Some)
        .ok_or(GateSettingsError {
            key: "gate.quiet_hours",
            expected: "expected a stretch of the day like `21:00-08:00`, or nothing",
        })
}

/// What the gate decided about one attempt.
#[derive(Debug)]
pub enum Decision {
    Go(Permit),
    Hold { until: Timestamp, reason: String },
    Refuse(Refusal),
}

/// The permission for one attempt.
#[derive(Debug, Default)]
pub struct Permit {
    /// The grounds, for the run's history; `None` where no rule applies.
    pub gate: Option<Value>,
    pub valid_until: Option<Timestamp>,
    /// To be given back when nothing was sent.
    pub booked: Vec<Contact>,
    /// Receivers of an e-mail that may not be written to: the others get it.
    pub left_out: BTreeSet<String>,
}

/// How many contacts there are with one person, and the one that was counted; nothing where no cap applies.
type Booked = (Counts, Option<Contact>);

/// The gate.
pub struct Gate {
    store: Store,
    rules: GateRules,
}

impl Gate {
    /// Ties the rules to the store.
    ///
    /// # Errors
    /// [`GateSettingsError`] naming the key that cannot be used.
    pub fn new(store: Store, settings: &GateSettings) -> Result<Self, GateSettingsError> {
        Ok(Self {
            store,
            rules: settings.rules()?,
        })
    }

    /// Decides about an attempt that is about to be made.
    pub async fn decide(&self, effect: &Effect) -> Decision {
        if effect.audience == Audience::Staff || effect.request.errand() == Errand::House {
            return Decision::Go(Permit::default());
        }
        let read = self.decide_for_lead(effect).await;
        let (word, code) = match &read {
            Ok(Decision::Go(_)) => ("go", ""),
            Ok(Decision::Hold { .. }) => ("held", ""),
            Ok(Decision::Refuse(refusal)) => ("refused", refusal.code),
            Err(_) => ("unread", ""),
        };
        metrics::counter!("patchcord_gate_total", "provider" => effect.provider().to_string(), "decision" => word, "code" => code)
            .increment(1);
        read.unwrap_or_else(|error| unread(effect, &error))
    }

    async fn decide_for_lead(&self, effect: &Effect) -> StoreResult<Decision> {
        let now = clock::now();
        let account = self.store.accounts.account(effect.account_id).await?;
        let people = self.people(effect, &account, now).await?;
        let facts = |person| Person::facts(person, effect, account.require_consent, now);
        let facts: Vec<GateFacts<'_>> = people.iter().map(facts).collect();
        match judge_together(&facts, &self.rules) {
            Ok(together) => self.book_all(effect, &people, together, now).await,
            Err(objection) => Ok(objection.into()),
        }
    }

    /// Counts a contact with each person it goes to.
    async fn book_all(
        &self,
        effect: &Effect,
        people: &[Person],
        together: Together,
        now: Timestamp,
    ) -> StoreResult<Decision> {
        let (mut booked, mut answers) = (Vec::new(), BTreeMap::new());
        for (place, pass) in &together.goes_to {
            let answer = match self.book(effect, people[*place].lead_id(), pass, now).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.give_back(booked).await;
                    return Err(error);
                }
            };
            let is_held = matches!(answer, Err(Objection::Hold { .. }));
            let counts = answer.map(|(counts, contact)| {
                booked.extend(contact);
                counts
            });
            answers.insert(*place, counts);
            if is_held {
                break;
            }
        }
        match together.after_caps(effect, people, answers) {
            Ok(Permission {
                gate,
                valid_until,
                left_out,
            }) => Ok(Decision::Go(Permit {
                gate: Some(gate),
                valid_until,
                booked,
                left_out,
            })),
            Err(objection) => {
                self.give_back(booked).await;
                Ok(objection.into())
            }
        }
    }

    /// Counts the contact with one person: gives the day's and the week's with this one, or the objection when there is no room for it.
    async fn book(
        &self,
        effect: &Effect,
        lead_id: Option<LeadId>,
        pass: &Pass,
        now: Timestamp,
    ) -> StoreResult<Result<Booked, Objection>> {
        let caps = &self.rules.caps;
        let Some(counted) = caps.counted(effect, lead_id, pass) else {
            return Ok(Ok((None, None)));
        };
        let contact = Contact {
            account_id: effect.account_id,
            subject: counted.subject,
            channel: counted.channel,
            key: effect.key.clone(),
            at: now,
        };
        let booking = self.store.contacts.book(contact.clone(), counted.caps).await?;
        Ok(caps
            .judge(counted.channel, booking)
            .map(|counts| (Some(counts), Some(contact))))
    }

    /// Takes bookings back: nothing was sent.
    pub async fn give_back(&self, booked: Vec<Contact>) {
        for contact in booked {
            let key = contact.key.clone();
            if let Err(error) = self.store.contacts.release(contact).await {
                // The person is written to once less than allowed; never once more.
                tracing::warn!(key, %error, "a contact that was not made still counts");
            }
        }
    }

    /// Keeps an opt-out that only the provider knew of. Returns the fact for the lead's mailbox, when it is news.
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn opted_out_at_provider(&self, effect: &Effect) -> StoreResult<Option<Observation>> {
        // Only whoever has the number: the run may be about somebody else.
        let Some(Recipient::Phone(number)) = effect.request.errand().recipient() else {
            return Ok(None);
        };
        let Some(lead) = self.store.leads.by_phone(effect.account_id, number).await? else {
            return Ok(None);
        };
        let now = clock::now();
        self.store
            .leads
            .change_consent(effect.account_id, lead.id, ConsentChange::stop(), now)
            .await?;
        Ok(Some(Observation {
            // One effect tells it once.
            id: ObservationId::derived(
                Timestamp::default(),
                &[b"opted_out_at_provider", effect.key.as_bytes()],
            ),
            account_id: effect.account_id,
            kind: EventType::LEAD_OPTED_OUT,
            at: now,
            lead_id: Some(lead.id),
            call_id: None,
            caused_by: Some(effect.run_id),
            trace: None,
            data: serde_json::json!({"source": "provider", "node": effect.node}),
        }))
    }
}

/// The facts could not be read: nothing goes on a guess, and what the store cannot do at the moment is no failed attempt.
fn unread(effect: &Effect, error: &StoreError) -> Decision {
    Decision::Hold {
        until: when_store_may_be_back(effect),
        reason: format!("the gate could not read the facts: {error}"),
    }
}

/// When an effect for which the store failed is taken up again.
pub fn when_store_may_be_back(effect: &Effect) -> Timestamp {
    clock::now().plus(UNREAD_PAUSE * (1 << effect.holds.min(UNREAD_DOUBLINGS_MAX)))
}

impl From<Objection> for Decision {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Hold { until, reason } => Self::Hold { until, reason },
            Objection::Refuse(refusal) => Self::Refuse(refusal),
        }
    }
}
