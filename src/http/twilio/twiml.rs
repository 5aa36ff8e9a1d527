//! Writes TwiML, Twilio's answer language.
//!
//! In: verbs. Out: an XML document. Knows no routing: which verbs are wanted is decided elsewhere.

use std::fmt::Write as _;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Reads a text out.
    Say(String),
    /// Forks the audio of both tracks to a WebSocket and goes on at once.
    StartStream(Stream),
    Dial(Dial),
    Record(Record),
    Hangup,
}

/// Where the audio goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// A `wss` address without a query: Twilio takes no other.
    pub url: String,
    pub status_callback: String,
    /// Names and values that come back in the `start` message; together under 500 characters each.
    pub parameters: Vec<(&'static str, String)>,
}

/// Connects the caller to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// Asked for the next instructions when the other leg has ended.
    pub action: String,
    pub timeout_s: u32,
    pub target: DialTarget,
}

/// Whom the caller is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialTarget {
    /// A telephone number; its progress is reported to `status_callback`.
    Number { number: String, status_callback: String },
    /// A room; who joins and leaves, and how they are heard, is reported to `status_callback`. It closes when the caller leaves.
    Conference {
        room: String,
        /// The caller's name in it.
        label: String,
        status_callback: String,
    },
}

/// Records what the caller says after a tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Asked for the next instructions afterwards. Without one Twilio would ask the voice address and start all over.
    pub action: String,
    /// Told when the file is ready.
    pub status_callback: String,
    pub length_max_s: u32,
}

/// Returns the document that carries out `verbs` in order.
#[must_use]
pub fn document(verbs: &[Verb]) -> String {
    let mut writer = Writer(String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#));
    writer.open("Response", &[]);
    for verb in verbs {
        write_verb(&mut writer, verb);
    }
    writer.close("Response");
    writer.0
}

fn write_verb(writer: &mut Writer, verb: &Verb) {
    match verb {
        Verb::Say(text) => writer.leaf("Say", &[], text),
        Verb::StartStream(stream) => {
            writer.open("Start", &[]);
            let attributes = [
                ("url", stream.url.as_str()),
                ("track", "both_tracks"),
                ("statusCallback", &stream.status_callback),
            ];
            writer.open("Stream", &attributes);
            for (name, value) in &stream.parameters {
                writer.leaf("Parameter", &[("name", name), ("value", value)], "");
            }
            writer.close("Stream");
            writer.close("Start");
        }
        Verb::Dial(dial) => {
            let timeout = dial.timeout_s.to_string();
            writer.open("Dial", &[("action", &dial.action), ("timeout", &timeout)]);
            write_target(writer, &dial.target);
            writer.close("Dial");
        }
        Verb::Record(record) => {
            let length = record.length_max_s.to_string();
            let attributes = [
                ("action", record.action.as_str()),
                ("maxLength", &length),
                ("recordingStatusCallback", &record.status_callback),
                ("recordingStatusCallbackEvent", "completed absent"),
            ];
            writer.leaf("Record", &attributes, "");
        }
        Verb::Hangup => writer.leaf("Hangup", &[], ""),
    }
}

fn write_target(writer: &mut Writer, target: &DialTarget) {
    match target {
        DialTarget::Number {
            number,
            status_callback,
        } => {
            let attributes = [
                ("statusCallback", status_callback.as_str()),
                ("statusCallbackEvent", "answered completed"),
            ];
            writer.leaf("Number", &attributes, number);
        }
        DialTarget::Conference {
            room,
            label,
            status_callback,
        } => {
            let attributes = [
                ("beep", "false"),
                ("endConferenceOnExit", "true"),
                ("participantLabel", label.as_str()),
                ("statusCallback", status_callback),
                ("statusCallbackEvent", "end join leave mute modify"),
            ];
            writer.leaf("Conference", &attributes, room);
        }
    }
}

/// The document so far.
struct Writer(String);

impl Writer {
    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "</{name}>");
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        if text.is_empty() {
            self.start(name, attributes);
            self.0.push_str(" />");
        } else {
            self.open(name, attributes);
            self.text(text);
            self.close(name);
        }
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.0, "<{name}");
        for (attribute, value) in attributes {
            let _ = write!(self.0, " {attribute}=\"");
            self.text(value);
            self.0.push('"');
        }
    }

    /// Writes `text` so that it reads back as itself, but for characters that XML 1.0 cannot carry: those are left out.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                // Plain, they would be read back as blanks from an attribute.
                '\t' => self.0.push_str("&#9;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => (),
                _ => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_stream_before_the_dial() {
        let stream = Stream {
            url: "wss://h.example/twilio/media/abc".into(),
            status_callback: "https://h.example/twilio/stream".into(),
            parameters: vec![("t", "abc".into())],
        };
        let target = DialTarget::Number {
            number: "+14155550123".into(),
            status_callback: "https://h.example/twilio/status".into(),
        };
        let dial = Dial {
            action: "https://h.example/twilio/dial".into(),
            timeout_s: 20,
            target,
        };
        assert_eq!(
            document(&[Verb::StartStream(stream), Verb::Dial(dial)]),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
                r#"<Start><Stream url="wss://h.example/twilio/media/abc" track="both_tracks" "#,
                r#"statusCallback="https://h.example/twilio/stream"><Parameter name="t" value="abc" /></Stream></Start>"#,
                r#"<Dial action="https://h.example/twilio/dial" timeout="20">"#,
                r#"<Number statusCallback="https://h.example/twilio/status" "#,
                r#"statusCallbackEvent="answered completed">+14155550123</Number></Dial></Response>"#,
            )
        );
    }

    #[test]
    fn escapes_what_would_end_a_text_or_an_attribute() {
        let say = document(&[Verb::Say("Tom & \"Jerry\" <b>it's\u{0}\u{b} ok</b>".into())]);
        assert!(
            say.ends_with(
                "<Say>Tom &amp; &quot;Jerry&quot; &lt;b&gt;it&apos;s ok&lt;/b&gt;</Say></Response>"
            ),
            "{say}"
        );
    }

    #[test]
    fn nothing_to_do_is_an_empty_response() {
        assert_eq!(
            document(&[]),
            r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#
        );
    }
}
