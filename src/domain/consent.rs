//! Whether a person may be reached, and how: opt-out and consent, by channel.
//!
//! An opt-out is what the person asked us to stop; consent is what they allowed. The two are kept apart: STOP beats a consent
//! given earlier, and START lifts an opt-out without inventing a consent for other channels.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A way to reach a person.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ContactChannel {
    Sms,
    Call,
    Email,
}

impl ContactChannel {
    /// Every way there is.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Call, Self::Email];
    /// What a STOP by text message ends: carriers and regulators read it as "do not phone me either".
    pub const STOPPED_BY_SMS: [Self; 2] = [Self::Sms, Self::Call];

    /// The word used in JSON and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
            Self::Email => "email",
        }
    }
}

/// What is known about a person's consent to one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody asked, or nobody wrote it down.
    #[default]
    Unknown,
    Granted,
    Denied,
}

/// A person's consent, by channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consent {
    pub sms: Standing,
    pub call: Standing,
    pub email: Standing,
}

impl Consent {
    /// What is known for `channel`.
    #[must_use]
    pub const fn of(&self, channel: ContactChannel) -> Standing {
        match channel {
            ContactChannel::Sms => self.sms,
            ContactChannel::Call => self.call,
            ContactChannel::Email => self.email,
        }
    }

    const fn slot(&mut self, channel: ContactChannel) -> &mut Standing {
        match channel {
            ContactChannel::Sms => &mut self.sms,
            ContactChannel::Call => &mut self.call,
            ContactChannel::Email => &mut self.email,
        }
    }
}

/// Whether, and from what, a person has opted out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OptOut {
    pub opted_out: bool,
    /// Empty while `opted_out` holds: from everything.
    pub from: BTreeSet<ContactChannel>,
}

impl OptOut {
    /// Whether nothing may go out by `channel`. A message by no channel of its own yields to any opt-out.
    #[must_use]
    pub fn covers(&self, channel: Option<ContactChannel>) -> bool {
        self.opted_out && (self.from.is_empty() || channel.is_none_or(|channel| self.from.contains(&channel)))
    }

    /// Takes on what another opt-out covers.
    pub fn join(&mut self, other: &Self) {
        if other.opted_out {
            self.change(&if other.from.is_empty() {
                OptOutChange::Everything
            } else {
                OptOutChange::Add(other.from.clone())
            });
        }
    }

    fn change(&mut self, change: &OptOutChange) {
        match change {
            OptOutChange::Add(_) if self.opted_out && self.from.is_empty() => {}
            OptOutChange::Add(channels) => {
                self.from.extend(channels);
                self.opted_out |= !channels.is_empty();
            }
            OptOutChange::Lift(channels) => {
                if self.opted_out && self.from.is_empty() {
                    self.from.extend(ContactChannel::ALL);
                }
                self.from.retain(|channel| !channels.contains(channel));
                self.opted_out = !self.from.is_empty();
            }
            OptOutChange::Everything => {
                self.opted_out = true;
                self.from.clear();
            }
            OptOutChange::Nothing => *self = Self::default(),
        }
    }
}

/// How an opt-out changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptOutChange {
    /// From these channels too.
    Add(BTreeSet<ContactChannel>),
    /// No longer from these.
    Lift(BTreeSet<ContactChannel>),
    Everything,
    Nothing,
}

/// What changes about whether a person may be reached. Applied to what the store holds, so that two changes at once both count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentChange {
    /// In this order.
    pub opt_out: Vec<OptOutChange>,
    /// Later ones win.
    pub consent: Vec<(ContactChannel, Standing)>,
}

impl ConsentChange {
    /// What STOP by text message means.
    #[must_use]
    pub fn stop() -> Self {
        Self {
            opt_out: vec![OptOutChange::Add(ContactChannel::STOPPED_BY_SMS.into())],
            consent: Vec::new(),
        }
    }

    /// What START by text message means: the way back, and a consent to text messages in the person's own words.
    #[must_use]
    pub fn start() -> Self {
        Self {
            opt_out: vec![OptOutChange::Lift(ContactChannel::STOPPED_BY_SMS.into())],
            consent: vec![(ContactChannel::Sms, Standing::Granted)],
        }
    }

    /// Applies the change.
    pub fn apply(&self, opt_out: &mut OptOut, consent: &mut Consent) {
        for change in &self.opt_out {
            opt_out.change(change);
        }
        for (channel, standing) in &self.consent {
            *consent.slot(*channel) = *standing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[ConsentChange]) -> (OptOut, Consent) {
        let (mut opt_out, mut consent) = Default::default();
        for change in changes {
            change.apply(&mut opt_out, &mut consent);
        }
        (opt_out, consent)
    }

    fn all() -> ConsentChange {
        ConsentChange {
            opt_out: vec![OptOutChange::Everything],
            consent: Vec::new(),
        }
    }

    #[test]
    fn stop_ends_messages_and_calls_but_not_mail() {
        let (opt_out, _) = after(&[ConsentChange::stop()]);
        assert!(opt_out.covers(Some(ContactChannel::Sms)));
        assert!(opt_out.covers(Some(ContactChannel::Call)));
        assert!(!opt_out.covers(Some(ContactChannel::Email)));
        assert!(opt_out.covers(None), "what has no channel is not sent either");
    }

    #[test]
    fn start_lifts_stop_and_consents_to_messages_only() {
        let (opt_out, consent) = after(&[ConsentChange::stop(), ConsentChange::start()]);
        assert!(!opt_out.opted_out && opt_out.from.is_empty());
        assert_eq!(consent.sms, Standing::Granted);
        assert_eq!(consent.call, Standing::Unknown);
    }

    #[test]
    fn a_joined_opt_out_covers_what_either_covers() {
        let (stopped, _) = after(&[ConsentChange::stop()]);
        let (everything, _) = after(&[all()]);
        let mut joined = OptOut::default();
        joined.join(&OptOut::default());
        assert!(!joined.opted_out);
        joined.join(&stopped);
        assert_eq!(joined, stopped);
        joined.join(&everything);
        assert_eq!(joined, everything);
        joined.join(&stopped);
        assert_eq!(joined, everything);
    }

    #[test]
    fn an_opt_out_from_everything_is_neither_narrowed_by_stop_nor_wholly_lifted_by_start() {
        let (opt_out, _) = after(&[all(), ConsentChange::stop()]);
        assert!(opt_out.covers(Some(ContactChannel::Email)));
        let (opt_out, _) = after(&[all(), ConsentChange::start()]);
        assert!(opt_out.opted_out && opt_out.covers(Some(ContactChannel::Email)));
        assert!(!opt_out.covers(Some(ContactChannel::Sms)));
    }
}
