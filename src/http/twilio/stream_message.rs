//! Reads the messages of a media stream: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.
//!
//! In: one JSON text. Out: what it says. Runs for every 20 ms frame of every call: one pass over the text, borrowed fields,
//! and one allocation for the audio. Numbers come as strings; plain numbers are taken as well.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::domain::audio::Track;

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamMessage {
    Start(Start),
    Media(Media),
    /// The provider ends the stream.
    Stop,
    /// `connected`, `mark`, `dtmf`, and whatever Twilio may add.
    Other,
}

/// The stream begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    pub account: String,
    pub call: String,
    pub stream: String,
    pub is_telephone_audio: bool,
    /// What our TwiML gave along.
    pub parameters: BTreeMap<String, String>,
}

/// Audio of one track.
#[derive(Debug, PartialEq, Eq)]
pub struct Media {
    pub track: Track,
    pub chunk: u64,
    pub timestamp_ms: u64,
    /// G.711 μ-law.
    pub payload: Vec<u8>,
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("not JSON in the form of a stream message")]
    Json(#[source] serde_json::Error),
    #[error("a {0} message without its part")]
    Incomplete(&'static str),
    #[error("audio that is not base64")]
    Audio(#[source] base64::DecodeError),
}

impl StreamMessage {
    /// Reads one message.
    ///
    /// # Errors
    /// [`MessageError`] for anything Twilio would not send.
    pub fn read(text: &str) -> Result<Self, MessageError> {
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(MessageError::Json)?;
        match envelope.event.as_ref() {
            "media" => {
                let media = envelope.media.ok_or(MessageError::Incomplete("media"))?;
                let payload = STANDARD
                    .decode(media.payload.as_bytes())
                    .map_err(MessageError::Audio)?;
                let track = media.track;
                Ok(Self::Media(Media {
                    track,
                    chunk: media.chunk.0,
                    timestamp_ms: media.timestamp.0,
                    payload,
                }))
            }
            "start" => {
                let start = envelope.start.ok_or(MessageError::Incomplete("start"))?;
                let format = start.media_format;
                Ok(Self::Start(Start {
                    account: start.account_sid,
                    call: start.call_sid,
                    stream: start.stream_sid,
                    is_telephone_audio: format.encoding == "audio/x-mulaw" && format.sample_rate.0 == 8_000,
                    parameters: start.custom_parameters,
                }))
            }
            "stop" => Ok(Self::Stop),
            _ => Ok(Self::Other),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    media: Option<MediaPart<'a>>,
    #[serde(default)]
    start: Option<StartPart>,
}

#[derive(Deserialize)]
struct MediaPart<'a> {
    track: Track,
    chunk: Number,
    timestamp: Number,
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartPart {
    account_sid: String,
    call_sid: String,
    stream_sid: String,
    media_format: MediaFormat,
    #[serde(default)]
    custom_parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaFormat {
    encoding: String,
    sample_rate: Number,
}

/// A whole number, written as one or as a string.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or its digits")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse()
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(body: &str) -> Result<StreamMessage, MessageError> {
        StreamMessage::read(&format!(
            r#"{{"event":"media","sequenceNumber":"3","streamSid":"MZ1","media":{body}}}"#
        ))
    }

    #[test]
    fn reads_the_start_as_twilio_documents_it() {
        let text = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1",
            "tracks":["inbound","outbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
            "customParameters":{"t":"abc","role_inbound":"customer"}},"streamSid":"MZ1"}"#;
        let StreamMessage::Start(start) = StreamMessage::read(text).expect("readable") else {
            panic!("another message")
        };
        assert_eq!(
            (start.account.as_str(), start.call.as_str(), start.stream.as_str()),
            ("AC1", "CA1", "MZ1")
        );
        assert_eq!(start.parameters.get("t").map(String::as_str), Some("abc"));
        assert!(start.is_telephone_audio);
    }

    #[test]
    fn reads_audio_with_numbers_as_strings_or_as_numbers() {
        let expected = Media {
            track: Track::Outbound,
            chunk: 7,
            timestamp_ms: 140,
            payload: vec![0xff, 0x7f],
        };
        for body in [
            r#"{"track":"outbound","chunk":"7","timestamp":"140","payload":"/38="}"#,
            r#"{"payload":"\/38=","timestamp":140,"chunk":7,"track":"outbound","added":{"later":[1]}}"#,
        ] {
            assert_eq!(
                media(body).ok(),
                Some(StreamMessage::Media(expected_again(&expected))),
                "{body}"
            );
        }
    }

    fn expected_again(media: &Media) -> Media {
        Media {
            payload: media.payload.clone(),
            ..*media
        }
    }

    #[test]
    fn leaves_other_events_alone_and_knows_the_stop() {
        for event in ["connected", "mark", "dtmf", "something-new"] {
            let text = format!(r#"{{"event":"{event}","protocol":"Call","version":"1.0.0"}}"#);
            assert_eq!(StreamMessage::read(&text).ok(), Some(StreamMessage::Other));
        }
        let stop = r#"{"event":"stop","sequenceNumber":"5","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#;
        assert_eq!(StreamMessage::read(stop).ok(), Some(StreamMessage::Stop));
    }

    #[test]
    fn refuses_what_twilio_would_not_send() {
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"event":7}"#,
            r#"{"event":"media"}"#,
            r#"{"event":"start"}"#,
        ] {
            assert!(StreamMessage::read(text).is_err(), "{text}");
        }
        for body in [
            r#"{"track":"sideways","chunk":"1","timestamp":"0","payload":""}"#,
            r#"{"track":"inbound","chunk":"one","timestamp":"0","payload":""}"#,
            r#"{"track":"inbound","chunk":"1","timestamp":"-20","payload":""}"#,
            r#"{"track":"inbound","chunk":"1","timestamp":"0","payload":"not base64"}"#,
        ] {
            assert!(media(body).is_err(), "{body}");
        }
    }
}
