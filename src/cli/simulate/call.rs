//! Plays one call from its first webhook to its last, as Twilio orders them.
//!
//! In: who calls whom, how it ends, the two sides. Out: what was measured. Follows the TwiML that comes back: stream,
//! dial, record.

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    args::{CallDirection, Ending},
    audio::{FRAMES_PER_SECOND, Side},
    doors::{Doors, Form, callback_time},
    media::{MediaStream, Pace, StreamTarget},
    outcome::SimulateError,
    twiml::{Element, Instructions},
};

const VOICE: &str = "/twilio/voice";
const STATUS: &str = "/twilio/status";
const AMD: &str = "/twilio/amd";

/// Everything a call needs to be played.
#[derive(Debug, Clone)]
pub struct Cast {
    pub call_sid: String,
    /// The customer's number.
    pub customer: String,
    /// The account's number.
    pub ours: String,
    pub direction: CallDirection,
    pub ending: Ending,
    /// What the customer says.
    pub caller: Side,
    /// What our side says.
    pub agent: Side,
    pub speed: f64,
}

/// Moments of a call that others are measured against.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// Frame 0 was due.
    AudioStarted(Instant),
    /// The webhook that says how the call ended, or that it was missed, left.
    EndReported(Instant),
}

/// What a played call measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Played {
    pub pace: Pace,
}

/// Returns a fresh id in Twilio's form: two letters and 32 hex digits.
#[must_use]
pub fn fresh_sid(letters: &str) -> String {
    format!("{letters}{}", Uuid::now_v7().simple())
}

/// Plays the call. `tell` hears of its moments when they happen.
///
/// # Errors
/// [`SimulateError`] of the first door that did not answer as Twilio expects.
pub async fn play(
    doors: &Doors,
    cast: &Cast,
    tell: &(dyn Fn(Moment) + Sync),
) -> Result<Played, SimulateError> {
    let line = Line { doors, cast, tell };
    match cast.direction {
        CallDirection::Inbound => line.inbound().await,
        CallDirection::Outbound => line.outbound().await,
    }
}

/// One call that is being played.
struct Line<'a> {
    doors: &'a Doors,
    cast: &'a Cast,
    tell: &'a (dyn Fn(Moment) + Sync),
}

impl Line<'_> {
    /// The customer calls: the TwiML is asked for while it rings, and the number's callback comes at the end only.
    async fn inbound(&self) -> Result<Played, SimulateError> {
        let instructions = self.ask("ringing").await?;
        let is_missed = !matches!(self.cast.ending, Ending::Completed | Ending::Voicemail);
        if is_missed && instructions.dial().is_none() {
            // Nobody to dial: the caller gave up, or the network did, while it rang.
            self.report_end(self.cast.ending, 0).await?;
            return Ok(Played::default());
        }
        let played = self.connected(&instructions).await?;
        self.report_end(Ending::Completed, 0).await?;
        Ok(played)
    }

    /// We call the customer: every step is reported, and the TwiML is asked for when they pick up.
    async fn outbound(&self) -> Result<Played, SimulateError> {
        self.report("initiated", 0, &[]).await?;
        self.report("ringing", 1, &[]).await?;
        if !matches!(self.cast.ending, Ending::Completed | Ending::Voicemail) {
            self.report_end(self.cast.ending, 2).await?;
            return Ok(Played::default());
        }
        self.report("in-progress", 2, &[]).await?;
        let instructions = self.ask("in-progress").await?;
        let mut stream = self.open_stream(&instructions).await?;
        let pace = if self.cast.ending == Ending::Completed {
            self.talk(&instructions, stream.as_mut()).await?
        } else {
            (self.tell)(Moment::EndReported(Instant::now()));
            let found = [
                ("AnsweredBy", "machine_end_beep"),
                ("MachineDetectionDuration", "4200"),
            ];
            self.doors.post(AMD, &self.form("in-progress", &found)).await?;
            Pace::default()
        };
        self.close(stream).await?;
        self.report_end(Ending::Completed, 3).await?;
        Ok(Played { pace })
    }

    /// The call is up at our provider: the audio is forked, then the legs come together or they do not.
    async fn connected(&self, instructions: &Instructions) -> Result<Played, SimulateError> {
        let mut stream = self.open_stream(instructions).await?;
        let pace = if self.cast.ending == Ending::Completed {
            self.talk(instructions, stream.as_mut()).await?
        } else {
            self.miss(instructions, stream.as_mut()).await?
        };
        self.close(stream).await?;
        Ok(Played { pace })
    }

    /// Both sides speak until the audio ends.
    async fn talk(
        &self,
        first: &Instructions,
        stream: Option<&mut MediaStream>,
    ) -> Result<Pace, SimulateError> {
        let agent = first.dial().map(|dial| (dial, fresh_sid("CA")));
        if let Some((dial, sid)) = &agent {
            self.report_agent(dial, sid, AgentLeg::PickedUp).await?;
        }
        let pace = match stream {
            Some(stream) => {
                stream
                    .play(&self.cast.caller, &self.cast.agent, self.cast.speed)
                    .await?
            }
            None => Pace::default(),
        };
        if let Some((dial, sid)) = &agent {
            self.report_agent(dial, sid, AgentLeg::HungUp).await?;
            self.end_dial(dial, sid).await?;
        } else if let Some(record) = first.record() {
            self.deliver_message(record).await?;
        }
        Ok(pace)
    }

    /// Nobody picks up; a message is left where that is wanted and asked for.
    async fn miss(
        &self,
        first: &Instructions,
        stream: Option<&mut MediaStream>,
    ) -> Result<Pace, SimulateError> {
        let after = match first.dial() {
            Some(dial) => self.end_dial(dial, &fresh_sid("CA")).await?,
            None => first.clone(),
        };
        if self.cast.ending != Ending::Voicemail {
            return Ok(Pace::default());
        }
        let record = after.record().ok_or_else(|| SimulateError::Twiml {
            why: "no <Record> takes a message".to_owned(),
            twiml: format!("{:?}", after.0),
        })?;
        let pace = match stream {
            Some(stream) => {
                stream
                    .play(&self.cast.caller, &Side::silent(0), self.cast.speed)
                    .await?
            }
            None => Pace::default(),
        };
        self.deliver_message(record).await?;
        Ok(pace)
    }

    /// Asks the dial's action what to do now that the agent's leg is over.
    async fn end_dial(&self, dial: &Element, sid: &str) -> Result<Instructions, SimulateError> {
        let Some(action) = dial.attribute("action") else {
            return Ok(Instructions::default());
        };
        let mut result = vec![("DialCallStatus", self.cast.ending.word()), ("DialCallSid", sid)];
        let seconds = self.seconds();
        if self.cast.ending == Ending::Completed {
            result.extend([("DialCallDuration", seconds.as_str()), ("DialBridged", "true")]);
        } else {
            (self.tell)(Moment::EndReported(Instant::now()));
        }
        let answer = self
            .doors
            .post(action, &self.form("in-progress", &result))
            .await?;
        Instructions::parse(&answer)
    }

    /// Reports the recorded message: first what the verb asks, then that the file is ready.
    async fn deliver_message(&self, record: &Element) -> Result<(), SimulateError> {
        let seconds = self.seconds();
        let sid = fresh_sid("RE");
        let account = &self.doors.account().sid;
        let url = format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{sid}");
        let made = [
            ("RecordingUrl", url.as_str()),
            ("RecordingSid", &sid),
            ("RecordingDuration", &seconds),
        ];
        (self.tell)(Moment::EndReported(Instant::now()));
        if let Some(action) = record.attribute("action") {
            let form = [made.as_slice(), &[("Digits", "hangup")]].concat();
            self.doors.post(action, &self.form("completed", &form)).await?;
        }
        if let Some(callback) = record.attribute("recordingStatusCallback") {
            let ready = [
                ("RecordingStatus", "completed"),
                ("RecordingChannels", "1"),
                ("RecordingSource", "RecordVerb"),
            ];
            let form = [made.as_slice(), &ready].concat();
            self.doors.post(callback, &self.form("completed", &form)).await?;
        }
        Ok(())
    }

    async fn close(&self, stream: Option<MediaStream>) -> Result<(), SimulateError> {
        match stream {
            Some(stream) => stream.stop(&self.doors.account().sid).await,
            None => Ok(()),
        }
    }

    /// Asks for the TwiML of this call.
    async fn ask(&self, status: &str) -> Result<Instructions, SimulateError> {
        let answer = self.doors.post(VOICE, &self.form(status, &[])).await?;
        Instructions::parse(&answer)
    }

    async fn open_stream(&self, instructions: &Instructions) -> Result<Option<MediaStream>, SimulateError> {
        let Some(url) = instructions.stream().and_then(|stream| stream.attribute("url")) else {
            return Ok(None);
        };
        let target = StreamTarget {
            url: url.to_owned(),
            call_sid: self.cast.call_sid.clone(),
            stream_sid: fresh_sid("MZ"),
            parameters: instructions.stream_parameters(),
        };
        let stream = MediaStream::open(self.doors, target).await?;
        (self.tell)(Moment::AudioStarted(stream.started()));
        Ok(Some(stream))
    }

    /// Reports that the dialled number picked up or hung up, where the TwiML asks for it.
    async fn report_agent(&self, dial: &Element, sid: &str, leg: AgentLeg) -> Result<(), SimulateError> {
        let number = dial.child("Number");
        let Some((number, callback)) = number.and_then(|n| Some((n, n.attribute("statusCallback")?))) else {
            return Ok(());
        };
        let wanted = number.attribute("statusCallbackEvent").unwrap_or("completed");
        let (event, status, sequence) = match leg {
            AgentLeg::PickedUp => ("answered", "in-progress", "2"),
            AgentLeg::HungUp => ("completed", "completed", "3"),
        };
        if !wanted.split_whitespace().any(|word| word == event) {
            return Ok(());
        }
        let seconds = self.seconds();
        let mut form: Form = self.form(status, &progress(sequence));
        replace(&mut form, "CallSid", sid);
        replace(&mut form, "To", number.text.trim());
        replace(&mut form, "Called", number.text.trim());
        replace(&mut form, "Direction", "outbound-dial");
        form.push(("ParentCallSid".into(), self.cast.call_sid.clone()));
        form.push(("Timestamp".into(), callback_time()));
        if leg == AgentLeg::HungUp {
            form.push(("CallDuration".into(), seconds));
        }
        self.doors.post(callback, &form).await.map(drop)
    }

    async fn report_end(&self, ending: Ending, sequence: u32) -> Result<(), SimulateError> {
        let seconds = if ending == Ending::Completed {
            self.seconds()
        } else {
            "0".to_owned()
        };
        let minutes = seconds.parse::<u64>().unwrap_or(0).div_ceil(60).to_string();
        let mut extra = vec![("CallDuration", seconds.as_str()), ("Duration", minutes.as_str())];
        extra.extend(ending.sip_code().map(|code| ("SipResponseCode", code)));
        (self.tell)(Moment::EndReported(Instant::now()));
        self.report(ending.word(), sequence, &extra).await
    }

    async fn report(&self, status: &str, sequence: u32, extra: &[(&str, &str)]) -> Result<(), SimulateError> {
        let sequence = sequence.to_string();
        let time = callback_time();
        let mut all = progress(&sequence).to_vec();
        all.push(("Timestamp", time.as_str()));
        all.extend_from_slice(extra);
        self.doors.post(STATUS, &self.form(status, &all)).await.map(drop)
    }

    /// The parameters that every request about this call carries, and `extra`.
    fn form(&self, status: &str, extra: &[(&str, &str)]) -> Form {
        let (from, to, direction) = match self.cast.direction {
            CallDirection::Inbound => (&self.cast.customer, &self.cast.ours, "inbound"),
            CallDirection::Outbound => (&self.cast.ours, &self.cast.customer, "outbound-api"),
        };
        let common = [
            ("CallSid", self.cast.call_sid.as_str()),
            ("AccountSid", self.doors.account().sid.as_str()),
            ("From", from),
            ("Caller", from),
            ("To", to),
            ("Called", to),
            ("CallStatus", status),
            ("Direction", direction),
            ("ApiVersion", "2010-04-01"),
        ];
        common
            .iter()
            .chain(extra)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// How long the call is, in whole seconds of its own time.
    fn seconds(&self) -> String {
        let frames = match self.cast.ending {
            Ending::Completed => self.cast.caller.len().max(self.cast.agent.len()),
            Ending::Voicemail => self.cast.caller.len(),
            Ending::NoAnswer | Ending::Busy | Ending::Failed => 0,
        };
        frames.div_ceil(FRAMES_PER_SECOND).to_string()
    }
}

/// What the dialled number did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AgentLeg {
    PickedUp,
    HungUp,
}

fn progress(sequence: &str) -> [(&str, &str); 2] {
    [
        ("SequenceNumber", sequence),
        ("CallbackSource", "call-progress-events"),
    ]
}

fn replace(form: &mut Form, name: &str, value: &str) {
    for (known, old) in form.iter_mut() {
        if known == name {
            value.clone_into(old);
        }
    }
}
