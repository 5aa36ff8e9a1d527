//! Shows what comes back: text for people, JSON lines for programs.
//!
//! In: facts with their place in the call. Out: lines on standard output. Colours only on a terminal; a partial
//! transcript is one line there that is overwritten, and is left out elsewhere.

use std::io::{IsTerminal, Stdout, Write, stdout};

use serde_json::{Value, json};

use super::{
    outcome::SimulateError,
    summary::{Quantiles, Summary},
};
use crate::{
    bus::live::{LiveFact, StepStatus},
    domain::{
        alert::Severity,
        audio::Speaker,
        call::Call,
        message::Message as Sent,
        sentiment::{Sentiment, SentimentLabel},
    },
};

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const DIM: &str = "2";
/// Erases the line the cursor stands on.
const ERASE_LINE: &str = "\r\x1b[2K";
/// Characters of a partial text that are shown: one line of a terminal.
const PARTIAL_CHARS_MAX: usize = 70;
/// Characters of a step's detail that are shown.
const DETAIL_CHARS_MAX: usize = 160;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Json,
    Plain,
    Terminal,
}

/// Writes to standard output.
#[derive(Debug)]
pub struct Printer {
    out: Stdout,
    style: Style,
    /// Whether the cursor stands on a partial text.
    on_partial: bool,
    /// Whether lines must say which call they are about.
    many: bool,
}

impl Printer {
    /// A printer of JSON lines or of text.
    #[must_use]
    pub fn new(json: bool, many: bool) -> Self {
        let out = stdout();
        let style = match (json, out.is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Terminal,
            (false, false) => Style::Plain,
        };
        Self {
            out,
            style,
            on_partial: false,
            many,
        }
    }

    /// Says what is about to happen.
    ///
    /// # Errors
    /// [`SimulateError::Output`] when standard output is gone.
    pub fn headline(&mut self, text: &str) -> Result<(), SimulateError> {
        match self.style {
            Style::Json => Ok(()),
            Style::Plain | Style::Terminal => self.line(text),
        }
    }

    /// Shows one fact about the call `sid`. `message` is the fact as it came over the wire.
    ///
    /// # Errors
    /// As [`Self::headline`].
    pub fn fact(
        &mut self,
        sid: &str,
        fact: &LiveFact,
        message: &Value,
        delay_ms: Option<u64>,
    ) -> Result<(), SimulateError> {
        if self.style == Style::Json {
            let mut message = message.clone();
            message["delay_ms"] = json!(delay_ms);
            return self.line(&message.to_string());
        }
        if let LiveFact::TranscriptPartial { speaker, text, .. } = fact {
            return self.partial(*speaker, text);
        }
        let Some(text) = self.describe(fact, delay_ms) else {
            return Ok(());
        };
        let which = if self.many {
            format!("{} ", &sid[sid.len().saturating_sub(4)..])
        } else {
            String::new()
        };
        self.line(&format!("{which}{text}"))
    }

    /// Shows a message that a run sent, or that stayed in the outbox.
    ///
    /// # Errors
    /// As [`Self::headline`].
    pub fn message(&mut self, message: &Sent) -> Result<(), SimulateError> {
        if self.style == Style::Json {
            let mut line = json!(message);
            line["type"] = json!("simulate.message");
            return self.line(&line.to_string());
        }
        let (channel, status) = (word(&json!(message.channel)), word(&json!(message.status)));
        let text = format!("{status:7} {channel} to {}: {}", message.to, message.body);
        let text = self.paint(YELLOW, &text);
        self.line(&text)
    }

    /// Shows the figures at the end.
    ///
    /// # Errors
    /// As [`Self::headline`].
    pub fn summary(&mut self, summary: &Summary) -> Result<(), SimulateError> {
        if self.style == Style::Json {
            let mut line = json!(summary);
            line["type"] = json!("simulate.summary");
            return self.line(&line.to_string());
        }
        let span = |quantiles: Option<Quantiles>| {
            quantiles.map_or_else(
                || "none".to_owned(),
                |q| format!("p50 {} ms, p95 {} ms, worst {} ms", q.p50, q.p95, q.max),
            )
        };
        self.line("")?;
        self.line(&format!(
            "calls                    {} played, {} ended",
            summary.calls, summary.calls_ended
        ))?;
        self.line(&format!(
            "utterances               customer {}, agent {}; {} partial texts, {} shed",
            summary.utterances_customer, summary.utterances_agent, summary.partials, summary.shed
        ))?;
        self.line(&format!(
            "end of speech to final   {}",
            span(summary.end_of_speech_to_final_ms)
        ))?;
        let during = summary.alerts.iter().filter(|alert| alert.during_call).count();
        self.line(&format!(
            "alerts                   {}, {during} of them during the call",
            summary.alerts.len()
        ))?;
        self.line(&format!(
            "runs                     {} started, {} not at rest, {} steps failed",
            summary.runs, summary.runs_open, summary.steps_failed
        ))?;
        self.line(&format!(
            "callback to run start    {}",
            span(summary.callback_to_run_ms)
        ))?;
        self.line(&format!(
            "frames sent              {}, {} over 100 ms late, worst {} ms",
            summary.frames, summary.frames_late, summary.frame_worst_ms
        ))
    }

    fn partial(&mut self, speaker: Speaker, text: &str) -> Result<(), SimulateError> {
        if self.style != Style::Terminal || self.many {
            return Ok(());
        }
        let skipped = text.chars().count().saturating_sub(PARTIAL_CHARS_MAX);
        let tail: String = text.chars().skip(skipped).collect();
        let shown = self.paint(DIM, &format!("{:8}{:9} {tail}", "", speaker.as_str()));
        write!(self.out, "{ERASE_LINE}{shown}")
            .and_then(|()| self.out.flush())
            .map_err(SimulateError::Output)?;
        self.on_partial = true;
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<(), SimulateError> {
        let erase = if self.on_partial { ERASE_LINE } else { "" };
        self.on_partial = false;
        writeln!(self.out, "{erase}{text}")
            .and_then(|()| self.out.flush())
            .map_err(SimulateError::Output)
    }

    fn describe(&self, fact: &LiveFact, delay_ms: Option<u64>) -> Option<String> {
        let after = delay_ms.map_or_else(String::new, |ms| self.paint(DIM, &format!("  ({ms} ms after)")));
        match fact {
            LiveFact::TranscriptPartial { .. }
            | LiveFact::SentimentTrend { .. }
            | LiveFact::CallUpdated { .. }
            | LiveFact::AlertAcked { .. } => None,
            LiveFact::CallStarted { call } => {
                Some(format!("call    {} from {} to {}", call.id, call.from, call.to))
            }
            LiveFact::TranscriptShed {
                speaker,
                start_ms,
                end_ms,
                ..
            } => {
                let silent_ms = end_ms.saturating_sub(*start_ms);
                let text = format!("({silent_ms} ms of speech without words)");
                Some(self.paint(YELLOW, &said(*start_ms, *speaker, &text)))
            }
            LiveFact::CallEnded { call } => Some(ended(call)),
            LiveFact::TranscriptFinal {
                speaker,
                text,
                start_ms,
                sentiment,
                ..
            } => {
                let score = sentiment.map_or_else(String::new, |s| self.mood(s));
                Some(said(*start_ms, *speaker, text) + &score)
            }
            LiveFact::AlertRaised { alert } => Some(self.paint(
                urgency(alert.severity),
                &format!("ALERT   {} ({})", alert.title, alert.kind),
            )),
            LiveFact::RunStarted {
                run_id,
                name,
                trigger,
                ..
            } => Some(format!(
                "{}{after}",
                self.paint(CYAN, &format!("run     “{name}” {run_id} started by {trigger}"))
            )),
            LiveFact::RunStep {
                node,
                kind,
                status,
                detail,
                ..
            } => Some(self.step(node, kind, *status, detail)),
            LiveFact::RunEnded { status, error, .. } => {
                let why = error
                    .as_ref()
                    .map_or_else(String::new, |error| format!(": {error}"));
                Some(self.paint(CYAN, &format!("run     {status}{why}")))
            }
        }
    }

    fn step(&self, node: &str, kind: &str, status: StepStatus, detail: &Value) -> String {
        let colour = match status {
            StepStatus::Done => GREEN,
            StepStatus::Failed | StepStatus::Unknown => RED,
            StepStatus::Started | StepStatus::Waiting | StepStatus::Cancelled => DIM,
        };
        let detail = essence(status, detail);
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        let status = self.paint(colour, &format!("{:8}", word(&json!(status))));
        format!("step    {node} ({kind}) {status} {}", self.paint(DIM, &detail))
            .trim_end()
            .to_owned()
    }

    fn mood(&self, sentiment: Sentiment) -> String {
        let colour = match sentiment.label {
            SentimentLabel::Negative => RED,
            SentimentLabel::Neutral => DIM,
            SentimentLabel::Positive => GREEN,
        };
        self.paint(
            colour,
            &format!("  [{} {:+.2}]", word(&json!(sentiment.label)), sentiment.score),
        )
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style == Style::Terminal && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What a person wants to know of a step's journal entry: what went in, what came out, until when, or why not.
fn essence(status: StepStatus, detail: &Value) -> String {
    let part = match status {
        StepStatus::Started => &detail["input"],
        StepStatus::Waiting => &detail["until"],
        StepStatus::Done => &detail["output"],
        StepStatus::Failed | StepStatus::Unknown | StepStatus::Cancelled => &detail["message"],
    };
    match part {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        part => part.to_string(),
    }
}

/// How a call ended; beside it the agent's leg where that went another way, as with a line that was busy.
fn ended(call: &Call) -> String {
    let status = word(&json!(call.status));
    let leg = call.dial_status.filter(|leg| *leg != call.status);
    let leg = leg.map_or_else(String::new, |leg| {
        format!("; the agent's line: {}", word(&json!(leg)))
    });
    format!("call    {} ended: {status}{leg}", call.id)
}

/// One line of the transcript.
fn said(start_ms: u64, speaker: Speaker, text: &str) -> String {
    format!("{} {:9} {text}", clock(start_ms), speaker.as_str())
}

fn urgency(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => YELLOW,
        Severity::Warning | Severity::Critical => RED,
    }
}

/// The word of an enum as JSON has it.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Minutes, seconds and tenths of the call's own time.
fn clock(ms: u64) -> String {
    format!("{:02}:{:02}.{}", ms / 60_000, ms / 1_000 % 60, ms / 100 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        call::CallStatus,
        ids::{AccountId, CallId, CallSid},
        time::Timestamp,
    };

    #[test]
    fn a_call_whose_agent_was_busy_says_so() {
        let sid = CallSid::new("CA1");
        let mut call = Call::new(
            CallId::fresh(),
            AccountId::fresh(),
            sid,
            Timestamp::from_unix_millis(1),
        );
        call.status = CallStatus::Completed;
        assert!(ended(&call).ends_with(" ended: completed"));
        call.dial_status = Some(CallStatus::Completed);
        assert!(ended(&call).ends_with(" ended: completed"));
        call.dial_status = Some(CallStatus::Busy);
        assert!(ended(&call).ends_with(" ended: completed; the agent's line: busy"));
    }

    #[test]
    fn call_time_reads_like_a_clock() {
        assert_eq!(clock(0), "00:00.0");
        assert_eq!(clock(61_250), "01:01.2");
    }

    #[test]
    fn a_file_gets_no_colours() {
        let printer = Printer {
            out: stdout(),
            style: Style::Plain,
            on_partial: false,
            many: false,
        };
        assert_eq!(
            printer.step("tell", "send_sms", StepStatus::Done, &Value::Null),
            "step    tell (send_sms) done"
        );
    }
}
