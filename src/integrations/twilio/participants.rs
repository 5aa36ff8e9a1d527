//! Twilio's conferences by its REST API: legs that are dialled into one, and how they are heard.
//!
//! A leg is given a label, which is unique to it: a leg whose dialling is in doubt is looked up by it.
//! <https://www.twilio.com/docs/voice/api/conference-participant-resource>

use reqwest::Method;
use serde::Deserialize;

use super::rest::{KnownCall, RestError, TwilioRest};
use crate::{
    domain::ids::{CallSid, RoomSid},
    integrations::line::Voice,
};

/// A leg to dial into a conference.
#[derive(Debug, Clone, Copy)]
pub struct NewParticipant<'a> {
    pub room: &'a RoomSid,
    pub label: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub voice: &'a Voice,
    /// Whether the conference ends when this leg does.
    pub ends_conference: bool,
    pub status_callback: &'a str,
    /// Seconds it rings.
    pub timeout_s: u32,
}

/// A leg as Twilio knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Participant {
    pub call_sid: String,
}

/// The fields that make a leg heard like this.
fn voiced(voice: &Voice) -> Vec<(&'static str, &str)> {
    match voice {
        // Whether it coaches is left as it is: there must be no moment in which it does not and is not muted.
        Voice::Muted => vec![("Muted", "true")],
        Voice::Coaching(agent) => vec![
            ("Muted", "false"),
            ("Coaching", "true"),
            ("CallSidToCoach", agent.as_str()),
        ],
        Voice::Open => vec![("Muted", "false"), ("Coaching", "false")],
    }
}

impl TwilioRest {
    /// Dials a leg into a conference.
    pub async fn add_participant(&self, wanted: &NewParticipant<'_>) -> Result<Participant, RestError> {
        let timeout = wanted.timeout_s.to_string();
        let mut form = vec![
            ("From", wanted.from),
            ("To", wanted.to),
            ("Label", wanted.label),
            ("Timeout", &timeout),
            ("StatusCallback", wanted.status_callback),
            (
                "EndConferenceOnExit",
                if wanted.ends_conference { "true" } else { "false" },
            ),
            // Neither the tone on joining nor the ringing of this telephone is heard by the others.
            ("Beep", "false"),
            ("EarlyMedia", "false"),
        ];
        for event in ["initiated", "ringing", "answered", "completed"] {
            form.push(("StatusCallbackEvent", event));
        }
        form.extend(voiced(wanted.voice));
        let path = format!("Conferences/{}/Participants.json", wanted.room);
        self.read(self.request(Method::POST, &path)?.form(&form)).await
    }

    /// Changes how a leg is heard. `None` when it is not in the conference.
    pub async fn set_participant(
        &self,
        room: &RoomSid,
        sid: &CallSid,
        voice: &Voice,
    ) -> Result<Option<Participant>, RestError> {
        let path = format!("Conferences/{room}/Participants/{sid}.json");
        let request = self.request(Method::POST, &path)?.form(&voiced(voice));
        present(self.read(request).await)
    }

    /// A leg of a conference by its label; also while its telephone rings. `None` when there is none.
    pub async fn participant(&self, room: &RoomSid, label: &str) -> Result<Option<Participant>, RestError> {
        let path = format!("Conferences/{room}/Participants/{label}.json");
        present(self.read(self.request(Method::GET, &path)?).await)
    }

    /// Has a call that is under way ask `url` what to do. `None` when Twilio knows nothing of it.
    pub async fn redirect_call(&self, sid: &CallSid, url: &str) -> Result<Option<KnownCall>, RestError> {
        let request = self.request(Method::POST, &format!("Calls/{sid}.json"))?;
        present(self.read(request.form(&[("Url", url), ("Method", "POST")])).await)
    }
}

fn present<T>(answer: Result<T, RestError>) -> Result<Option<T>, RestError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(RestError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_muted_and_whoever_whispers_is_heard_by_one() {
        assert_eq!(voiced(&Voice::Muted), [("Muted", "true")]);
        let agent = Voice::Coaching(CallSid::new("CA2"));
        assert_eq!(
            voiced(&agent),
            [
                ("Muted", "false"),
                ("Coaching", "true"),
                ("CallSidToCoach", "CA2")
            ]
        );
        assert_eq!(voiced(&Voice::Open), [("Muted", "false"), ("Coaching", "false")]);
    }
}
