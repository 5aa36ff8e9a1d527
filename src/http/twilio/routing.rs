//! Decides what a call hears: the stream first, then where the configuration sends it.
//!
//! In: settings, addresses, the media pass. Out: verbs. Pure.

use super::twiml::{Dial, DialTarget, Record, Stream, Verb};
use crate::{
    domain::{
        audio::Speaker,
        call::{CallStatus, Leg},
        ids::{AgentId, CallSid},
    },
    integrations::twilio::{
        Routing, TwilioSettings,
        addresses::Addresses,
        doors as paths,
        media_pass::{PASS_PARAMETER, ROLE_PARAMETER},
    },
};

/// Where recordings are reported that callers leave for us.
const VOICEMAIL_DOOR: &str = "/twilio/recording?voicemail=1";
/// Longest message a caller may leave, seconds.
const MESSAGE_S_MAX: u32 = 180;

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Dial(String),
    /// The caller leaves a message.
    Record,
    /// To the telephone of an agent; `tries` counts those who were asked, with this one.
    Agent {
        id: AgentId,
        phone: String,
        tries: u32,
    },
}

impl Route {
    /// Where the configuration sends calls.
    #[must_use]
    pub fn of_settings(settings: &TwilioSettings) -> Self {
        match settings.routing {
            Routing::Dial => Self::Dial(settings.dial_to.clone()),
            Routing::Record => Self::Record,
        }
    }
}

/// A room of a call's own, which the agent is brought into: supervisors can listen there. It bears the call's id, so no other
/// caller ever gets into it.
#[derive(Debug, Clone, Copy)]
pub struct OwnRoom<'a> {
    pub call: &'a CallSid,
    /// The number of ours that the call came to, or goes out from.
    pub ours: &'a str,
}

/// Returns what a call hears first: the consent line, then it is streamed, then it is routed.
#[must_use]
pub fn greet(
    settings: &TwilioSettings,
    doors: Addresses<'_>,
    (pass, inbound): (&str, Speaker),
    (route, room): (&Route, Option<OwnRoom<'_>>),
) -> Vec<Verb> {
    let mut verbs = heard(settings, doors, pass, inbound);
    verbs.extend(sent(settings, doors, route, room));
    verbs
}

/// Returns what sends a call on its way; with a `room`, whoever it is put through to is brought into that.
#[must_use]
pub fn sent(
    settings: &TwilioSettings,
    doors: Addresses<'_>,
    route: &Route,
    room: Option<OwnRoom<'_>>,
) -> Vec<Verb> {
    let (agent, to) = match route {
        Route::Record => return take_message(settings, doors),
        Route::Dial(to) => (Leg::Agent { tries: 1, id: None }, to),
        Route::Agent { id, phone, tries } => {
            let (tries, id) = (*tries, Some(*id));
            (Leg::Agent { tries, id }, phone)
        }
    };
    let target = match room {
        None => DialTarget::Number {
            number: to.clone(),
            status_callback: doors.callback("/twilio/status"),
        },
        Some(OwnRoom { call, ours }) => DialTarget::Conference {
            room: call.to_string(),
            label: Leg::Customer.to_string(),
            status_callback: doors.callback(&paths::room(agent, (ours, to))),
        },
    };
    vec![Verb::Dial(Dial {
        action: doors.at(&paths::dial(agent, room.is_some())),
        timeout_s: settings.dial_timeout_s,
        target,
    })]
}

/// Returns what comes first on any call: the consent line, then the stream.
#[must_use]
pub fn heard(settings: &TwilioSettings, doors: Addresses<'_>, pass: &str, inbound: Speaker) -> Vec<Verb> {
    let mut verbs = Vec::new();
    if !settings.consent_text.is_empty() {
        // Nothing is heard before the caller was told.
        verbs.push(Verb::Say(settings.consent_text.clone()));
    }
    verbs.push(Verb::StartStream(Stream {
        url: doors.socket(&format!("/twilio/media/{pass}")),
        status_callback: doors.callback("/twilio/stream"),
        parameters: vec![
            (PASS_PARAMETER, pass.to_owned()),
            (ROLE_PARAMETER, inbound.as_str().to_owned()),
        ],
    }));
    verbs
}

/// Returns what a caller hears after the leg to the agent ended with `status`.
#[must_use]
pub fn after_dial(settings: &TwilioSettings, doors: Addresses<'_>, status: CallStatus) -> Vec<Verb> {
    let was_missed = status.is_terminal() && status != CallStatus::Completed;
    if was_missed && settings.voicemail {
        take_message(settings, doors)
    } else {
        vec![Verb::Hangup]
    }
}

fn take_message(settings: &TwilioSettings, doors: Addresses<'_>) -> Vec<Verb> {
    let say = (!settings.say_text.is_empty()).then(|| Verb::Say(settings.say_text.clone()));
    let record = Verb::Record(Record {
        action: doors.at(VOICEMAIL_DOOR),
        status_callback: doors.callback(VOICEMAIL_DOOR),
        length_max_s: MESSAGE_S_MAX,
    });
    // Twilio goes on behind the recording when it heard nothing.
    say.into_iter().chain([record, Verb::Hangup]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    const DOORS: Addresses<'static> = Addresses("https://h.example");

    fn settings(routing: Routing) -> TwilioSettings {
        TwilioSettings {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_token: Secret::new("12345".into()),
            api_base: "https://api.twilio.com".into(),
            from_number: "+14155550100".into(),
            routing,
            dial_to: "+14155550123".into(),
            dial_timeout_s: 20,
            supervision: false,
            consent_text: String::new(),
            say_text: "Please leave a message.".into(),
            voicemail: true,
            messages_per_s: 1,
        }
    }

    #[test]
    fn every_routing_streams_before_it_routes() {
        for routing in [Routing::Dial, Routing::Record] {
            let settings = settings(routing);
            let route = Route::of_settings(&settings);
            let verbs = greet(&settings, DOORS, ("pass", Speaker::Customer), (&route, None));
            let Some(Verb::StartStream(stream)) = verbs.first() else {
                panic!("{verbs:?}")
            };
            assert_eq!(stream.url, "wss://h.example/twilio/media/pass");
            assert!(stream.parameters.contains(&(PASS_PARAMETER, "pass".to_owned())));
            assert!(
                stream
                    .parameters
                    .contains(&(ROLE_PARAMETER, "customer".to_owned()))
            );
            assert!(verbs.len() > 1, "the call would end at once: {verbs:?}");
        }
    }

    #[test]
    fn consent_is_asked_before_anything_is_heard() {
        let consent = TwilioSettings {
            consent_text: "We listen.".into(),
            ..settings(Routing::Dial)
        };
        let verbs = greet(
            &consent,
            DOORS,
            ("pass", Speaker::Customer),
            (&Route::Record, None),
        );
        assert_eq!(verbs.first(), Some(&Verb::Say("We listen.".into())));
    }

    #[test]
    fn a_supervised_call_has_a_room_that_no_other_call_gets_into() {
        let settings = settings(Routing::Dial);
        let calls = [CallSid::new("CA1"), CallSid::new("CA2")];
        let rooms = calls.each_ref().map(|call| {
            let own = OwnRoom {
                call,
                ours: "+15550001111",
            };
            let verbs = sent(&settings, DOORS, &Route::of_settings(&settings), Some(own));
            let [Verb::Dial(dial)] = verbs.as_slice() else {
                panic!("{verbs:?}")
            };
            assert_eq!(dial.action, "https://h.example/twilio/dial?room=1");
            let DialTarget::Conference {
                room,
                label,
                status_callback,
            } = &dial.target
            else {
                panic!("{dial:?}")
            };
            assert_eq!(
                (label.as_str(), status_callback.as_str()),
                (
                    "customer",
                    "https://h.example/twilio/room?leg=agent-1&from=%2B15550001111&to=%2B14155550123#rc=5&rp=ct,rt,5xx"
                )
            );
            room.clone()
        });
        assert_eq!(rooms, ["CA1", "CA2"]);
    }

    #[test]
    fn a_missed_caller_may_leave_a_message_where_that_is_wanted() {
        let missed = after_dial(&settings(Routing::Dial), DOORS, CallStatus::NoAnswer);
        assert!(
            matches!(missed.as_slice(), [Verb::Say(_), Verb::Record(_), Verb::Hangup]),
            "{missed:?}"
        );
        let without = TwilioSettings {
            voicemail: false,
            ..settings(Routing::Dial)
        };
        assert_eq!(after_dial(&without, DOORS, CallStatus::NoAnswer), [Verb::Hangup]);
        assert_eq!(
            after_dial(&settings(Routing::Dial), DOORS, CallStatus::Completed),
            [Verb::Hangup]
        );
    }
}
