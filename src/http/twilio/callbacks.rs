//! The doors that only take in what happened: `/twilio/status`, `/twilio/amd`, `/twilio/recording`, `/twilio/stream`.
//!
//! Each answers once what it was told is on disk; a 503 makes Twilio deliver again.

use axum::extract::State;

use super::{
    answer::Twiml,
    keep::{Unkept, keep},
    number_routing,
    request::TwilioRequest,
    twiml::Verb,
};
use crate::{
    domain::{
        call::{AnsweredBy, CallFact, CallStatus},
        ids::{CallSid, StreamSid},
    },
    http::{context::Context, error::ApiResult},
};

/// Takes in the progress of a call, or of the leg to an agent.
pub async fn status(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let mut is_over = None;
    let told = if request.get("ParentCallSid").is_some() {
        leg_progress(&request)?
    } else {
        super::placed::progressed(&context, &request).await?;
        is_over = request
            .status("CallStatus")?
            .is_terminal()
            .then(|| request.call())
            .transpose()?;
        Some(call_progress(&request)?)
    };
    if let Some(unkept) = told {
        keep(&context, unkept).await?;
    }
    if let Some(call) = is_over {
        number_routing::over(&context, &call).await;
    }
    if let Some(unkept) = recording_of(&request, false)? {
        keep(&context, unkept).await?;
    }
    Ok(Twiml::nothing())
}

/// Takes in what answering-machine detection found.
pub async fn amd(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    let word = request.required("AnsweredBy")?;
    let dedupe_key = request.dedupe_key("amd", &[call.as_str(), word]);
    let fact = CallFact::MachineDetected {
        answered_by: answered_by(word),
    };
    keep(
        &context,
        Unkept {
            call,
            dedupe_key,
            fact,
        },
    )
    .await?;
    Ok(Twiml::nothing())
}

/// Takes in that a recording is ready. After a message was left it also ends the call.
pub async fn recording(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let is_voicemail = request.query("voicemail").is_some();
    if let Some(unkept) = recording_of(&request, is_voicemail)? {
        keep(&context, unkept).await?;
    }
    Ok(Twiml::of(&[Verb::Hangup]))
}

/// Takes in what became of a media stream: the only place where a stream that never reached us shows.
pub async fn stream(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    let stream = StreamSid::new(request.sid("StreamSid")?);
    let event = request.required("StreamEvent")?;
    let fact = match event {
        "stream-stopped" => CallFact::StreamReportedOver {
            stream: stream.clone(),
        },
        "stream-error" => {
            metrics::counter!("patchcord_media_stream_errors_total").increment(1);
            let error = request.get("StreamError").unwrap_or("unnamed");
            tracing::warn!(%call, %stream, error, "Twilio could not stream a call");
            CallFact::StreamStopped {
                stream: stream.clone(),
                clean: false,
            }
        }
        // The socket itself tells when it starts.
        _ => return Ok(Twiml::nothing()),
    };
    let dedupe_key = request.dedupe_key("stream", &[stream.as_str(), event]);
    keep(
        &context,
        Unkept {
            call,
            dedupe_key,
            fact,
        },
    )
    .await?;
    Ok(Twiml::nothing())
}

/// Reads Twilio's word for who picked up. A word we do not know leaves it undecided.
pub fn answered_by(word: &str) -> AnsweredBy {
    match word {
        "human" => AnsweredBy::Human,
        "fax" => AnsweredBy::Fax,
        "machine_start" => AnsweredBy::MachineStart,
        "machine_end_beep" => AnsweredBy::MachineEndBeep,
        "machine_end_silence" => AnsweredBy::MachineEndSilence,
        "machine_end_other" => AnsweredBy::MachineEndOther,
        _ => AnsweredBy::Unknown,
    }
}

fn call_progress(request: &TwilioRequest) -> ApiResult<Unkept> {
    let call = request.call()?;
    let word = request.required("CallStatus")?;
    let number = request.get("SequenceNumber").unwrap_or_default();
    Ok(Unkept {
        dedupe_key: request.dedupe_key("status", &[call.as_str(), number, word]),
        call,
        fact: CallFact::StatusReported {
            status: request.status("CallStatus")?,
            sequence: request.number("SequenceNumber"),
            duration_s: request.number("CallDuration"),
            sip_code: request.number("SipResponseCode"),
            parties: request.parties(),
        },
    })
}

/// The leg that our TwiML dialled: it counts for the caller's call, not as a call of its own.
fn leg_progress(request: &TwilioRequest) -> ApiResult<Option<Unkept>> {
    let call = CallSid::new(request.sid("ParentCallSid")?);
    let leg = request.call()?;
    let status = request.status("CallStatus")?;
    let fact = match status {
        CallStatus::InProgress => CallFact::DialAnswered,
        ended if ended.is_terminal() => CallFact::DialEnded {
            status: ended,
            duration_s: request.number("CallDuration"),
        },
        _ => return Ok(None),
    };
    let word = request.required("CallStatus")?;
    let dedupe_key = request.dedupe_key("leg", &[leg.as_str(), word]);
    Ok(Some(Unkept {
        call,
        dedupe_key,
        fact,
    }))
}

/// The recording a callback speaks of; none while it is under way, when it is absent, or when nothing was said.
fn recording_of(request: &TwilioRequest, voicemail: bool) -> ApiResult<Option<Unkept>> {
    let is_ready = request
        .get("RecordingStatus")
        .is_none_or(|status| status == "completed");
    let duration_s = request.number("RecordingDuration");
    let (Some(url), true) = (request.get("RecordingUrl"), is_ready && duration_s != Some(0)) else {
        return Ok(None);
    };
    // Three callbacks may speak of one recording: the action, the recording's own, and the end of the call.
    let dedupe_key = format!(
        "recording:{}:{voicemail}",
        request.get("RecordingSid").unwrap_or(url)
    );
    let fact = CallFact::RecordingReady {
        url: url.to_owned(),
        duration_s,
        voicemail,
    };
    Ok(Some(Unkept {
        call: request.call()?,
        dedupe_key,
        fact,
    }))
}
