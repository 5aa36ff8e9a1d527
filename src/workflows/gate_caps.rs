//! The gate's caps: what counts as a contact, and what a full cap does to it.
//!
//! In: an effect that the other rules let go, and what booking its contact led to. Out: the counts, or hold or refuse. Pure: the
//! shell books in the store, a dry run among the contacts it believes in.

use super::{
    effect::{Effect, Recipient},
    gate_rules::{Objection, Pass, Refusal, plural},
};
use crate::domain::{
    consent::ContactChannel,
    contact_caps::{Booking, ContactCaps},
    ids::LeadId,
};

/// How many messages and calls one person may get, over all workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    pub sms: ContactCaps,
    pub call: ContactCaps,
    pub email: ContactCaps,
    pub when_full: WhenCapped,
}

/// What a full cap does to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenCapped {
    Refuse,
    Hold,
}

/// What an effect counts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The lead's id, or the address where nobody is known behind it.
    pub subject: String,
    pub channel: ContactChannel,
    pub caps: ContactCaps,
}

impl Caps {
    /// What `effect` counts as; `None` where no cap applies to it. `reached` is who is known behind the address.
    #[must_use]
    pub fn counted(&self, effect: &Effect, reached: Option<LeadId>, pass: &Pass) -> Option<Counted> {
        let errand = effect.request.errand();
        let channel = errand.channel().filter(|_| pass.is_capped)?;
        let address = match errand.recipient()? {
            Recipient::Phone(number) => number.as_str().to_owned(),
            Recipient::Email(address) => address.to_lowercase(),
        };
        let counted = Counted {
            subject: reached.map_or(address, |lead_id| lead_id.to_string()),
            channel,
            caps: self.of(channel),
        };
        (counted.caps != ContactCaps::default()).then_some(counted)
    }

    /// What a booking means: the day's and the week's contacts with this one, or the objection where there was no room.
    ///
    /// # Errors
    /// Hold or refuse, as the settings say.
    pub fn judge(&self, channel: ContactChannel, booking: Booking) -> Result<(u32, u32), Objection> {
        let (count, cap, days, frees_at) = match booking {
            Booking::Booked { day, week } => return Ok((day, week)),
            Booking::Full {
                count,
                cap,
                days,
                frees_at,
            } => (count, cap, days, frees_at),
        };
        let (stretch, per) = if days == 1 {
            ("24 hours".to_owned(), "day")
        } else {
            (format!("{days} days"), "week")
        };
        let told = format!(
            "{count} of {cap} allowed {} within {stretch} went to this person",
            plural(channel)
        );
        Err(match self.when_full {
            WhenCapped::Hold => Objection::Hold {
                until: frees_at,
                reason: told,
            },
            WhenCapped::Refuse => Objection::Refuse(Refusal {
                code: "cap_reached",
                message: format!(
                    "{told}; there is room again at {frees_at}. Wire the `error` port, write less often, or raise gate.{}_per_{per}",
                    channel.as_str()
                ),
            }),
        })
    }

    const fn of(&self, channel: ContactChannel) -> ContactCaps {
        match channel {
            ContactChannel::Sms => self.sms,
            ContactChannel::Call => self.call,
            ContactChannel::Email => self.email,
        }
    }
}

impl Default for Caps {
    /// Any number of contacts.
    fn default() -> Self {
        let any_number = ContactCaps::default();
        Self {
            sms: any_number,
            call: any_number,
            email: any_number,
            when_full: WhenCapped::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cap_refuses_or_holds_as_the_settings_say() {
        let frees_at = "2026-11-24T09:00:00Z".parse().expect("a moment");
        let full = Booking::Full {
            count: 6,
            cap: 6,
            days: 1,
            frees_at,
        };
        let judged = |when_full| {
            let caps = Caps {
                when_full,
                ..Caps::default()
            };
            caps.judge(ContactChannel::Sms, full)
        };
        let Err(Objection::Refuse(refusal)) = judged(WhenCapped::Refuse) else {
            panic!("refused");
        };
        assert_eq!(refusal.code, "cap_reached");
        assert!(
            refusal.message.contains("6 of 6") && refusal.message.contains("gate.sms_per_day"),
            "{refusal:?}"
        );
        assert!(matches!(judged(WhenCapped::Hold), Err(Objection::Hold { until, .. }) if until == frees_at));
    }
}
