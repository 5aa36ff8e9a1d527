//! Whether Twilio brings calls and messages for our numbers to our doors, and whether the sender can send.
//!
//! In: the numbers as Twilio has them. Out: one finding a door, over all numbers that are looked at. Only what Twilio shows is
//! judged: the account's own "webhook rules" are not among it.

use super::Finding;
use crate::integrations::twilio::{addresses::Addresses, numbers::KnownNumber};

/// Numbers that are looked at: each is a request to Twilio.
pub(super) const NUMBERS_MAX: usize = 10;

/// A number of ours and what Twilio has under it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) phone: String,
    /// `None` when the Twilio account has no such number.
    pub(super) known: Option<KnownNumber>,
}

/// A door that Twilio is told of for each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Voice,
    Status,
    Message,
}

impl Door {
    const fn path(self) -> &'static str {
        match self {
            Self::Voice => "/twilio/voice",
            Self::Status => "/twilio/status",
            Self::Message => "/twilio/sms",
        }
    }

    /// What the field is called in Twilio's console.
    const fn title(self) -> &'static str {
        match self {
            Self::Voice => "\u{201c}A call comes in\u{201d}",
            Self::Status => "\u{201c}Call status changes\u{201d}",
            Self::Message => "\u{201c}A message comes in\u{201d}",
        }
    }

    /// Where it leads, and by which method.
    fn address(self, number: &KnownNumber) -> (&str, &str) {
        match self {
            Self::Voice => (&number.voice_url, &number.voice_method),
            Self::Status => (&number.status_callback, &number.status_callback_method),
            Self::Message => (&number.sms_url, &number.sms_method),
        }
    }

    /// What Twilio asks in place of the address.
    fn instead(self, number: &KnownNumber) -> Option<&str> {
        let others = match self {
            Self::Voice | Self::Status => [&number.voice_application_sid, &number.trunk_sid],
            Self::Message => [&number.sms_application_sid, &number.sms_application_sid],
        };
        let other = others.into_iter().find(|other| !other.is_empty());
        other.map(String::as_str)
    }
}

/// Whether `door` of every number leads here.
pub(super) fn door(numbers: &[Looked], door: Door, public: &str) -> Finding {
    let wanted = Addresses(public).at(door.path());
    let faults: Vec<String> = numbers
        .iter()
        .filter_map(|number| fault(number, door, &wanted))
        .collect();
    if faults.is_empty() {
        let phones: Vec<&str> = numbers.iter().map(|number| number.phone.as_str()).collect();
        return Finding::Good(format!("{} → {wanted}", phones.join(", ")));
    }
    let fix = format!(
        "in Twilio's console, under the number's configuration, set {} to a webhook at {wanted}, HTTP POST",
        door.title()
    );
    Finding::failed(faults.join("; "), fix)
}

fn fault(number: &Looked, door: Door, wanted: &str) -> Option<String> {
    let phone = &number.phone;
    let Some(known) = &number.known else {
        return Some(format!("{phone} is no number of the Twilio account"));
    };
    if let Some(other) = door.instead(known) {
        return Some(format!("{phone} goes to {other}, not to an address"));
    }
    let (address, method) = door.address(known);
    // What stands behind `#` is for Twilio alone: time-outs and repeats.
    let sent = address.split_once('#').map_or(address, |(sent, _)| sent);
    match sent {
        "" => Some(format!("{phone} has no address there")),
        sent if sent != wanted => Some(format!("{phone} goes to {sent}")),
        _ if !method.eq_ignore_ascii_case("post") => Some(format!("{phone} comes by {method}, not by POST")),
        _ => None,
    }
}

/// Whether the number that messages come from can send them.
pub(super) fn sender(numbers: &[Looked], from: &str) -> Finding {
    let Some(number) = numbers.iter().find(|number| number.phone == from) else {
        return Finding::failed(
            "no sender is set: no message and no call leaves",
            "set twilio.from_number to a number of the Twilio account",
        );
    };
    match &number.known {
        None => Finding::failed(
            format!("{from} is no number of the Twilio account"),
            "set twilio.from_number to a number that Twilio's console lists",
        ),
        Some(known) if !known.capabilities.sms => Finding::failed(
            format!("{from} cannot send messages"),
            "set twilio.from_number to a number with the capability SMS",
        ),
        Some(_) => Finding::Good(format!("{from} can send messages")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::twilio::numbers::Capabilities;

    const PHONE: &str = "+14155550100";
    const PUBLIC: &str = "https://calls.example.com";

    fn well() -> KnownNumber {
        KnownNumber {
            phone_number: PHONE.to_owned(),
            voice_url: format!("{PUBLIC}/twilio/voice"),
            voice_method: "POST".to_owned(),
            status_callback: format!("{PUBLIC}/twilio/status#rc=5&rp=all"),
            status_callback_method: "POST".to_owned(),
            sms_url: format!("{PUBLIC}/twilio/sms"),
            sms_method: "POST".to_owned(),
            capabilities: Capabilities {
                voice: true,
                sms: true,
            },
            ..KnownNumber::default()
        }
    }

    fn looked(known: Option<KnownNumber>) -> Vec<Looked> {
        vec![Looked {
            phone: PHONE.to_owned(),
            known,
        }]
    }

    #[test]
    fn a_number_whose_doors_lead_here_is_well() {
        let numbers = looked(Some(well()));
        for one in [Door::Voice, Door::Status, Door::Message] {
            let found = door(&numbers, one, PUBLIC);
            assert!(matches!(found, Finding::Good(_)), "{found:?}");
        }
        assert!(matches!(sender(&numbers, PHONE), Finding::Good(_)));
    }

    #[test]
    fn what_leads_elsewhere_is_told_with_the_address_to_enter() {
        let (mut elsewhere, mut empty, mut by_get, mut app) = (well(), well(), well(), well());
        elsewhere.voice_url = "https://demo.twilio.com/welcome/voice/".to_owned();
        empty.voice_url = String::new();
        by_get.voice_method = "GET".to_owned();
        app.voice_application_sid = "AP1".to_owned();
        for (known, word) in [
            (Some(elsewhere), "demo.twilio.com"),
            (Some(empty), "no address"),
            (Some(by_get), "GET"),
            (Some(app), "AP1"),
            (None, "no number of the Twilio account"),
        ] {
            let Finding::Failed { said, fix } = door(&looked(known), Door::Voice, PUBLIC) else {
                panic!("{word} is a fault");
            };
            assert!(said.contains(word), "{said}");
            assert!(fix.contains("https://calls.example.com/twilio/voice"), "{fix}");
        }
    }

    #[test]
    fn a_sender_is_a_number_of_the_account_that_can_send() {
        let mut mute = well();
        mute.capabilities.sms = false;
        for (numbers, from) in [
            (looked(Some(mute)), PHONE),
            (looked(None), PHONE),
            (looked(Some(well())), ""),
        ] {
            let found = sender(&numbers, from);
            assert!(matches!(found, Finding::Failed { .. }), "{found:?}");
        }
    }
}
